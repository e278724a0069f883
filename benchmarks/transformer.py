"""How much of the device's rate of matrix products the training of a Transformer reaches, at 10M and 100M parameters.

The rate is that of products `[tokens of a step, width] x [width, width]` in the same number format: what a step could
do if it were nothing but products. Rate and training are timed in turns, as others may use the machine too, and the
fastest of each counts. FLOP are those of the model (6 n_params and attention a token), compilation is omitted.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

import jax

from benchmarks.rows import Row, row
from hplaw_experiments.models import build_model, flop_per_token, n_params
from hplaw_experiments.training.probe import measure_matmul
from hplaw_experiments.training.step import CALL, data_of, find_program, hyper_of
from hplaw_experiments.trial import Precision, Trial


SHAPES = {"10M": (320, 8), "100M": (768, 14)}
"""Width and layers, by parameters without embedding."""

SEQ_LEN, VOCAB_SIZE = 256, 1024

SEQUENCES = {"cpu": {"10M": 4, "100M": 1}, "gpu": {"10M": 64, "100M": 32}}
"""Sequences of a step, by kind of device."""

ROUNDS = 3
"""Rate and training are timed so often, in turns."""

LEAST_S = 1.0
"""Seconds that a training call should take at least; as many steps as that are timed together."""


def run(sizes: Sequence[str] = tuple(SHAPES)) -> list[Row]:
    """Return a row for the rate of products, that of training, and the share, by size."""
    kind = "cpu" if jax.default_backend() == "cpu" else "gpu"
    precision: Precision = "fp32" if kind == "cpu" else "bf16"
    return [found for size in sizes for found in _measured(size, SEQUENCES[kind][size], precision)]


def _measured(size: str, sequences: int, precision: Precision) -> list[Row]:
    trial = transformer(size, sequences=sequences, precision=precision)
    program, data = find_program([trial]), data_of(trial)
    state, hyper = program.start(build_model(trial)), hyper_of(trial)
    work = flop_per_token(trial) * trial.batch_tokens

    def train(steps: int) -> float:
        """Return the FLOP/s of so many steps from the start."""
        ends = np.full(CALL, steps, np.int32)
        begun = time.perf_counter()
        jax.block_until_ready(program.advance(state, hyper, data, ends))
        return steps * work / (time.perf_counter() - begun)

    train(0)  # compiles
    steps = max(1, round(LEAST_S * train(1) / work))
    products: list[float] = []
    training: list[float] = []
    for _ in range(ROUNDS):
        products.append(measure_matmul(trial.batch_tokens, trial.width, precision))
        training.append(train(steps))
    name = f"{n_params(trial) / 1e6:.0f}M parameters, {precision}"
    share = max(training) / max(products)
    return [
        row(f"products, width {trial.width}, {precision}", max(products) / 1e9, "GFLOP/s"),
        row(f"training, {name}", max(training) / 1e9, "GFLOP/s"),
        row(f"training over products, {name}", share, "1"),
    ]


def transformer(size: str, *, sequences: int, precision: Precision) -> Trial:
    """Return a trial of one of `SHAPES`."""
    width, layers = SHAPES[size]
    return Trial(
        family="transformer",
        width=width,
        n_layers=layers,
        seq_len=SEQ_LEN,
        data="language",
        data_options={"vocab_size": VOCAB_SIZE},
        tokens=1e6,
        batch_tokens=sequences * SEQ_LEN,
        peak_lr=1e-3,
        precision=precision,
    )


if __name__ == "__main__":
    for line in run():
        print(line)
