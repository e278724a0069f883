"""hplaw: learning rate, batch size, loss and energy of a training run, with uncertainty, from scaling laws.

Importing this loads next to nothing; each name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:
    from hplaw.catalogue.catalogue import Catalogue, load_catalogue
    from hplaw.client import AsyncClient, Client, LocalClient
    from hplaw.errors import ClientError, DataError, HplawError, LawError, LawNotFound, QueryError
    from hplaw.functions import (
        classify,
        compare,
        compare_schedules,
        device_energy,
        evaluate,
        layouts,
        local,
        parametrize,
        pareto,
        prune_advice,
        recommend,
        schedule,
        transfer,
    )
    from hplaw.law import Law, read_law
    from hplaw.messages.query import Query
    from hplaw.messages.recommendation import Recommendation
    from hplaw.metering.block import meter_energy
    from hplaw.pruning.connectivity import linear_cka, mode_connectivity
    from hplaw.theory.schedules import optax_schedule
    from hplaw.theory.surge import surge_form, surge_rate
    from hplaw.theory.tuning import expected_best, optimism


_NAMES_BY_MODULE = {
    "hplaw.catalogue.catalogue": ("Catalogue", "load_catalogue"),
    "hplaw.client": ("AsyncClient", "Client", "LocalClient"),
    "hplaw.errors": ("ClientError", "DataError", "HplawError", "LawError", "LawNotFound", "QueryError"),
    "hplaw.functions": (
        *("classify", "compare", "compare_schedules", "device_energy", "evaluate", "layouts", "local"),
        *("parametrize", "pareto", "prune_advice", "recommend", "schedule", "transfer"),
    ),
    "hplaw.law": ("Law", "read_law"),
    "hplaw.messages.query": ("Query",),
    "hplaw.messages.recommendation": ("Recommendation",),
    "hplaw.metering.block": ("meter_energy",),
    "hplaw.pruning.connectivity": ("linear_cka", "mode_connectivity"),
    "hplaw.theory.schedules": ("optax_schedule",),
    "hplaw.theory.surge": ("surge_form", "surge_rate"),
    "hplaw.theory.tuning": ("expected_best", "optimism"),
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
    "compare",
    "compare_schedules",
    "device_energy",
    "evaluate",
    "expected_best",
    "layouts",
    "linear_cka",
    "load_catalogue",
    "local",
    "meter_energy",
    "mode_connectivity",
    "optax_schedule",
    "optimism",
    "parametrize",
    "pareto",
    "prune_advice",
    "read_law",
    "recommend",
    "schedule",
    "surge_form",
    "surge_rate",
    "transfer",
]


def __getattr__(name: str) -> Any:
    home = next((module for module, names in _NAMES_BY_MODULE.items() if name in names), None)
    if home is None:
        message = f"module 'hplaw' has no attribute '{name}'"
        raise AttributeError(message)
    import importlib

    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return __all__
