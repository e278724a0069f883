"""The best rate of sign-like steps over the batch: the form near its peak, the limit far behind it, and what is refused."""

import math

import numpy as np
import pytest

from hplaw.errors import DataError
from hplaw.theory.surge import surge_form, surge_rate
from tests.goldens import TOY
from tests.helpers import is_one_sentence


def test_the_exact_rate_follows_the_form_for_small_batches_and_leaves_it_for_large_ones():
    batch, peak = surge_form(*TOY)
    form = lambda b: 2 * peak / (math.sqrt(batch / b) + math.sqrt(b / batch))
    assert surge_rate(0.01, *TOY) == pytest.approx(form(0.01), rel=1e-3)
    assert surge_rate(1e9, *TOY) == pytest.approx(surge_rate(math.inf, *TOY), rel=1e-6)
    assert form(1e9) < 0.01 * surge_rate(1e9, *TOY)


def test_the_exact_rate_is_that_of_simulated_steps():
    mean, deviation, hessian = TOY
    rng = np.random.default_rng(0)
    signs = np.sign(mean + deviation * rng.normal(size=(100_000, 4)) / math.sqrt(16))
    gain, bend = np.mean(signs @ mean), np.mean(np.einsum("ni,ij,nj->n", signs, hessian, signs))
    assert surge_rate(16, *TOY) == pytest.approx(gain / bend, rel=0.02)


@pytest.mark.parametrize(
    "call",
    [
        lambda: surge_rate(0, *TOY),
        lambda: surge_rate(math.nan, *TOY),
        lambda: surge_rate(1, [1.0], [0.0], [[1.0]]),
        lambda: surge_rate(1, [1.0], [1.0], [1.0]),
        lambda: surge_rate(1, [1.0], [1.0], [[-1.0]]),
        lambda: surge_form([1.0, 0.0], [1.0, 1.0], np.eye(2)),
        lambda: surge_form([], [], np.zeros((0, 0))),
    ],
)
def test_what_has_no_best_rate_is_refused_in_a_sentence(call):
    with pytest.raises(DataError) as caught:
        call()
    assert is_one_sentence(caught.value)
