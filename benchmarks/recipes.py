"""How well the law of recipes predicts teams, families of published models and optimizers' sizes that it was not fitted to.

Each is held out in turn: the law is fitted again without its rows, written as `hplaw fit` writes it, and asked as somebody
with a recipe of their own asks. The tables are others' and lie where HPLAW_DATA says; without them there is nothing to
measure. `benchmarks.evidence` writes the page of it.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.rows import row


TEAMS = {
    "step-law": "Step Law",
    "misfitting": "(Mis)Fitting",
    "marin": "Marin, AdamW",
    "deepseek-llm-2024": "DeepSeek LLM, its formula",
    "porian-2024": "Porian et al., their formula",
    "bjorck-2024": "Bjorck et al., their formula",
    "power-lines-batch-2025": "Power Lines, its formula",
}
"""Teams that swept, by the name of their recipe in the table."""
QUANTITIES = {"peak_lr": "rate", "batch_tokens": "batch"}
FOLDS = 8
"""Parts of the published families, of which one is held out at a time."""
LARGE = 2e8
"""Parameters above which a size is an optimizer's largest here."""
CHAINS, WARMUP, DRAWS = 1, 75, 150
"""Of each refit: a joint mode would make the scatter of cells too small."""


class Seen(NamedTuple):
    """One value found, in logarithms, with its bounds (a point's are itself), and what was predicted: median and intervals."""

    team: str
    quantity: str
    row: Mapping[str, Any]
    found: float
    bounds: tuple[float, float]
    value: float
    half: tuple[float, float]
    most: tuple[float, float]

    @property
    def told(self) -> bool:
        """Return whether a grid encloses it; else it is a bound."""
        return all(map(math.isfinite, self.bounds))

    @property
    def error(self) -> float:
        """Return the logarithm of predicted over found."""
        return self.value - self.found

    @property
    def met(self) -> bool:
        """Return whether the 90% interval reaches between the bounds."""
        return self.most[0] <= self.bounds[1] and self.bounds[0] <= self.most[1]

    def within(self, interval: tuple[float, float]) -> bool:
        """Return whether the value found lies in an interval."""
        return interval[0] <= self.found <= interval[1]


class Score(NamedTuple):
    """Values held out: how many are enclosed of how many, the factor by which they are missed, coverage, half-width."""

    told: int
    all: int
    factor: float
    bias: float
    within: float
    within50: float
    width: float
    met: float


def score(seen: Sequence[Seen]) -> Score | None:
    """Return the score of values held out, medians over those that are enclosed; None where none is."""
    told = [item for item in seen if item.told]
    if not told:
        return None
    errors = np.array([item.error for item in told])
    return Score(
        told=len(told),
        all=len(seen),
        factor=math.exp(float(np.median(np.abs(errors)))),
        bias=float(np.median(errors)),
        within=float(np.mean([item.within(item.most) for item in told])),
        within50=float(np.mean([item.within(item.half) for item in told])),
        width=_width(told),
        met=float(np.mean([item.met for item in seen])),
    )


def score_families(seen: Sequence[Seen]) -> Score:
    """Return the score of published models, one weight a family: the factor is the mean in logarithms."""
    families = [[item for item in seen if item.team == team] for team in dict.fromkeys(item.team for item in seen)]

    def mean(of: Callable[[Seen], float]) -> float:
        return float(np.mean([np.mean([of(item) for item in family]) for family in families]))

    return Score(
        told=len(families),
        all=len(seen),
        factor=math.exp(mean(lambda item: abs(item.error))),
        bias=mean(lambda item: item.error),
        within=mean(lambda item: item.within(item.most)),
        within50=mean(lambda item: item.within(item.half)),
        width=_width(seen),
        met=mean(lambda item: item.met),
    )


def _width(seen: Iterable[Seen]) -> float:
    return math.exp(float(np.median([item.most[1] - item.most[0] for item in seen])) / 2)


class Found(NamedTuple):
    """Everything predicted: teams by name, published models by law, sizes by optimizer."""

    teams: Mapping[str, list[Seen]]
    practice: list[Seen]
    default: list[Seen]
    optimizers: Mapping[str, list[Seen]]


class Refits:
    """The law of recipes over all rows, fitted again with some held out."""

    def __init__(self, law: Any, folder: Path, catalogue: Any) -> None:
        from hplaw.fit.data.best_settings import best_settings
        from hplaw.fit.data.runs import read_runs
        from hplaw.fit.infer.laplace import fit_normal
        from hplaw.fit.infer.nuts import Sampler
        from hplaw.fit.model.density import Density
        from hplaw.fit.model.double_precision import double_precision
        from hplaw.fit.model.model import Model

        self.law = law
        with tempfile.TemporaryDirectory() as here:
            table = Path(here) / "rows.parquet"
            best_settings(folder, catalogue).write_parquet(table)
            self.frame = read_runs(table, law=law)
        self.rows = self.frame.rows(named=True)
        with double_precision():
            self.density = Density(Model(law, self.frame, catalogue))
            self.normal = fit_normal(self.density, np.ones(len(self.rows)))
            self.sampler = Sampler(self.density, before=WARMUP)

    def draws(self, left_out: Any) -> tuple[Any, Any]:
        """Return the normal around the mode without some rows, and draws of the posterior."""
        from hplaw.fit.infer.laplace import fit_normal

        weights = np.where(left_out, 0.0, 1.0)
        normal = fit_normal(self.density, weights, start=self.normal.mode, rounds=1)
        found = self.sampler.run(normal, weights, chains=CHAINS, draws=DRAWS)
        return normal, found.draws.reshape(-1, self.density.size)

    def answers(self, left_out: Any, asked: Sequence[tuple[str, Mapping[str, Any], float]]) -> list[list[Seen]]:
        """Return what the law without some rows gives for others, evaluated for a recipe that it does not know.

        **Arguments:**

        - `asked`: team, row, and whether practice is wanted, for each question.
        """
        from hplaw.answer.evaluate_law import evaluate
        from hplaw.fit.check.verdict import Verdict
        from hplaw.fit.infer.fitting import Diagnostics, Fitted
        from hplaw.fit.model.double_precision import double_precision
        from hplaw.fit.output.law_folder import write_folder

        with double_precision(), tempfile.TemporaryDirectory() as here:
            normal, flat = self.draws(left_out)
            fitted = Fitted(
                law=self.law,
                runs=self.frame,
                kept=self.frame,
                density=self.density,
                normal=normal,
                flat=flat,
                draws=self.density.constrain(flat),
                diagnostics=Diagnostics(),
                sampler="",
                seconds=0.0,
            )
            law = write_folder(Path(here) / "law", fitted, Verdict(), data="", sha256="", accept=True)
            found: list[list[Seen]] = []
            for team, known, practice in asked:
                given = {name: known[name] for name in law.inputs} | {"practice": practice}
                batch = given.pop("given_batch_tokens")
                outputs = evaluate(law, given).outputs
                if batch:  # the rate is the best at this batch
                    outputs |= {"peak_lr": evaluate(law, given | {"given_batch_tokens": batch}).outputs["peak_lr"]}
                found.append([_seen(team, name, known, outputs[name]) for name in _told(known)])
            return found

    def replicates(self, left_out: Any) -> list[Seen]:
        """Return what the law predicts of rows of known recipes that are held out."""
        from hplaw.fit.model.double_precision import double_precision

        with double_precision():
            _, flat = self.draws(left_out)
            predicted = self.density.predict(flat)
        found: list[Seen] = []
        for item, (_, replicate) in zip(self.density.model.likelihoods, predicted, strict=True):
            for column, place in enumerate(item.rows):
                if not left_out[place]:
                    continue
                known = self.rows[place]
                low, low50, value, high50, high = np.quantile(replicate[:, column], [0.05, 0.25, 0.5, 0.75, 0.95])
                found.append(
                    Seen(
                        team=str(known["optimizer"]),
                        quantity=item.quantity,
                        row=known,
                        found=math.log(known[item.quantity]),
                        bounds=bounds_of(known, item.quantity),
                        value=float(value),
                        half=(float(low50), float(high50)),
                        most=(float(low), float(high)),
                    )
                )
        return found


def _told(known: Mapping[str, Any]) -> list[str]:
    return [name for name in QUANTITIES if known[name] is not None]


def bounds_of(known: Mapping[str, Any], name: str) -> tuple[float, float]:
    """Return the logarithms between which a value found lies: itself for a point, infinite where a grid is open."""
    low, high = known[f"{name}_low"], known[f"{name}_high"]
    if low is None and high is None:
        low = high = known[name]
    return (-math.inf if low is None else math.log(low), math.inf if high is None else math.log(high))


def _seen(team: str, name: str, known: Mapping[str, Any], said: Any) -> Seen:
    return Seen(
        team=team,
        quantity=name,
        row=known,
        found=math.log(known[name]),
        bounds=bounds_of(known, name),
        value=math.log(said.value),
        half=(math.log(said.low50), math.log(said.high50)),
        most=(math.log(said.low), math.log(said.high)),
    )


def predict(law: Any, folder: Path, catalogue: Any, note: Callable[[str], None]) -> Found:
    """Hold out each team, each part of the published families, and each optimizer's largest sizes, in turn."""
    refits = Refits(law, folder, catalogue)
    rows = refits.rows
    sweeps = np.array([not known["practice"] for known in rows])
    recipes = np.array([known["recipe"] for known in rows])
    teams: dict[str, list[Seen]] = {}
    for recipe in TEAMS:
        out = sweeps & (recipes == recipe)
        swept = any(not rows[i]["published_law"] for i in np.flatnonzero(out))
        asked = [
            (_team(rows[i]), rows[i], 0.0)
            for i in np.flatnonzero(out)
            if rows[i]["optimizer"] == "adamw" and not (swept and rows[i]["published_law"])
        ]
        for seen in refits.answers(out, asked):
            for item in seen:
                teams.setdefault(item.team, []).append(item)
        note(f"without {TEAMS[recipe]}")
    families = list(dict.fromkeys(recipes[~sweeps].tolist()))
    practice: list[Seen] = []
    default: list[Seen] = []
    for fold in range(FOLDS):
        out = ~sweeps & np.isin(recipes, families[fold::FOLDS])
        known = [rows[i] for i in np.flatnonzero(out) if rows[i]["optimizer"] == "adamw"]
        found = refits.answers(out, [(str(each["recipe"]), each, kind) for kind in (1.0, 0.0) for each in known])
        practice += [item for seen in found[: len(known)] for item in seen]
        default += [item for seen in found[len(known) :] for item in seen]
        note(f"without part {fold + 1} of {FOLDS} of the published families")
    optimizers: dict[str, list[Seen]] = {}
    for name in sorted({str(known["optimizer"]) for known in rows if known["recipe"] == "marin"}):
        out = np.array(
            [k["recipe"] == "marin" and k["optimizer"] == name and k["n_params"] > LARGE for k in rows], dtype=bool
        )
        if out.any():
            optimizers[name] = [item for item in refits.replicates(out) if item.quantity == "peak_lr"]
            note(f"without the largest size of {name}")
    return Found(teams, practice, default, optimizers)


def _team(known: Mapping[str, Any]) -> str:
    name = TEAMS[str(known["recipe"])]
    return f"{name}, experts" if known["n_active_params"] < 0.99 * known["n_params"] else name


def team_scores(found: Found) -> dict[tuple[str, str], Score]:
    """Return the score of each team by quantity, of those that have values enclosed."""
    scores = {
        (team, name): score([item for item in seen if item.quantity == name])
        for team, seen in found.teams.items()
        for name in QUANTITIES
    }
    return {key: value for key, value in scores.items() if value is not None}


def family_scores(found: Found) -> dict[tuple[str, str], Score]:
    """Return the score of published models by law and by quantity."""
    return {
        (asked, name): score_families([item for item in seen if item.quantity == name])
        for asked, seen in (("practice", found.practice), ("default", found.default))
        for name in QUANTITIES
    }


def optimizer_scores(found: Found) -> dict[str, Score]:
    """Return the score of the rate at each optimizer's largest size, of those that have values enclosed."""
    scores = {name: score(seen) for name, seen in found.optimizers.items()}
    return {name: value for name, value in scores.items() if value is not None}


PRACTICE = {("practice", "peak_lr"): (1.85, 0.85), ("practice", "batch_tokens"): (1.75, 0.85)}
DEFAULT = {("default", "peak_lr"): (2.3, 0.8), ("default", "batch_tokens"): (2.3, 0.8)}
MEDIANS = {"peak_lr": 1.6, "batch_tokens": 1.5}
"""Goals: factors at most, and shares of the 90% interval at least."""


def report(found: Found) -> list[dict[str, Any]]:
    """Return the lines of `python -m benchmarks`."""
    teams = team_scores(found)
    lines: list[dict[str, Any]] = []
    for (team, name), value in teams.items():
        lines += _lines(f"{team} held out: {QUANTITIES[name]}", value)
    for name, most in MEDIANS.items():
        factors = [value.factor for (_, quantity), value in teams.items() if quantity == name]
        lines.append(row(f"median over teams of that factor, {QUANTITIES[name]}", _median(factors), "1", most=most))
    for key, value in family_scores(found).items():
        most, least = (PRACTICE | DEFAULT)[key]
        lines += _lines(f"published families held out, {key[0]}: {QUANTITIES[key[1]]}", value, most, least)
    each = optimizer_scores(found)
    if each:
        seen = [item for items in found.optimizers.values() for item in items]
        factor = _median([value.factor for value in each.values()])
        lines.append(row("largest size of each optimizer held out: rate, median factor", factor, "1", most=1.5))
        met = float(np.mean([item.met for item in seen]))
        lines.append(row("share of those grids that the 90% interval reaches", met, "1", least=0.85))
    return lines


def _lines(what: str, value: Score, most: float | None = None, least: float | None = None) -> Iterator[dict[str, Any]]:
    yield row(f"{what}, factor", value.factor, "1", most=most)
    yield row(f"{what}, inside 90%", value.within, "1", least=least)
    yield row(f"{what}, inside 50 percent", value.within50, "1")
    yield row(f"{what}, half-width", value.width, "1")


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))


def run(note: Callable[[str], None] = lambda text: None) -> list[dict[str, Any]]:
    """Measure; see `benchmarks.__main__`."""
    return report(measure(note))


def measure(note: Callable[[str], None]) -> Found:
    """Return what the shipped law of recipes, fitted again with parts held out, predicts of them.

    **Raises:** `FileNotFoundError` where the tables are not at hand.
    """
    folder = os.environ.get("HPLAW_DATA", "")
    if not folder:
        message = "HPLAW_DATA names no folder with the tables of sweeps; set it to measure the law of recipes"
        raise FileNotFoundError(message)
    os.environ.setdefault("XLA_FLAGS", "--xla_llvm_disable_expensive_passes=true")
    from hplaw.catalogue.catalogue import load_catalogue

    catalogue = load_catalogue()
    return predict(catalogue.get("recipe"), Path(folder), catalogue, note)
