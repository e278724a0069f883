"""The tables of parametrizations against their golden values, and against the theory's exponents."""

import itertools as it

import pytest

import hplaw
from hplaw.answer.answer import plain_outputs
from hplaw.errors import QueryError
from hplaw.law.shipped import theory_law
from hplaw.parametrization.factors import (
    KINDS,
    PARAMETRIZATIONS,
    LayerKind,
    LayerRule,
    attention_factor,
    branch_factor,
    layer_rule,
)
from hplaw_experiments.models import build_model
from hplaw_experiments.models.transformer import full_shape
from hplaw_experiments.trial import Trial


OPTIMIZERS = ("sgd", "momentum", "adam", "adamw", "muon")


def layer_rules(
    parametrization: str, optimizer: str, *, width: float = 1.0, depth: float = 1.0
) -> dict[LayerKind, LayerRule]:
    return {
        kind: layer_rule(kind, parametrization=parametrization, optimizer=optimizer, width=width, depth=depth)
        for kind in KINDS
    }


@pytest.mark.parametrize(("parametrization", "optimizer"), list(it.product(PARAMETRIZATIONS, OPTIMIZERS)))
def test_at_the_base_every_factor_is_one_exactly(parametrization: str, optimizer: str) -> None:
    assert set(layer_rules(parametrization, optimizer).values()) == {LayerRule()}
    assert branch_factor(parametrization, depth=1.0) == 1.0
    assert attention_factor(parametrization, head=1.0) == 1.0


def test_mup_is_that_of_the_package() -> None:
    adam = layer_rules("mup", "adamw", width=8.0)
    assert 1e-3 * adam["hidden"].rate == 1.25e-4
    assert 0.02 * adam["hidden"].init == pytest.approx(0.00707107, rel=1e-6)
    assert adam["hidden"].decay == 8.0
    assert (adam["input"].rate, adam["input"].init, adam["input"].decay) == (1.0, 1.0, 1.0)
    assert (adam["output"].rate, adam["output"].init, adam["output"].multiplier) == (1.0, 1.0, 0.125)
    sgd = layer_rules("mup", "sgd", width=8.0)
    assert 0.1 * sgd["hidden"].rate == 0.1
    assert 0.1 * sgd["input"].rate == pytest.approx(0.8)
    assert 0.1 * sgd["output"].rate == pytest.approx(0.8)
    assert sgd["vector"].decay == 1 / 8


def test_a_hidden_layer_that_is_not_square_has_its_own_rate_under_sgd() -> None:
    rule = layer_rule("hidden", parametrization="mup", optimizer="sgd", width=8.0, fan_out=4.0)
    assert rule.rate == 0.5
    assert rule.decay == 2.0


@pytest.mark.parametrize(
    ("name", "branch", "rate", "epsilon", "vector"),
    [("completep", 0.25, 0.25, 0.0625, 1.0), ("depth_mup", 0.5, 0.125, 0.125, 0.5)],
)
def test_depth(name: str, branch: float, rate: float, epsilon: float, vector: float) -> None:
    table = layer_rules(name, "adamw", width=4.0, depth=4.0)
    assert branch_factor(name, depth=4.0) == branch
    assert table["hidden"].rate == rate
    assert table["hidden"].decay == 4.0
    assert table["hidden"].epsilon == epsilon
    assert table["hidden"].init == 0.5
    assert table["embedding"].epsilon == 0.25
    assert table["output"].epsilon == 0.25
    assert table["block_vector"].rate == vector
    assert table["vector"].rate == 1.0
    assert table["embedding"].rate == table["output"].rate == 1.0
    assert table["output"].multiplier == 0.25


@pytest.mark.parametrize("kind", ["input", "embedding", "hidden", "output", "vector"])
def test_u_mup_goes_with_width_as_the_rates_of_its_package_do(kind: str) -> None:
    def rate(width: float) -> float:
        fan_in = 64 if kind == "input" else width  # reads a number of features that stays the same
        given = {"fan_in": fan_in, "fan_out": width}
        return plain_outputs(theory_law("u-mup-rates"), given)[1]["size_lr_factor"][kind]

    rule = layer_rule(kind, parametrization="u_mup", optimizer="adam", width=8.0)
    assert rule.rate == pytest.approx(rate(512) / rate(64))


@pytest.mark.parametrize("kind", ["input", "hidden", "output", "vector"])
def test_u_mup_is_mup_by_another_gauge(kind: str) -> None:
    # multiplier n^t, deviation n^-t: SGD's rate goes with n^(2 t), Adam's with n^t, and the function stays the same
    for optimizer, power in (("sgd", 2), ("adam", 1)):
        u, mu = (layer_rules(name, optimizer, width=16.0)[kind] for name in ("u_mup", "mup"))
        shift = mu.multiplier / u.multiplier
        assert u.init * u.multiplier == pytest.approx(mu.init * mu.multiplier)
        assert u.rate == pytest.approx(mu.rate * shift**power)


@pytest.mark.parametrize("name", ["ntk", "mean_field", "mup", "completep"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_rate_times_decay_does_not_go_with_width(name: str, optimizer: str) -> None:
    for rule in layer_rules(name, optimizer, width=8.0).values():
        assert rule.rate * rule.decay == pytest.approx(1.0)


def test_hidden_layers_keep_their_size_in_every_table() -> None:
    for name in PARAMETRIZATIONS:
        rule = layer_rules(name, "adam", width=16.0)["hidden"]
        assert rule.init * rule.multiplier == pytest.approx(0.25)


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(QueryError, match="mup"):
        layer_rules("mupp", "adam")
    with pytest.raises(QueryError, match=r"lion.*give one of sgd"):
        layer_rules("mup", "lion")


NAMES = {
    "query": "self_attn.q_proj",
    "key": "self_attn.k_proj",
    "value": "self_attn.v_proj",
    "out": "self_attn.o_proj",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
    "norm_attention": "input_layernorm",
    "norm_ffn": "post_attention_layernorm",
}
"""Names in released checkpoints of the weights of a block."""


@pytest.mark.parametrize("name", PARAMETRIZATIONS)
def test_named_weights_have_the_rules_that_the_trainer_gives_them(name: str) -> None:
    sizes = {"width": 128, "n_layers": 4, "base_width": 64, "base_n_layers": 2}
    model = build_model(
        Trial(
            family="transformer",
            parametrization=name,
            data="language",
            seq_len=16,
            batch_tokens=64,
            tokens=640,
            peak_lr=0.01,
            optimizer="adamw",
            **sizes,
        )
    )

    def config(width: int, n_layers: int) -> dict[str, object]:
        shape = full_shape(width=width, n_layers=n_layers)
        return {
            "model_type": "llama",
            "hidden_size": width,
            "intermediate_size": shape.d_ff,
            "vocab_size": 256,
            "num_hidden_layers": n_layers,
            "num_attention_heads": shape.n_heads,
        }

    table = hplaw.parametrize(scheme=name, config=config(128, 4), base_config=config(64, 2))
    by = {weight.name.removesuffix(".weight"): weight for weight in table.weights}
    pairs = [(getattr(model.blocks, key), f"model.layers.*.{word}") for key, word in NAMES.items()]
    pairs += [(model.embedding, "model.embed_tokens"), (model.norm, "model.norm"), (model.unembedding, "lm_head")]
    assert len(pairs) == len(table.weights)
    for weight, word in pairs:
        row = by[word].row
        rule = LayerRule(init=row.init, multiplier=row.multiplier, rate=row.rate, decay=row.decay, epsilon=row.epsilon)
        assert (weight.kind, weight.rule) == (row.kind, rule), word
    assert model.branch == table.branch_factor
