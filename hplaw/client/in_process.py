"""The client that asks the library in this process: the same questions, answers and errors, no service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

from hplaw.catalogue.listing import full_quantities, health, law_record, list_laws, list_recipes
from hplaw.client import calls
from hplaw.client.abstract import AbstractClient
from hplaw.messages.compare import AnswerComparison, CompareRequest
from hplaw.messages.decode import decode, decode_queries
from hplaw.messages.device import DeviceEnergy, DeviceEnergyRequest
from hplaw.messages.energy import EnergyReply, EnergyRequest, Frontier, FrontierRequest, HardwareRecord
from hplaw.messages.law import Health, LawRecord, LawSummary, QuantityRecord, quantity_records
from hplaw.messages.layout import LayoutRequest
from hplaw.messages.layouts import LayoutReply
from hplaw.messages.parametrization import AbcReply, AbcRequest, LayerTable, ParametrizeRequest
from hplaw.messages.pareto import Pareto, ParetoRequest
from hplaw.messages.pruning import PruneAdvice, PruneReply, PruneRequest, RegimeMap
from hplaw.messages.query import EvaluateRequest, Query
from hplaw.messages.recipe import Recipe
from hplaw.messages.recommendation import BatchReply, BriefRecommendation, Evaluation, Recommendation
from hplaw.messages.schedule import ScheduleCompareRequest, ScheduleComparison, ScheduleCurve, ScheduleRequest
from hplaw.messages.theory import Theory
from hplaw.messages.transfer import Transfer, TransferRequest


@final
class LocalClient(AbstractClient):
    """Questions to the laws that this process reads from its disk; loads numpy when it is made.

    A question takes the same way through JSON as over HTTP, so that a mistake in it is reported in the same words.

    **Arguments:**

    - `laws`: folders searched before those of HPLAW_LAWS, the user's and the shipped ones.
    """

    def __init__(self, laws: Iterable[str | Path] = ()) -> None:
        from hplaw.catalogue.catalogue import load_catalogue

        self._catalogue = load_catalogue(tuple(Path(folder) for folder in laws))

    def recommend(self, query: Query | None = None, /, **fields: Any) -> Recommendation:
        """Return the recommendation for a `Query`, or for its fields given by name."""
        from hplaw.recommendation.record import recommend

        return recommend(decode(calls.query_body(query, fields), Query), self._catalogue)

    def compare(
        self, values: Mapping[str, Sequence[float | str]], query: Query | None = None, /, **fields: Any
    ) -> AnswerComparison:
        """Return the answers to a `Query`, or to its fields given by name, for several values of one quantity."""
        from hplaw.recommendation.compare import compare

        return compare(decode(calls.compare_body(values, query, fields), CompareRequest), self._catalogue)

    def recommend_batch(self, queries: Sequence[Query | Mapping[str, Any]]) -> list[BriefRecommendation]:
        """Return a brief recommendation for each query, in order."""
        from hplaw.recommendation.many import recommend_many

        asked = calls.batch(queries)
        return asked.results(
            [BatchReply(results=recommend_many(decode_queries(body), self._catalogue)) for body in asked.bodies()]
        )

    def laws(self, *, quantity: str | None = None, status: str | None = None) -> list[LawSummary]:
        """Return the laws found, or those that give `quantity` or have `status`."""
        return list_laws(self._catalogue, quantity=quantity, status=status)

    def law(self, address: str) -> LawRecord:
        """Return the law at `id`, `id@version` or `id@version+digest`."""
        return law_record(self._catalogue, self._catalogue.get(address))

    def bibtex(self, address: str) -> str:
        """Return the BibTeX entry of a law's source."""
        return self._catalogue.get(address).citation().bibtex

    def evaluate(self, address: str, given: Mapping[str, float | str | Mapping[str, float | str]]) -> Evaluation:
        """Return what one law gives for the inputs `given`."""
        from hplaw.answer.evaluate_law import evaluate

        asked = decode(calls.to_json({"given": given}), EvaluateRequest)
        return evaluate(self._catalogue.get(address), asked.given, self._catalogue)

    def quantities(self) -> list[QuantityRecord]:
        """Return the vocabulary of questions and laws."""
        return quantity_records(full_quantities(self._catalogue).values())

    def recipes(self) -> list[Recipe]:
        """Return the recipes that questions may name, each with the laws that hold for it."""
        return list_recipes(self._catalogue)

    def theory(self, quantity: str) -> Theory:
        """Return what every rule gives for a quantity: direction, exponent, assumptions, agreement and conflict."""
        from hplaw.theory.rules import theory

        calls.theory_call(quantity)  # refuses here what it would refuse to send
        return theory(self._catalogue, quantity)

    def energy(self, **fields: Any) -> EnergyReply:
        """Return what a run takes on accelerators and in precisions: the fields of an `EnergyRequest` by name."""
        from hplaw.energy.training import energy

        return energy(decode(calls.to_json(fields), EnergyRequest), self._catalogue)

    def layouts(self, **fields: Any) -> LayoutReply:
        """Return the layouts that fit a model on accelerators, fastest first: the fields of a `LayoutRequest` by name."""
        from hplaw.layout.layouts import layouts

        return layouts(decode(calls.to_json(fields), LayoutRequest), self._catalogue)

    def hardware(self) -> list[HardwareRecord]:
        """Return the accelerators that are known."""
        from hplaw.energy.training import hardware_records

        return hardware_records(self._catalogue)

    def frontier(self, **fields: Any) -> Frontier:
        """Return what a budget buys: the fields of a `FrontierRequest` by name."""
        from hplaw.energy.frontier import frontier

        return frontier(decode(calls.to_json(fields), FrontierRequest), self._catalogue)

    def pareto(self, **fields: Any) -> Pareto:
        """Return the runs that none beats by less loss for the same budget: the fields of a `ParetoRequest` by name."""
        from hplaw.energy.pareto import pareto

        return pareto(decode(calls.to_json(fields), ParetoRequest), self._catalogue)

    def device_energy(self, **fields: Any) -> DeviceEnergy:
        """Return the batch and power limit of minimum energy of one GPU: the fields of a `DeviceEnergyRequest` by name."""
        from hplaw.energy.device import device_energy

        return device_energy(decode(calls.to_json(fields), DeviceEnergyRequest), self._catalogue)

    def parametrize(self, **fields: Any) -> LayerTable:
        """Return what layers become in a wider or deeper model: the fields of a `ParametrizeRequest` by name."""
        from hplaw.parametrization.layer_table import parametrize

        return parametrize(decode(calls.to_json(fields), ParametrizeRequest))

    def classify(self, **fields: Any) -> AbcReply:
        """Return what an infinitely wide network does: the fields of an `AbcRequest` by name."""
        from hplaw.parametrization.abc_regime import classify

        return classify(decode(calls.to_json(fields), AbcRequest))

    def schedule(self, schedule: str, /, **fields: Any) -> ScheduleCurve:
        """Return a schedule's curve and area: the fields of a `ScheduleRequest` by name."""
        from hplaw.theory.schedules import schedule_curve

        asked = decode(calls.to_json({"schedule": schedule, **fields}), ScheduleRequest)
        return schedule_curve(asked, self._catalogue)

    def compare_schedules(self, **fields: Any) -> ScheduleComparison:
        """Return schedules by the loss at the end of one run: the fields of a `ScheduleCompareRequest` by name."""
        from hplaw.theory.schedule_losses import compare_schedules

        return compare_schedules(decode(calls.to_json(fields), ScheduleCompareRequest), self._catalogue)

    def transfer(self, **fields: Any) -> Transfer:
        """Return what each rule gives for a rate at another batch: the fields of a `TransferRequest` by name."""
        from hplaw.theory.batch_transfer import transfer

        return transfer(decode(calls.to_json(fields), TransferRequest), self._catalogue)

    def prune_advice(self, **fields: Any) -> PruneAdvice | PruneReply:
        """Return what to do before pruning: the fields of a `PruneRequest` by name; many cases have a `PruneReply`."""
        from hplaw.pruning.advice import prune_advice

        return prune_advice(decode(calls.to_json(fields), PruneRequest), self._catalogue)

    def regime_map(self, address: str) -> RegimeMap:
        """Return a map of pruning regimes whole."""
        from hplaw.pruning.regime_map import regime_map

        calls.regime_map_call(address)  # refuses here what it would refuse to send
        return regime_map(address, self._catalogue)

    def ready(self) -> Health:
        """Return the number of laws found, and the files that could not be read."""
        return health(self._catalogue)

    def close(self) -> None:
        """Do nothing; there is nothing to let go of."""
