"""The JSON schema of sweep files: the shipped one is what is made, and it knows right files from wrong ones."""

import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import hplaw_experiments
from hplaw_experiments.sweep.schema import FILE, schema_text, sweep_schema, trial_fields
from hplaw_experiments.trial import SweepSpec, Trial


EXPERIMENTS = Path(hplaw_experiments.__file__).parent
SPECS = sorted([*(EXPERIMENTS.parent / "specs").glob("*.toml"), *(EXPERIMENTS / "presets").glob("*.toml")])
GOOD: dict[str, Any] = {
    "name": "good",
    "model": {"family": "mlp", "width": 16},
    "data": {"source": "digits"},
    "training": {"steps": 20},
    "space": {"peak_lr": {"log_grid": [1e-3, 1e-1, 3]}, "batch_tokens": [16, 64]},
}


def problems(spec: dict[str, Any]) -> list[Any]:
    return list(jsonschema.Draft7Validator(sweep_schema()).iter_errors(spec))


def test_the_shipped_schema_is_what_is_made() -> None:
    """Made again by `hplaw sweep schema --to`."""
    assert FILE.read_text(encoding="utf-8") == schema_text()
    jsonschema.Draft7Validator.check_schema(sweep_schema())


@pytest.mark.parametrize("file", SPECS, ids=lambda file: file.stem)
def test_shipped_sweeps_fit_the_schema_that_they_name(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not problems(tomllib.loads(text))
    hint = text.partition("\n")[0]
    assert (file.parent / hint.removeprefix("#:schema ")).resolve() == FILE.resolve()


@pytest.mark.parametrize(
    "space",
    [
        {"width": {"choice": [8, 16]}},
        {"warmup_fraction": {"grid": [0, 0.5, 3]}},
        {"peak_lr": {"log_range": [1e-4, 1e-2]}},
        {"optimizer": ["sgd", {"value": "adam", "with": {"beta2": [0.9, 0.99]}}]},
        {"size": [{"with": {"width": 8, "n_layers": 2}}, {"with": {"width": 16, "n_layers": 4}}]},
        {"tokens_per_param": [10, 20], "schedule": ["wsd", "inverse-sqrt"]},
    ],
)
def test_spaces_of_every_form_fit(space: dict[str, Any]) -> None:
    assert not problems({**GOOD, "space": space})


@pytest.mark.parametrize(
    "change",
    [
        {"nam": "x"},
        {"model": {"widht": 16}},
        {"model": {"width": "wide"}},
        {"model": {"optimizer": "sgd"}},
        {"data": {"source": "digit"}},
        {"training": {"seed": 1}},
        {"training": {"optimizer": "adma"}},
        {"space": {"peak_lr": {"log_grid": [1e-3, 1e-1]}}},
        {"space": {"peak_lr": {"lg_grid": [1e-3, 1e-1, 3]}}},
        {"space": {"peek_lr": [1e-3]}},
        {"space": {"seed": [1, 2]}},
        {"walker": {"kind": "gird"}},
        {"metered": "yes"},
    ],
    ids=str,
)
def test_mistakes_do_not_fit(change: dict[str, Any]) -> None:
    assert not problems(GOOD)
    assert problems({**GOOD, **change})


def test_every_field_has_a_type_and_a_description() -> None:
    schema = sweep_schema()
    named = {name for table in ("model", "data", "training") for name in schema["properties"][table]["properties"]}
    assert len(named) == len(Trial.__struct_fields__) + 1  # steps and tokens_per_param more, and no seed of training
    assert set(schema["properties"]) == set(SweepSpec.__struct_fields__)
    for field in (*trial_fields().values(), *schema["properties"].values()):
        assert field.get("description")
    for name, field in trial_fields().items():
        assert {"type", "enum", "anyOf"} & set(field), name
