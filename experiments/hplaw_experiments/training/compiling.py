"""How a program is compiled on a CPU: sooner, where training is over soon, or so that it trains fastest.

Measured on two cores. LLVM's first level of optimization serves as well as its last, and takes a tenth to a third less
time: XLA has done by then what counts. Without the newer emitters of fused kernels XLA compiles the step of an MLP or of
a small Transformer in two thirds of the time, but what is updated in place, as weights are, is left to scalar code: the
step takes up to 1.6 times as long for an MLP and 1.1 times for a Transformer.
"""

from __future__ import annotations

import functools as ft
import os
from typing import Any

import jax

from hplaw_experiments.models import flop
from hplaw_experiments.trial import Trial


SOON_FLOP = {"mlp": 3.5e9, "convnet": 4e10, "transformer": 4e10}
"""Training FLOP of a trial up to which its program is compiled sooner: where, in a pack of 16, the time gained and the time
lost were about equal."""

ALWAYS: dict[str, Any] = {"xla_backend_optimization_level": 1}
"""Options of XLA for every program; options change a run's numbers by rounding at most."""

SOON: dict[str, Any] = {"xla_cpu_use_fusion_emitters": False}
"""Those for a program that is to be compiled sooner."""

PARTS = "xla_cpu_parallel_codegen_split_count"
"""That of the parts in which it is made into machine code at once: more than there are cores cost and gain nothing."""


def over_soon(trial: Trial) -> bool:
    """Return whether a trial's program is to be compiled soon: the trial itself says so, whatever its company.

    >>> over_soon(Trial(width=128, tokens=6400, batch_tokens=64, peak_lr=1e-3))
    True
    """
    return jax.default_backend() == "cpu" and flop(trial) <= SOON_FLOP[trial.family]


@ft.cache
def options(*, soon: bool) -> dict[str, Any]:
    """Return the options of XLA for a program, as far as the version installed here knows them: they are no stable part
    of it."""
    if jax.default_backend() != "cpu":
        return {}
    asked = ALWAYS | (SOON | {PARTS: cores()} if soon else {})
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
