"""From a trial and its outcome to a row of the table of runs."""

from __future__ import annotations

import datetime as dt
import platform
import socket
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from hplaw.metering.meter import Energy
from hplaw.vocabulary.quantities import vocabulary
from hplaw_experiments.trial import Outcome, Trial, key, steps


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Where runs were made: program, device and machine."""

    code_version: str
    jax_version: str
    driver: str
    hardware: str
    platform: str
    host: str


def provenance() -> Provenance:
    """Return what this process computes on; loads JAX."""
    import jax

    device = jax.devices()[0]
    driver = str(getattr(device.client, "platform_version", "")).splitlines()
    kind = str(device.device_kind)
    return Provenance(
        code_version=code_version(),
        jax_version=str(jax.__version__),
        driver=driver[0] if driver else "",
        hardware=kind if device.platform != "cpu" else _processor(),
        platform=device.platform,
        host=socket.gethostname(),
    )


def code_version() -> str:
    """Return the version of hplaw, with the commit where it runs from a checkout; `source` where it is not installed."""
    version = version_of("hplaw") or "source"
    try:
        commit = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return version
    return f"{version}+{commit}"


def version_of(distribution: str) -> str | None:
    """Return the version of what is installed under a name; None where nothing is.

    >>> version_of("no-such-distribution") is None
    True
    """
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def make_record(
    trial: Trial, outcome: Outcome, *, sweep: str, where: Provenance, energy: Energy, started: dt.datetime
) -> dict[str, Any]:
    """Return the row of one run, in the words of the vocabulary.

    **Arguments:**

    - `energy`: of this trial alone: its share, where it ran in a pack.
    """
    asked = {
        "n_layers": trial.n_layers,
        "tokens": trial.tokens,
        "batch_tokens": trial.batch_tokens,
        "batch_seqs": trial.batch_tokens / trial.seq_len,
        "seq_len": trial.seq_len,
        "steps": steps(trial),
        "peak_lr": trial.peak_lr,
        "final_lr": trial.peak_lr * trial.final_lr_fraction,
        "weight_decay": trial.weight_decay,
        "warmup_steps": round(trial.warmup_fraction * steps(trial)),
        "optimizer": trial.optimizer,
        "schedule": trial.schedule_law or trial.schedule,
        "parametrization": trial.parametrization,
        "precision": trial.precision,
        "family": trial.family,
        "width": trial.width,
        "base_width": trial.base_width,
        "d_ff": trial.d_ff,
        "n_heads": trial.n_heads,
        "n_kv_heads": trial.n_kv_heads,
        "d_model": trial.width if trial.family == "transformer" else 0,
        **_of_optimizer(trial),
    }
    n_params = outcome.n_params
    seconds = outcome.seconds
    found = {
        "n_params": n_params,
        "n_active_params": n_params,
        "training_flop": outcome.training_flop,
        "tokens_per_param": trial.tokens / n_params if n_params else None,
        "loss": outcome.loss,
        "compute_flop": 6 * n_params * trial.tokens if n_params else None,
        "duration_s": seconds or None,
        "energy_j": energy.energy_j or None,
        "devices": 1,
        "power_w": energy.energy_j / seconds if energy.energy_j and seconds else None,
    }
    rest = {
        "key": key(trial),
        "sweep": sweep,
        "trial": msgspec.json.encode(trial).decode(),
        "data": trial.data,
        "seed": trial.seed,
        "diverged": outcome.diverged,
        "diverged_step": outcome.diverged_step,
        "steps_done": outcome.steps_done,
        "stopped_early": outcome.stopped_early,
        "forecast_loss": outcome.forecast_loss,
        "train_loss": outcome.train_loss,
        "curve_steps": list(outcome.curve_steps),
        "curve_losses": list(outcome.curve_losses),
        "pack_width": outcome.pack_width,
        "shared": outcome.shared,
        "energy_basis": energy.basis,
        "energy_check_j": energy.check_j,
        "idle_power_w": energy.idle_power_w,
        "temperature_c": energy.temperature_c,
        "clock_mhz": energy.clock_mhz,
        "started": started,
        **msgspec.structs.asdict(where),
    }
    return {**_known(asked), **found, **rest}


def _of_optimizer(trial: Trial) -> dict[str, float]:
    if trial.optimizer in ("adam", "adamw"):
        return {"beta1": trial.beta1, "beta2": trial.beta2, "adam_epsilon": trial.adam_epsilon}
    return {"momentum": trial.momentum} if trial.optimizer != "sgd" else {}


def _known(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the vocabulary has a word for: no zero counts, no name of a category that it does not list."""
    words = vocabulary()
    found: dict[str, Any] = {}
    for name, value in asked.items():
        word = words[name]
        unlisted = word.categorical and word.categories and value not in word.categories
        if not unlisted and not (word.whole and word.low and value == 0):
            found[name] = value
    return found


def _processor() -> str:
    """Return the processor's name, as the system shows it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
