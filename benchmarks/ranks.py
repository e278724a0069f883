"""Whether calibration to a recipe is calibrated: ranks of recipes simulated from the law of recipes.

    python -m benchmarks.ranks --to fitted_laws/hplaw_laws/calibrated/recipe/ranks.json

Each table is a recipe drawn from the law, with the tuned optima of a ladder of sizes. The law is conditioned on the cheapest
of them, as `hplaw calibrate --runs` does it, and the largest is predicted. The rank of a value is the share of its predicted
distribution below it: ranks are uniform where intervals hold what they promise.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from benchmarks.few_runs import LADDER


TABLES = 64
"""Recipes that are simulated."""
GIVEN = 3
"""Cheapest cells that the law is conditioned on."""
QUANTITIES = ("peak_lr", "batch_tokens")


def ranks(prior: Any, *, tables: int = TABLES, seed: int = 0) -> dict[str, list[float]]:
    """Return the rank of the largest cell's value in each simulated table, by quantity."""
    from hplaw_experiments.recipes.best_settings import posterior
    from hplaw_experiments.recipes.recipe import drawn, predict

    random = np.random.default_rng(seed)
    found: dict[str, list[float]] = {name: [] for name in QUANTITIES}
    for _ in range(tables):
        settings = drawn(prior, [(n, 20 * n) for n in LADDER], random)
        last = settings[-1]
        mean, covariance = predict(posterior(settings[:GIVEN], prior), last.n_params, last.tokens)
        for place, name in enumerate(QUANTITIES):
            predicted = NormalDist(mean[place], math.sqrt(covariance[place, place]))
            found[name].append(round(predicted.cdf(math.log(getattr(last, name))), 4))
    return found


def inside(values: Sequence[float], level: float) -> float:
    """Return the share of ranks inside a central interval.

    >>> inside([0.02, 0.3, 0.5, 0.7], 0.9)
    0.75
    """
    edge = (1 - level) / 2
    return sum(edge <= value <= 1 - edge for value in values) / len(values)


def main(words: Sequence[str] | None = None) -> int:
    """Write the ranks; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranks", description="Rank simulated recipes.")
    parser.add_argument("--to", metavar="FILE", type=Path, required=True, help="where the ranks go, as JSON")
    asked = parser.parse_args(words)
    from hplaw.catalogue.catalogue import load_catalogue
    from hplaw_experiments.recipes.recipe import read_prior

    law = load_catalogue().get("recipe")
    found = ranks(read_prior(law))
    record = {"tables": TABLES, "given_cells": GIVEN, "ranks": found}
    asked.to.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for name, values in found.items():
        print(f"{name}: 50% interval holds {inside(values, 0.5):.2f}, 90% interval {inside(values, 0.9):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
