"""What every client that answers at once can do, over HTTP or in this process."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

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


class AbstractClient(abc.ABC):
    """Questions to hplaw and their answers; close it, or use it in a `with` block."""

    @abc.abstractmethod
    def recommend(self, query: Query | None = None, /, **fields: Any) -> Recommendation:
        """Return the recommendation for a `Query`, or for its fields given by name.

        **Raises:** `QueryError` naming the field at fault; `LawNotFound`; `ClientError`.
        """

    @abc.abstractmethod
    def compare(
        self, values: Mapping[str, Sequence[float | str]], query: Query | None = None, /, **fields: Any
    ) -> AnswerComparison:
        """Return the answers to a `Query`, or to its fields given by name, for several values of one quantity.

        **Arguments:**

        - `values`: the quantity with its values, `{"precision": ["bf16", "fp8"]}`.
        """

    @abc.abstractmethod
    def recommend_batch(self, queries: Sequence[Query | Mapping[str, Any]]) -> list[BriefRecommendation]:
        """Return a brief recommendation for each query, in order; a row that cannot be answered says so in `error`."""

    @abc.abstractmethod
    def laws(self, *, quantity: str | None = None, status: str | None = None) -> list[LawSummary]:
        """Return the laws known, or those that give `quantity` or have `status`."""

    @abc.abstractmethod
    def law(self, address: str) -> LawRecord:
        """Return the law at `id`, `id@version` or `id@version+digest`.

        **Raises:** `LawNotFound`, offering the nearest name.
        """

    @abc.abstractmethod
    def bibtex(self, address: str) -> str:
        """Return the BibTeX entry of a law's source."""

    @abc.abstractmethod
    def evaluate(self, address: str, given: Mapping[str, float | str | Mapping[str, float | str]]) -> Evaluation:
        """Return what one law gives for the inputs `given`."""

    @abc.abstractmethod
    def quantities(self) -> list[QuantityRecord]:
        """Return the vocabulary of questions and laws."""

    @abc.abstractmethod
    def recipes(self) -> list[Recipe]:
        """Return the recipes that questions may name, each with the laws that hold for it."""

    @abc.abstractmethod
    def theory(self, quantity: str) -> Theory:
        """Return what every rule gives for a quantity: direction, exponent, assumptions, agreement and conflict.

        **Raises:** `QueryError` for a quantity that does not exist.
        """

    @abc.abstractmethod
    def energy(self, **fields: Any) -> EnergyReply:
        """Return what a run takes on accelerators and in precisions: the fields of an `EnergyRequest` by name."""

    @abc.abstractmethod
    def layouts(self, **fields: Any) -> LayoutReply:
        """Return the layouts that fit a model on accelerators, fastest first: the fields of a `LayoutRequest` by name."""

    @abc.abstractmethod
    def hardware(self) -> list[HardwareRecord]:
        """Return the accelerators that are known."""

    @abc.abstractmethod
    def frontier(self, **fields: Any) -> Frontier:
        """Return what a budget buys: the fields of a `FrontierRequest` by name."""

    @abc.abstractmethod
    def pareto(self, **fields: Any) -> Pareto:
        """Return the runs that none beats by less loss for the same budget: the fields of a `ParetoRequest` by name."""

    @abc.abstractmethod
    def device_energy(self, **fields: Any) -> DeviceEnergy:
        """Return the batch and power limit of minimum energy of one GPU: the fields of a `DeviceEnergyRequest` by name."""

    @abc.abstractmethod
    def parametrize(self, **fields: Any) -> LayerTable:
        """Return what layers become in a wider or deeper model: the fields of a `ParametrizeRequest` by name."""

    @abc.abstractmethod
    def classify(self, **fields: Any) -> AbcReply:
        """Return what an infinitely wide network does: the fields of an `AbcRequest` by name."""

    @abc.abstractmethod
    def schedule(self, schedule: str, /, **fields: Any) -> ScheduleCurve:
        """Return a schedule's curve and area: the fields of a `ScheduleRequest` by name."""

    @abc.abstractmethod
    def compare_schedules(self, **fields: Any) -> ScheduleComparison:
        """Return schedules by the loss at the end of one run: the fields of a `ScheduleCompareRequest` by name."""

    @abc.abstractmethod
    def transfer(self, **fields: Any) -> Transfer:
        """Return what each rule gives for a rate at another batch: the fields of a `TransferRequest` by name."""

    @abc.abstractmethod
    def prune_advice(self, **fields: Any) -> PruneAdvice | PruneReply:
        """Return what to do before pruning: the fields of a `PruneRequest` by name; many cases have a `PruneReply`."""

    @abc.abstractmethod
    def regime_map(self, address: str) -> RegimeMap:
        """Return a map of pruning regimes whole.

        **Raises:** `LawNotFound`, naming the maps there are.
        """

    @abc.abstractmethod
    def ready(self) -> Health:
        """Return whether questions can be answered, and the law files that cannot be read."""

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of connections; the client cannot be used afterwards."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
