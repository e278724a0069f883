"""The trainer: optimizers against their definitions, schedules, precision, packs, divergence, forecasts."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

import jax
import jax.numpy as jnp
import optax

import hplaw
from hplaw.errors import QueryError
from hplaw.evaluation.rates import SCHEDULES
from hplaw_experiments.models import build_model
from hplaw_experiments.models.precision import FIRST_SCALE, GROW_AFTER, first_scale
from hplaw_experiments.training.compiling import ALWAYS, PARTS, SOON, cores, options, over_soon
from hplaw_experiments.training.forecast import exponential_forecast, hopeless
from hplaw_experiments.training.optim import OPTIMIZERS, find_optimizer
from hplaw_experiments.training.schedules import make_schedule, schedule_law
from hplaw_experiments.training.step import CALL, POINTS, end_of, find_program, hyper_of
from hplaw_experiments.training.train import _Told, _vmapped, data_of, flop, halving, train_pack
from hplaw_experiments.trial import Seen, Trial, steps


BASE = Trial(width=16, n_layers=2, tokens=3200, batch_tokens=32, peak_lr=0.01, optimizer="adam")


def with_(trial: Trial = BASE, **fields: Any) -> Trial:
    return msgspec.structs.replace(trial, **fields)


def rates() -> list[Trial]:
    return [with_(peak_lr=2.0**-e, seed=e, tokens=3200 - 320 * e) for e in (5, 7, 3)]


# One trial


def test_a_trial_learns_and_says_what_it_took() -> None:
    (outcome,) = train_pack([BASE])
    assert outcome.loss is not None
    assert outcome.loss < 1.0  # chance is 2.3
    assert outcome.steps_done == steps(BASE) == 100
    assert outcome.training_flop == flop(BASE)
    assert outcome.curve_steps[-1] == 99
    assert len(outcome.curve_steps) == len(outcome.curve_losses) == POINTS
    assert outcome.curve_losses[0] > outcome.curve_losses[-1]
    assert outcome.seconds > 0
    assert not outcome.shared
    (thin,) = train_pack([with_(curve_points=5)])
    assert len(thin.curve_steps) == 5
    assert thin.curve_steps[-1] == 99
    assert thin.loss == outcome.loss


def test_a_short_trial_has_as_many_points_as_steps() -> None:
    (outcome,) = train_pack([with_(tokens=320)])
    assert outcome.curve_steps == tuple(range(10))
    assert outcome.loss is not None


def test_stretches_cover_a_run() -> None:
    for total in (1, 63, 64, 1000, 2**31 - 1):
        ends = [end_of(point, total) for point in range(POINTS)]
        assert ends[-1] == total
        assert ends == sorted(ends)


# Packs


def test_trials_in_a_pack_are_as_alone() -> None:
    alone = [train_pack([trial])[0] for trial in rates()]
    packed = train_pack(rates())
    for a, b in zip(alone, packed, strict=True):
        assert (a.loss, a.curve_losses, a.steps_done) == (b.loss, b.curve_losses, b.steps_done)
    assert all(b.shared and b.pack_width == 3 for b in packed)


def test_one_vmapped_program_agrees_with_trials_alone() -> None:
    trials = rates()
    packed = _vmapped(trials, find_program(trials), data_of(trials[0]), _Told(None, trials))
    for a, b in zip(train_pack(trials), packed, strict=True):
        assert b.loss == pytest.approx(a.loss, rel=1e-4)  # a hundred steps away from equal numbers
        assert b.curve_losses[0] == pytest.approx(a.curve_losses[0], rel=1e-6)
        assert (a.steps_done, a.curve_steps) == (b.steps_done, b.curve_steps)


def test_a_program_compiled_soon_agrees_with_one_that_is_not() -> None:
    # else this version of XLA knows them no more
    assert options(soon=True) == ALWAYS | SOON | {PARTS: cores()}
    assert options(soon=False) == ALWAYS
    model, hyper, data = build_model(BASE), hyper_of(BASE), data_of(BASE)
    ends = np.full(CALL, 100, np.int32)
    found = []
    for soon in (True, False):
        program = find_program([BASE], soon=soon)
        state, totals = program.advance(program.start(model), hyper, data, ends)
        found.append((float(totals[0]), float(program.held_out(state.model, data))))
    assert found[0] == pytest.approx(found[1], rel=1e-4)
    assert over_soon(BASE)
    assert not over_soon(with_(width=2048, tokens=2**20))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_trial_starts_as_its_optimizer_wants(name: str) -> None:
    trial = with_(optimizer=name)
    model = build_model(trial)
    state = find_program([trial]).start(model)
    expected = find_optimizer(name).init(model, hyper_of(trial))
    assert jax.tree.structure(state.optimizer) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(state.optimizer), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        assert np.array_equal(a, b)


@pytest.mark.parametrize("vmapped", [False, True])
def test_a_diverged_trial_spoils_nobody(vmapped: bool) -> None:
    wild = [with_(optimizer="sgd", peak_lr=lr, warmup_fraction=0.0) for lr in (0.05, 1e5, 0.1)]
    calm = train_pack([wild[0], wild[2]])
    if vmapped:
        found = _vmapped(wild, find_program(wild), data_of(wild[0]), _Told(None, wild))
    else:
        found = train_pack(wild)
    bad = found[1]
    assert bad.diverged
    assert bad.loss is None
    assert bad.diverged_step is not None
    assert bad.steps_done == bad.diverged_step + 1 < 100
    for a, b in zip(calm, (found[0], found[2]), strict=True):
        assert b.loss == pytest.approx(a.loss, rel=1e-4)
        assert not b.diverged


def test_progress_goes_from_nothing_to_all() -> None:
    told: list[float] = []
    seen: dict[int, list[Seen]] = {}

    def progress(share: float, trials: Sequence[Seen] = ()) -> None:
        told.append(share)
        for one in trials:
            seen.setdefault(one.trial.seed, []).append(one)

    outcomes = train_pack(rates(), progress=progress)
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert len(seen) == len(outcomes)
    for trial, outcome in zip(rates(), outcomes, strict=True):
        mine = seen[trial.seed]
        assert [one.share for one in mine] == sorted(one.share for one in mine)
        assert mine[-1].loss == pytest.approx(outcome.train_loss)


def test_trials_of_two_shapes_are_refused() -> None:
    with pytest.raises(QueryError, match="shape_key"):
        train_pack([BASE, with_(width=32)])
    with pytest.raises(QueryError, match="whole sequences"):
        train_pack([with_(seq_len=5)])
    assert train_pack([]) == []


def test_a_pack_that_memory_does_not_hold_is_halved() -> None:
    sizes = []

    def run(pack: Sequence[int]) -> list[int]:
        sizes.append(len(pack))
        if len(pack) > 2:
            jnp.zeros(2**48, jnp.float32).block_until_ready()
        return list(pack)

    assert halving(run, list(range(7))) == list(range(7))
    assert max(size for size in sizes if size < 3) <= 2
    assert sizes[0] == 7


# Forecasts


def test_the_fit_of_autolrs() -> None:
    x = np.arange(100)
    assert exponential_forecast(x, 2 * np.exp(-0.05 * x) + 0.5, at=1000) == pytest.approx(0.5, abs=1e-6)
    noisy = 2 * np.exp(-0.05 * x) + 0.5 + np.random.default_rng(0).normal(0, 0.02, 100)
    noisy[10] += 3.0
    assert exponential_forecast(x, noisy, at=1000) == pytest.approx(0.5, abs=0.05)
    assert exponential_forecast(x[:5], noisy[:5], at=1000) is None
    assert hopeless([0.9, None, 0.2], [1.0, None, 0.5]) == [True, False, False]


def test_a_hopeless_trial_is_stopped_and_says_so() -> None:
    trials = [with_(peak_lr=lr, forecast=True, schedule="constant", tokens=6400) for lr in (0.01, 1e-6)]
    good, bad = train_pack(trials)
    assert bad.stopped_early
    assert bad.forecast_loss is not None
    assert bad.forecast_loss > 1.5
    assert bad.steps_done < steps(trials[1])
    assert not good.stopped_early
    assert good.steps_done == steps(trials[0])
    assert not train_pack(trials[1:])[0].stopped_early  # alone there is nothing to be worse than


# Optimizers and schedules


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "adamw"])
def test_at_the_base_an_optimizer_is_that_of_optax(name: str) -> None:
    trial = with_(optimizer=name, weight_decay=0.1, parametrization="mup", base_width=16)
    model, hyper = build_model(trial), hyper_of(trial)
    ours = find_optimizer(name, clips=False)
    theirs = {
        "sgd": optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.01)),
        "momentum": optax.chain(optax.add_decayed_weights(0.1), optax.sgd(0.01, momentum=0.9)),
        "adam": optax.chain(optax.add_decayed_weights(0.1), optax.adam(0.01, b2=0.95)),
        "adamw": optax.adamw(0.01, b2=0.95, weight_decay=0.1),
    }[name]
    mine, plain = model, model
    state, other = ours.init(model, hyper), theirs.init(model)
    for i in range(3):
        gradient = jax.tree.map(lambda p, i=i: jnp.sin(p * (i + 1)), model)
        mine, state = ours.update(gradient, state, mine, hyper, hyper.peak_lr)
        with jax.numpy_dtype_promotion("standard"):
            updates, other = theirs.update(gradient, other, plain)
        plain = optax.apply_updates(plain, updates)
    for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(plain), strict=True):
        assert np.allclose(a, b, rtol=2e-6, atol=1e-8)


def test_muon_makes_steps_of_one_size_in_every_direction() -> None:
    trial = with_(optimizer="muon", width=16, momentum=0.0)
    model, hyper = build_model(trial), hyper_of(trial)
    optimizer = find_optimizer("muon")
    gradient = jax.tree.map(lambda p: jnp.sin(p) + 4 * jnp.eye(*p.shape, dtype=p.dtype), model)
    after, _ = jax.jit(optimizer.update)(gradient, optimizer.init(model, hyper), model, hyper, hyper.peak_lr)
    step = np.asarray(after.hidden[0].value - model.hidden[0].value) / 0.01
    assert np.all(np.linalg.svd(step, compute_uv=False) == pytest.approx(1.0, abs=0.4))


def test_a_long_gradient_is_clipped() -> None:
    trial = with_(optimizer="sgd", gradient_clip=1.0)
    model, hyper = build_model(trial), hyper_of(trial)
    optimizer = find_optimizer("sgd", decays=False)
    gradient = jax.tree.map(lambda p: 100 * jnp.ones_like(p), model)
    after, _ = optimizer.update(gradient, optimizer.init(model, hyper), model, hyper, jnp.float32(1.0))
    moved = jax.tree.map(jnp.subtract, after, model)
    norm = np.sqrt(sum(float(jnp.sum(m**2)) for m in jax.tree.leaves(moved)))
    assert norm == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_in_the_step_is_its_law(name: str) -> None:
    trial = with_(schedule=name, tokens=32000, final_lr_fraction=0.1, warmup_fraction=0.1)
    law, hyper = schedule_law(trial), hyper_of(trial)
    schedule = jax.jit(jax.vmap(make_schedule(law), in_axes=(0, None)))
    at = [0, 50, 100, 101, 500, 900, 999]
    given = {"total_steps": 1000, "peak_lr": 0.01, "final_lr": 0.001, "warmup_steps": 100}
    if name == "wsd":
        given["decay_steps"] = 200
    expected = [hplaw.evaluate(law.id, {**given, "step": step}).outputs["learning_rate"].value for step in at]
    assert np.allclose(schedule(jnp.asarray(at, jnp.int32), hyper), expected, rtol=2e-5)


def test_a_schedule_that_cannot_be_is_refused() -> None:
    with pytest.raises(QueryError, match="give one of constant"):
        train_pack([with_(schedule="cosin")])
    with pytest.raises(QueryError, match="gives no learning_rate"):
        train_pack([with_(schedule_law="steps")])
    (named,) = train_pack([with_(schedule_law="schedule-linear")])
    (same,) = train_pack([with_(schedule="linear")])
    assert named.loss == same.loss


# Precision


@pytest.mark.parametrize("precision", ["tf32", "bf16", "fp16"])
def test_every_precision_learns(precision: str) -> None:
    (outcome,) = train_pack([with_(precision=precision)])
    assert outcome.loss is not None
    assert outcome.loss < 1.2
    assert outcome.steps_done == 100


def test_the_loss_scale_halves_on_overflow_and_grows_in_calm() -> None:
    scale = first_scale().adjusted(jnp.asarray(False))
    assert float(scale.scale) == FIRST_SCALE / 2
    for _ in range(GROW_AFTER):
        scale = scale.adjusted(jnp.asarray(True))
    assert float(scale.scale) == FIRST_SCALE
    assert int(scale.calm) == 0


# Families


@pytest.mark.parametrize(
    "fields",
    [
        {"family": "convnet", "width": 4, "n_layers": 2},
        {"family": "transformer", "data": "language", "seq_len": 16, "width": 16, "batch_tokens": 64},
    ],
    ids=["convnet", "transformer"],
)
@pytest.mark.slow
def test_the_other_families_train(fields: dict[str, Any]) -> None:
    for optimizer in ("adamw", "muon"):
        (outcome,) = train_pack([with_(**fields, optimizer=optimizer)])
        assert outcome.loss is not None
        assert outcome.curve_losses[-1] < outcome.curve_losses[0]
