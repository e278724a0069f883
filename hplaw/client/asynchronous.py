"""The client over HTTP for programs that do other things while they wait."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, final

from hplaw.client import calls
from hplaw.client.http import checked_url, request_headers, unanswered
from hplaw.messages.compare import AnswerComparison
from hplaw.messages.device import DeviceEnergy
from hplaw.messages.energy import EnergyReply, Frontier, HardwareRecord
from hplaw.messages.law import Health, LawRecord, LawSummary, QuantityRecord
from hplaw.messages.layouts import LayoutReply
from hplaw.messages.parametrization import AbcReply, LayerTable
from hplaw.messages.pareto import Pareto
from hplaw.messages.pruning import PruneAdvice, PruneReply, RegimeMap
from hplaw.messages.query import Query
from hplaw.messages.recipe import Recipe
from hplaw.messages.recommendation import BriefRecommendation, Evaluation, Recommendation
from hplaw.messages.schedule import ScheduleComparison, ScheduleCurve
from hplaw.messages.theory import Theory
from hplaw.messages.transfer import Transfer


@final
class AsyncClient:
    """Questions to an hplaw service, awaited; use it in an `async with` block, or await `close()`.

    **Arguments:**

    - `base_url`: where the service is, for example `http://127.0.0.1:8000`.
    - `api_key`: the key that the service asks for, if it does.
    - `timeout`: seconds to wait for a connection, and between parts of an answer.
    - `retries`: how often to ask again after a lost connection or HTTP 429, 502, 503 or 504, with growing pauses.
    - `sleep`: how to pause, `asyncio.sleep` by default; tests give their own.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        timeout: float = 10.0,
        retries: int = 3,
        sleep: Callable[[float], Awaitable[object]] | None = None,
    ) -> None:
        import asyncio  # costs as much as the rest of hplaw.client

        import httpx2

        self._base_url = checked_url(base_url)
        self._retries = retries
        self._sleep = sleep or asyncio.sleep
        self._random = random.Random()
        self._lost = httpx2.RequestError
        headers = request_headers(api_key)
        self._http = httpx2.AsyncClient(base_url=base_url, headers=headers, timeout=timeout)

    async def recommend(self, query: Query | None = None, /, **fields: Any) -> Recommendation:
        """Return the recommendation for a `Query`, or for its fields given by name."""
        return await self._send(calls.recommend_call(query, fields))

    async def compare(
        self, values: Mapping[str, Sequence[float | str]], query: Query | None = None, /, **fields: Any
    ) -> AnswerComparison:
        """Return the answers to a `Query`, or to its fields given by name, for several values of one quantity."""
        return await self._send(calls.compare_call(values, query, fields))

    async def recommend_batch(self, queries: Sequence[Query | Mapping[str, Any]]) -> list[BriefRecommendation]:
        """Return a brief recommendation for each query, in order, in as many requests as it takes."""
        asked = calls.batch(queries)
        return asked.results([await self._send(call) for call in asked.calls()])

    async def laws(self, *, quantity: str | None = None, status: str | None = None) -> list[LawSummary]:
        """Return the laws known to the service, or those that give `quantity` or have `status`."""
        return await self._send(calls.laws_call(quantity, status))

    async def law(self, address: str) -> LawRecord:
        """Return the law at `id`, `id@version` or `id@version+digest`."""
        return await self._send(calls.law_call(address))

    async def bibtex(self, address: str) -> str:
        """Return the BibTeX entry of a law's source."""
        return await self._send(calls.bibtex_call(address))

    async def evaluate(self, address: str, given: Mapping[str, float | str | Mapping[str, float | str]]) -> Evaluation:
        """Return what one law gives for the inputs `given`."""
        return await self._send(calls.evaluate_call(address, given))

    async def quantities(self) -> list[QuantityRecord]:
        """Return the vocabulary of questions and laws."""
        return await self._send(calls.quantities_call())

    async def recipes(self) -> list[Recipe]:
        """Return the recipes that questions may name, each with the laws that hold for it."""
        return await self._send(calls.recipes_call())

    async def theory(self, quantity: str) -> Theory:
        """Return what every rule gives for a quantity: direction, exponent, assumptions, agreement and conflict."""
        return await self._send(calls.theory_call(quantity))

    async def energy(self, **fields: Any) -> EnergyReply:
        """Return what a run takes on accelerators and in precisions: the fields of an `EnergyRequest` by name."""
        return await self._send(calls.energy_call(fields))

    async def layouts(self, **fields: Any) -> LayoutReply:
        """Return the layouts that fit a model on accelerators, fastest first: the fields of a `LayoutRequest` by name."""
        return await self._send(calls.layouts_call(fields))

    async def hardware(self) -> list[HardwareRecord]:
        """Return the accelerators that are known."""
        return await self._send(calls.hardware_call())

    async def frontier(self, **fields: Any) -> Frontier:
        """Return what a budget buys: the fields of a `FrontierRequest` by name."""
        return await self._send(calls.frontier_call(fields))

    async def pareto(self, **fields: Any) -> Pareto:
        """Return the runs that none beats by less loss for the same budget: the fields of a `ParetoRequest` by name."""
        return await self._send(calls.pareto_call(fields))

    async def device_energy(self, **fields: Any) -> DeviceEnergy:
        """Return the batch and power limit of minimum energy of one GPU: the fields of a `DeviceEnergyRequest` by name."""
        return await self._send(calls.device_energy_call(fields))

    async def parametrize(self, **fields: Any) -> LayerTable:
        """Return what layers become in a wider or deeper model: the fields of a `ParametrizeRequest` by name."""
        return await self._send(calls.parametrize_call(fields))

    async def classify(self, **fields: Any) -> AbcReply:
        """Return what an infinitely wide network does: the fields of an `AbcRequest` by name."""
        return await self._send(calls.classify_call(fields))

    async def schedule(self, schedule: str, /, **fields: Any) -> ScheduleCurve:
        """Return a schedule's curve and area: the fields of a `ScheduleRequest` by name."""
        return await self._send(calls.schedule_call(schedule, fields))

    async def compare_schedules(self, **fields: Any) -> ScheduleComparison:
        """Return schedules by the loss at the end of one run: the fields of a `ScheduleCompareRequest` by name."""
        return await self._send(calls.compare_schedules_call(fields))

    async def transfer(self, **fields: Any) -> Transfer:
        """Return what each rule gives for a rate at another batch: the fields of a `TransferRequest` by name."""
        return await self._send(calls.transfer_call(fields))

    async def prune_advice(self, **fields: Any) -> PruneAdvice | PruneReply:
        """Return what to do before pruning: the fields of a `PruneRequest` by name; many cases have a `PruneReply`."""
        return await self._send(calls.prune_advice_call(fields))

    async def regime_map(self, address: str) -> RegimeMap:
        """Return a map of pruning regimes whole."""
        return await self._send(calls.regime_map_call(address))

    async def ready(self) -> Health:
        """Return whether the service can answer, and the law files that it cannot read."""
        return await self._send(calls.ready_call())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def _send(self, call: calls.Call) -> Any:
        attempt = 0
        while True:
            reply = await self._try(call)
            wait = calls.pause(call, reply, attempt=attempt, retries=self._retries, chance=self._random.random())
            if wait is None:
                return calls.read_reply(call, reply)
            await self._sleep(wait)
            attempt += 1

    async def _try(self, call: calls.Call) -> calls.Reply:
        try:
            reply = await self._http.request(
                call.method, call.path, params=call.params, content=call.body, headers=call.headers
            )
        except self._lost as error:
            return calls.Reply(lost=unanswered(self._base_url, error))
        retry_after = reply.headers.get("retry-after")
        return calls.Reply(status=reply.status_code, body=reply.content, retry_after=retry_after)
