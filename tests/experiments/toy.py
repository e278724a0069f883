"""A trainer of no models, for tests of what runs trainers: its losses follow a formula.

Their last digits depend on the company in the pack, as those of real programs may. Run as a program it makes the
sweep of `spec()` in the store that its first argument names.
"""

import math
import os
import signal
import sys
import time
from collections.abc import Sequence

from hplaw.metering.meter import NoMeter
from hplaw.runs import Store
from hplaw_experiments.launch import Here, Local, Pin, Place
from hplaw_experiments.launch.record import Provenance
from hplaw_experiments.sweep.run import run_sweep
from hplaw_experiments.trial import Outcome, Progress, SweepSpec, Trial, Walker, steps


TRAINER = "toy:train_pack"
WHERE = Provenance(code_version="0", jax_version="0", driver="", hardware="toy", platform="cpu", host="here")


def train_pack(trials: Sequence[Trial], *, progress: Progress | None = None) -> list[Outcome]:
    if progress is not None:
        progress(0.0)
    time.sleep(float(trials[0].data_options.get("pause_s", 0.0)))
    marker = trials[0].data_options.get("die_once", "")
    if marker and any(trial.seed == 1 for trial in trials):
        try:
            os.close(os.open(str(marker), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    if trials[0].data_options.get("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    if trials[0].data_options.get("fail"):
        message = "the toy is broken"
        raise ValueError(message)
    if progress is not None:
        progress(1.0)
    company = len(trials) + sum(math.log(trial.peak_lr) for trial in trials)
    return [_outcome(trial, company * 1e-12, len(trials)) for trial in trials]


def _outcome(trial: Trial, company: float, width: int) -> Outcome:
    diverged = trial.peak_lr > 0.09
    loss = (
        2
        + math.log(trial.peak_lr / 1e-2) ** 2 / 10
        + 100 / trial.tokens
        + trial.seed / 50
        + trial.width / 1000
        + company
    )
    return Outcome(
        loss=None if diverged else loss,
        diverged=diverged,
        diverged_step=3 if diverged else None,
        steps_done=3 if diverged else steps(trial),
        seconds=0.01,
        pack_width=width,
        shared=width > 1,
        curve_steps=(0, 1),
        curve_losses=(3.0, 2.5),
        n_params=100.0 * trial.width,
        training_flop=600.0 * trial.width * trial.tokens,
    )


def flop(trial: Trial) -> float:
    return 600.0 * trial.width * trial.tokens


def spec(name: str = "toy", *, seeds: tuple[int, ...] = (0, 1), **options: object) -> SweepSpec:
    return SweepSpec(
        name=name,
        seeds=seeds,
        model={"family": "mlp"},
        data={"source": "digits", "options": options},
        training={"tokens": 3200, "batch_tokens": 32},
        space={"peak_lr": {"log_grid": [1e-4, 1e-1, 6]}, "width": [8, 16]},
        walker=Walker(kind="halving", eta=2, least=0.25),
    )


def here() -> Here:
    return Here(Place(meter=NoMeter("a toy"), where=WHERE))


if __name__ == "__main__":
    folder, kind = sys.argv[1:3]
    launcher = here() if kind == "here" else Local([Pin(), Pin()])
    print("ready", flush=True)
    run_sweep(spec(pause_s=0.02), Store(folder), launcher=launcher, width=4, trainer=TRAINER)
    launcher.close()
