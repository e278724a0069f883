"""What requests may hold, given the laws served: the types of their fields, narrowed to the words that there are.

The records of hplaw.messages take any name, so that a wrong one gets a sentence; these types are what the interface's
description is made from. They name what always has an answer; the service takes more, such as other names of an accelerator.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType

from hplaw.answer.muon import ADAMW
from hplaw.catalogue.catalogue import Catalogue
from hplaw.catalogue.listing import full_quantities
from hplaw.energy.training import hardware_records
from hplaw.errors import LawNotFound
from hplaw.evaluation.rates import SCHEDULES
from hplaw.messages.compare import MOST_OPTIONS
from hplaw.messages.device import Probe
from hplaw.messages.energy import Prices
from hplaw.messages.layout import SHAPE_WORDS, LayoutRequest
from hplaw.messages.pruning import LIMITS, POSITIVE
from hplaw.messages.query import Bounds
from hplaw.messages.query_text import DAYS, OTHERS, SECONDS_A_DAY, TUNED, TUNED_BASE
from hplaw.parametrization.abc_regime import ROLES
from hplaw.parametrization.factors import OPTIMIZERS, PARAMETRIZATIONS
from hplaw.pruning.regime_map import is_regime_map
from hplaw.theory.batch_transfer import may_be_given, shape_sizes
from hplaw.theory.schedule_losses import laws_of_steps
from hplaw.theory.schedules import GIVEN_APART, schedule_laws
from hplaw.vocabulary.config_reading import CONFIG_KEYS, SHAPE
from hplaw.vocabulary.quantities import Quantity, vocabulary
from hplaw.vocabulary.value_types import limits_pattern, meaning_and_unit, value_pattern, value_type
from hplaw_api.query_string import LAYOUT_NAMES, LAYOUT_PARAMETERS


ADDRESS = r"^[a-z0-9]+(-[a-z0-9]+)*(@[0-9]+(\+[0-9a-f]{12})?)?$"
"""How a law is addressed: id, id@version or id@version+digest."""

_EXPONENT = float | Annotated[str, Meta(pattern=r"^-?(0|[1-9][0-9]{0,197})(/[1-9][0-9]{0,197})?$")]
"""A number, or a fraction as long as exact arithmetic takes it."""

_ENERGY = (
    "seq_len",
    "energy_scope",
    "hours_basis",
    "tokens_per_device_s",
    "measured_board_w",
    "pue",
    "price_per_hour",
    "carbon_g_per_kwh",
    "carbon_year",
)
"""What narrows an answer about energy, of the quantities that may be given."""

Fields = dict[str, Any]


def request_types(catalogue: Catalogue) -> dict[str, Fields]:
    """Return the types of fields by request and name."""
    words = full_quantities(catalogue)
    values = {name: value_type(word) for name, word in words.items()}
    texts = {name: _by_pattern(word) for name, word in words.items()}
    limits = {name: Annotated[Bounds, Meta(description=words[name].meaning)] for name in _numbers(words)}
    given = {name: kind for name, kind in values.items() if name != "loss"}
    about = "values of quantities, each of which is then fixed; a loss to reach is `target_loss`"
    asked = {
        "given": _fields("Given", given, about),
        "bounds": _fields("Limits", limits, "limits of quantities that the decision may choose"),
        "want": list[_names("Quantity", words, "the name of a quantity")],
        "laws": list[Annotated[str, Meta(pattern=ADDRESS, max_length=200)]],
        "optimizer": values["optimizer"],
        "precision": values["precision"] | None,
        "hardware": values["hardware"] | None,
    }
    table = _fields("ByCategory", {}, "a value for each category, by its name")
    either = {
        name: Annotated[texts[name] | table, Meta(description=meaning_and_unit(word))] for name, word in words.items()
    }
    about = "values for the inputs of one law, one value or one for each category"
    several = {
        name: Annotated[list[kind], Meta(min_length=2, max_length=MOST_OPTIONS)]
        for name, kind in texts.items()
        if name != "loss"
    }
    return {
        "Query": asked,
        "CompareRequest": {"compare": _fields("Compared", several, "one quantity and its values")},
        "EvaluateRequest": {"given": _fields("Inputs", either, about)},
        "DeviceEnergyRequest": {"probes": Annotated[list[Probe], Meta(min_length=3, max_length=3)]},
        **_pruning(catalogue),
        **_theory(catalogue, values["optimizer"]),
        **_energy(catalogue, values),
    }


def query_string_types(catalogue: Catalogue) -> Fields:
    """Return the types of what a query string writes in its own way: days, the country, compute, pairs `name=value`."""
    words = full_quantities(catalogue)
    given = _one_of({name: value_pattern(word) for name, word in words.items() if name != "loss"})
    bound = _one_of({name: limits_pattern(word) for name, word in words.items() if not word.categorical})
    high = words["duration_s"].high
    longest: dict[str, Any] = {} if high is None else {"le": math.floor(high / SECONDS_A_DAY)}
    pairs = {word: f"{word}={value_pattern(words[name])}" for word, name in TUNED.items()}
    tuned = rf"^{pairs['lr']}(,({'|'.join(pair for word, pair in pairs.items() if word != 'lr')}))+$"
    base = "a rate that was tuned, and where: `lr=1e-3,batch=256` or `lr=3e-3,width=256`; the answer starts from it"
    about = "another quantity, `name=value`, for example `weight_decay=0.1`; several times for several"
    limits = "limits of a quantity, `name=LOW..HIGH`, either side may be empty, for example `batch_tokens=1M..4M`"
    return {
        DAYS: Annotated[float, Meta(gt=0, description="time that the run may take, in days", **longest)],
        **{name: value_type(words[name]) for name in OTHERS},
        TUNED_BASE: Annotated[str, Meta(pattern=tuned, description=base)],
        "given": Annotated[list[Annotated[str, Meta(pattern=given)]], Meta(description=about)],
        "bound": Annotated[list[Annotated[str, Meta(pattern=bound)]], Meta(description=limits)],
    }


def layout_parameters(catalogue: Catalogue) -> list[Fields]:
    """Return the parameters of a question for layouts, as a query string asks it: the model by the words of its shape."""
    asked: Fields = get_type_hints(LayoutRequest, include_extras=True)
    asked |= {name: value_type(vocabulary()[name]) for name in SHAPE_WORDS}
    asked |= {name: value_type(full_quantities(catalogue)[name]) for name in LAYOUT_NAMES}
    needed = [field.name for field in msgspec.structs.fields(LayoutRequest) if field.required]
    found = [query_parameter(name, msgspec.json.schema(asked[name])) for name in LAYOUT_PARAMETERS]
    return [{**item, "required": item["name"] in needed} for item in found]


def query_parameter(name: str, schema: Fields) -> Fields:
    """Return a field of a question as a parameter: without null, which a query string cannot write."""
    kind = next((kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"), schema)
    suffixed = "; digits may have a suffix k, M, B or T" if kind.get("type") == "number" and name != DAYS else ""
    about = kind.get("description", schema.get("description", "")) + suffixed
    return {"name": name, "in": "query", "description": about, "schema": kind}


def model_types() -> Fields:
    """Return the two types of models: in the vocabulary's words, and as Hugging Face has them, with any other keys."""
    shape = {name: value_type(vocabulary()[name]) | None for name in SHAPE}
    config = {key: shape[name] for key, name in ({name: name for name in SHAPE} | dict(CONFIG_KEYS)).items()}
    about = "a model's config.json as Hugging Face has them; other keys are passed over"
    return {
        "Shape": _fields("Shape", shape, "a model's shape in the vocabulary's words"),
        "Config": _fields("Config", config, about, others=True),
    }


def hardware_by_precisions(catalogue: Catalogue) -> dict[tuple[str, ...], list[str]]:
    """Return the accelerators with a published power, by the precisions they have; none where laws shadow or lack them."""
    found: dict[tuple[str, ...], list[str]] = {}
    with contextlib.suppress(LawNotFound):
        for item in hardware_records(catalogue):
            if item.board_power_w is not None:
                found.setdefault(tuple(item.peak_flop_per_s), []).append(item.name)
    return found


def _pruning(catalogue: Catalogue) -> dict[str, Fields]:
    """Return the types of a case to prune, and the maps that there are."""
    case: Fields = {}
    for name, (low, high) in LIMITS.items():
        least: dict[str, Any] = {"gt": low} if name in POSITIVE else {"ge": 2 if name == "retrains" else low}
        number: Any = Annotated[float, Meta(le=high, **least)]
        case[name] = number | None
    maps = tuple(law.id for law in catalogue.laws if is_regime_map(law))
    named: Fields = {"map": Literal[maps]} if maps else {}
    # the cases of a list may hold any numbers: a wrong one is answered by its row
    return {"PruneRequest": case | named}


def _theory(catalogue: Catalogue, optimizer: Any) -> dict[str, Fields]:
    """Return the types of parametrizations, exponents, schedules and transfers."""
    about = "an exponent for each role: a number, or a fraction such as 1/2"
    roles = _fields("Roles", dict.fromkeys(ROLES, _EXPONENT), about, needed=True)
    laws = schedule_laws(catalogue)
    taken = {name: law.quantity(name) for law in laws.values() for name in law.inputs if name not in GIVEN_APART}
    also = {**may_be_given(catalogue), **shape_sizes()}
    before: Any = Literal[ADAMW]
    before = before | None
    about = "what the schedule takes beside its length and peak"
    return {
        "ParametrizeRequest": {
            "scheme": Literal[PARAMETRIZATIONS],
            "optimizer": Literal[OPTIMIZERS],
            "from_optimizer": before,
        },
        "AbcRequest": {"a": roles, "b": roles, "c": roles | _EXPONENT},
        "ScheduleRequest": {
            "schedule": Literal[(*SCHEDULES, *laws)],
            "given": _fields("ScheduleGiven", _numbers(taken), about),
        },
        "ScheduleCompareRequest": {
            "schedules": Annotated[list[Literal[(*SCHEDULES, *laws)]], Meta(max_length=32)],
            "given": _fields("ScheduleCompareGiven", _numbers(taken), "what the schedules take beside length and peak"),
            "law": Literal[tuple(laws_of_steps(catalogue)) or ("schedule-loss",)],
        },
        "TransferRequest": {
            "given": _fields("TransferGiven", _numbers(also), "what else is known, at the batch that was tuned"),
            "optimizer": optimizer,
            "from_optimizer": before,
        },
    }


def _energy(catalogue: Catalogue, values: Fields) -> dict[str, Fields]:
    """Return the types of requests of energy, if there are accelerators."""
    groups = hardware_by_precisions(catalogue)
    if not groups:
        return {}
    hardware = _names("HardwareName", [name for names in groups.values() for name in names], "an accelerator")
    formats = dict.fromkeys(name for group in groups for name in group)
    precision = _names("PrecisionName", formats, "a number format of matrix products")
    known = {name: values[name] for name in _ENERGY if name in values}
    given = _fields("EnergyGiven", known, "what else is known; any quantity is taken")
    countries: Any = Literal[tuple(sorted(catalogue.get("grid-carbon").spec.tables["intensity"]))]
    named = {"propertyNames": {"enum": [name for names in groups.values() for name in names]}}
    prices = Annotated[Prices, Meta(extra_json_schema=named)]
    return {
        "EnergyRequest": {
            "prices": prices,
            "tokens": Annotated[float, Meta(ge=1, le=1e22)],
            "hardware": Annotated[list[hardware], Meta(min_length=1, max_length=8)],
            "precision": Annotated[list[precision], Meta(max_length=8)],
            "country": countries | None,
            "given": given,
        },
        "FrontierRequest": {"hardware": hardware, "precision": precision | None, "given": given},
        "ParetoRequest": {
            "hardware": Annotated[list[hardware], Meta(min_length=1, max_length=8)],
            "precision": Annotated[list[precision], Meta(max_length=8)],
            "prices": prices,
            "given": given,
        },
        "MeteredRun": {"hardware": hardware | None, "precision": precision | None},
    }


def _numbers(words: Mapping[str, Quantity]) -> Fields:
    return {name: value_type(word) for name, word in words.items() if not word.categorical}


def _one_of(patterns: Mapping[str, str]) -> str:
    """Return a regular expression of `name=value`, from those of the values by name."""
    names: dict[str, list[str]] = {}
    for name, pattern in patterns.items():
        names.setdefault(pattern, []).append(name)
    kinds = [f"({'|'.join(group)})={pattern}" for pattern, group in names.items()]
    return f"^({'|'.join(kinds)})$"


def _by_pattern(word: Quantity) -> Any:
    """Return the type of a quantity's values with names as a pattern, of which generators of clients make no class."""
    if not (word.categorical and word.categories):
        return value_type(word)
    names = "|".join(map(re.escape, word.categories))
    return Annotated[str, Meta(pattern=f"^({names})$", description=word.meaning)]


def _names(title: str, names: Iterable[str], about: str) -> Any:
    kind = Enum(title, [(f"name{k}", name) for k, name in enumerate(names)])
    kind.__doc__ = about
    return kind


def _fields(title: str, fields: Fields, about: str, *, needed: bool = False, others: bool = False) -> Any:
    """Return a type of objects with these fields.

    **Arguments:**

    - `about`: its description.
    - `needed`: true where no field may be omitted.
    - `others`: true where there may be other fields.
    """
    made = [(name, kind) if needed else (name, kind | UnsetType, UNSET) for name, kind in fields.items()]
    return msgspec.defstruct(title, made, namespace={"__doc__": about}, forbid_unknown_fields=not others)
