"""How a program is compiled: soon, where training is over soon, or so that it trains fastest.

Measured on two cores: without its newer emitters of fused kernels XLA compiles the step of an MLP or of a small
Transformer in about half the time, but what is updated in place, as weights are, is left to scalar code: the step takes
up to 1.5 times as long for an MLP and 1.1 times for a Transformer.
"""

from __future__ import annotations

import functools as ft
import os
from typing import Any

import jax

from hplaw_experiments.models import flop
from hplaw_experiments.spec import Trial


SOON_FLOP = {"mlp": 6e9, "convnet": 4e10, "transformer": 4e10}
"""Training FLOP of a trial up to which its program is compiled the sooner way: where, in a pack of 16, the time gained and
the time lost were about equal."""

SOON: dict[str, Any] = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 1}
"""Options of XLA for a CPU that make it compile sooner; they change a run's numbers by rounding at most."""

PARTS = "xla_cpu_parallel_codegen_split_count"
"""The option that says into how many parts machine code is made at once: more than there are cores cost and gain nothing."""


def over_soon(trial: Trial) -> bool:
    """Return whether a trial's program is to be compiled soon: the trial itself says so, whatever its company.

    >>> over_soon(Trial(width=128, tokens=6400, batch_tokens=64, peak_lr=1e-3))
    True
    """
    return jax.default_backend() == "cpu" and flop(trial) <= SOON_FLOP[trial.family]


@ft.cache
def soon_options() -> dict[str, Any]:
    """Return those of `SOON` and `PARTS` that the XLA installed here knows: they are no stable part of it."""
    asked = SOON | {PARTS: cores()}
    return {name: value for name, value in asked.items() if _known(name, value)}


def cores() -> int:
    """Return the processor cores that this process may use.

    >>> cores() > 0
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _known(name: str, value: Any) -> bool:
    try:
        jax.jit(lambda: 0, compiler_options={name: value}).lower().compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True
