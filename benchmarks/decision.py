"""How long one exact decision of the fitted surface takes: best rate and batch under all draws, with what goes along."""

from __future__ import annotations

import random
import time
from typing import Any

from benchmarks.rows import row
from hplaw.catalogue import load_catalogue
from hplaw.decide import decide
from hplaw.posterior import scenarios


QUESTIONS, ROUNDS = 50, 40

MOST_S = 150e-6
"""What a decision at 256 draws may take."""


def run(rounds: int = ROUNDS) -> list[dict[str, Any]]:
    """Return a row for the decision: the fastest of many turns of each question, as others use the machine too."""
    law = load_catalogue(environ={}).get("pretrain-surface")
    draw = random.Random(0)
    asked = [
        {"n_params": 10 ** draw.uniform(8, 11), "tokens": 10 ** draw.uniform(10, 13)}
        for _ in range(QUESTIONS)
    ]
    fastest = [float("inf")] * QUESTIONS
    for _ in range(rounds + 1):
        for i, known in enumerate(asked):
            begun = time.perf_counter()
            decide(law, known)
            fastest[i] = min(fastest[i], time.perf_counter() - begun)
    what = f"decision at {scenarios(law).size} draws, with plateau, scatter and regret"
    return [row(what, sum(fastest) / QUESTIONS * 1e6, "us", most=MOST_S * 1e6)]


if __name__ == "__main__":
    for line in run():
        print(line)
