"""The noise scale along a run: that of the run that was trained, and the one that gradients of single examples have."""

import numpy as np
import pytest

import jax
import jax.numpy as jnp
import jax.random as jr

from hplaw.errors import QueryError
from hplaw_experiments.diagnostics.noise_scale import mean_scale, noise_scales
from hplaw_experiments.models import build_model, cross_entropy
from hplaw_experiments.models.precision import find_policy
from hplaw_experiments.training.step import arranged, data_of
from hplaw_experiments.trial import Trial


TRIAL = Trial(
    width=8, n_layers=1, data="teacher", tokens=2048, batch_tokens=32, peak_lr=0.1, optimizer="sgd", schedule="constant"
)


@pytest.mark.slow
def test_the_scale_at_the_start_is_that_of_single_gradients() -> None:
    (found,) = noise_scales(TRIAL, shares=[0.0], small=8, batches=512)
    model, policy, source = build_model(TRIAL), find_policy("fp32"), data_of(TRIAL).source
    x, y = source.batch(jr.key(77), 4096)

    def one(x: jax.Array, y: jax.Array) -> jax.Array:
        loss = lambda m: cross_entropy(m(arranged("mlp", x[None]), policy), y[None])
        return jnp.concatenate([g.ravel() for g in jax.tree.leaves(jax.grad(loss)(model))])

    each = np.asarray(jax.jit(jax.vmap(one))(x, y), np.float64)
    trace = each.var(axis=0, ddof=1).sum()
    square = (each.mean(axis=0) ** 2).sum() - trace / len(each)
    assert found.step == 0
    assert found.noise_scale_tokens == pytest.approx(trace / square, rel=0.15)


def test_it_grows_as_training_goes_on_and_one_number_is_for_the_run() -> None:
    found = noise_scales(TRIAL, shares=[0.0, 0.9], small=16, batches=64)
    assert [each.step for each in found] == [0, 58]
    assert found == noise_scales(TRIAL, shares=[0.0, 0.9], small=16, batches=64)
    first, last = (each.noise_scale_tokens or 0.0 for each in found)
    assert last > 2 * first
    mean = mean_scale(found)
    assert mean is not None
    assert first < mean < last
    with pytest.raises(QueryError, match="ascending shares"):
        noise_scales(TRIAL, shares=[0.5, 0.1])
