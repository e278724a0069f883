"""Fit the parameters of `schedule-loss` to loss curves under known schedules, and print them: `python tools/fit_schedule_loss.py CURVES.csv`.

`hplaw fit` has one row for each run and no schedule for each row; here every point of a curve is the end of a shorter run
under the same rates. The law itself is evaluated and its priors are penalties. The ends of the curves count for more than
the rest, as schedules are compared by them.
"""

from __future__ import annotations

import csv
import functools as ft
import importlib
import sys
from collections import defaultdict
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from hplaw.arrays import Array, Float
from hplaw.expression.backends import numpy_backend
from hplaw.expression.parse import parse_call
from hplaw.law import Law, read_law


PEAK, FINAL, WARMUP = 3e-4, 3e-5, 2160
"""Peak and final rate, and the steps of the warm-up, of all curves."""

SIZES = {"25M": 2.5e7, "100M": 1e8, "400M": 4e8}
"""Parameters by the model's name."""

NOISE = 3e-3
"""Standard deviation of ln(loss) that the residuals are measured by."""

EVERY, SPAN = 16, 16
"""Which points of a curve a fit takes, and how many steps it takes together."""

END, END_EVERY, END_WEIGHT = 12, 3, 3.0
"""Last points of a curve, which of them a fit takes, and their weight."""


@ft.cache
def rates_of(schedule: str) -> Float[Array, " step"]:
    """Return the rate of each step of a schedule by its name in the table.

    >>> rates_of("wsdcon_9")[[0, -1]].tolist()
    [0.0, 9e-05]
    """
    kind, *numbers = schedule.split("_")
    warmup = np.linspace(0.0, PEAK, WARMUP)
    if kind == "wsdcon":  # two stages: the second rate in units of 1e-5
        return np.concatenate([warmup, np.full(8000 - WARMUP, PEAK), np.full(8000, round(int(numbers[0]) * 1e-5, 9))])
    total = int(numbers[-1])
    steps = np.arange(WARMUP, total)
    decay = np.clip((steps - int(numbers[0])) / max(total - int(numbers[0]), 1), 0, None)
    shapes: dict[str, Callable[[], Array]] = {
        "constant": lambda: np.full(len(steps), PEAK),
        "cosine": lambda: FINAL + (PEAK - FINAL) * (1 + np.cos(np.pi * (steps - WARMUP) / (total - WARMUP))) / 2,
        "wsd": lambda: PEAK ** (1 - decay) * FINAL**decay,
        "wsdld": lambda: PEAK * (1 - decay) + FINAL * decay,
    }
    return np.concatenate([warmup, shapes[kind]()])


def read_curves(path: Path) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """Return steps and losses by model and schedule."""
    with path.open(encoding="utf-8") as file:
        found: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            step = round(float(row["step"]))
            if step < len(rates_of(row["schedule"])):  # the last point of some curves is the step after the last
                found[row["model"], row["schedule"]].append((step, float(row["loss"])))
    return dict(found)


def run_up_to(rates: Float[Array, " step"], step: int, *, span: int = 1) -> dict[str, Any]:
    """Return a run that ends after `step` as inputs of the law: mean rates of spans of steps, short ones at the end."""
    edges = np.union1d(np.arange(0, step + 1, span), np.arange(max(step + 1 - 4 * span, 0), step + 2))
    sums = np.concatenate([[0.0], np.cumsum(rates[: step + 1])])
    counts = np.diff(edges).astype(np.float64)
    return {"learning_rate": np.diff(sums[edges]) / counts, "entry_steps": counts}


def losses(law: Law, values: dict[str, Any], runs: list[dict[str, Any]]) -> Float[Array, " run"]:
    """Return the loss of each run by a law with parameters that have `values`."""
    program = law.program(numpy_backend())
    formula = program.outputs["scheduled_loss"]
    return np.array([float(formula(program.environment({**values, **run}))) for run in runs])


def fit(law: Law, path: Path, models: tuple[str, ...] = ("25M", "100M")) -> dict[str, float]:
    """Return the parameters that fit the curves of some models best, with the law's priors."""
    runs: list[dict[str, Any]] = []
    seen: list[float] = []
    weights: list[float] = []
    for (model, schedule), points in read_curves(path).items():
        if model in models:
            rates = rates_of(schedule)
            for some, weight in ((points[::EVERY], 1.0), (points[-END::END_EVERY], END_WEIGHT)):
                for step, loss in some:
                    runs.append({"n_params": SIZES[model], **run_up_to(rates, step, span=SPAN)})
                    seen.append(np.log(loss))
                    weights.append(np.sqrt(weight) / NOISE)
    names = list(law.spec.parameters)
    priors = [parse_call(str(law.spec.parameters[name].prior), {"normal": 2}).arguments for name in names]
    middle, sd = (np.array([_number(prior[i]) for prior in priors]) for i in (0, 1))

    def residuals(x: Array) -> Array:
        with np.errstate(all="ignore"):
            apart = np.log(losses(law, dict(zip(names, x, strict=True)), runs)) - np.array(seen)
        return np.nan_to_num(np.concatenate([apart * np.array(weights), (x - middle) / sd]), nan=1e3)

    optimize: Any = importlib.import_module("scipy.optimize")  # without types of its own
    found = optimize.least_squares(residuals, middle, x_scale="jac", max_nfev=60)
    return {name: float(f"{value:.5g}") for name, value in zip(names, found.x, strict=True)}


def _number(node: Any) -> float:
    return -_number(node.x) if hasattr(node, "x") else float(node.text)


def main(path: Path) -> None:
    """Print the parameters of a new fit as lines of the law file."""
    law = read_law(Path(str(files("hplaw_laws") / "calibrated" / "schedule-loss" / "law.toml")))
    for name, value in fit(law, path).items():
        print(f'{name} = {{ value = {value}, prior = "{law.spec.parameters[name].prior}" }}')


if __name__ == "__main__":
    main(Path(sys.argv[1]))
