"""The layouts that a number of accelerators allows for a model and a batch, as columns with one row for each."""

from __future__ import annotations

import itertools as it
import math
from collections.abc import Iterator, Mapping

import numpy as np

from hplaw.arrays import Array


MICRO_BATCHES = (1, 2, 4, 8, 16, 32)
"""Sequences of a micro-batch that are looked at."""

PLAIN_STAGES, SHARDED_STAGES = (0, 1), (2, 3)
"""Stages of ZeRO that go with any layout, and those that go with one pipeline stage only: they would gather or scatter
in every round of a pipeline."""

SLACK = 0.1
"""Share by which the batch of a layout may be off the one that was asked for."""

SHORT = 2
"""Layers that all stages together may lack to be even: the first and the last hold the embedding tables."""

NUMBERS = (
    "tensor_parallel",
    "pipeline_parallel",
    "data_parallel",
    "micro_batch_seqs",
    "accumulation",
    "batch_seqs",
    "zero_stage",
)

Columns = dict[str, Array]


def candidates(shape: Mapping[str, float], *, devices: int, devices_per_node: int, batch_seqs: float) -> Columns:
    """Return all layouts as columns, what is recomputed apart.

    - Tensor parallelism divides the heads, those for keys and values too, and stays within a node.
    - Pipeline stages are even but for `SHORT` layers, and each holds a layer.
    - The batch is the product of micro-batch, accumulation and copies, within `SLACK` of `batch_seqs`.

    >>> shape = {"n_layers": 32, "n_heads": 32, "n_kv_heads": 8}
    >>> found = candidates(shape, devices=8, devices_per_node=8, batch_seqs=64)
    >>> sorted({int(n) for n in found["tensor_parallel"]})
    [1, 2, 4, 8]
    """
    rows = list(_numbers(shape, devices, devices_per_node, batch_seqs))
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(NUMBERS))
    return dict(zip(NUMBERS, table.T, strict=True))


def _numbers(
    shape: Mapping[str, float], devices: int, devices_per_node: int, batch_seqs: float
) -> Iterator[tuple[int, ...]]:
    layers = round(shape["n_layers"])
    for tensor, stages in it.product(_tensor_degrees(shape, devices, devices_per_node), _divisors(devices)):
        if (devices // tensor) % stages or stages > layers or -layers % stages > SHORT:
            continue
        copies = devices // tensor // stages
        for micro in MICRO_BATCHES:
            rounds = max(round(batch_seqs / (copies * micro)), 1)
            batch = rounds * copies * micro
            if abs(batch / batch_seqs - 1) > SLACK:
                continue
            for stage in _zero_stages(copies, stages):
                yield tensor, stages, copies, micro, rounds, batch, stage


def _tensor_degrees(shape: Mapping[str, float], devices: int, devices_per_node: int) -> list[int]:
    heads = math.gcd(round(shape["n_heads"]), round(shape["n_kv_heads"]))
    together = math.gcd(devices, devices_per_node)
    return [degree for degree in _divisors(heads) if together % degree == 0]


def _zero_stages(copies: int, stages: int) -> tuple[int, ...]:
    if copies == 1:
        return (0,)
    return PLAIN_STAGES if stages > 1 else PLAIN_STAGES + SHARDED_STAGES


def _divisors(number: int) -> list[int]:
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)})
