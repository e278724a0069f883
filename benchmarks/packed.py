"""How many trials a second: the packed trainer against a plain PyTorch loop over the same trials, compilation included.

Each trial is an MLP on scikit-learn's digits with Adam; the 16 trials differ in their learning rate. Both sides start
with their libraries imported and warm, the data in memory, and take turns, as others may use the machine too. PyTorch
computes where JAX does; it has nothing to compile and takes as long for one trial as for the next, so that a share of
them is timed. It is no part of the project: `make bench` installs it for the comparison.
"""

from __future__ import annotations

import functools as ft
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

import jax

from benchmarks.rows import Row, row
from hplaw_experiments.training import step
from hplaw_experiments.training.train import train_pack
from hplaw_experiments.trial import Trial


WIDTHS = (32, 128, 512)
"""Widths that are timed."""

RATES, STEPS, BATCH = 16, 500, 64
"""Trials, optimizer steps of each, examples in a step."""

ROUNDS = 3
"""Each side is timed so often, in turns, PyTorch on a CPU with all its threads and with one; the fastest counts."""

TIMED = 2
"""Trials that PyTorch is timed on."""

PACKED, BEFORE, TORCH = "packed", "packed, compiled before", "torch"
"""The sides: the packed trainer with compilation and without, and the loop."""

LEAST, UP_TO = 3.0, 128
"""On a CPU the packed trainer must be so many times as fast, compilation included, up to this width."""


def run(widths: Sequence[int] = WIDTHS, *, rounds: int = ROUNDS) -> list[Row]:
    """Return a row for each width and side, and for their ratios."""
    rows: list[Row] = []
    if not has_torch():
        print("torch is not installed: the packed trainer is timed alone", file=sys.stderr)
    for width in widths:
        best = {side: max(found) for side, found in _rates(pack(width), rounds).items() if found}
        rows += [row(f"{side}, width {width}", value, "trials/s") for side, value in best.items()]
        if TORCH in best:
            held = jax.default_backend() == "cpu" and width <= UP_TO
            ratio = best[PACKED] / best[TORCH]
            rows.append(row(f"packed over torch, width {width}", ratio, "1", least=LEAST if held else None))
            rows.append(row(f"{BEFORE}, over torch, width {width}", best[BEFORE] / best[TORCH], "1"))
    return rows


def _rates(trials: Sequence[Trial], rounds: int) -> dict[str, list[float]]:
    """Return the trials a second of each side, by round."""
    rates: dict[str, list[float]] = {PACKED: [], BEFORE: [], TORCH: []}
    for _ in range(rounds):
        forget()
        for side in (PACKED, BEFORE):
            rates[side].append(RATES / timed(lambda: train_pack(trials)))
        for threads in sorted({1, torch_threads()}) if has_torch() else ():
            torch_loop(trials[:1], threads=threads, steps=5)
            rates[TORCH].append(TIMED / timed(ft.partial(torch_loop, trials[:TIMED], threads=threads)))
    return rates


def pack(width: int) -> list[Trial]:
    """Return the trials of one width."""
    return [
        Trial(
            width=width,
            optimizer="adam",
            peak_lr=2.0 ** -(3 + i / 2),
            tokens=STEPS * BATCH,
            batch_tokens=BATCH,
            schedule="constant",
            warmup_fraction=0.0,
            seed=i,
        )
        for i in range(RATES)
    ]


def forget() -> None:
    """Forget all compiled programs, so that the next run compiles again; keep the data in memory."""
    jax.clear_caches()
    step.forget()
    step.data_of(pack(WIDTHS[0])[0])


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


@ft.cache
def has_torch() -> bool:
    """Return whether PyTorch is there; import it."""
    try:
        import torch  # noqa: F401
    except ImportError:
        return False
    return True


@ft.cache
def torch_threads() -> int:
    """Return the threads that PyTorch takes when left alone."""
    import torch

    return torch.get_num_threads()


def torch_loop(trials: Sequence[Trial], *, threads: int, steps: int = STEPS) -> list[float]:
    """Train the trials one after the other as anybody would in PyTorch; return their held-out losses."""
    import torch

    torch_threads()
    torch.set_num_threads(threads)
    device = "cuda" if jax.default_backend() != "cpu" and torch.cuda.is_available() else "cpu"
    data = step.data_of(trials[0])
    x, y = (torch.from_numpy(np.array(a)).to(device) for a in (data.source.x, data.source.y))
    x, y = x.reshape(len(x), -1), y.long()
    x_held, y_held = (torch.from_numpy(np.array(a)).to(device) for a in (data.x_held[0], data.y_held[0]))
    losses: list[float] = []
    for trial in trials:
        torch.manual_seed(trial.seed)
        n = trial.width
        sizes = [(x.shape[1], n), *[(n, n)] * (trial.n_layers - 1), (n, 10)]
        layers: list[torch.nn.Module] = []
        for a, b in sizes:
            layers += [torch.nn.Linear(a, b, bias=False), torch.nn.ReLU()]
        model = torch.nn.Sequential(*layers[:-1]).to(device)
        optimizer = torch.optim.Adam(model.parameters(), lr=trial.peak_lr, betas=(trial.beta1, trial.beta2))
        for _ in range(steps):
            at = torch.randint(len(x), (BATCH,), device=device)
            loss = torch.nn.functional.cross_entropy(model(x[at]), y[at])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            logits = model(x_held.reshape(len(x_held), -1))
            losses.append(float(torch.nn.functional.cross_entropy(logits, y_held.long())))
    return losses


if __name__ == "__main__":
    for line in run():
        print(line)
