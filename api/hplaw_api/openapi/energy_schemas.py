"""The requests of energy as JSON Schema: one object each, whose fields are optional where one of several is needed.

What belongs together (a budget and what it needs, an accelerator and its precisions) is said inside `allOf`, which
validators hold and generators of clients pass over. The description names what always has an
answer; the service takes more, such as other names of an accelerator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hplaw.catalogue.catalogue import Catalogue
from hplaw.energy.training import hardware_records
from hplaw.errors import LawNotFound


Schema = dict[str, Any]

GIVEN = ("seq_len", "energy_scope", "hours_basis", "tokens_per_device_s", "measured_board_w", "pue", "carbon_g_per_kwh")
"""What narrows an answer about energy, of the quantities that may be given."""

BUDGETS = {"energy_kwh": (), "accelerator_hours": (), "cost": ("price_per_hour",), "duration_s": ("devices",)}
"""The kinds of budget, of which one is given, and what else each needs."""


def narrow_energy(found: dict[str, Schema], catalogue: Catalogue) -> None:
    """Write the names of accelerators, precisions and countries into the requests of energy, and how many probes there are."""
    probes = found["DeviceEnergyRequest"]["properties"]["probes"]
    probes |= {"minItems": 3, "maxItems": 3}
    precisions = _precisions(catalogue)
    if not precisions:
        return
    given = found["Given"]["properties"]
    found["EnergyGiven"] = {
        "type": "object",
        "description": "what else is known; any quantity is taken",
        "properties": {name: given[name] for name in GIVEN if name in given},
        "additionalProperties": False,
    }
    codes = sorted(catalogue.get("grid-carbon").spec.tables["intensity"])
    found["HardwareName"] = {"type": "string", "enum": list(precisions), "description": "an accelerator"}
    names = list(dict.fromkeys(name for group in precisions.values() for name in group))
    found["PrecisionName"] = {"type": "string", "enum": names, "description": "a number format of matrix products"}
    _narrow_request(found["EnergyRequest"], codes)
    _narrow_frontier(found["FrontierRequest"])
    for name, values in (("EnergyRequest", _of_lists), ("FrontierRequest", _of_names)):
        found[name].setdefault("allOf", []).append({"anyOf": values(precisions)})


def _narrow_request(request: Schema, countries: list[str]) -> None:
    asked = request["properties"]
    del asked["model"]
    asked["given"] = _reference("EnergyGiven")
    asked["country"] = _or_null({"type": "string", "enum": countries})
    asked["hardware"] = {"type": "array", "items": _reference("HardwareName"), "minItems": 1, "maxItems": 8}
    asked["precision"] = {"type": "array", "items": _reference("PrecisionName"), "maxItems": 8, "default": []}
    asked["tokens"] = next(kind for kind in asked["tokens"]["anyOf"] if kind["type"] == "number")
    request["required"] = ["tokens", "hardware"]
    request["allOf"] = [{"anyOf": [_given_all("n_params"), _given_all("n_active_params")]}]


def _narrow_frontier(request: Schema) -> None:
    asked = request["properties"]
    del asked["law"]
    asked["given"] = _reference("EnergyGiven")
    asked["hardware"] = _reference("HardwareName")
    asked["precision"] = _or_null(_reference("PrecisionName"))
    budgets = [
        _given_all(kind, *needs, without=[other for other in BUDGETS if other != kind])
        for kind, needs in BUDGETS.items()
    ]
    request["allOf"] = [{"anyOf": budgets}]


def _precisions(catalogue: Catalogue) -> dict[str, tuple[str, ...]]:
    """Return the precisions of each accelerator with a published power."""
    try:
        records = hardware_records(catalogue)
    except LawNotFound:  # a folder of laws may shadow or lack them
        return {}
    return {item.name: tuple(item.peak_flop_per_s) for item in records if item.board_power_w is not None}


def _of_lists(precisions: dict[str, tuple[str, ...]]) -> list[Schema]:
    """Return the schemas of which one holds where one of the accelerators has one of the precisions."""
    none: Schema = {"properties": {"precision": {"maxItems": 0}}}
    return [
        none,
        *(
            {
                "properties": {
                    "hardware": {"contains": {"enum": names}},
                    "precision": {"contains": {"enum": list(group)}},
                }
            }
            for group, names in _groups(precisions).items()
        ),
    ]


def _of_names(precisions: dict[str, tuple[str, ...]]) -> list[Schema]:
    """Return the schemas of which one holds where the accelerator has the precision."""
    return [
        {"properties": {"hardware": {"enum": names}, "precision": {"enum": [*group, None]}}}
        for group, names in _groups(precisions).items()
    ]


def _groups(precisions: dict[str, tuple[str, ...]]) -> dict[tuple[str, ...], list[str]]:
    """Return the accelerators that have the same precisions, by these."""
    found: dict[tuple[str, ...], list[str]] = {}
    for name, group in precisions.items():
        found.setdefault(group, []).append(name)
    return found


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}], "default": None}


def _given_all(*names: str, without: Sequence[str] = ()) -> Schema:
    """Return the schema of objects that have numbers at `names`, and nothing or null at those of `without`."""
    kinds = {**dict.fromkeys(names, "number"), **dict.fromkeys(without, "null")}
    return {"required": list(names), "properties": {name: {"type": kind} for name, kind in kinds.items()}}
