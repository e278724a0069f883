"""The JSON schema of a sweep file, for editors: msgspec's of `SweepSpec`, with the fields that its tables take.

msgspec knows a table of any values; which fields `model`, `data`, `training` and `space` take follows from `Trial`, the
words of a space from its reader, and what each means from the docstrings.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from hplaw.evaluation.rates import SCHEDULES
from hplaw.parametrization.factors import PARAMETRIZATIONS
from hplaw_experiments.sweep.plan import DATA_NAMES
from hplaw_experiments.trial import SweepSpec, Trial, Walker


FILE = Path(__file__).with_name("sweep.schema.json")
"""The schema as it is shipped."""

MODEL = (
    "family",
    "width",
    "n_layers",
    "d_ff",
    "n_heads",
    "n_kv_heads",
    "seq_len",
    "tied_embedding",
    "activation",
    "parametrization",
    "base_width",
    "base_n_layers",
)
"""The fields that belong into the table `model`; those of `data` have names of their own, all others are `training`."""

LENGTH_WORDS = {
    "steps": "Optimizer steps, in place of tokens.",
    "tokens_per_param": "Training tokens over parameters without embedding, in place of tokens.",
}
"""What says how long a trial is, beside tokens."""

Schema = dict[str, Any]


def sweep_schema() -> Schema:
    """Return the schema.

    >>> sorted(sweep_schema()["properties"]["training"]["properties"])[:3]
    ['adam_epsilon', 'batch_tokens', 'beta1']
    """
    whole = msgspec.json.schema(SweepSpec)["$defs"]
    root, walker = whole["SweepSpec"], whole["Walker"]
    for part, kind in ((root, SweepSpec), (walker, Walker)):
        part["description"] = _first(kind)
        _describe(part["properties"], kind)
    fields = trial_fields()
    names = {
        "model": {name: fields[name] for name in MODEL},
        "data": {short: fields[name] for short, name in DATA_NAMES.items()},
        "training": {name: fields[name] for name in fields if name not in (*MODEL, *DATA_NAMES.values(), "seed")},
    }
    for table, own in names.items():
        root["properties"][table] |= {"properties": own, "additionalProperties": False}
    root["properties"]["space"] |= {
        "properties": {name: _varied(field) for name, field in fields.items() if name != "seed"},
        "additionalProperties": {"$ref": "#/$defs/together"},
    }
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "A sweep of hplaw"}
    return head | {k: v for k, v in root.items() if k != "title"} | {"$defs": {"Walker": walker} | _nodes()}


def trial_fields() -> dict[str, Schema]:
    """Return the schema of each field that a sweep may set, the words for a trial's length among them."""
    from hplaw_experiments.data.load import SOURCES
    from hplaw_experiments.models.layers import ACTIVATIONS
    from hplaw_experiments.training.optim import OPTIMIZERS

    fields: dict[str, Schema] = msgspec.json.schema(Trial)["$defs"]["Trial"]["properties"]
    _describe(fields, Trial)
    for name, text in LENGTH_WORDS.items():
        fields[name] = {"type": "number", "description": text}
    del fields["seq_len"]["default"]  # that of a sweep of Transformers is another
    for name, words in (("activation", ACTIVATIONS), ("data", SOURCES), ("optimizer", OPTIMIZERS)):
        fields[name] |= {"enum": list(words)}
    for name, words in (("parametrization", PARAMETRIZATIONS), ("schedule", SCHEDULES)):
        fields[name].pop("type")  # laws of your own have names, too
        fields[name] |= {"anyOf": [{"enum": list(words)}, {"type": "string"}]}
    return fields


def schema_text() -> str:
    """Return the schema as the text of its file."""
    return msgspec.json.format(msgspec.json.encode(sweep_schema()), indent=2).decode() + "\n"


def descriptions(kind: type) -> dict[str, str]:
    """Return what the docstring of a type says of its fields, by their names.

    >>> descriptions(Walker)["eta"]
    'of `halving`: the better share `1 / eta` goes on, with `eta` times the tokens.'
    """
    text = inspect.getdoc(kind) or ""
    found: dict[str, str] = {}
    for names, words in re.findall(r"^- ((?:`\w+`(?:, )?)+): (.*?)(?=^- |\n\n|\Z)", text, re.MULTILINE | re.DOTALL):
        for name in re.findall(r"`(\w+)`", names):
            found[name] = " ".join(words.split())
    return found


def _first(kind: type) -> str:
    return (inspect.getdoc(kind) or "").partition("\n")[0]


def _describe(properties: Mapping[str, Schema], kind: type) -> None:
    for name, text in descriptions(kind).items():
        if name in properties:
            properties[name]["description"] = text


def _varied(field: Schema) -> Schema:
    """Return the schema of a field of the space: a value, a list of choices, or a node."""
    value = {key: item for key, item in field.items() if key not in ("description", "default")}
    options = {"anyOf": [value, {"$ref": "#/$defs/node"}]}
    several = {"type": "array", "minItems": 1, "items": options}
    told = {"description": field["description"]} if "description" in field else {}
    return told | {"anyOf": [value, several, {"$ref": "#/$defs/node"}]}


def _nodes() -> dict[str, Schema]:
    """Return the schemas of the nodes of a space."""
    number: Schema = {"type": "number"}
    grid = {"type": "array", "items": [number, number, {"type": "integer", "minimum": 1}], "minItems": 3, "maxItems": 3}
    ends = {"type": "array", "items": number, "minItems": 2, "maxItems": 2}
    several: Schema = {"type": "array", "minItems": 1}
    bodies: dict[str, tuple[str, dict[str, Schema], list[str]]] = {
        "choice": ("One of several values or nodes.", {"choice": several}, ["choice"]),
        "grid": ("[low, high, points]: numbers at equal distances, both ends included.", {"grid": grid}, ["grid"]),
        "log_grid": ("[low, high, points]: numbers at equal ratios.", {"log_grid": grid}, ["log_grid"]),
        "range": ("[low, high]: any number between, for random and sobol.", {"range": ends}, ["range"]),
        "log_range": ("[low, high]: any number between, even in its logarithm.", {"log_range": ends}, ["log_range"]),
        "subset": (
            "So many of the options, in their order.",
            {"subset": {"type": "integer", "minimum": 0}, "of": several},
            ["subset", "of"],
        ),
        "permutation": ("The options in any order.", {"permutation": several}, ["permutation"]),
        "case": (
            "A value that brings further fields of a trial; without a value the fields alone.",
            {"value": {}, "with": {"type": "object"}},
            ["with"],
        ),
    }
    nodes = {
        name: {
            "description": text,
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }
        for name, (text, properties, required) in bodies.items()
    }
    alone = {
        "type": "object",
        "properties": {"with": {"type": "object"}},
        "required": ["with"],
        "additionalProperties": False,
    }
    choices = {"type": "object", "properties": {"choice": {"type": "array", "items": alone}}, "required": ["choice"]}
    return nodes | {
        "node": {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in nodes]},
        "together": {
            "description": "Fields that vary together, under a name of your own: [{ with = { width = 32, n_layers = 2 } }].",
            "anyOf": [
                {"type": "array", "items": alone, "minItems": 1},
                alone,
                choices | {"additionalProperties": False},
            ],
        },
    }
