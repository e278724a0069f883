"""The requests of energy as JSON Schema: accelerators with the precisions that they have, budgets of one kind each.

The description names what always has an answer; the service takes more, such as other names of an accelerator, and
refuses what cannot be told.
"""

from __future__ import annotations

import itertools as it
from typing import Any

from hplaw.catalogue.catalogue import Catalogue
from hplaw.energy.training import hardware_records
from hplaw.errors import LawNotFound


Schema = dict[str, Any]

GIVEN = ("seq_len", "energy_scope", "hours_basis", "tokens_per_device_s", "measured_board_w", "pue", "carbon_g_per_kwh")
"""What narrows an answer about energy, of the quantities that may be given."""

BUDGETS = (("energy_kwh",), ("accelerator_hours",), ("cost", "price_per_hour"), ("duration_s", "devices"))
"""What each kind of budget needs."""
_SIZES = ((("n_params", "tokens"), ("n_active_params",)), (("n_active_params", "tokens"), ()))
"""What each way to tell a run's size needs, and what may be told besides."""

_UNTOLD = frozenset((*it.chain(*BUDGETS), "law"))


def narrow_energy(found: dict[str, Schema], catalogue: Catalogue) -> None:
    """Write the words of accelerators, precisions and countries into the requests of energy, and how many probes there are."""
    probes = found["DeviceEnergyRequest"]["properties"]["probes"]
    probes |= {"minItems": 3, "maxItems": 3}
    groups = _groups(catalogue)
    if not groups:
        return
    values = found["Given"]["properties"]
    given: Schema = {
        "type": "object",
        "description": "what else is known; any quantity is taken",
        "properties": {name: values[name] for name in GIVEN if name in values},
        "additionalProperties": False,
        "default": {},
    }
    codes = sorted(catalogue.get("grid-carbon").spec.tables["intensity"])
    country: Schema = {"anyOf": [{"type": "string", "enum": codes}, {"type": "null"}], "default": None}
    shared = {"given": given, "country": country}
    asked = found["EnergyRequest"]["properties"]
    sizes = {name: _number(asked[name]) for name in ("n_params", "n_active_params", "tokens")}
    found["EnergyRequest"] = _either(
        found["EnergyRequest"],
        [
            _object(
                {
                    **{name: asked[name] for name in (*optional, "devices")},
                    **{name: sizes[name] for name in told},
                    **shared,
                    "hardware": {"type": "array", "items": _words(names), "minItems": 1, "maxItems": 8},
                    "precision": {"type": "array", "items": _words(precisions), "maxItems": 8, "default": []},
                },
                [*told, "hardware"],
            )
            for (names, precisions), (told, optional) in it.product(groups, _SIZES)
        ],
    )
    asked = found["FrontierRequest"]["properties"]
    plain = {name: item for name, item in asked.items() if name not in _UNTOLD}
    found["FrontierRequest"] = _either(
        found["FrontierRequest"],
        [
            _object(
                {
                    **plain,
                    "given": given,
                    **{name: _number(asked[name]) for name in budget},
                    "hardware": _words(names),
                    "precision": {"anyOf": [_words(precisions), {"type": "null"}], "default": None},
                },
                ["hardware", *budget],
            )
            for (names, precisions), budget in it.product(groups, BUDGETS)
        ],
    )


def _groups(catalogue: Catalogue) -> list[tuple[list[str], list[str]]]:
    """Return accelerators with a published power, those of the same precisions together."""
    try:
        records = hardware_records(catalogue)
    except LawNotFound:  # a folder of laws may shadow or lack them
        return []
    found: dict[tuple[str, ...], list[str]] = {}
    for item in records:
        if item.board_power_w is not None:
            found.setdefault(tuple(item.peak_flop_per_s), []).append(item.name)
    return [(names, list(precisions)) for precisions, names in found.items()]


def _words(names: list[str]) -> Schema:
    return {"type": "string", "enum": names}


def _number(field: Schema) -> Schema:
    """Return the schema of a field that may be left out, where it must not be."""
    return next(kind for kind in field["anyOf"] if kind.get("type") == "number")


def _object(properties: dict[str, Any], required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _either(record: Schema, choices: list[Schema]) -> Schema:
    return {"title": record["title"], "description": record.get("description", ""), "anyOf": choices}
