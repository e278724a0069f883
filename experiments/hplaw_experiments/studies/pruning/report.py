"""The page of the pruning study: what was measured, regimes and maps, the transition, the uses, and the published map."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from hplaw.catalogue.catalogue import load_catalogue
from hplaw.errors import DataError
from hplaw.fit.check.learned_map import Learned, learn
from hplaw.messages.pruning import PUBLISHED_MAP
from hplaw.vocabulary.names import REGIMES
from hplaw_experiments.studies.page import StudyPage
from hplaw_experiments.studies.pruning import charts
from hplaw_experiments.studies.pruning.analysis import (
    CLASSES,
    WHERE,
    Paired,
    cell_table,
    choose_models,
    means,
    paired,
    score_advice,
    score_changes,
    with_regimes,
)
from hplaw_experiments.studies.pruning.cells import FILE
from hplaw_experiments.studies.pruning.laws import (
    KINDS,
    NAMES,
    change_by,
    evidence_of,
    fit_error,
    map_spec,
    planted,
    slope,
    write_laws,
)
from hplaw_experiments.studies.pruning.settings import families
from hplaw_experiments.studies.study import StudySpec


PLANTED = (1.0, 0.0)
"""Moves of the transition that are planted, in units of the axis per e-fold of density: about the published one, and none."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What the cells of one family show.

    - `tuned`, `tested`: means over tuning and test seeds with regimes, of epochs at a constant rate.
    - `every`: both of all temperatures; `move` median and interval of the transition's move with density.
    """

    tuned: pl.DataFrame
    tested: pl.DataFrame
    every: tuple[pl.DataFrame, pl.DataFrame]
    learned: Learned | None
    fitted: Any
    move: tuple[float, float, float]
    recovered: list[tuple[float, tuple[float, float, float]]]


def write_report(
    spec: StudySpec, cells: pl.DataFrame, folder: Path, page: Path, *, laws: Path | None, told: Callable[[str], None]
) -> list[Path]:
    """Write the page, its plots, and the laws where a folder is named; return what was written."""
    out = StudyPage("Pruning regimes", page)
    out.text(
        "Which training before pruning is best depends on how much is pruned. Zhou et al. (arXiv:2305.18383) describe three "
        "regimes of pruned and retrained networks: **I**, two retrainings of one pruned network are not linearly connected; "
        "**II-A**, connected but different; **II-B**, connected and alike. In I train hotter (fewer epochs, smaller batch, "
        "larger SAM rho), in II-A cooler, in II-B keep. This page shows how well the regime can be predicted for a density that "
        "was not measured on the published map, and what small networks of our own do."
    )
    out.console("hplaw prune-advice --density 0.1 --epochs 80")
    _published(out)
    written: list[Path] = []
    for name in families(spec):
        here = cells.filter(pl.col("family") == name)
        if not len(here):
            continue
        told(f"{name}: {len(here)} cells")
        found = analyze(spec, here, name, told)
        _own(out, spec, name, here, found)
        if laws is not None and found.learned is not None:
            told(f"{name}: writing laws")
            command = f"hplaw study report pruning --laws-to {laws.name}"
            made = write_laws(laws, name, found.learned, found.fitted, source=folder / FILE, command=command)
            written += [law.path for law in made if law.path is not None]
    out.provenance(cells, "hplaw study run pruning", "hplaw study report pruning --laws-to FOLDER")
    out.text("`--preset gpu` trains a larger design of the same file, a ConvNet too.")
    return [*out.write(), *written]


def analyze(spec: StudySpec, cells: pl.DataFrame, name: str, told: Callable[[str], None]) -> Found:
    """Return what the cells of one family show.

    **Raises:** `DataError` where cells of tuning or test seeds are missing.
    """
    barrier, alike = float(spec.options["barrier"]), float(spec.options["alike"])
    every = tuple(means(cells, seeds) for seeds in (spec.tuning_seeds, spec.test_seeds))
    if not all(len(part) for part in every):
        message = f"cells of {name} on tuning or test seeds are missing; go on with `hplaw study run pruning`"
        raise DataError(message)
    tuned, tested = (
        with_regimes(part.filter(pl.col("axis") == "epochs"), barrier=barrier, alike=alike).sort("density", "epochs")
        for part in every
    )
    learned = None
    if tuned["pruning_regime"].n_unique() > 1:
        learned = learn(
            cell_table(tuned), reject=float(spec.options["reject_below"]), told=lambda words: told(f"{name}: {words}")
        )
    told(f"{name}: fitting error and connectivity")
    fitted = fit_error(name, tuned)
    residual = float(np.exp(np.median(fitted.parameters()["log_sd_connectivity"])))
    recovered: list[tuple[float, tuple[float, float, float]]] = []
    for move in PLANTED:
        told(f"{name}: the same fit with a move of {move:g} planted")
        recovered.append((move, slope(fit_error(name, planted(tuned, move=move, noise=max(residual, 0.02), seed=1)))))
    return Found(
        tuned=tuned,
        tested=tested,
        every=(every[0], every[1]),
        learned=learned,
        fitted=fitted,
        move=slope(fitted),
        recovered=recovered,
    )


def _published(out: StudyPage) -> None:
    """Write what the published map's laws carry as evidence."""
    seen, error = evidence_of(PUBLISHED_MAP), evidence_of(f"{PUBLISHED_MAP}-error")
    spec = load_catalogue().get(f"{PUBLISHED_MAP}-error").spec
    method = " --method map" if spec.evidence is not None and spec.evidence.sampler.startswith("mode") else ""
    out.heading("The published map: PreResNet-20 on CIFAR-10")
    out.text(
        "Values were read back from the published heat maps, and classes from the boundaries that the figure draws by hand. "
        "Probabilities over (log density, epochs) are the mean of the best of 38 scikit-learn classifiers, by log loss on "
        "inner densities and blocks of epochs held out; the card has all of them: "
        f"[{PUBLISHED_MAP}](../../fitted_laws/hplaw_laws/calibrated/{PUBLISHED_MAP}/card.md)."
    )
    rows = [
        (
            words,
            f"{seen[f'cells_{part}']:.0f}",
            *(f"{seen[f'{score}_{part}']:.3f}" for score in ("accuracy", "brier", "calibration")),
            f"{seen[f'answered_{part}']:.2f}",
        )
        for part, words in (
            ("inner", "each inner density in turn"),
            ("blocks", "blocks of three epochs in turn"),
            ("choice_inside", "each inner density in turn, the classifiers chosen without it"),
        )
    ]
    out.table(("held out", "cells", "accuracy", "Brier", "calibration error", "answered"), rows)
    card = f"../../fitted_laws/hplaw_laws/calibrated/{PUBLISHED_MAP}/plots"
    out.text(f"![The likeliest regime of the published map, paler where it is less sure]({card}/map.svg)")
    out.text(f"![How often the likeliest class is right, against its probability]({card}/reliability.svg)")
    out.items(
        f"Advice has the right sign in {seen['advice_right_inner']:.0%} of the {seen['advice_cells_inner']:.0f} held-out cells whose error is more than 0.002 above the best of their density.",
        f"Error and connectivity of a density held out: mean error {error['error_percent']:.1f}%, 90% intervals hold {error['coverage_runs']:.0%} of the cells.",
        "The rate of these trainings falls tenfold at epochs 80 and 120, and the boundary of regime I at densities of 5 to 7% lies between epochs 80 and 90: epochs and rate cannot be distinguished on this map. Our own cells vary them apart, below.",
    )
    out.console(
        f"hplaw fit {PUBLISHED_MAP} --data pruning_preresnet20_cifar10.csv \\\n    --map dense_epochs=epochs_dense --map pruning_regime=paper_regime_drawn \\\n    --map pruned_error=test_error --to {PUBLISHED_MAP}",
        f"hplaw fit {PUBLISHED_MAP}-error{method} --data pruning_preresnet20_cifar10.csv \\\n    --map dense_epochs=epochs_dense --map pruned_error=test_error \\\n    --map mode_connectivity=lmc_barrier_train_err --to {PUBLISHED_MAP}-error",
    )


def _own(out: StudyPage, spec: StudySpec, name: str, cells: pl.DataFrame, found: Found) -> None:
    family = families(spec)[name]
    out.heading(f"Our own cells: {KINDS[name]} on digits")
    out.text(
        f"{cells.n_unique(WHERE)} dense trainings of {family.n_train} images with {family.label_noise:.0%} of the labels noisy, densities {', '.join(f'{d:g}' for d in family.densities)} by magnitude, "
        f"each retrained {family.retrains} times for {family.retrain_steps} steps; tuning seeds {_list(spec.tuning_seeds)}, test seeds {_list(spec.test_seeds)}. "
        f"Regime I is a connectivity below {spec.options['barrier']:g}; II-B a similarity in the upper {1 - spec.options['alike']:.0%} of its range at a density."
    )
    counts = {REGIMES[word]: int((found.tuned["pruning_regime"] == word).sum()) for word in CLASSES}
    out.text(
        f"Of {len(found.tuned)} cells with epochs at a constant rate, "
        + ", ".join(f"{count} are in regime {regime}" for regime, count in counts.items())
        + "."
        + ("" if all(counts.values()) else " Not all three regimes appear.")
    )
    out.chart(
        f"{name}-connectivity",
        charts.by_epochs(found.tuned, "lmc", "connectivity", spec.options["barrier"]),
        "Connectivity of two retrainings over epochs before pruning, a line for each density; dashed: the barrier.",
    )
    out.chart(
        f"{name}-error",
        charts.by_epochs(found.tuned, "test_error", "test error", None),
        "Test error after pruning and retraining.",
    )
    if found.learned is not None:
        from hplaw.fit.output.map_card import draw_map

        grid = map_spec(name, found.learned).grid
        assert grid is not None
        out.chart(
            f"{name}-map",
            draw_map(grid, found.learned),
            "The likeliest regime, paler where it is less sure; points: the cells.",
        )
        _scores(out, name, found)
    _transition(out, found)
    _rate(out, found)
    _uses(out, spec, found)


def _scores(out: StudyPage, name: str, found: Found) -> None:
    assert found.learned is not None
    mean, nested = found.learned.choice.mean, found.learned.nested
    rows = [
        (words, s.cells, f"{s.accuracy:.3f}", f"{s.brier:.3f}", f"{s.calibration:.3f}", f"{s.answered:.2f}")
        for words, s in (
            ("each inner density in turn", mean.inner),
            ("blocks of three epochs in turn", mean.blocks),
            ("each inner density in turn, the classifiers chosen without it", nested),
        )
    ]
    out.text(f"The map `pruning-{NAMES[name]}`, learned as the published one is:")
    out.table(("held out", "cells", "accuracy", "Brier", "calibration error", "answered"), rows)
    p, label = mean.p_inner, found.learned.table.cells.label
    inner = ~np.isnan(p[:, 0])
    first = float(((p[inner, 0] > 0.5) == (label[inner] == 0)).mean())
    missed = "; what is missed beyond that is the boundary between II-A and II-B, where similarity differs little"
    out.text(
        f"Whether two retrainings are connected, regime I or not, is predicted in {first:.0%} of the inner cells{missed if first > mean.inner.accuracy + 0.1 else ''}."
    )
    same = found.tuned.join(found.tested, on=["density", "epochs"], suffix="_test")
    agree = float((same["pruning_regime"] == same["pruning_regime_test"]).mean())
    out.text(
        f"Regimes of the test seeds' own cells are those of the tuning seeds in {agree:.0%} of cells, which bounds what any map can reach."
    )


def _transition(out: StudyPage, found: Found) -> None:
    middle, low, high = found.move
    out.text(
        "Connectivity is modeled as -A s((T - T_c) / w), T the logarithm of epochs in units of a factor of 100, T_c quadratic in log "
        f"density, as on the published map. T_c moves by **{middle:+.2f}** per e-fold of density (90% interval {low:+.2f} to {high:+.2f}); "
        "the published map has it rise, so that denser networks stand cooler training. "
        + (
            "It rises here too."
            if low > 0
            else "Here it falls: denser networks lose connectivity first."
            if high < 0
            else "Here the sign is not established."
        )
    )
    out.table(
        ("planted move", "recovered median", "90% interval"),
        [(f"{move:+.1f}", f"{m:+.2f}", f"{a:+.2f} to {b:+.2f}") for move, (m, a, b) in found.recovered],
    )
    (_, (_, low_p, _)), (_, (_, low_0, high_0)) = found.recovered
    seen = "would have been seen" if low_p > 0 else "would not have been distinguished from none"
    out.text(
        f"The same analysis of connectivity planted at the same places: a move of the published size {seen} with this design"
        + (", and none is not taken for one." if low_0 <= 0 <= high_0 else ".")
    )


def _rate(out: StudyPage, found: Found) -> None:
    """Write what the rate at the stop does at equal epochs, and what more epochs do at an equal rate."""
    tuned = found.every[0]
    constant, annealed = (tuned.filter(pl.col("axis") == axis) for axis in ("epochs", "annealed"))
    shared = sorted({*constant["epochs"]} & {*annealed["epochs"]})
    if len(shared) < 2:
        return
    rows: list[tuple[str, ...]] = []
    for value, words in (("lmc", "connectivity"), ("cka", "similarity"), ("test_error", "test error")):
        lower = paired(constant, annealed, ["density", "epochs"], value)
        first, last = (constant.filter(pl.col("epochs") == e) for e in (shared[0], shared[-1]))
        longer = paired(first, last, ["density"], value)
        rows.append((words, _span(lower), _span(longer)))
    out.text("The rate at the stop, varied apart from the epochs: mean differences over densities, with 90% intervals.")
    out.table(
        ("", "rate at the stop a tenth, equal epochs", f"{shared[-1]} epochs in place of {shared[0]}, equal rate"), rows
    )


def _span(found: Paired) -> str:
    return f"{found.mean:+.4f} ({found.low:+.4f} to {found.high:+.4f}; {found.pairs} pairs)"


def _uses(out: StudyPage, spec: StudySpec, found: Found) -> None:
    out.text("**Hotter or cooler.** The regime on tuning seeds against the test error of other seeds:")
    score = score_advice(found.tuned, found.tested)
    told = (
        "no cell is more than 0.002 above the best of its density"
        if not score.cells
        else (
            f"the sign is right in {score.right:.0%} of {score.cells} cells, and following it changes the test error by {score.followed:+.4f} on average"
        )
    )
    best = [int(part.sort("test_error")["epochs"][0]) for _, part in found.tested.group_by("density")]
    hot = ": with noisy labels hotter training is better throughout, which the regimes do not know"
    share, pairs = score_changes(change_by(found.fitted), found.tested)
    out.text(
        f"By the regime alone, {told}. "
        f"The lowest error of the test seeds lies at {min(best)} to {max(best)} epochs, whatever the density{hot if score.right < 0.5 and max(best) <= 16 else ''}. "
        f"The law of the error, fitted to the tuning seeds, gives the sign of the change between epochs in {share:.0%} of {pairs} pairs of the test seeds whose errors differ by more than 0.002. "
        "`hplaw prune-advice` follows the regime unless that law expects the error to rise, which then decides."
    )
    chosen = choose_models(*found.every, barrier=float(spec.options["barrier"]))
    out.text(
        "**Which model to prune.** Of all dense trainings: those with connectivity above the barrier on tuning seeds, then the largest similarity; test errors on other seeds:"
    )
    out.table(
        ("density", "rejected", "chosen", "best", "mean", "by dense error"),
        [
            (
                f"{c.density:g}",
                f"{c.rejected} of {c.candidates}",
                f"{c.error:.4f}",
                f"{c.best:.4f}",
                f"{c.mean:.4f}",
                f"{c.by_dense:.4f}",
            )
            for c in chosen
        ],
    )
    rows: list[tuple[str, ...]] = []
    tuned = found.every[0]
    base = tuned.filter(pl.col("axis") == "epochs")
    for axis, label, column in (("rho", "SAM rho", "rho"), ("batch", "batch", "batch"), ("rate", "rate", "rate")):
        for value in tuned.filter(pl.col("axis") == axis)[column].unique().sort():
            part = tuned.filter(pl.col("axis") == axis, pl.col(column) == value)
            at = base.filter(pl.col("epochs") == part["epochs"][0])
            rows.append(
                (f"{label} {value:g}", *(_span(paired(at, part, ["density"], v)) for v in ("lmc", "cka", "test_error")))
            )
    if rows:
        out.text("**Other temperatures**, SAM rho first, against the plain training of equal epochs:")
        out.table(("", "connectivity", "similarity", "test error"), rows)


def _list(seeds: tuple[int, ...]) -> str:
    return ", ".join(map(str, seeds))
