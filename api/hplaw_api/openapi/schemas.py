"""The records as JSON Schema, with the words that this service knows written into them."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

import msgspec

from hplaw.catalogue.catalogue import Catalogue
from hplaw.catalogue.listing import STATUSES, known_quantities
from hplaw.messages.device import DeviceEnergy, DeviceEnergyRequest
from hplaw.messages.energy import EnergyReply, EnergyRequest, Frontier, FrontierRequest, HardwareRecord
from hplaw.messages.law import Health, LawRecord, LawSummary, QuantityRecord
from hplaw.messages.parametrization import AbcReply, AbcRequest, LayerTable, ParametrizeRequest
from hplaw.messages.problem import Problem
from hplaw.messages.query import BatchRequest, EvaluateRequest, Query
from hplaw.messages.recommendation import BatchReply, Evaluation, Recommendation
from hplaw.messages.schedule import ScheduleCurve, ScheduleRequest
from hplaw.messages.theory import Theory
from hplaw.messages.transfer import Transfer, TransferRequest
from hplaw.parametrization.abc_regime import ROLES
from hplaw.parametrization.factors import OPTIMIZERS, PARAMETRIZATIONS
from hplaw.theory.batch_transfer import may_be_given
from hplaw.theory.schedules import GIVEN_APART, SCHEDULES, schedule_laws
from hplaw.vocabulary.model_shape import CONFIG_KEYS, CONFIG_MARKS, SHAPE
from hplaw.vocabulary.quantities import Quantity
from hplaw_api.openapi.energy_schemas import narrow_energy


Schema: TypeAlias = dict[str, Any]

_PREFIX = "#/components/schemas/"
_RECORDS = (
    AbcReply,
    AbcRequest,
    BatchReply,
    BatchRequest,
    DeviceEnergy,
    DeviceEnergyRequest,
    EnergyReply,
    EnergyRequest,
    EvaluateRequest,
    Evaluation,
    Frontier,
    FrontierRequest,
    HardwareRecord,
    Health,
    LawRecord,
    LawSummary,
    LayerTable,
    ParametrizeRequest,
    Problem,
    QuantityRecord,
    Query,
    Recommendation,
    ScheduleCurve,
    ScheduleRequest,
    Theory,
    Transfer,
    TransferRequest,
)

EXPONENT = r"^-?(0|[1-9][0-9]{0,197})(/[1-9][0-9]{0,197})?$"
"""An exponent written as a fraction, as long as exact arithmetic takes it."""

ADDRESS: Schema = {
    "type": "string",
    "pattern": r"^[a-z0-9]+(-[a-z0-9]+)*(@[0-9]+(\+[0-9a-f]{12})?)?$",
    "maxLength": 200,
    "description": "a law: id, id@version or id@version+digest",
}
"""How a law is addressed."""


def reference(name: str) -> Schema:
    """Return the schema that stands for the component `name`."""
    return {"$ref": _PREFIX + name}


def components(catalogue: Catalogue) -> dict[str, Schema]:
    """Return the schemas of all records by name."""
    _, found = msgspec.json.schema_components(_RECORDS, ref_template=_PREFIX + "{name}")
    for schema in found.values():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
        for field in schema.get("properties", {}).values():
            _say_items(field)
    words = known_quantities(catalogue)
    found["Quantity"] = {"type": "string", "enum": list(words), "description": "the name of a quantity"}
    found["Given"] = {
        "type": "object",
        "description": "values of quantities, each of which is then fixed; a loss to reach is `target_loss`",
        "properties": {name: value_schema(word) for name, word in words.items() if name != "loss"},
        "additionalProperties": False,
    }
    found["ByCategory"] = {
        "type": "object",
        "description": "a value for each category, by its name",
        "additionalProperties": {"anyOf": [{"type": "number"}, {"type": "string"}]},
    }
    found["Inputs"] = _inputs(words)
    found["Limits"] = _limits({name: word for name, word in words.items() if not word.categorical})
    del found["BatchRequest"]["properties"]["queries"]["maxItems"]
    found["BatchRequest"]["properties"]["queries"]["items"] = reference("Row")
    # a row with a word that does not exist is answered, by its error, so that it does not stop the others
    found["Row"] = {**copy.deepcopy(found["Query"]), "title": "Row"}
    asked = found["Query"]["properties"]
    asked["given"] = reference("Given")
    asked["bounds"] = reference("Limits")
    found["Shape"], found["Config"] = _shape(words), _config(words)
    # written out, as schemathesis 4.32 cannot generate from references here ("not supported in canonical form")
    kinds = [found["Shape"], found["Config"], {"type": "null"}]
    asked["model"] = {"anyOf": kinds, "default": None, "description": "a model's shape"}
    found["EvaluateRequest"]["properties"]["given"] = reference("Inputs")
    asked["want"] = {
        "type": "array",
        "items": reference("Quantity"),
        "default": [],
        "description": "what to answer; everything that can be when empty",
    }
    asked["laws"] = {
        "type": "array",
        "items": ADDRESS,
        "default": [],
        "description": "laws preferred for the quantities that they can give",
    }
    asked["optimizer"] = {**_named(words["optimizer"]), "default": "adamw"}
    for name in ("precision", "hardware"):
        asked[name] = {"anyOf": [_named(words[name]), {"type": "null"}], "default": None}
    _narrow_theory(found, catalogue)
    narrow_energy(found, catalogue)
    return found


def _narrow_theory(found: dict[str, Schema], catalogue: Catalogue) -> None:
    """Write the words of parametrisations, exponents and schedules into their requests."""
    asked = found["ParametrizeRequest"]["properties"]
    names = [*PARAMETRIZATIONS, *(name.replace("_", "-") for name in PARAMETRIZATIONS if "_" in name)]
    asked["scheme"] = {"type": "string", "enum": names, "default": "mup"}
    asked["optimizer"] = {"type": "string", "enum": list(OPTIMIZERS), "default": "adamw"}
    whole = "a model's config.json as Hugging Face has them"
    for name in ("config", "base_config"):
        asked[name] = {"anyOf": [{"type": "object"}, {"type": "null"}], "default": None, "description": whole}
    exponent = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": EXPONENT}]}
    roles = {
        "type": "object",
        "description": "an exponent for each role: a number, or a fraction such as 1/2",
        "properties": dict.fromkeys(ROLES, exponent),
        "required": list(ROLES),
        "additionalProperties": False,
    }
    asked = found["AbcRequest"]["properties"]
    asked["a"] = asked["b"] = roles
    asked["c"] = {"anyOf": [roles, *exponent["anyOf"]], "default": 0.0}
    asked = found["ScheduleRequest"]["properties"]
    laws = schedule_laws(catalogue)
    asked["schedule"] = {"type": "string", "enum": [*SCHEDULES, *laws]}
    taken = {
        name: value_schema(law.quantity(name))
        for law in laws.values()
        for name in law.inputs
        if name not in GIVEN_APART and not law.quantity(name).categorical
    }
    also = {name: value_schema(word) for name, word in may_be_given(catalogue).items()}
    found["TransferRequest"]["properties"]["given"] = {
        "type": "object",
        "description": "what else is known, at the batch that was tuned",
        "properties": also,
        "additionalProperties": False,
        "default": {},
    }
    found["TransferRequest"]["properties"]["optimizer"] = {
        **_named(known_quantities(catalogue)["optimizer"]),
        "default": "adamw",
    }
    asked["given"] = {
        "type": "object",
        "description": "what the schedule takes beside its length and peak",
        "properties": taken,
        "additionalProperties": False,
        "default": {},
    }


def value_schema(quantity: Quantity) -> Schema:
    """Return the schema of a quantity's value, its unit in the description."""
    if quantity.categorical:
        return _named(quantity)
    unit = "" if quantity.unit in {"", "1"} else f", in {quantity.unit}"
    schema: Schema = {"type": "number", "description": quantity.meaning + unit}
    if quantity.low is not None:
        schema["exclusiveMinimum" if quantity.open_low else "minimum"] = quantity.low
    if quantity.high is not None:
        schema["exclusiveMaximum" if quantity.open_high else "maximum"] = quantity.high
    return schema


def status_schema() -> Schema:
    """Return the schema of a law's status."""
    return {"type": "string", "enum": list(STATUSES)}


def _named(quantity: Quantity) -> Schema:
    schema: Schema = {"type": "string", "description": quantity.meaning}
    if quantity.categories:
        schema["enum"] = list(quantity.categories)
    return schema


def _inputs(words: Mapping[str, Quantity]) -> Schema:
    """Return the schema of a law's inputs, each a value or a table; the bounds of a table's values are apart.

    Generators of clients make a class of each table that is written out here, and none of those in `patternProperties`.
    """
    return {
        "type": "object",
        "description": "values for the inputs of one law, one value or one for each category",
        "properties": {name: _one_or_table(value_schema(word)) for name, word in words.items()},
        "patternProperties": _by_bounds(words, lambda value: {"additionalProperties": value}),
        "additionalProperties": False,
    }


def _one_or_table(value: Schema) -> Schema:
    return {"anyOf": [value, reference("ByCategory")], "description": value["description"]}


def _limits(words: Mapping[str, Quantity]) -> Schema:
    """Return the schema of limits by quantity; the bounds of the limits are apart, as those of tables are."""
    return {
        "type": "object",
        "description": "limits of quantities that the decision may choose",
        "properties": {name: {**reference("Bounds"), "description": word.meaning} for name, word in words.items()},
        "patternProperties": _by_bounds(
            words, lambda value: {"properties": {"low": _or_null(value), "high": _or_null(value)}}
        ),
        "additionalProperties": False,
    }


def _by_bounds(words: Mapping[str, Quantity], schema: Callable[[Schema], Schema]) -> dict[str, Schema]:
    """Return `schema` of a value, by a pattern of the names of all quantities that have this value."""
    groups: dict[bytes, list[str]] = {}
    for name, word in words.items():
        value = {key: item for key, item in value_schema(word).items() if key != "description"}
        groups.setdefault(msgspec.json.encode(value), []).append(name)
    return {f"^({'|'.join(names)})$": schema(msgspec.json.decode(value)) for value, names in groups.items()}


def _say_items(field: Schema) -> None:
    """Say that a list without a word of its items may have any, which generators of clients need."""
    for part in (field, *field.get("anyOf", ())):
        if part.get("type") == "array":
            part.setdefault("items", {})
        for inside in (part.get("items"), part.get("additionalProperties")):
            if isinstance(inside, dict):
                _say_items(cast("Schema", inside))


def _shape(words: Mapping[str, Quantity]) -> Schema:
    return {
        "title": "Shape",
        "type": "object",
        "description": "a model's shape in the vocabulary's words",
        "properties": {name: _or_null(value_schema(words[name])) for name in SHAPE},
        "additionalProperties": False,
    }


def _config(words: Mapping[str, Quantity]) -> Schema:
    """Return the schema of a config.json, which has many keys more that say nothing of size."""
    names = {name: name for name in SHAPE} | dict(CONFIG_KEYS)
    return {
        "title": "Config",
        "type": "object",
        "description": "a model's config.json as Hugging Face has them; other keys are passed over",
        "properties": {key: _or_null(value_schema(words[name])) for key, name in names.items()},
        "allOf": [{"anyOf": [{"required": [key]} for key in CONFIG_MARKS if key not in SHAPE]}],
    }


def _or_null(value: Schema) -> Schema:
    return {"anyOf": [value, {"type": "null"}]}
