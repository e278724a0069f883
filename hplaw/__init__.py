"""hplaw: which learning rate, batch size, loss and energy, and how sure.

Importing this loads next to nothing; each name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from hplaw.catalogue.catalogue import Catalogue, load_catalogue
    from hplaw.client import AsyncClient, Client, LocalClient
    from hplaw.errors import ClientError, DataError, HplawError, LawError, LawNotFound, QueryError
    from hplaw.functions import classify, device_energy, evaluate, local, parametrize, recommend, schedule, transfer
    from hplaw.law import Law, read_law
    from hplaw.messages.query import Query
    from hplaw.messages.recommendation import Recommendation
    from hplaw.theory.connectivity import linear_cka, mode_connectivity
    from hplaw.theory.schedules import optax_schedule
    from hplaw.theory.surge import surge_form, surge_rate
    from hplaw.theory.tuning import expected_best, optimism


_HOME = {
    "AsyncClient": "hplaw.client",
    "Catalogue": "hplaw.catalogue.catalogue",
    "Client": "hplaw.client",
    "ClientError": "hplaw.errors",
    "DataError": "hplaw.errors",
    "HplawError": "hplaw.errors",
    "Law": "hplaw.law",
    "LawError": "hplaw.errors",
    "LawNotFound": "hplaw.errors",
    "LocalClient": "hplaw.client",
    "Query": "hplaw.messages.query",
    "QueryError": "hplaw.errors",
    "Recommendation": "hplaw.messages.recommendation",
    "classify": "hplaw.functions",
    "device_energy": "hplaw.functions",
    "evaluate": "hplaw.functions",
    "expected_best": "hplaw.theory.tuning",
    "linear_cka": "hplaw.theory.connectivity",
    "load_catalogue": "hplaw.catalogue.catalogue",
    "local": "hplaw.functions",
    "mode_connectivity": "hplaw.theory.connectivity",
    "optax_schedule": "hplaw.theory.schedules",
    "optimism": "hplaw.theory.tuning",
    "parametrize": "hplaw.functions",
    "read_law": "hplaw.law",
    "recommend": "hplaw.functions",
    "schedule": "hplaw.functions",
    "surge_form": "hplaw.theory.surge",
    "surge_rate": "hplaw.theory.surge",
    "transfer": "hplaw.functions",
}

__all__ = [
    "AsyncClient",
    "Catalogue",
    "Client",
    "ClientError",
    "DataError",
    "HplawError",
    "Law",
    "LawError",
    "LawNotFound",
    "LocalClient",
    "Query",
    "QueryError",
    "Recommendation",
    "classify",
    "device_energy",
    "evaluate",
    "expected_best",
    "linear_cka",
    "load_catalogue",
    "local",
    "mode_connectivity",
    "optax_schedule",
    "optimism",
    "parametrize",
    "read_law",
    "recommend",
    "schedule",
    "surge_form",
    "surge_rate",
    "transfer",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        message = f"module 'hplaw' has no attribute '{name}'"
        raise AttributeError(message)
    import importlib

    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return __all__
