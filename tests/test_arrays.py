"""Types and shapes are checked as tests run, and an answer pays nothing for it."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import jaxtyping

from hplaw.arrays import Array, Float
from hplaw.toml import read_toml
from tests import type_checks


@jaxtyping.jaxtyped(typechecker=type_checks.check)
def weighted(weights: Float[Array, " scenario"], values: Float[Array, "row scenario"]) -> Float[Array, " row"]:
    return values @ weights


def test_shapes_that_agree_pass() -> None:
    assert weighted(np.ones(3), np.ones((2, 3))).tolist() == [3.0, 3.0]


@pytest.mark.parametrize(
    ("weights", "values"),
    [
        (np.ones(2), np.ones((2, 3))),
        (np.ones((3, 1)), np.ones((2, 3))),
        (np.ones(3, dtype=int), np.ones((2, 3))),
        ([1.0, 1.0, 1.0], np.ones((2, 3))),
    ],
)
def test_shapes_that_disagree_are_refused(weights: Array, values: Array) -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        weighted(weights, values)


def test_our_own_functions_are_checked() -> None:
    text: Any = "no bytes"
    with pytest.raises(jaxtyping.TypeCheckError, match="read_toml"):
        read_toml(text)


def test_without_the_variable_shapes_are_only_said() -> None:
    code = "import sys, typing, hplaw.arrays as a; print(a.Float is typing.Annotated, 'jaxtyping' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
