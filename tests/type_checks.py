"""Types and shapes checked as the tests run: arguments and results of functions, by their annotations.

An annotation counts as far as its names can be had at run time: a name that only a type checker imports, or that of a
class while that class is being made, is not checked.

The option --jaxtyping-packages would do the same, but takes a checker with settings for no more than one package
(jaxtyping 0.3.11, `pytest_load_initial_conftests`); it takes the place of this module once it can.
"""

import builtins
import contextlib
import functools as ft
import importlib
import inspect
import io
import os
import sys
from collections.abc import Generator
from typing import Any, Self, TextIO, get_args

import beartype
from beartype.roar import BeartypeCallHintViolation

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


_jaxtyped: Any = jaxtyping.jaxtyped


def checked(fn: Any = None, *, typechecker: Any) -> Any:
    """Return a function that is checked as `jaxtyping.jaxtyped` has it: one without shapes in its signature by the checker alone.

    jaxtyping binds the arguments of every call to a signature, which is needed only to compare shapes and takes most of the
    time of the tests.
    """
    if fn is None:
        return ft.partial(checked, typechecker=typechecker)
    if not inspect.isfunction(fn):
        return _jaxtyped(fn, typechecker=typechecker)
    known = {**vars(builtins), **fn.__globals__}
    hints = {name: _hint(hint, known) for name, hint in fn.__annotations__.items()}
    if any(map(_has_shape, hints.values())):
        return _jaxtyped(fn, typechecker=typechecker)
    fn.__annotations__ = hints
    quick = typechecker(fn)

    @ft.wraps(fn)
    def call(*arguments: Any, **named: Any) -> Any:
        if jaxtyping.config.jaxtyping_disable:
            return fn(*arguments, **named)
        try:
            return quick(*arguments, **named)
        except BeartypeCallHintViolation as error:
            raise jaxtyping.TypeCheckError(str(error)) from None

    return call


def _has_shape(hint: Any) -> bool:
    """Return whether an annotation says the shape of an array, in a part of it or as a whole."""
    if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(map(_has_shape, get_args(hint)))


def _hint(hint: Any, known: dict[str, Any]) -> Any:
    """Return an annotation as a type, anything where its names cannot be had."""
    if not isinstance(hint, str):
        return hint
    try:
        return eval(hint, known)
    except Exception:
        return Any


def install() -> None:
    """Check what is imported from now on.

    Shapes are distinguished where HPLAW_CHECK_SHAPES is set as `hplaw.arrays` is loaded. That is done here, so that programs
    which tests start do not find the variable, and run as a user's would.
    """
    jaxtyping.jaxtyped = checked
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
