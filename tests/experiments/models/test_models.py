"""The models: what they count, and what a parametrization does to them at and away from the base."""

from typing import Any

import msgspec
import numpy as np
import pytest

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr

import hplaw
from hplaw.errors import QueryError
from hplaw.parametrization.factors import PARAMETRIZATIONS
from hplaw_experiments.models import build_model, flop_per_token, is_weight, n_params
from hplaw_experiments.models.build import shapes
from hplaw_experiments.models.precision import find_policy
from hplaw_experiments.models.transformer import rotate
from hplaw_experiments.training.train import flop
from hplaw_experiments.trial import Trial


FP32 = find_policy("fp32")
MLP = Trial(width=32, tokens=64, batch_tokens=64, peak_lr=1e-3, optimizer="adam")
CONVNET = msgspec.structs.replace(MLP, family="convnet", width=4, n_layers=4)
TRANSFORMER = msgspec.structs.replace(
    MLP, family="transformer", width=64, n_layers=2, data="language", seq_len=16, n_heads=4, n_kv_heads=2
)
ALL = [MLP, CONVNET, TRANSFORMER]


def weights(model: Any) -> list[Any]:
    return jax.tree.leaves(model, is_leaf=is_weight)


def inputs(trial: Trial) -> Any:
    if trial.family == "transformer":
        return jr.randint(jr.key(0), (3, trial.seq_len), 0, 256)
    shape = (3, 64) if trial.family == "mlp" else (3, 8, 8, 1)
    return jr.normal(jr.key(0), shape, jnp.float32)


@pytest.mark.parametrize("trial", ALL, ids=lambda t: t.family)
@pytest.mark.parametrize("name", [name for name in PARAMETRIZATIONS if name != "standard"])
def test_at_the_base_every_parametrization_is_the_standard_one_to_the_bit(trial: Trial, name: str) -> None:
    sizes = {"base_width": trial.width, "base_n_layers": trial.n_layers}
    standard = build_model(msgspec.structs.replace(trial, **sizes))
    other = build_model(msgspec.structs.replace(trial, **sizes, parametrization=name))
    for a, b in zip(jax.tree.leaves(standard), jax.tree.leaves(other), strict=True):
        assert np.array_equal(a, b)
    assert {w.rule for w in weights(other)} == {w.rule for w in weights(standard)}
    if name == "mup":  # the program is the same then; one run shows it
        x = inputs(trial)
        run = eqx.filter_jit(lambda m: m(x, FP32))
        assert np.array_equal(run(standard), run(other))


@pytest.mark.parametrize("tied", [False, True])
def test_a_transformer_counts_as_the_laws_do(tied: bool) -> None:
    trial = msgspec.structs.replace(TRANSFORMER, tied_embedding=tied)
    shape = shapes(trial)[0]
    given = {"n_layers": 2, "d_model": 64, "d_ff": shape.d_ff, "n_heads": 4, "n_kv_heads": 2}
    found = hplaw.evaluate("transformer-params", given).outputs["n_params"].value
    assert n_params(trial) == found
    held = sum(w.value.size for w in weights(build_model(trial)) if w.kind not in {"embedding", "output"})
    assert held == found
    asked = {"n_active_params": found, "n_layers": 2, "d_model": 64, "seq_len": 16}
    per_token = hplaw.evaluate("flop-per-token-with-attention", asked).outputs["flop_per_token"]
    assert flop_per_token(trial) == per_token.value


@pytest.mark.parametrize("trial", [MLP, CONVNET], ids=lambda t: t.family)
def test_classifiers_count_all_their_weights(trial: Trial) -> None:
    assert n_params(trial) == sum(w.value.size for w in weights(build_model(trial)))


def test_an_mlp_takes_6_flop_for_each_weight_and_example() -> None:
    assert flop_per_token(MLP) == 6 * n_params(MLP)
    assert flop(msgspec.structs.replace(MLP, tokens=640)) == 640 * flop_per_token(MLP)


def test_a_convolution_counts_its_places() -> None:
    lowered = jax.jit(lambda m, x: m(x, FP32)).lower(build_model(CONVNET), inputs(CONVNET))
    counted = lowered.cost_analysis()["flops"] / 3  # of one image, forward
    assert 1.0 < counted / (flop_per_token(CONVNET) / 3) < 1.7  # the rest is norms and sums


@pytest.mark.parametrize("trial", ALL, ids=lambda t: t.family)
def test_hidden_weights_shrink_with_width_and_the_readout_by_the_table(trial: Trial) -> None:
    wide = msgspec.structs.replace(trial, width=trial.width * 4, base_width=trial.width, parametrization="mup")
    base, big = weights(build_model(trial)), weights(build_model(wide))
    for a, b in zip(base, big, strict=True):
        if a.kind == "hidden":
            ratio = float(jnp.std(b.value) / jnp.std(a.value))
            assert ratio == pytest.approx(0.5, rel=0.1 if a.value.size > 1000 else 0.3)
            assert b.rule.rate == pytest.approx(0.25, rel=0.05)  # d_ff is rounded
        elif a.kind == "output":
            assert float(jnp.std(b.value) / jnp.std(a.value)) == pytest.approx(1.0, rel=0.2)
            assert b.rule.multiplier == 0.25


def test_the_tied_readout_is_scaled_by_its_multiplier() -> None:
    trial = msgspec.structs.replace(TRANSFORMER, tied_embedding=True, base_width=16, parametrization="mup")
    model = build_model(trial)
    assert model.unembedding is None
    assert model.readout == pytest.approx(1 / 4 / 16**0.5)


def test_completep_divides_the_branches_by_the_depth() -> None:
    trial = msgspec.structs.replace(TRANSFORMER, n_layers=8, base_n_layers=2, parametrization="completep")
    assert build_model(trial).branch == 0.25


def test_no_token_sees_a_later_one() -> None:
    model, x = build_model(TRANSFORMER), inputs(TRANSFORMER)
    changed = x.at[:, 9].set((x[:, 9] + 1) % 256)
    run = eqx.filter_jit(lambda x: model(x, FP32))
    a, b = run(x), run(changed)
    assert np.array_equal(a[:, :9], b[:, :9])
    assert not np.allclose(a[:, 9:], b[:, 9:])


def test_rotary_products_depend_on_the_distance_alone() -> None:
    q, k = jr.normal(jr.key(0), (2, 8), jnp.float32)
    at = lambda v: rotate(jnp.broadcast_to(v, (1, 12, 1, 8)))[0, :, 0]
    products = at(q) @ at(k).T
    assert np.allclose(np.diag(products, -3), products[3, 0], atol=1e-5)
    assert np.allclose(at(q)[0], q)


def test_what_does_not_fit_is_refused() -> None:
    for wrong, words in [
        ({"n_heads": 3}, "multiple of n_heads"),
        ({"n_heads": 4, "n_kv_heads": 3}, "n_kv_heads"),
        ({"data": "digits"}, "does not read"),
    ]:
        with pytest.raises(QueryError, match=words):
            build_model(msgspec.structs.replace(TRANSFORMER, **wrong))
    with pytest.raises(QueryError, match="no images"):
        n_params(msgspec.structs.replace(CONVNET, data="teacher"))
    with pytest.raises(QueryError, match=r"did you mean|give one of"):
        build_model(msgspec.structs.replace(MLP, activation="rello"))
