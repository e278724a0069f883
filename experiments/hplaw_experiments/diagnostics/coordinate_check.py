"""The coordinate check: after a few steps, does the size of activations still not depend on the width?

At each width, with one learning rate, a model takes a few steps on one batch; then the mean size of what each layer
outputs is taken, and its slope over width in logarithms. A parametrization whose rates transfer has slopes near zero.
The slope of the output is held only from above, as at the start it shrinks with the width where its weights are random.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

import jax
import jax.numpy as jnp
import jax.random as jr

from hplaw_experiments.models import build_model, cross_entropy
from hplaw_experiments.models.precision import find_policy
from hplaw_experiments.training.optim import find_optimizer
from hplaw_experiments.training.step import arranged, data_of, hyper_of
from hplaw_experiments.trial import Trial


SLOPE = 0.1
"""Largest slope of log size over log width with which a hidden layer passes; the output's may not be above it."""

STEPS, SEEDS = 4, 4
"""Optimizer steps before activations are measured, and seeds that they are averaged over."""


class Coordinate(msgspec.Struct, frozen=True, kw_only=True):
    """The mean size of one layer's activations at one width after some steps."""

    layer: str
    width: int
    step: int
    size: float


class CoordinateReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a coordinate check found.

    - `slopes`: d log size / d log width behind the last step, by layer; None where a size is not finite.
    - `passed`: whether all layers keep their size.
    - `say`: the verdict in words.
    """

    parametrization: str
    optimizer: str
    passed: bool
    say: str
    slopes: dict[str, float | None]
    coordinates: list[Coordinate]


def coordinate_check(
    trial: Trial, widths: Sequence[int], *, n_steps: int = STEPS, n_seeds: int = SEEDS
) -> CoordinateReport:
    """Return how a trial's activations go with the width, the smallest width being the base.

    **Arguments:**

    - `trial`: everything but width and base; its rate should be large: a quarter of the best or more.
    - `widths`: at least two, ascending.
    """
    widths = sorted(set(widths))
    base = trial.base_width or widths[0]
    found: list[Coordinate] = []
    for width in widths:
        sized = msgspec.structs.replace(trial, width=width, base_width=base)
        for step, sizes in enumerate(_sizes(sized, n_steps, n_seeds)):
            found += [Coordinate(layer=layer, width=width, step=step, size=size) for layer, size in sizes.items()]
    last = [c for c in found if c.step == n_steps]
    slopes = {layer: _slope([c for c in last if c.layer == layer]) for layer in dict.fromkeys(c.layer for c in last)}
    bad = {layer: s for layer, s in slopes.items() if not _keeps(layer, s)}
    span = f"{widths[-1] / widths[0]:g} times the width"
    if bad:
        worst = max(bad, key=lambda layer: np.inf if bad[layer] is None else abs(bad[layer]))
        how = "is not finite" if bad[worst] is None else f"goes with width to the power {bad[worst]:+.2f}"
        say = f"fails: over {span}, {worst} {how} after {n_steps} steps"
    else:
        say = f"passes: over {span}, no layer's size goes with width by more than the power {SLOPE:g} after {n_steps} steps"
    return CoordinateReport(
        parametrization=trial.parametrization,
        optimizer=trial.optimizer,
        passed=not bad,
        say=say,
        slopes=slopes,
        coordinates=found,
    )


def _keeps(layer: str, slope: float | None) -> bool:
    return slope is not None and (slope if layer == "output" else abs(slope)) <= SLOPE


def _slope(points: Sequence[Coordinate]) -> float | None:
    sizes = np.array([c.size for c in points])
    if not (np.all(np.isfinite(sizes)) and np.all(sizes > 0)):
        return None
    return float(np.polyfit(np.log2([c.width for c in points]), np.log2(sizes), 1)[0])


def _sizes(trial: Trial, n_steps: int, n_seeds: int) -> list[dict[str, float]]:
    """Return the mean size of each layer's activations before the first step and behind each one, over seeds."""
    policy, data = find_policy(trial.precision), data_of(trial)
    optimizer = find_optimizer(trial.optimizer, clips=False, decays=False)
    x, y = data.source.batch(jr.key(trial.data_seed), trial.batch_tokens // trial.seq_len)
    x, hyper = arranged(trial.family, x), hyper_of(trial)

    def loss_of(model: Any) -> Any:
        return cross_entropy(model(x, policy), y)

    def measured(model: Any) -> dict[str, Any]:
        return {name: jnp.mean(jnp.abs(a)) for name, a in model.activations(x, policy).items()}

    def one(model: Any) -> dict[str, Any]:
        first = measured(model)

        def go(carry: Any, _: None) -> tuple[Any, dict[str, Any]]:
            model, state = carry
            gradient = jax.grad(loss_of)(model)
            model, state = optimizer.update(gradient, state, model, hyper, hyper.peak_lr)
            return (model, state), measured(model)

        rest = jax.lax.scan(go, (model, optimizer.init(model, hyper)), length=n_steps)[1]
        return {name: jnp.concatenate([first[name][None], rest[name]]) for name in first}

    compiled = jax.jit(one)
    models = (build_model(trial, seed=trial.seed + i) for i in range(n_seeds))
    each = jax.tree.map(lambda *seeds: np.stack(seeds), *[compiled(model) for model in models])
    mean = {name: np.mean(np.asarray(a), axis=0) for name, a in each.items()}
    return [{name: float(a[step]) for name, a in mean.items()} for step in range(n_steps + 1)]


def coordinate_chart(report: CoordinateReport) -> Any:
    """Return the check as an altair chart: size over width for each layer, one line for each step."""
    import altair as alt

    rows = [msgspec.structs.asdict(c) for c in report.coordinates]
    return (
        alt.Chart(alt.Data(values=rows), title=f"{report.parametrization}, {report.optimizer}: {report.say}")
        .mark_line(point=True)
        .encode(
            x=alt.X("width:Q", scale=alt.Scale(type="log", base=2), title="width"),
            y=alt.Y("size:Q", scale=alt.Scale(type="log"), title="mean |activation|"),
            color=alt.Color("step:O", scale=alt.Scale(scheme="viridis"), title="steps"),
            column=alt.Column("layer:N", title=None),
        )
        .properties(width=180, height=180)
    )
