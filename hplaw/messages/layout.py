"""The wire types of parallel layouts: a model, a batch and accelerators in, the layouts that fit and are fastest out."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from hplaw.messages.recommendation import AnswerWarning
from hplaw.messages.record import Record


Recomputation = Literal["none", "selective", "full"]


class LayoutRequest(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Which layouts of so many accelerators fit a model and are fastest.

    `model` is a config.json or a shape in the vocabulary's words; with `n_params` alone the shape of a usual transformer of
    that size is taken.
    """

    n_params: (
        Annotated[float, Meta(ge=1e6, le=1e14, description="parameters without embedding and unembedding")] | None
    ) = None
    model: dict[str, Any] | None = None
    devices: Annotated[float, Meta(ge=1, le=131072, multiple_of=1, description="number of accelerators")]
    hardware: Annotated[str, Meta(description="accelerator, by the name in the hardware table")]
    precision: Annotated[str, Meta(description="number format of the matrix products")] = "bf16"
    optimizer: Annotated[str, Meta(description="update rule")] = "adamw"
    batch_tokens: Annotated[
        float,
        Meta(ge=1, le=1e12, description="tokens in one optimizer step, met within 10%"),
    ] = 4194304.0
    seq_len: Annotated[float, Meta(ge=16, le=1e7, multiple_of=1, description="tokens in one sequence")] = 4096.0
    devices_per_node: Annotated[
        float, Meta(ge=1, le=1024, multiple_of=1, description="accelerators joined by fast links")
    ] = 8.0
    network_bytes_per_s: Annotated[
        float, Meta(ge=1e6, le=1e15, description="bandwidth of one accelerator to other nodes, one direction")
    ] = 5e10
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


class LayoutReply(Record, frozen=True, kw_only=True):
    """The fastest layouts, the best of each tensor and pipeline degree, of those that fit; and what was taken for known.

    - `considered`, `fitting`: how many layouts were looked at, and how many of them fit.
    - `room_bytes`: memory that a layout may take.
    - `shape`: the model's shape; `assumptions` what was not given.
    """

    layouts: list[Layout]
    considered: int
    fitting: int
    room_bytes: float
    shape: dict[str, float]
    assumptions: list[str] = field(default_factory=list[str])
    laws: list[str]
    warnings: list[AnswerWarning] = field(default_factory=list[AnswerWarning])
