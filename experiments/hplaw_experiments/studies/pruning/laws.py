"""The laws of the study: a map of regimes, the law of error and connectivity, and the same analysis on planted cells."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from hplaw.answer.answer import answer
from hplaw.catalogue.catalogue import Catalogue, load_catalogue
from hplaw.fit.check.judge import judge
from hplaw.fit.check.learned_map import Learned
from hplaw.fit.infer.fitting import Fitted, fit_law
from hplaw.fit.output.card import Provenance, write_card
from hplaw.fit.output.law_folder import write_folder
from hplaw.fit.output.map_folder import examples_at, write_learned
from hplaw.law import Law, parse_law
from hplaw.law.format import ExampleSpec, LawSpec, SourceSpec
from hplaw.law.write import write_law
from hplaw.messages.pruning import PUBLISHED_MAP


OUR_SOURCE = SourceSpec(
    title="The pruning study of hplaw", authors="hplaw contributors", year=2026, where="docs/studies/pruning.md"
)

NAMES = {"mlp": "digits-mlp", "convnet": "digits-convnet"}
"""What the laws of each family are called behind `pruning-`."""

KINDS = {"mlp": "an MLP 64-256-256-10", "convnet": "a small ConvNet"}

SCALE = "log(max(dense_epochs, 1)) / log(hundred)"
"""Place of a training on the axis of temperature: 0 at one epoch, 1 at a hundred, whose doublings count alike."""


def map_spec(family: str, learned: Learned) -> LawSpec:
    """Return the tables of a family's own map: those of the published one, with other words."""
    like = load_catalogue().get(PUBLISHED_MAP).spec
    assert like.grid is not None
    name = f"pruning-{NAMES[family]}"
    notes = (
        f"Regimes of {KINDS[family]} on scikit-learn's digits with noisy labels, trained, pruned and retrained by the pruning study.\n"
        "Two retrainings are not connected where connectivity is below the study's barrier, and alike where similarity is in the upper\n"
        "part of its range at the density. Epochs are at a constant rate. Networks this small differ from PreResNet-20: prefer the map\n"
        "whose networks are like yours.\n"
    )
    examples = [ExampleSpec(given={"density": d, "dense_epochs": e}) for d, e in examples_at(learned.table.cells)]
    return msgspec.structs.replace(
        like,
        id=name,
        title=f"Regimes of pruning of {KINDS[family]} on digits, by density and epochs before pruning",
        notes=notes,
        source=OUR_SOURCE,
        grid=msgspec.structs.replace(like.grid, error=f"{name}-error"),
        examples=[msgspec.structs.replace(e, expect={}) for e in examples],
        evidence=None,
    )


def error_law(family: str) -> Law:
    """Return the law of error and connectivity to fit to a family: the published map's formulas, epochs by their logarithm."""
    like = load_catalogue().get(f"{PUBLISHED_MAP}-error").spec
    name = f"pruning-{NAMES[family]}-error"
    let = like.let | {"from": SCALE, "to": SCALE.replace("dense_epochs", "to_dense_epochs")}
    spec = msgspec.structs.replace(
        like,
        id=name,
        title=f"Test error of pruned {KINDS[family]} on digits, by density and epochs before pruning",
        notes="Fitted to the cells of the pruning study, means over tuning seeds; epochs by their logarithm, at a constant rate.\n",
        source=OUR_SOURCE,
        let=let,
        evidence=None,
        examples=[ExampleSpec(given={"density": 0.1, "dense_epochs": 16, "to_dense_epochs": 64})],
    )
    return parse_law(write_law(spec).encode())


def fit_error(family: str, found: pl.DataFrame) -> Fitted:
    """Return the law of error and connectivity fitted to cells: the mode of its numpyro model and the normal around it."""
    runs = found.select(
        "density",
        pl.col("epochs").cast(pl.Float64).alias("dense_epochs"),
        pl.col("epochs").cast(pl.Float64).alias("to_dense_epochs"),
        pl.col("test_error").alias("pruned_error"),
        pl.col("lmc").alias("mode_connectivity"),
    )
    return fit_law(error_law(family), runs, method="map")


def slope(fitted: Fitted) -> tuple[float, float, float]:
    """Return median and 90% interval of how the transition moves with the logarithm of density."""
    low, middle, high = np.quantile(fitted.parameters()["transition_density"], [0.05, 0.5, 0.95])
    return float(middle), float(low), float(high)


def change_by(fitted: Fitted) -> Callable[[float, float, float], float]:
    """Return the change of error that the medians of a fit give, from density, epochs before and epochs after."""
    medians = {name: float(np.median(draws)) for name, draws in fitted.parameters().items()}
    spec = fitted.law.spec
    parameters = {
        name: msgspec.structs.replace(item, value=medians.get(name, item.value))
        for name, item in spec.parameters.items()
    }
    law = parse_law(write_law(msgspec.structs.replace(spec, parameters=parameters)).encode())

    def change(density: float, before: float, after: float) -> float:
        known = {"density": density, "dense_epochs": float(before), "to_dense_epochs": float(after)}
        return float(answer(law, known, want=["error_change"], plain=True).values["error_change"])

    return change


def planted(found: pl.DataFrame, *, move: float, noise: float, seed: int) -> pl.DataFrame:
    """Return the cells with connectivity made by a transition that moves by `move` per e-fold of density.

    -0.66 s((T - edge) / 0.12) + noise: the size and the width of the published map's, in the middle of the design.
    """
    rng = np.random.default_rng(seed)
    place = np.log(found["epochs"].to_numpy()) / np.log(100)
    ld = np.log(found["density"].to_numpy() / 0.1)
    made = -0.66 / (1 + np.exp(-(place - 0.6 - move * ld) / 0.12))
    return found.with_columns(pl.Series("lmc", np.clip(made + noise * rng.standard_normal(len(found)), -1, 1)))


def write_laws(
    to: Path, family: str, learned: Learned, fitted: Fitted, *, source: Path, command: str
) -> tuple[Law, Law]:
    """Write the folders of a family's map and of its law of the error; return both laws."""
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    data = f"{source.parent.name}/{source.name}"
    name = f"pruning-{NAMES[family]}"
    spec = map_spec(family, learned)
    regimes = write_learned(to / name, spec, learned, data=data, sha256=sha256, command=command)
    judgement = judge(fitted)
    provenance = Provenance(
        law=f"{name}-error", data=data, maps={}, where="", method="map", seed=0, draws=len(fitted.flat)
    )
    error = write_folder(
        to / f"{name}-error",
        fitted,
        judgement.verdict,
        data=data,
        sha256=sha256,
        accept=True,
        card=lambda law, folder: write_card(law, folder, fitted, judgement, provenance),
    )
    return regimes, error


def evidence_of(law_id: str, catalogue: Catalogue | None = None) -> dict[str, Any]:
    """Return the scores on what was held out that a law carries."""
    law = (catalogue or load_catalogue()).get(law_id)
    return dict(law.spec.evidence.held_out) if law.spec.evidence else {}
