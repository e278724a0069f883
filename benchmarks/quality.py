"""How good fitted surfaces recommend: scored on cells held out of the fit, beside Step Law's constants.

Regret is the excess loss at the recommended setting on a thin-plate spline through the cell's own runs. The runs are
others' measurements and lie where HPLAW_DATA says; without them there is nothing to measure.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.rows import data_file, row


FILE = "steplaw_runs.csv"
LARGEST = 4
"""Dense cells of most compute, that are held out of the fit and scored."""
SUBSETS = {60: (0.06, 0.08), 30: (0.10, math.inf)}
"""Runs of a random subset, and what the mean and the worst mean of its draws may be."""
EXPERTS = (0.06, 0.15)
"""What mean and largest regret of mixtures may be where all cells of most tokens, or of one share, are held out."""
DRAWS = 4
WARPS = ((1.7, 0.15, -0.1, 0.6, -0.1, 0.15), (0.5, -0.2, 0.1, 2.0, 0.1, -0.2))
"""Hidden changes of the data: rate and batch each times c n^a d^b, n and d relative to 4e8 and 3e10."""
NOISY = 16
"""How often cells are measured again, to tell what the noise of their runs does to a score."""
_CAP, _STEPS = 0.25, (math.log(2) / 2, 0.75 * math.log(2))

CELL = ["n_params", "n_active_params", "tokens"]
"""What distinguishes cells."""
FAMILIES = {"dense": ("pretrain-surface", {}), "moe": ("pretrain-surface-moe", {"n_active_params": "n_active"})}
"""Families of models: the law of each, and names of its columns beside that of the loss."""


class Cell(NamedTuple):
    """One cell's runs: logarithms of rate and batch, and of the loss; with its spline, minimum value and place."""

    known: dict[str, float]
    x: Any
    z: Any
    spline: Any
    least: float
    best: Any

    def regret(self, peak_lr: float, batch_tokens: float) -> float:
        """Return the excess loss in percent, at most 25."""
        place = np.clip(np.log([peak_lr, batch_tokens]), self.x.min(axis=0), self.x.max(axis=0))
        value = float(self.spline((place / _STEPS)[None])[0])
        return 100 * min(math.expm1(max(value - self.least, 0.0)), _CAP)


def surface(known: dict[str, float], x: Any, z: Any) -> Cell:
    """Return a cell with the spline that its runs are scored by."""
    from scipy.interpolate import RBFInterpolator
    from scipy.optimize import minimize

    floor = z.min()
    capped = np.minimum(z - floor, math.log1p(_CAP))
    spline = RBFInterpolator(x / _STEPS, capped, kernel="thin_plate_spline", smoothing=0.5)
    low, high = x.min(axis=0), x.max(axis=0)
    axes = [np.linspace(a, b, 60) for a, b in zip(low, high, strict=True)]
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
    values = spline(grid / _STEPS)
    start = grid[int(values.argmin())]

    def objective(place: Any) -> float:
        return float(spline((np.clip(place, low, high) / _STEPS)[None])[0])

    found = minimize(objective, start, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-7})
    return Cell(known, x, z, spline, min(float(found.fun), float(values.min())), found.x)


def split(frame: Any, largest: int = LARGEST) -> tuple[Any, list[Cell]]:
    """Return the runs of all but the largest cells, and the largest cells."""
    import polars as pl

    cells = frame.select(CELL).unique(maintain_order=True)
    compute = pl.col("n_active_params") * pl.col("tokens")
    return apart(frame, cells.sort(compute, maintain_order=True).tail(largest))


def apart(frame: Any, cells: Any) -> tuple[Any, list[Cell]]:
    """Return the runs of all other cells, and these cells."""
    import polars as pl

    rest = frame.join(cells, on=CELL, how="anti", maintain_order="left")
    left: list[Cell] = []
    for known in cells.select(CELL).rows(named=True):
        here = frame.filter(*(pl.col(name) == value for name, value in known.items()))
        x = np.log(here.select("peak_lr", "batch_tokens").to_numpy())
        left.append(surface(known, x, np.log(here["loss"].to_numpy())))
    return rest, left


def folds(frame: Any) -> dict[str, Any]:
    """Return the cells of mixtures that extrapolation holds out: those of most tokens, and those of each active share."""
    import polars as pl

    cells = frame.select(CELL).unique(maintain_order=True)
    share = pl.col("n_active_params") / pl.col("n_params")
    shares = cells.select(share.unique().sort()).to_series().to_list()
    return {"most tokens": cells.filter(pl.col("tokens") == pl.col("tokens").max())} | {
        f"share {value:.2f}": cells.filter(share == value) for value in shares
    }


def warped(frame: Any, warp: Sequence[float]) -> Any:
    """Return the runs with rate and batch changed by powers of the model's and the data's size."""
    import polars as pl

    n, d = pl.col("n_params") / 4e8, pl.col("tokens") / 3e10
    rate, a, b, batch, e, f = warp
    return frame.with_columns(
        (pl.col("peak_lr") * rate * n**a * d**b).alias("peak_lr"),
        (pl.col("batch_tokens") * batch * n**e * d**f).alias("batch_tokens"),
    )


def recommend(law: Any, frame: Any, cells: Sequence[Cell], *, judge: bool = False, method: Any = "map") -> list[Any]:
    """Return what the law gives for the cells after a fit to the runs: a quick one, or as `hplaw fit` samples."""
    from hplaw.answer.answer import answer
    from hplaw.fit.check.judge import judge as judged
    from hplaw.fit.check.verdict import Verdict
    from hplaw.fit.infer.fitting import fit_law
    from hplaw.fit.output.law_folder import write_folder

    fitted = fit_law(law, frame, method=method)
    verdict = judged(fitted).verdict if judge else Verdict()
    with tempfile.TemporaryDirectory() as folder:
        to = Path(folder) / "law"
        written = write_folder(to, fitted, verdict, data=FILE, sha256="", accept=True)
        return [answer(written, {**cell.known, "optimizer": "adamw"}) for cell in cells]


def regrets(answers: Sequence[Any], cells: Sequence[Cell]) -> list[float]:
    """Return each cell's regret at what was recommended."""
    return [
        cell.regret(found.values["peak_lr"], found.values["batch_tokens"])
        for found, cell in zip(answers, cells, strict=True)
    ]


def scored_by_noise(cells: Sequence[Cell], scale: float) -> tuple[float, float]:
    """Return the mean regret of the cells' own tuned optima once their runs are measured again, and its standard deviation.

    Their splines represent the truth, and runs stray by `scale` times a Student t of 4 degrees, as the laws have it:
    nobody scores less but by luck.
    """
    rng = np.random.default_rng(0)
    means: list[float] = []
    for _ in range(NOISY):
        found: list[float] = []
        for cell in cells:
            truth = cell.z.min() + cell.spline(cell.x / _STEPS)
            again = surface(cell.known, cell.x, truth + scale * rng.standard_t(4, len(truth)))
            found.append(again.regret(*np.exp(cell.best)))
        means.append(float(np.mean(found)))
    return float(np.mean(means)), float(np.std(means))


def published(n_params: float, tokens: float) -> tuple[float, float]:
    """Return rate and batch by Step Law's published constants."""
    return 1.79 * n_params**-0.713 * tokens**0.307, 0.58 * tokens**0.571


def step_law(cells: Sequence[Cell]) -> list[float]:
    """Return the regret of Step Law's published constants."""
    return [cell.regret(*published(cell.known["n_params"], cell.known["tokens"])) for cell in cells]


def one_by_one(law: Any, frame: Any) -> tuple[list[float], list[float]]:
    """Return the regret in percent of each cell held out in turn, the law's and Step Law's, on the cell's own spline."""
    from hplaw.fit.check.judge import judge
    from hplaw.fit.infer.fitting import fit_law

    fitted = fit_law(law, frame, method="map")
    judged = judge(fitted)
    ours: list[float] = []
    theirs: list[float] = []
    cells = fitted.density.model.effects["cell"].members.rows(named=True)
    for member, known in enumerate(cells):
        surface_of = judged.surfaces.get(member)
        left = judged.left[member].regret
        if surface_of is None or left is None:
            continue
        ours.append(100 * left)
        setting = np.log(published(known["n_params"], known["tokens"]))
        theirs.append(100 * surface_of.excess(setting))
    return ours, theirs


def paired(ours: Sequence[float], theirs: Sequence[float], *, size: int = 10_000) -> tuple[float, float, float]:
    """Return the mean difference and its 90% interval by a bootstrap over cells."""
    difference = np.subtract(ours, theirs)
    draws = np.random.default_rng(0).integers(len(difference), size=(size, len(difference)))
    low, high = np.quantile(difference[draws].mean(axis=1), [0.05, 0.95])
    return float(difference.mean()), float(low), float(high)


def run(law: Any = None, note: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
    """Measure; see `benchmarks.__main__`. A law of dense models may be given in place of the one among the shipped laws."""
    path = data_file(FILE)
    os.environ.setdefault("XLA_FLAGS", "--xla_llvm_disable_expensive_passes=true")
    from hplaw.catalogue.catalogue import load_catalogue
    from hplaw.fit.data.runs import read_runs

    rows: list[dict[str, Any]] = []
    for family, (name, columns) in FAMILIES.items():
        one = load_catalogue().get(name) if law is None or family != "dense" else law
        runs = read_runs(path, law=one, maps={"loss": "smooth_loss", **columns}, where=f"family = '{family}'")
        ours, theirs = one_by_one(one, runs)
        note(f"{family} one by one, ours {np.round(ours, 3)} step law {np.round(theirs, 3)}")
        rows += _beside(ours, theirs, f"each {family} cell held out in turn")
        rows += _dense(one, runs, note) if family == "dense" else _experts(one, runs, note)
    return rows


def _beside(ours: Sequence[float], theirs: Sequence[float], where: str) -> list[dict[str, Any]]:
    """Return the rows of a law's regrets beside those of Step Law's constants."""
    mean, low, high = paired(ours, theirs)
    return [
        row(f"mean regret, {where}", float(np.mean(ours))),
        row("largest regret there", max(ours)),
        row("mean regret of Step Law there", float(np.mean(theirs))),
        row("difference to Step Law there, mean", mean, most=0.0),
        row("the same, 5% of a bootstrap over cells", low),
        row("the same, 95%", high),
    ]


def _experts(law: Any, frame: Any, note: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return the rows of what extrapolation holds out of mixtures of experts."""
    found: list[tuple[Cell, float]] = []
    for name, out in folds(frame).items():
        rest, cells = apart(frame, out)
        here = regrets(recommend(law, rest, cells), cells)
        note(f"experts, {name} held out {np.round(here, 3)}")
        found += zip(cells, here, strict=True)
    cells = list({tuple(cell.known.values()): cell for cell, _ in found}.values())
    ours = [float(np.mean([value for other, value in found if other.known == cell.known])) for cell in cells]
    rows = _beside(ours, step_law(cells), "expert cells of most tokens, and of each share, held out together")
    limits = (EXPERTS[0], None, None, 0.0, None, 0.0)
    rows = [row(r["name"], r["value"], most=most) for r, most in zip(rows, limits, strict=True)]
    rows[1] = row("largest regret there", max(value for _, value in found), most=EXPERTS[1])
    return rows


def _dense(law: Any, frame: Any, note: Callable[[str], None]) -> list[dict[str, Any]]:
    rest, cells = split(frame)
    theirs = step_law(cells)
    found = recommend(law, rest, cells, judge=True)
    ours = regrets(found, cells)
    note(f"ours {np.round(ours, 3)} step law {np.round(theirs, 3)}")
    rows = _beside(ours, theirs, f"the {LARGEST} largest dense cells held out at once")
    noise, spread = scored_by_noise(cells, math.exp(law.spec.parameters["ls0"].value))
    rows.append(row("mean regret there by the runs' noise alone", noise))
    rows.append(row("standard deviation of the same", spread))
    rows += _intervals(found, cells, ours)
    rows += _warps(law, frame, float(np.mean(ours)), note)
    rows += _subsets(law, rest, cells, note)
    return rows


def _intervals(found: Sequence[Any], cells: Sequence[Cell], ours: Sequence[float]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for i, name in enumerate(("peak_lr", "batch_tokens")):
        inside = [
            a.spreads[name].low <= math.exp(c.best[i]) <= a.spreads[name].high
            for a, c in zip(found, cells, strict=True)
        ]
        width = max(math.sqrt(a.spreads[name].high / a.spreads[name].low) for a in found)
        rows.append(row(f"share of measured {name} inside 90%", float(np.mean(inside)), "1"))
        rows.append(row(f"widest interval of {name}, factor each way", width, "1", most=2.0))
    errors = [
        100 * abs(a.values["loss"] / math.exp(c.z.min() + c.least + math.log1p(r / 100)) - 1)
        for a, c, r in zip(found, cells, ours, strict=True)
    ]
    rows.append(row("mean error of the loss", float(np.mean(errors)), most=0.6))
    predicted = 100 * float(np.mean([a.regret for a in found]))
    rows.append(row("predicted over measured mean regret", predicted / float(np.mean(ours)), "1"))
    return rows


def _warps(law: Any, frame: Any, plain: float, note: Callable[[str], None]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number, warp in enumerate(WARPS, 1):
        rest, cells = split(warped(frame, warp))
        here = regrets(recommend(law, rest, cells), cells)
        note(f"warp {number} {np.round(here, 3)}")
        change = abs(float(np.mean(here)) - plain)
        rows.append(row(f"change of the mean regret under hidden warp {number}", change, most=0.02))
    return rows


def _subsets(law: Any, rest: Any, cells: Sequence[Cell], note: Callable[[str], None]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for size, (most_mean, most_worst) in SUBSETS.items():
        means: list[float] = []
        for seed in range(DRAWS):
            some = rest.sample(size, seed=seed)
            # sampled: of so few runs the posterior is wide and bent, and its mode far from its middle
            found = recommend(law, some, cells, method="nuts")
            means.append(float(np.mean(regrets(found, cells))))
        note(f"{size} runs {np.round(means, 3)}")
        rows.append(row(f"mean regret from {size} random runs", float(np.mean(means)), most=most_mean))
        worst = None if math.isinf(most_worst) else most_worst
        rows.append(row(f"worst of {DRAWS} draws of {size} runs", max(means), most=worst))
    return rows
