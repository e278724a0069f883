"""Barriers between networks, and how alike their features are."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from hplaw.errors import DataError
from hplaw.pruning.connectivity import linear_cka, mode_connectivity
from tests.helpers import is_one_sentence


FEATURES = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [2.0, 0.0]])


def test_a_barrier_is_negative_and_a_better_middle_positive():
    assert mode_connectivity([0.1, 0.3, 0.6, 0.3, 0.1]) == pytest.approx(-0.5, rel=1e-12)
    assert mode_connectivity([0.2, 0.1, 0.05, 0.1, 0.2]) == pytest.approx(0.15, rel=1e-12)
    assert mode_connectivity([0.1, 0.1, 0.1]) == 0


@given(st.lists(st.floats(0, 1), min_size=3, max_size=11))
def test_connectivity_does_not_depend_on_the_direction_of_the_path(errors):
    forth, back = mode_connectivity(errors), mode_connectivity(errors[::-1])
    assert abs(forth) == pytest.approx(abs(back), abs=1e-15)
    assert -1 <= forth <= 1


def test_alignment_ignores_rotation_and_scale():
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(2, 2)))
    assert linear_cka(FEATURES, FEATURES) == pytest.approx(1, rel=1e-12)
    assert linear_cka(FEATURES, 3 * FEATURES @ q) == pytest.approx(1, rel=1e-12)
    assert linear_cka(FEATURES, FEATURES[:, :1]) == pytest.approx(0.9449111825230682, rel=1e-12)
    assert linear_cka(FEATURES, np.ones((4, 3))) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: mode_connectivity([0.1, 0.2]),
        lambda: mode_connectivity([0.1, 1.2, 0.1]),
        lambda: mode_connectivity([0.1, float("nan"), 0.1]),
        lambda: linear_cka(FEATURES, FEATURES[:3]),
        lambda: linear_cka(FEATURES, FEATURES * np.inf),
        lambda: linear_cka([1, 2], [3, 4]),
    ],
)
def test_what_is_no_path_and_no_features_is_refused_in_a_sentence(call):
    with pytest.raises(DataError) as caught, np.errstate(invalid="ignore"):
        call()
    assert is_one_sentence(caught.value)
