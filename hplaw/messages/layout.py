"""The wire types of one parallel layout, and of the question which are fastest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta

from hplaw.errors import ConflictingQuery
from hplaw.messages.record import Record
from hplaw.vocabulary.model_shape import SHAPE, not_language, read_shape


Recomputation = Literal["none", "selective", "full"]

SHAPE_WORDS = tuple(name for name in SHAPE if name != "seq_len")
"""Words of a model's shape that a layout may be asked with; its config.json says the longest sequence, not that of training."""


_Degree = Annotated[float, Meta(ge=1, le=131072, multiple_of=1)]

FIXABLE = ("tensor_parallel", "pipeline_parallel", "data_parallel", "micro_batch_seqs", "zero_stage")
"""Numbers of a layout that a question may fix."""


class LayoutRequest(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Which layouts of so many accelerators fit a model and are fastest.

    `model` is a config.json or a shape in the vocabulary's words; with `n_params` alone the shape of a usual transformer of
    that size is taken. Degrees, micro-batch, `zero_stage` and `recomputation` are chosen where they are not given.
    """

    n_params: (
        Annotated[float, Meta(ge=1e6, le=1e14, description="parameters without embedding and unembedding")] | None
    ) = None
    model: dict[str, Any] | None = None
    devices: Annotated[float, Meta(ge=1, le=131072, multiple_of=1, description="number of accelerators")]
    hardware: Annotated[str, Meta(description="accelerator, by the name in the hardware table")]
    precision: Annotated[str, Meta(description="number format of the matrix products")] = "bf16"
    optimizer: Annotated[str, Meta(description="update rule")] = "adamw"
    batch_tokens: Annotated[float, Meta(ge=1, le=1e12, description="tokens in one optimizer step, met within 10%")] = (
        4194304.0
    )
    seq_len: Annotated[float, Meta(ge=16, le=1e7, multiple_of=1, description="tokens in one sequence")] = 4096.0
    devices_per_node: Annotated[
        float, Meta(ge=1, le=1024, multiple_of=1, description="accelerators joined by fast links")
    ] = 8.0
    network_bytes_per_s: Annotated[
        float, Meta(ge=1e6, le=1e15, description="bandwidth of one accelerator to other nodes, one direction")
    ] = 5e10
    tensor_parallel: _Degree | None = None
    pipeline_parallel: _Degree | None = None
    data_parallel: _Degree | None = None
    micro_batch_seqs: _Degree | None = None
    zero_stage: Annotated[float, Meta(ge=0, le=3, multiple_of=1)] | None = None
    recomputation: Recomputation | None = None
    top: Annotated[float, Meta(ge=1, le=100, multiple_of=1, description="layouts to list")] = 5.0


class Layout(Record, frozen=True, kw_only=True):
    """One way to lay out a training.

    - `accumulation`: micro-batches of each copy in a step; `batch_tokens` the batch that they make up.
    - `device_bytes`: memory of training on the fullest accelerator.
    - `utilization`: predicted share of the peak, with its 90% interval; `relative` over that of the best layout.
    - `bubble_share`: share of a step's rounds in which the pipeline fills or drains.
    """

    tensor_parallel: int
    pipeline_parallel: int
    data_parallel: int
    micro_batch_seqs: int
    accumulation: int
    zero_stage: int
    recomputation: Recomputation
    batch_tokens: float
    device_bytes: float
    utilization: float
    low: float
    high: float
    relative: float
    bubble_share: float


def shape_fields(model: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a model's shape, from a config.json or from words of the vocabulary.

    **Raises:** `QueryError` for what is no transformer for language, and for a shape that cannot be read.

    >>> shape_fields({"n_layers": 2, "d_model": 64})
    {'n_layers': 2.0, 'd_model': 64.0}
    """
    other = not_language(model)
    if other is not None:
        message = f"model: {other}; layouts cover dense transformers for language"
        raise ConflictingQuery(message, field="model")
    return {name: float(value) for name, value in read_shape(model).items() if name in SHAPE_WORDS}
