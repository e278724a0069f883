"""The operations of the interface, one line of facts each; openapi.py writes them out, and a test holds them to the routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from hplaw.vocabulary.quantities import Quantity
from hplaw_api.openapi.query_parameters import query_parameters
from hplaw_api.openapi.schemas import ADDRESS, Schema, reference, status_schema


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method at one path.

    **Arguments:**

    - `reply`: schema of the body of a good reply; `kind` its media type.
    - `errors`: HTTP statuses that this operation answers beside those that all do.
    - `body`: schema of the request's body; `example` one that works.
    - `tagged`: true where the reply has an entity tag, so that it may be 304.
    - `free`: true where nobody needs a key.
    """

    path: str
    method: str
    name: str
    summary: str
    tag: str
    reply: Schema
    kind: str = "application/json"
    errors: tuple[int, ...] = ()
    parameters: tuple[Schema, ...] = ()
    body: Schema | None = None
    example: Any = None
    tagged: bool = False
    free: bool = False
    also: dict[int, Schema] = {}


_QUESTION = {"n_params": 7e9, "tokens": 1.4e12, "want": ["peak_lr", "batch_tokens", "loss"]}
_SIZE = {"scheme": "mup", "optimizer": "adamw", "width": 4096, "base_width": 256}
_ABC = {"a": {"input": "-1/2", "hidden": 0, "output": "1/2"}, "b": {"input": "1/2", "hidden": "1/2", "output": "1/2"}}
_RUN = {"schedule": "cosine", "total_steps": 1000, "given": {"warmup_steps": 100}, "points": 11}
_BATCHES = {"peak_lr": 3e-4, "batch_tokens": 256, "to_batch_tokens": 2048, "optimizer": "adamw"}
_DRAW = {"n_params": 7e10, "tokens": 1.5e13, "hardware": ["h100-sxm"], "precision": ["bf16", "fp8"], "country": "US"}
_BUDGET = {"hardware": "h100-sxm", "energy_kwh": 10000}
_PROBES = {
    "probes": [
        {"batch_samples": 16, "power_limit_w": 300, "energy_per_sample_j": 0.925, "time_per_sample_s": 0.00384},
        {"batch_samples": 256, "power_limit_w": 300, "energy_per_sample_j": 0.706, "time_per_sample_s": 0.003},
        {"batch_samples": 256, "power_limit_w": 125, "energy_per_sample_j": 0.946, "time_per_sample_s": 0.00753},
    ]
}
_POINT = {"given": {"n_params": 1e9, "tokens": 1e11}}

_ADDRESS: Schema = {
    "name": "address",
    "in": "path",
    "required": True,
    "description": ADDRESS["description"],
    "schema": ADDRESS,
    "example": "step-law-2025",
}


def operations(query: Schema, words: Mapping[str, Quantity]) -> tuple[Operation, ...]:
    """Return all operations; `query` is the schema of a question, `words` the quantities that there are."""
    asking = query_parameters(query, words)
    return (
        Operation(
            path="/v1/recommendations",
            method="post",
            name="recommend",
            tag="recommendations",
            summary="Answer one question",
            body=reference("Query"),
            example=_QUESTION,
            reply=reference("Recommendation"),
            errors=(404, 408, 409, 413, 422),
        ),
        Operation(
            path="/v1/recommendations",
            method="get",
            name="recommendByAddress",
            tag="recommendations",
            summary="Answer one question asked by query string",
            parameters=asking,
            reply=reference("Recommendation"),
            errors=(404, 409, 422),
            tagged=True,
        ),
        Operation(
            path="/v1/recommendations/batch",
            method="post",
            name="recommendMany",
            tag="recommendations",
            summary="Answer up to 10,000 questions in 8 MB, briefly; a row that cannot be answered says so in `error`",
            body=reference("BatchRequest"),
            example={"queries": [_QUESTION]},
            reply=reference("BatchReply"),
            errors=(404, 408, 409, 413, 422, 503),
        ),
        Operation(
            path="/v1/laws",
            method="get",
            name="listLaws",
            tag="laws",
            summary="List the laws, or those that give a quantity or have a status",
            parameters=(
                {
                    "name": "quantity",
                    "in": "query",
                    "description": "laws that give it",
                    "schema": reference("Quantity"),
                },
                {"name": "status", "in": "query", "description": "laws of this status", "schema": status_schema()},
            ),
            reply={"type": "array", "items": reference("LawSummary")},
            errors=(422,),
            tagged=True,
        ),
        Operation(
            path="/v1/laws/{address}",
            method="get",
            name="readLaw",
            tag="laws",
            summary="Read one law whole",
            parameters=(_ADDRESS,),
            reply=reference("LawRecord"),
            errors=(404,),
            tagged=True,
        ),
        Operation(
            path="/v1/laws/{address}/bibtex",
            method="get",
            name="citeLaw",
            tag="laws",
            summary="Read the BibTeX entry of a law's source",
            parameters=(_ADDRESS,),
            reply={"type": "string"},
            kind="application/x-bibtex",
            errors=(404,),
            tagged=True,
        ),
        Operation(
            path="/v1/laws/{address}/evaluate",
            method="post",
            name="evaluateLaw",
            tag="laws",
            summary="Say what one law gives at one point",
            parameters=(_ADDRESS,),
            body=reference("EvaluateRequest"),
            example=_POINT,
            reply=reference("Evaluation"),
            errors=(404, 408, 409, 413, 422),
        ),
        Operation(
            path="/v1/quantities",
            method="get",
            name="listQuantities",
            tag="laws",
            summary="List the vocabulary: name, symbol, unit, meaning and bounds",
            reply={"type": "array", "items": reference("QuantityRecord")},
            tagged=True,
        ),
        Operation(
            path="/v1/theory/{quantity}",
            method="get",
            name="readTheory",
            tag="laws",
            summary="Say what every rule says of a quantity: direction, exponent, assumptions, agreement and conflict",
            parameters=(
                {
                    "name": "quantity",
                    "in": "path",
                    "required": True,
                    "description": "a quantity",
                    "schema": reference("Quantity"),
                    "example": "peak_lr",
                },
            ),
            reply=reference("Theory"),
            errors=(422,),
            tagged=True,
        ),
        Operation(
            path="/v1/energy",
            method="post",
            name="energy",
            tag="energy",
            summary="Say what a run takes in hours, energy and carbon, on accelerators and in precisions side by side",
            body=reference("EnergyRequest"),
            example=_DRAW,
            reply=reference("EnergyReply"),
            errors=(404, 408, 409, 413, 422, 503),
        ),
        Operation(
            path="/v1/hardware",
            method="get",
            name="listHardware",
            tag="energy",
            summary="List accelerators: peak by precision, memory, bandwidth, board power, how far that was checked",
            reply={"type": "array", "items": reference("HardwareRecord")},
            errors=(404,),
            tagged=True,
        ),
        Operation(
            path="/v1/frontier",
            method="post",
            name="frontier",
            tag="energy",
            summary="Say which size and how many tokens reach the least loss within a budget of energy, hours, money or time",
            body=reference("FrontierRequest"),
            example=_BUDGET,
            reply=reference("Frontier"),
            errors=(404, 408, 409, 413, 422, 503),
        ),
        Operation(
            path="/v1/device-energy",
            method="post",
            name="deviceEnergy",
            tag="energy",
            summary="Say which batch and power limit of one GPU take least energy a sample, and what joules cost in seconds, from three probes",
            body=reference("DeviceEnergyRequest"),
            example=_PROBES,
            reply=reference("DeviceEnergy"),
            errors=(404, 408, 409, 413, 422, 503),
        ),
        Operation(
            path="/v1/parametrize",
            method="post",
            name="parametrize",
            tag="theory",
            summary="Say what init, multiplier, rate, weight decay and epsilon become in a wider or deeper model",
            body=reference("ParametrizeRequest"),
            example=_SIZE,
            reply=reference("LayerTable"),
            errors=(408, 409, 413, 422),
        ),
        Operation(
            path="/v1/classify",
            method="post",
            name="classify",
            tag="theory",
            summary="Say what an infinitely wide network does: unstable, trivial, kernel or feature learning",
            body=reference("AbcRequest"),
            example=_ABC,
            reply=reference("AbcReply"),
            errors=(408, 409, 413, 422),
        ),
        Operation(
            path="/v1/schedule",
            method="post",
            name="schedule",
            tag="theory",
            summary="Work out a schedule of the learning rate and the area under it",
            body=reference("ScheduleRequest"),
            example=_RUN,
            reply=reference("ScheduleCurve"),
            errors=(408, 409, 413, 422, 503),
        ),
        Operation(
            path="/v1/transfer",
            method="post",
            name="transfer",
            tag="theory",
            summary="Say what each rule makes of a learning rate at another batch, where rules agree, and what decides",
            body=reference("TransferRequest"),
            example=_BATCHES,
            reply=reference("Transfer"),
            errors=(408, 409, 413, 422),
        ),
        Operation(
            path="/health/live",
            method="get",
            name="live",
            tag="service",
            summary="Say that the process runs",
            reply=reference("Health"),
            free=True,
        ),
        Operation(
            path="/health/ready",
            method="get",
            name="ready",
            tag="service",
            summary="Say whether questions can be answered; names law files that cannot be read",
            reply=reference("Health"),
            also={503: reference("Health")},
            free=True,
        ),
        Operation(
            path="/metrics",
            method="get",
            name="metrics",
            tag="service",
            summary="Show the service's counters for Prometheus",
            reply={"type": "string"},
            kind="text/plain",
        ),
    )
