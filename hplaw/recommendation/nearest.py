"""Published trainings near a question: what teams used, as evidence beside what a sweep found best."""

from __future__ import annotations

import functools as ft
import heapq
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

import hplaw_laws
from hplaw.messages.recipe import Training
from hplaw.recommendation.experts import is_routed


TRAININGS = Path(str(hplaw_laws.__file__)).parent / "trainings.json"
"""Facts on published trainings, each with its source."""

MOST = 3
"""Trainings that an answer names."""

REACH = math.log(30)
"""How far, in e-folds of size and data together, a training is still near."""

OTHER_KIND = 1.0
"""E-folds that another kind of model (experts or dense), or another optimizer, counts for."""


@ft.cache
def trainings() -> tuple[Training, ...]:
    """Return all published trainings that are known."""
    return tuple(msgspec.json.decode(TRAININGS.read_bytes(), type=list[Training]))


@ft.cache
def _places() -> tuple[tuple[float, float, bool, str], ...]:
    return tuple(
        (math.log(t.n_params), math.log(t.tokens), t.n_active_params < t.n_params, t.optimizer) for t in trainings()
    )


def nearest(known: Mapping[str, Any]) -> list[Training]:
    """Return the published trainings nearest in size, data and kind, the nearest first; none where size or data is not known,
    or a trained model is fine-tuned.

    >>> nearest({"n_params": 6.5e9, "n_active_params": 6.5e9, "tokens": 2e12, "optimizer": "adamw"})[0].name
    'Llama-2 7B'
    """
    n_params, tokens = known.get("n_params"), known.get("tokens")
    if n_params is None or tokens is None or "finetune" in known:
        return []
    n, d = math.log(n_params), math.log(tokens)
    experts = is_routed(known) or known.get("n_active_params", n_params) < n_params
    optimizer = known.get("optimizer")
    apart: list[tuple[float, int, float]] = []
    for place, (n_there, d_there, experts_there, optimizer_there) in enumerate(_places()):
        far = math.hypot(n - n_there, d - d_there)
        if far <= REACH:
            others = (experts != experts_there) + (optimizer is not None and optimizer != optimizer_there)
            apart.append((far + OTHER_KIND * others, place, far))
    every = trainings()
    return [
        msgspec.structs.replace(every[place], apart=round(math.exp(far), 2))
        for _, place, far in heapq.nsmallest(MOST, apart)
    ]
