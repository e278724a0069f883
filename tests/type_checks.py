"""Types and shapes checked as the tests run: arguments and results of functions, by their annotations.

An annotation counts as far as its names can be had at run time: a name that only a type checker imports, or that of a
class while that class is being made, is not checked.

The option --jaxtyping-packages would do the same, but takes a checker with settings for no more than one package
(jaxtyping 0.3.11, `pytest_load_initial_conftests`); it takes the place of this module once it can.
"""

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Generator
from typing import Any, Self, TextIO

import beartype

import jaxtyping


PACKAGES = ("hplaw", "hplaw_api", "hplaw_experiments")
"""What is checked: everything that is ours but the tests."""

check: Any = beartype.beartype(
    conf=beartype.BeartypeConf(
        # a whole number is a float, as for any type checker
        is_pep484_tower=True,
        hint_overrides=beartype.FrozenDict(
            {
                # known only where a whole class is decorated; jaxtyping hands over the methods one by one
                Self: Any,
                # a class that no stream derives from
                TextIO: TextIO | io.TextIOBase,
            }
        ),
    )
)
"""The checker, found by its name as jaxtyping wants it."""


def install() -> None:
    """Check what is imported from now on.

    Shapes are distinguished where HPLAW_CHECK_SHAPES is set as `hplaw.arrays` is loaded. That is done here, so that programs
    which tests start do not find the variable, and run as a user's would.
    """
    jaxtyping.install_import_hook(PACKAGES, f"{__name__}.check")
    os.environ["HPLAW_CHECK_SHAPES"] = "1"
    importlib.import_module("hplaw.arrays")
    del os.environ["HPLAW_CHECK_SHAPES"]
    # a call that is checked takes three frames where it took one
    sys.setrecursionlimit(3 * sys.getrecursionlimit())


@contextlib.contextmanager
def unchecked() -> Generator[None]:
    """Pass on whatever is given, as outside the tests: for what the library itself says of values of another type."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
