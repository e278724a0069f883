"""The calls of the HTTP interface as data: what to send, and how to read the reply. No I/O happens here."""

from __future__ import annotations

import math
import numbers
import string
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote

import msgspec

from hplaw.errors import ClientError, LawNotFound, MalformedQuery, QueryError
from hplaw.messages.compare import AnswerComparison
from hplaw.messages.device import DeviceEnergy
from hplaw.messages.energy import EnergyReply, Frontier, HardwareRecord
from hplaw.messages.law import Health, LawRecord, LawSummary, QuantityRecord
from hplaw.messages.layout import shape_fields
from hplaw.messages.layouts import LayoutReply
from hplaw.messages.parametrization import AbcReply, LayerTable
from hplaw.messages.pareto import Pareto
from hplaw.messages.problem import Problem, to_error
from hplaw.messages.pruning import PruneAdvice, PruneReply, RegimeMap
from hplaw.messages.query import MAX_QUERIES, Query
from hplaw.messages.recipe import Recipe
from hplaw.messages.recommendation import BatchReply, BriefRecommendation, Evaluation, Recommendation
from hplaw.messages.schedule import ScheduleComparison, ScheduleCurve
from hplaw.messages.theory import Theory
from hplaw.messages.transfer import Transfer


_MAX_BODY = 7_000_000
"""Bytes of queries that one batch call sends; the service takes 8 MB."""

_RETRIED = frozenset({429, 502, 503, 504})
"""HTTP statuses that may pass by themselves; every call of the interface may be repeated safely."""

_ADDRESS = frozenset(string.ascii_letters + string.digits + "-_.@+")
"""Characters of a law's address."""

_NAME = frozenset(string.ascii_letters + string.digits + "_")
"""Characters of a quantity's name."""

_LONGEST_WAIT_S = 30.0
"""A service that asks to wait for longer, in seconds, is given up."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP exchange: what to send, the type of a good reply's body, and the statuses that carry one."""

    method: str
    path: str
    kind: Any
    params: dict[str, str] = {}
    body: bytes | None = None
    good: tuple[int, ...] = (200,)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that this call needs."""
        return {} if self.body is None else {"content-type": "application/json"}


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What came back: an HTTP reply, or the reason in `lost` why there is none."""

    status: int | None = None
    body: bytes = b""
    retry_after: str | None = None
    lost: ClientError | None = None


def recommend_call(query: Query | None, fields: Mapping[str, Any]) -> Call:
    """Return the call that asks for one recommendation."""
    body = query_body(query, fields)
    return Call(method="POST", path="/v1/recommendations", kind=Recommendation, body=body)


def compare_body(values: Mapping[str, Sequence[Any]], query: Query | None, fields: Mapping[str, Any]) -> bytes:
    """Return the JSON of a question, as a `Query` or by its fields, and of what it is compared by."""
    return to_json({"query": msgspec.json.decode(query_body(query, fields)), "compare": values})


def compare_call(values: Mapping[str, Sequence[Any]], query: Query | None, fields: Mapping[str, Any]) -> Call:
    """Return the call that asks one question for several values of a quantity."""
    body = compare_body(values, query, fields)
    return Call(method="POST", path="/v1/compare", kind=AnswerComparison, body=body)


class Batch(msgspec.Struct, frozen=True):
    """Many questions on their way: those that can be sent, and by place what is wrong with the others."""

    rows: list[bytes]
    wrong: dict[int, QueryError]

    def calls(self) -> list[Call]:
        """Return the calls that together ask all questions, none larger than the service takes."""
        return [
            Call(method="POST", path="/v1/recommendations/batch", kind=BatchReply, body=body) for body in self.bodies()
        ]

    def bodies(self) -> Iterator[bytes]:
        """Yield the JSON of batch requests that hold all rows in order, each within the service's limits."""
        rows: list[bytes] = []
        size = 0
        for row in self.rows:
            if rows and (len(rows) == MAX_QUERIES or size + len(row) > _MAX_BODY):
                yield b'{"queries":[' + b",".join(rows) + b"]}"
                rows, size = [], 0
            rows.append(row)
            size += len(row) + 1
        if rows:
            yield b'{"queries":[' + b",".join(rows) + b"]}"

    def results(self, replies: Sequence[BatchReply]) -> list[BriefRecommendation]:
        """Return the rows of all replies in the order of the questions."""
        answered = (row for reply in replies for row in reply.results)
        return [
            BriefRecommendation(answers={}, error=error.text) if (error := self.wrong.get(place)) else next(answered)
            for place in range(len(self.rows) + len(self.wrong))
        ]


def batch(queries: Sequence[object]) -> Batch:
    """Return questions ready to be sent; one that JSON cannot write stops no other."""
    rows: list[bytes] = []
    wrong: dict[int, QueryError] = {}
    for place, query in enumerate(queries):
        try:
            rows.append(to_json(query))
        except QueryError as error:
            wrong[place] = error
    return Batch(rows, wrong)


def laws_call(quantity: str | None, status: str | None) -> Call:
    """Return the call that lists laws."""
    filters = {"quantity": quantity, "status": status}
    params = {name: value for name, value in filters.items() if value is not None}
    return Call(method="GET", path="/v1/laws", kind=list[LawSummary], params=params)


def law_call(address: str) -> Call:
    """Return the call that reads one law."""
    return Call(method="GET", path=_law_path(address), kind=LawRecord)


def bibtex_call(address: str) -> Call:
    """Return the call that reads the BibTeX entry of one law."""
    return Call(method="GET", path=f"{_law_path(address)}/bibtex", kind=str)


def evaluate_call(address: str, given: Mapping[str, Any]) -> Call:
    """Return the call that evaluates one law."""
    body = to_json({"given": given})
    return Call(method="POST", path=f"{_law_path(address)}/evaluate", kind=Evaluation, body=body)


def quantities_call() -> Call:
    """Return the call that reads the vocabulary."""
    return Call(method="GET", path="/v1/quantities", kind=list[QuantityRecord])


def recipes_call() -> Call:
    """Return the call that lists the recipes that questions may name."""
    return Call(method="GET", path="/v1/recipes", kind=list[Recipe])


def theory_call(quantity: str) -> Call:
    """Return the call that asks what rules give for a quantity.

    **Raises:** `QueryError` for what cannot be the name of one.
    """
    if not quantity or not _NAME.issuperset(quantity):
        message = f"'{quantity[:80]}' is no quantity; give a name such as peak_lr"
        raise QueryError(message, field="quantity")
    return Call(method="GET", path=f"/v1/theory/{quantity}", kind=Theory)


def energy_call(fields: Mapping[str, Any]) -> Call:
    """Return the call that asks what a run takes."""
    return Call(method="POST", path="/v1/energy", kind=EnergyReply, body=to_json(fields))


def layouts_call(fields: Mapping[str, Any]) -> Call:
    """Return the call that asks which layouts fit and are fastest; a model goes as the words of its shape."""
    plain = dict(fields)
    model = plain.pop("model", None)
    flat: dict[str, Any] = msgspec.json.decode(to_json({**plain, **(shape_fields(model) if model else {})}))
    params = {name: str(value) for name, value in flat.items() if value is not None}
    return Call(method="GET", path="/v1/layouts", kind=LayoutReply, params=params)


def hardware_call() -> Call:
    """Return the call that lists accelerators."""
    return Call(method="GET", path="/v1/hardware", kind=list[HardwareRecord])


def frontier_call(fields: Mapping[str, Any]) -> Call:
    """Return the call that asks what a budget buys."""
    return Call(method="POST", path="/v1/frontier", kind=Frontier, body=to_json(fields))


def pareto_call(fields: Mapping[str, Any]) -> Call:
    """Return the call that asks for the front of loss over what runs take."""
    return Call(method="POST", path="/v1/pareto", kind=Pareto, body=to_json(fields))


def device_energy_call(fields: Mapping[str, Any]) -> Call:
    """Return the call that asks which batch and power limit of one GPU take minimum energy."""
    return Call(method="POST", path="/v1/device-energy", kind=DeviceEnergy, body=to_json(fields))


def parametrize_call(fields: Mapping[str, Any]) -> Call:
    """Return the call that asks for the table of a parametrization."""
    return Call(method="POST", path="/v1/parametrize", kind=LayerTable, body=to_json(fields))


def classify_call(fields: Mapping[str, Any]) -> Call:
    """Return the call that asks for the regime of an abc-parametrization."""
    return Call(method="POST", path="/v1/classify", kind=AbcReply, body=to_json(fields))


def schedule_call(schedule: str, fields: Mapping[str, Any]) -> Call:
    """Return the call that asks for a schedule's curve and area."""
    body = to_json({"schedule": schedule, **fields})
    return Call(method="POST", path="/v1/schedule", kind=ScheduleCurve, body=body)


def compare_schedules_call(fields: Mapping[str, Any]) -> Call:
    """Return the call that compares schedules by the loss at the end of a run."""
    return Call(method="POST", path="/v1/schedule/compare", kind=ScheduleComparison, body=to_json(fields))


def transfer_call(fields: Mapping[str, Any]) -> Call:
    """Return the call that takes a rate from one batch to another."""
    return Call(method="POST", path="/v1/transfer", kind=Transfer, body=to_json(fields))


def prune_advice_call(fields: Mapping[str, Any]) -> Call:
    """Return the call that asks what to do before pruning: one case by its fields, or many in `cases`."""
    kind = PruneReply if fields.get("cases") else PruneAdvice
    return Call(method="POST", path="/v1/prune-advice", kind=kind, body=to_json(fields))


def regime_map_call(address: str) -> Call:
    """Return the call that reads a map of regimes."""
    return Call(method="GET", path=f"/v1/regimes/{_quoted(address, 'map')}", kind=RegimeMap)


def ready_call() -> Call:
    """Return the call that asks for the service's health, which a service that is not ready answers too."""
    return Call(method="GET", path="/health/ready", kind=Health, good=(200, 503))


def query_body(query: Query | None, fields: Mapping[str, Any]) -> bytes:
    """Return the JSON of a question given as a `Query` or by its fields.

    >>> query_body(None, {"n_params": 7e9})
    b'{"n_params":7000000000.0}'
    """
    if query is not None and fields:
        message = "give a Query or its fields by name, not both"
        raise QueryError(message, field=next(iter(fields)))
    return to_json(fields if query is None else query)


def to_json(value: object) -> bytes:
    """Return the JSON of a record or of plain values; JSON would turn what is not finite into null, so it is refused.

    **Raises:** `QueryError` naming the field that is not finite or is no plain value.
    """
    plain = msgspec.to_builtins(value, enc_hook=_plain)
    _refuse_infinite(plain, "")
    return msgspec.json.encode(plain)


def _plain(value: object) -> object:
    # numpy's numbers say that they are numbers, without numpy being loaded here
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    message = f"{value!r} is neither a number, a name, a list nor a mapping; give one of these"
    raise QueryError(message)


def _refuse_infinite(value: Any, path: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        message = f"{path}={value} is not finite; give a number"
        raise MalformedQuery(message, field=path)
    if isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            _refuse_infinite(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(cast("list[Any]", value)):
            _refuse_infinite(item, f"{path}[{index}]")


def read_reply(call: Call, reply: Reply) -> Any:
    """Return the record that a reply carries.

    **Raises:** the error that the service answered with, or `ClientError` for a lost reply and for one that is no answer of hplaw.
    """
    status = reply.status
    if status is None:
        raise reply.lost or ClientError("no reply")
    try:
        if status not in call.good:
            raise to_error(msgspec.json.decode(reply.body, type=Problem))
        if call.kind is str:
            return reply.body.decode()
        return msgspec.json.decode(reply.body, type=call.kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        message = f"{call.method} {call.path} answered {status} with no record of hplaw ({error}); is this the address of an hplaw service, of this version?"
        raise ClientError(message, status=status) from None


def pause(call: Call, reply: Reply, *, attempt: int, retries: int, chance: float) -> float | None:
    """Return the seconds to wait before asking again, or None when the reply is final.

    min(8, 0.25 2^attempt) (1 + chance) / 2: exponential, half of it at random so that clients do not march in step.

    **Arguments:**

    - `attempt`: how often it was tried again already, from zero, of `retries` times allowed.
    - `chance`: a number in [0, 1), drawn for this pause.

    The reply's `Retry-After` is honored when it counts seconds and is not too long.

    >>> pause(ready_call(), Reply(status=429), attempt=1, retries=3, chance=0.0)
    0.25
    """
    status, retry_after = reply.status, reply.retry_after
    passing = status is None or (status in _RETRIED and status not in call.good)
    if attempt >= retries or not passing:
        return None
    if retry_after is None or not (retry_after.isascii() and retry_after.isdecimal()):
        return min(8.0, 0.25 * 2.0**attempt) * (1.0 + chance) / 2.0
    asked = float(retry_after)
    return asked + 0.5 * chance if asked <= _LONGEST_WAIT_S else None


def _law_path(address: str) -> str:
    return f"/v1/laws/{_quoted(address, 'law')}"


def _quoted(address: str, what: str) -> str:
    if address in {"", ".", ".."} or not _ADDRESS.issuperset(address):
        message = f"'{address[:80]}' is no {what}; give an id such as step-law-2025"
        raise LawNotFound(message)
    # a plus must be escaped: some proxies read it as a space
    return quote(address, safe="@")
