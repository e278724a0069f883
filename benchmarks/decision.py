"""How long one exact decision of the fitted surface takes: best rate and batch under all draws, alone and as answered."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.rows import row
from hplaw.catalogue.catalogue import load_catalogue
from hplaw.decide.decide import decide
from hplaw.decide.ridges import Ridges
from hplaw.evaluation.point import environment_at
from hplaw.forms.linex import linex
from hplaw.forms.log_linear import best_logs
from hplaw.law import Law
from hplaw.posterior.scenarios import scenarios


QUESTIONS, ROUNDS = 50, 40

MOST_S = 150e-6
"""What a decision at 256 draws may take."""


def run(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Return a row for the values alone, and for all that an answer takes from the decision."""
    law = load_catalogue(environ={}).get("pretrain-surface")
    draw = random.Random(0)
    asked = [{"n_params": 10 ** draw.uniform(8, 11), "tokens": 10 ** draw.uniform(10, 13)} for _ in range(QUESTIONS)]
    what = f"decision at {scenarios(law).size} draws"
    alone = _fastest(lambda known: _values(law, known), asked, rounds)
    whole = _fastest(lambda known: decide(law, known), asked, rounds)
    return [
        row(f"{what}: best rate and batch", alone * 1e6, "us", most=MOST_S * 1e6),
        row(f"{what}, with plateau, scatter and regret", whole * 1e6, "us", most=MOST_S * 1e6),
    ]


def _values(law: Law, known: dict[str, float]) -> Any:
    """Return the logarithms at which the expected excess is lowest, in the steps that `decide` takes to them."""
    inputs, _ = environment_at(law, known, free=law.chosen)
    form = linex(law)
    assert form is not None
    start = best_logs(law, inputs, transfer=False).mean(axis=-1)
    return Ridges(form, inputs, {}).lowest(start.tolist())


def _fastest(work: Callable[[dict[str, float]], Any], asked: Sequence[dict[str, float]], rounds: int) -> float:
    """Return the mean over questions of the fastest of many turns of each, as others use the machine too."""
    fastest = [float("inf")] * len(asked)
    for _ in range(rounds + 1):
        for i, known in enumerate(asked):
            begun = time.perf_counter()
            work(known)
            fastest[i] = min(fastest[i], time.perf_counter() - begun)
    return sum(fastest) / len(asked)


if __name__ == "__main__":
    for line in run():
        print(line)
