"""What a question is: about one run, about many, about one law."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from hplaw.messages.record import Record


_SIZE = "parameters without embedding and unembedding"


MAX_QUERIES = 10_000
"""Queries that one batch may hold."""


class Bounds(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Limits for a quantity that the decision may choose, either side optional."""

    low: float | None = None
    high: float | None = None


class Query(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A question: what is known of a run, and what is wanted.

    The common quantities are fields; `given` takes any other of the vocabulary. Giving a quantity fixes it:
    `given={"batch_tokens": 4e6}` asks for the best rate at this batch.
    """

    n_params: Annotated[float, Meta(gt=0, le=1e18, description=f"{_SIZE}, all experts counted")] | None = None
    tokens: Annotated[float, Meta(gt=0, le=1e22, description="training tokens")] | None = None
    n_active_params: (
        Annotated[float, Meta(gt=0, le=1e18, description=f"{_SIZE} that one token uses; n_params by default")] | None
    ) = None
    batch_tokens: Annotated[float, Meta(gt=0, le=1e15, description="tokens in one optimizer step; fixes it")] | None = (
        None
    )
    target_loss: Annotated[float, Meta(gt=0, le=1e6, description="loss to reach, in nat/token")] | None = None
    optimizer: str = "adamw"
    precision: str | None = None
    hardware: str | None = None
    devices: Annotated[float, Meta(ge=1, le=1e8, multiple_of=1, description="number of accelerators")] | None = None
    model: Annotated[dict[str, Any], Meta(description="a model's shape, or its config.json")] | None = None
    given: dict[str, float | str] = {}
    bounds: dict[str, Bounds] = {}
    want: Annotated[list[str], Meta(description="what to answer; everything that can be when empty")] = []
    laws: Annotated[list[str], Meta(description="laws preferred for the quantities that they can give")] = []


class BatchRequest(Record, frozen=True, kw_only=True):
    """Many queries in one body, at most `MAX_QUERIES`."""

    queries: list[Query]


class EvaluateRequest(Record, frozen=True, kw_only=True):
    """Values for the inputs of one law; a category table by its names."""

    given: dict[str, float | str | dict[str, float | str]] = {}
