"""The types of requests written into their schemas, with what types cannot say: what belongs together, and two unions.

What belongs together is said inside `allOf`, which validators hold and generators of clients pass over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from hplaw.catalogue.catalogue import Catalogue
from hplaw.vocabulary.config_reading import CONFIG_MARKS, SHAPE
from hplaw_api.request_types import Fields, hardware_by_precisions, model_types, request_types


Schema = dict[str, Any]

REF = "#/components/schemas/{name}"
_BUDGETS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("energy_kwh", "accelerator_hours", "compute_flop"), ()),
    "cost": ("price_per_hour",),
    "duration_s": ("devices",),
}


def narrow(found: dict[str, Schema], catalogue: Catalogue) -> None:
    """Write the words that a catalogue knows into the schemas of requests, and add those of the words."""
    # a row that is no question is answered too, by its error, so that it does not stop the others
    found["Row"] = {**_loose(found["Query"]), "title": "Row"}
    found["BatchRequest"]["properties"]["queries"]["items"] = {"$ref": REF.format(name="Row")}
    for request, fields in request_types(catalogue).items():
        _write(found, request, fields)
    found["ByCategory"]["additionalProperties"] = {"anyOf": [{"type": "number"}, {"type": "string"}]}
    # generators of clients make a class of each table that is written out, and none of those of patterns
    values: dict[str, Schema] = {name: kind["anyOf"][0] for name, kind in found["Inputs"]["properties"].items()}
    values = {name: {key: part for key, part in kind.items() if key != "description"} for name, kind in values.items()}
    sides = {name: {"anyOf": [values[name], {"type": "null"}]} for name in found["Limits"]["properties"]}
    found["Inputs"]["patternProperties"] = _by_kind(values, lambda kind: {"additionalProperties": kind})
    found["Limits"]["patternProperties"] = _by_kind(sides, lambda kind: {"properties": {"low": kind, "high": kind}})
    # written out, as schemathesis 4.32 cannot generate from references here ("not supported in canonical form")
    shape, config = (msgspec.json.schema_components([kind])[1][name] for name, kind in model_types().items())
    config["allOf"] = [{"anyOf": [{"required": [key]} for key in CONFIG_MARKS if key not in SHAPE]}]
    found["Query"]["properties"]["model"]["anyOf"] = [shape, config, {"type": "null"}]
    if hardware := hardware_by_precisions(catalogue):
        _need_together(found["EnergyRequest"], found["FrontierRequest"], hardware)


def _write(found: dict[str, Schema], request: str, fields: Fields) -> None:
    """Write the types of fields into the schema of a request, beside descriptions and defaults, and add new objects."""
    had = found[request]["properties"]
    for field, kind in fields.items():
        (schema,), parts = msgspec.json.schema_components([kind], ref_template=REF)
        had[field] = {key: had[field][key] for key in ("description", "default") if key in had[field]} | schema
        found.update({name: part for name, part in parts.items() if name not in found})


def _need_together(energy: Schema, frontier: Schema, hardware: Mapping[tuple[str, ...], list[str]]) -> None:
    """Write which sizes or budgets are needed, and which accelerators have which precisions."""
    lists = [
        _pair({"contains": {"enum": names}}, {"contains": {"enum": [*group]}}) for group, names in hardware.items()
    ]
    energy["required"] = ["tokens", "hardware"]
    energy["allOf"] = [
        {"anyOf": [_given("n_params"), _given("n_active_params")]},
        {"anyOf": [{"properties": {"precision": {"maxItems": 0}}}, *lists]},
    ]
    frontier["allOf"] = [
        {"anyOf": [_given(kind, *needs, without=_BUDGETS.keys() - {kind}) for kind, needs in _BUDGETS.items()]},
        {"anyOf": [_pair({"enum": names}, {"enum": [*group, None]}) for group, names in hardware.items()]},
    ]
    del energy["properties"]["model"], frontier["properties"]["law"]


def _loose(record: Schema) -> Schema:
    """Return the schema of a record whose fields may hold anything, and which may have others."""
    fields = {name: {"description": field.get("description", "")} for name, field in record["properties"].items()}
    return {"type": "object", "description": record.get("description", ""), "properties": fields}


def _pair(hardware: Schema, precision: Schema) -> Schema:
    return {"properties": {"hardware": hardware, "precision": precision}}


def _given(*names: str, without: Iterable[str] = ()) -> Schema:
    """Return the schema of objects that have numbers at `names`, and nothing or null at those of `without`."""
    kinds = {**dict.fromkeys(names, "number"), **dict.fromkeys(sorted(without), "null")}
    return {"required": list(names), "properties": {name: {"type": kind} for name, kind in kinds.items()}}


def _by_kind(kinds: Mapping[str, Schema], schema: Callable[[Schema], Schema]) -> dict[str, Schema]:
    """Return a schema made of each kind of value, by a pattern of the names of all quantities that have this kind."""
    groups: dict[bytes, list[str]] = {}
    for name, kind in kinds.items():
        groups.setdefault(msgspec.json.encode(kind), []).append(name)
    return {f"^({'|'.join(names)})$": schema(msgspec.json.decode(kind)) for kind, names in groups.items()}
