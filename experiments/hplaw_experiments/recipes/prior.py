"""The prior over recipes, learned from sweeps of other teams and from published laws: `recipe-prior`.

Each sweep is one draw of a recipe, seen through the tuned optima of its cells; a published law represents the sweep
behind it by its values at a few points of its domain. The mean recipe and the covariance between recipes are where
expectation and maximization end, under weak priors: a normal one on the mean, an inverse Wishart one on the covariance.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import DataError
from hplaw.law import Law
from hplaw.law.format import EvidenceSpec, LawSpec
from hplaw.law.read import decode_spec
from hplaw_experiments.recipes.recipe import (
    COARSE,
    NAMES,
    PRIOR,
    Prior,
    Recipe,
    Seen,
    Setting,
    features,
    logs_of,
    setting_seen,
    together,
    update,
    with_numbers,
)


Array = NDArray[np.float64]

CENTRE = np.array([math.log(2e-3), -0.5, 0.15, math.log(5e5), 0.5, 0.0])
"""Where the prior of the mean recipe lies: round numbers of a first look at the same sweeps."""

REACH = np.array([1.0, 0.3, 0.3, 1.0, 0.2, 0.15])
"""Standard deviations of that prior; the batch is held near to a law of the data alone."""

SPREAD = np.zeros((6, 6))
"""The covariance between recipes that the inverse Wishart prior is centered on: 0.7 in the rate's constant, 0.17 in its
exponents, which correlate at -0.7; 0.5 in the batch's, 0.16 and 0.17 in its exponents of data and of size. The last is no
narrower than the rest: in the one sweep at hand that varies size and data apart, the batch falls with the size at equal data."""
SPREAD[:3, :3] = [[0.49, 0, 0], [0, 0.0289, -0.02023], [0, -0.02023, 0.0289]]
SPREAD[3:, 3:] = np.diag([0.25, 0.0256, 0.0289])

RECIPES_OF_PRIOR = 12.0
"""How many recipes the prior of the covariance counts for; it holds for few sweeps what they cannot say."""

CELL = np.array([[0.0256, 0.0213], [0.0213, 0.0361]])
"""Scatter of tuned optima around their law: 0.16 in ln rate, 0.19 in ln batch, together at 0.7 along the valley."""

SLOPE = 0.35
"""By how much ln of the best rate rises with ln batch where the batch is not the best."""

LAW_ERROR = 0.15
"""Error of a published law at a point of its domain, in ln of rate and of batch."""

ENOUGH = 5.0
"""Tokens per parameter from which a sweep's cell is used: shorter runs are mostly warm-up."""

TABLES = ("steplaw_runs.csv", "marin_adamw_runs.csv", "misfitting_lr_runs.csv")
"""The tables of runs in the folder."""

LAWS: Mapping[str, Sequence[tuple[float, float]]] = {
    "step-law-2025": [(n, d) for n in (2.5e8, 1e9) for d in (1e10, 1e11)],
    "deepseek-llm-2024": [(n, 20 * n) for n in (1e8, 3e8, 1e9)],
    "porian-2024": [(n, 20 * n) for n in (1e7, 1e8, 8e8)],
    "bjorck-2024": [(n, d) for n in (1e8, 1e9) for d in (3e10, 3e11)],
    "power-lines-batch-2025": [(n, d) for n in (1.1e8, 1e9) for d in (3e9, 3e10)],
}
"""Published laws that were fitted to sweeps, and the points of their domains at which they represent these."""

TEAMS = {"step-law-dense": "step-law", "step-law-moe": "step-law", "step-law-2025": "step-law"}
"""Sweeps and laws of one team, that are held out together."""

ROUNDS = 400
"""Rounds of expectation and maximization; the last moves nothing in six digits."""


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """A recipe as it was seen.

    **Arguments:**

    - `name`: of the sweep or law; `team`: what is held out together.
    - `settings`: the tuned optima found; a published law has none.
    - `seen`: what they say of the recipe's six numbers.
    """

    name: str
    team: str
    settings: tuple[Setting, ...]
    seen: tuple[Seen, ...]


def sweeps(folder: Path, catalogue: Catalogue) -> list[Sweep]:
    """Return the sweeps in a folder of tables, and the published laws that represent sweeps.

    **Raises:** `DataError` naming the table that is not there.
    """
    from hplaw.runs.table import read_table

    tables = [read_table(folder / name) for name in TABLES]
    runs, marin_runs, misfitting_runs = tables
    dense, experts = (
        _sweep(f"step-law-{family}", step_law_cells(runs.filter(pl.col("family") == family)))
        for family in ("dense", "moe")
    )
    found = [dense, msgspec.structs.replace(experts, seen=(_constants_open(experts.seen),))]
    found.append(_marin(marin_runs))
    misfitting = misfitting_cells(misfitting_runs)
    found.append(
        Sweep(
            name="misfitting", team="misfitting", settings=tuple(misfitting), seen=tuple(map(_fixed_batch, misfitting))
        )
    )
    return [*found, *(law_sweep(catalogue.get(name), catalogue) for name in LAWS)]


def _sweep(name: str, settings: Sequence[Setting], cell: Array = CELL) -> Sweep:
    seen = tuple(setting_seen(setting, cell) for setting in settings)
    return Sweep(name=name, team=TEAMS.get(name, name), settings=tuple(settings), seen=seen)


def _constants_open(parts: Sequence[Seen]) -> Seen:
    """Return what cells give of their recipe where its constants hold but up to a shift common to them, as experts' do."""
    whole = together(parts)
    shift = np.kron(np.ones((len(parts), len(parts))), SPREAD[np.ix_([0, 3], [0, 3])])
    return msgspec.structs.replace(whole, noise=whole.noise + shift)


def law_sweep(law: Law, catalogue: Catalogue) -> Sweep:
    """Return a published law as a sweep without cells: its values at a few points of its domain."""
    seen: list[Seen] = []
    for n, d in LAWS[law.id]:
        logs = logs_of(law, catalogue, n, d)
        known = [i for i, name in enumerate(("peak_lr", "batch_tokens")) if name in logs]
        seen.append(
            Seen(
                rows=features(n, d)[known],
                values=np.array(list(logs.values())),
                noise=LAW_ERROR**2 * np.eye(len(known)),
            )
        )
    return Sweep(name=law.id, team=TEAMS.get(law.id, law.id), settings=(), seen=tuple(seen))


def _fixed_batch(setting: Setting, cell: Array = CELL) -> Seen:
    """Return what the best rate at a batch that was not chosen says: ln rate - slope ln batch lies on a line."""
    turn = np.array([[1.0, -SLOPE]])
    values = np.log([setting.peak_lr, setting.batch_tokens or 1.0])
    rows = features(setting.n_params, setting.tokens)
    return Seen(rows=turn @ rows, values=turn @ values, noise=turn @ cell @ turn.T)


def _marin(runs: pl.DataFrame) -> Sweep:
    """Return Marin's sweep: a batch at the end of those tried was not chosen, and only the rate at it speaks."""
    cell = CELL + COARSE**2 / 12 * np.eye(2)
    cells = marin_cells(runs)
    seen = [setting_seen(s, cell) if chosen else _fixed_batch(s, cell) for s, chosen in cells]
    settings = tuple(setting for setting, chosen in cells if chosen)
    return Sweep(name="marin", team="marin", settings=settings, seen=tuple(seen))


def step_law_cells(runs: pl.DataFrame) -> list[Setting]:
    """Return the place of the minimum smoothed loss of each cell."""
    from hplaw.fit.data.smooth import smooth

    found: list[Setting] = []
    for _, cell in runs.group_by("cell_id", maintain_order=True):
        x = np.log(cell.select("peak_lr", "batch_tokens").to_numpy().astype(np.float64))
        surface = smooth(x, np.log(cell["smooth_loss"].to_numpy()))
        if surface is not None:
            rate, batch = np.exp(surface.best)
            found.append(_setting(cell["n_params"][0], cell["tokens"][0], rate, batch))
    return found


MARIN_SIZES = {"130m": 1.342e8, "300m": 3.02e8, "520m": 5.369e8}
"""Parameters without embedding of Marin's sizes: 32 layers of width 512, 768 and 1024 with fourfold SwiGLU. They agree
with the tokens named in the table, 20 for each parameter and multiple."""

MARIN_SEQ_LEN = 4096
"""Tokens of a sequence there."""


def marin_cells(runs: pl.DataFrame) -> list[tuple[Setting, bool]]:
    """Return each cell's optimum, and whether its batch was chosen.

    Rate and batch were varied one at a time. A cell counts where worse rates were tried on both sides of the best, those
    that diverged among them; its batch was chosen where the same is so of batches.
    """
    found: list[tuple[Setting, bool]] = []
    for (size, times), cell in runs.group_by("size", "chinchilla_x", maintain_order=True):
        rate, rates = _best_of(cell.filter(pl.col("varied").is_in(["baseline", "lr"])), "peak_lr")
        batch, batches = _best_of(cell.filter(pl.col("varied").is_in(["baseline", "bs"])), "batch_seqs")
        if rates:
            n = MARIN_SIZES[str(size)]
            tokens = 20 * n * float(str(times))
            found.append((_setting(n, tokens, rate, batch * MARIN_SEQ_LEN), batches))
    return found


def _best_of(runs: pl.DataFrame, column: str) -> tuple[float, bool]:
    """Return the value of the run of lowest loss, and whether others were tried on both sides of it."""
    best = float(runs.sort("loss")[column][0])
    tried = runs[column].to_numpy()
    return best, bool(tried.min() < best < tried.max())


def misfitting_cells(runs: pl.DataFrame) -> list[Setting]:
    """Return the vertex of the parabola through each cell's three best rates, where they enclose it."""
    found: list[Setting] = []
    for (n, d), cell in runs.group_by("n_params_no_embed", "tokens", maintain_order=True):
        n_params, tokens = float(str(n)), float(str(d))
        best = cell.group_by("peak_lr").agg(pl.col("loss").min()).sort("peak_lr")
        x, z = np.log(best["peak_lr"].to_numpy()), np.log(best["loss"].to_numpy())
        i = int(np.argmin(z))
        if tokens < ENOUGH * n_params or i in {0, len(z) - 1}:
            continue
        a, b, _ = np.polyfit(x[i - 1 : i + 2] - x[i], z[i - 1 : i + 2], 2)
        found.append(_setting(n_params, tokens, math.exp(x[i] - b / (2 * a)), cell["batch_tokens"][0]))
    return found


def _setting(n: float, d: float, rate: float, batch: float) -> Setting:
    return Setting(n_params=float(n), tokens=float(d), peak_lr=float(rate), batch_tokens=float(batch))


def learn(found: Sequence[Sweep]) -> Prior:
    """Return the prior over recipes that sweeps lead to.

    **Raises:** `DataError` where there are none.
    """
    if not found:
        message = "there is no sweep to learn from; give one or more"
        raise DataError(message)
    recipes = [[part for sweep in group for part in sweep.seen] for group in _by_recipe(found)]
    weak = np.diag(REACH**-2)
    mean, between = CENTRE, SPREAD
    for _ in range(ROUNDS):
        here = Recipe(name="", mean=mean, covariance=between)
        each = [update(here, parts) for parts in recipes]
        means = np.array([one.mean for one in each])
        precision = np.linalg.inv(between)
        mean = np.linalg.solve(len(each) * precision + weak, precision @ means.sum(axis=0) + weak @ CENTRE)
        off = means - mean
        spread = RECIPES_OF_PRIOR * SPREAD + off.T @ off + sum(one.covariance for one in each)
        between = spread / (RECIPES_OF_PRIOR + len(each))
    # how well the mean is known with each recipe's own numbers left free: what all recipes say of it by themselves
    known = weak.copy()
    for parts in recipes:
        for_mean = Recipe(name="", mean=mean, covariance=between)
        left = between - update(for_mean, parts).covariance
        precision = np.linalg.inv(between)
        known += precision @ left @ precision
    unsure = np.linalg.inv(known)
    return Prior(mean=mean, unsure=0.5 * (unsure + unsure.T), between=0.5 * (between + between.T), cell=CELL)


def _by_recipe(found: Sequence[Sweep]) -> list[list[Sweep]]:
    """Return the sweeps by recipe: a team's dense sweep, that of experts, and the law fitted to both are one."""
    one = {"step-law-moe": "step-law-dense", "step-law-2025": "step-law-dense"}
    groups: dict[str, list[Sweep]] = {}
    for sweep in found:
        groups.setdefault(one.get(sweep.name, sweep.name), []).append(sweep)
    return list(groups.values())


def write_prior(
    prior: Prior, found: Sequence[Sweep], to: Path, *, data: str, sha256: str, held_out: Mapping[str, float]
) -> Law:
    """Write the law folder of a prior; return the law as it reads back.

    **Arguments:**

    - `held_out`: scores by name, of priors learned without the recipe that is predicted.
    """
    from hplaw.fit.output.law_folder import write_served

    spec = decode_spec((files("hplaw_experiments") / "templates" / f"{PRIOR}.toml").read_bytes())
    settings = [setting for sweep in found for setting in sweep.settings]
    sizes, data_ = [s.n_params for s in settings], [s.tokens for s in settings]
    groups = _by_recipe(found)
    spec = msgspec.structs.replace(
        with_numbers(spec, prior.mean, prior.unsure, cell=prior.cell, between=prior.between),
        domain={"n_params": [min(sizes), max(sizes)], "tokens": [min(data_), max(data_)]},
        evidence=EvidenceSpec(
            runs=len(settings),
            groups=len(groups),
            data=data,
            data_sha256=sha256,
            code_version=f"hplaw {version('hplaw')}",
            sampler=f"expectation and maximization, {ROUNDS} rounds",
            held_out=dict(held_out),
        ),
    )
    return write_served(to, spec, {}, _card(spec, prior, found))


def _card(spec: LawSpec, prior: Prior, found: Sequence[Sweep]) -> str:
    """Return what the law was learned from and what it says, in Markdown."""
    spread = np.sqrt(np.diag(prior.between))
    unsure = np.sqrt(np.diag(prior.unsure))
    numbers = [
        f"| {name} | {mean:.3f} | {sure:.3f} | {wide:.3f} |"
        for name, mean, sure, wide in zip(NAMES, prior.mean, unsure, spread, strict=True)
    ]
    sources = [
        f"| {sweep.name} | {len(sweep.settings) or '-'} | {sum(len(part.values) for part in sweep.seen)} |"
        for sweep in found
    ]
    scores = spec.evidence.held_out if spec.evidence else {}
    lines = [
        f"# {spec.title}",
        "",
        spec.notes.strip(),
        "",
        "## The mean recipe",
        "",
        "| number | mean | its standard error | spread between recipes |",
        "| --- | --- | --- | --- |",
        *numbers,
        "",
        "ln rate = r0 + r1 n + r2 d, ln batch = q0 + q1 d + q2 n; n and d are logarithms of size and data over 4e8 and 3e10.",
        "",
        "## Learned from",
        "",
        "| sweep or law | cells | rates and batches |",
        "| --- | --- | --- |",
        *sources,
        "",
        "## Three cells predict cells of 10 to 30 times the compute, the team held out",
        "",
        "| what | |",
        "| --- | --- |",
        *(f"| {name.replace('_', ' ')} | {value:.3g} |" for name, value in scores.items()),
        "",
        "The recipes of a published law are drawn from it, with the scatter of real cells; few real sweeps reach so far.",
        "",
        "## How it was made",
        "",
        "```",
        f"python tools/learn_recipe_prior.py --data FOLDER --to {PRIOR}",
        "```",
        "",
        f"`FOLDER` holds {', '.join(TABLES)}.",
        "",
    ]
    return "\n".join(lines)
