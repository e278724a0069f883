"""What to do to the training before pruning: regime and probabilities of a case, the action, what it is expected to change.

The regime comes from a map over density and epochs, or from thresholds on measured connectivity and similarity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hplaw.answer.answer import answer
from hplaw.arrays import Array
from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import Caller, ConflictingQuery, HplawError, LawNotFound, QueryError
from hplaw.evaluation.domain import distance
from hplaw.evaluation.grid import classify, read_grid
from hplaw.law.law import Law
from hplaw.messages.pruning import (
    LIMITS,
    MAX_CASES,
    POSITIVE,
    ErrorChange,
    ModelChoice,
    PruneAdvice,
    PruneCase,
    PruneReply,
    PruneRequest,
    PruneRow,
)
from hplaw.messages.recommendation import AnswerWarning
from hplaw.pruning.regime_map import find_map
from hplaw.pruning.regimes import ACTIONS, COOLER, HOTTER, KEEP, MATTERS, MEANS, UNCERTAIN
from hplaw.vocabulary.names import REGIMES


THRESHOLDS = "pruning-regime"
"""The law of thresholds on connectivity and similarity."""

LITTLE_PRUNED = 0.4
"""Density from which on an expected change below `MATTERS` is no reason to train otherwise."""

TURNS: Mapping[str, dict[str, str]] = {
    HOTTER: {"epochs": "lower", "batch": "lower", "sam_rho": "raise"},
    COOLER: {"epochs": "raise", "batch": "raise", "sam_rho": "lower"},
    KEEP: {"epochs": "keep", "batch": "keep", "sam_rho": "keep"},
}
"""Which way hyperparameters that are like a temperature go."""


def prune_advice(asked: PruneRequest, catalogue: Catalogue, *, by: Caller = "python") -> PruneAdvice | PruneReply:
    """Return the advice for one case, or for many and which of their models to prune.

    **Raises:** `QueryError` for one case that cannot be answered, and where there is no such map; one case of many says
    so in its row.
    """
    try:
        law = find_map(asked.map, catalogue)
    except LawNotFound as error:
        raise QueryError(str(error.args[0]), field="map") from None
    if len(asked.cases) > MAX_CASES:
        message = f"{len(asked.cases):,} cases are too many; give at most {MAX_CASES:,} at once"
        raise QueryError(message, field="cases")
    alone = PruneCase(
        density=asked.density,
        epochs=asked.epochs,
        to_epochs=asked.to_epochs,
        lmc=asked.lmc,
        cka=asked.cka,
        retrains=asked.retrains,
    )
    if not asked.cases:
        return advise(alone, law, catalogue)
    if alone != PruneCase():
        message = "give the fields of one case, or cases, not both"
        raise ConflictingQuery(message, field="cases")
    return PruneReply(
        rows=[_row(case, law, catalogue, by) for case in asked.cases], choice=choose_model(asked.cases, catalogue)
    )


def _row(case: PruneCase, law: Law, catalogue: Catalogue, by: Caller) -> PruneRow:
    try:
        return PruneRow(model=case.model, advice=advise(case, law, catalogue))
    except HplawError as error:
        return PruneRow(model=case.model, error=error.told(by))


def advise(case: PruneCase, law: Law, catalogue: Catalogue) -> PruneAdvice:
    """Return the advice for one case by a map.

    **Raises:** `QueryError` where too little is given.
    """
    _check(case)
    warnings: list[AnswerWarning] = []
    placed = case.density is not None and case.epochs is not None
    if case.lmc is not None:
        found, say = by_thresholds(case.lmc, case.cka, catalogue)
        if say:
            warnings.append(AnswerWarning(code="undertrained", text=say, law=THRESHOLDS))
        basis, source, reject = ("measured" if placed else "thresholds"), catalogue.get(THRESHOLDS), 0.6
    else:
        assert case.density is not None
        assert case.epochs is not None
        known = {"density": case.density, "dense_epochs": case.epochs}
        words, _ = classify(law, known)
        found = {REGIMES[word]: p for word, p in words.items()}
        assert law.spec.grid is not None
        basis, source, reject = "map", law, law.spec.grid.reject_below
        reached = (
            known if case.to_epochs is None else known | {"dense_epochs": _farther(case.epochs, case.to_epochs, law)}
        )
        for name, efolds in distance(law, reached).efolds:
            text = f"{name} is outside of what the map was learned from; its edge answers"
            warnings.append(
                AnswerWarning(code="extrapolation", text=text, law=law.address, quantity=name, efolds=round(efolds, 4))
            )
    likeliest = max(found, key=lambda name: found[name])
    regime = likeliest if found[likeliest] >= reject else UNCERTAIN
    surface = _surface(law, catalogue)
    action = _action(regime, found, case, law, surface)
    change = _change(case, action, law, surface) if placed and surface is not None else None
    decides = basis == "map" and case.to_epochs is None  # what was measured outweighs what a law expects
    if decides and change is not None and surface is not None and (change.low or 0) > 0:
        other, change = _against(case, action, law, surface)
        text = f"regime {likeliest} asks to train {action}, but the error is expected to rise by it; the error decides: {other}"
        warnings.append(AnswerWarning(code="error_decides", text=text, law=surface.address))
        action = other
    reason = None
    if change is None:
        reason = "give density and epochs" if not placed else f"no law of the error goes with the map {law.id}"
    elif _too_little(case, change):
        action = KEEP
        text = f"no action: at density {case.density:g} an expected change of error below {MATTERS:g} is no reason to train otherwise"
        warnings.append(AnswerWarning(code="no_action", text=text))
    if regime == UNCERTAIN:
        text = f"no regime is likelier than {reject:g}; the action follows the expected change of error"
        warnings.append(AnswerWarning(code="uncertain", text=text, law=source.address))
    laws = [source] if change is None or surface is None else [source, surface]
    return PruneAdvice(
        regime=regime,
        p_I=found["I"],
        p_IIA=found["II-A"],
        p_IIB=found["II-B"],
        action=action,
        means=MEANS[action],
        turn=TURNS[action],
        basis=basis,
        law=source.address,
        density=case.density,
        epochs=case.epochs,
        error_change=change,
        reason=reason,
        warnings=warnings,
        citations=[each.citation() for each in laws],
    )


def _check(case: PruneCase) -> None:
    """Refuse a case of which nothing can be said.

    **Raises:** `QueryError` naming what is missing.
    """
    for name, (low, high) in LIMITS.items():
        value: float | None = getattr(case, name)
        if value is not None and not (low <= value <= high and (value > 0 or name not in POSITIVE)):
            message = f"{name}={value:g} is out of range; give a number {'above' if name in POSITIVE else 'from'} {low:g} and at most {high:g}"
            raise QueryError(message, field=name)
    if case.retrains is not None and case.retrains < 2:
        message = "one retraining has no connectivity; retrain the pruned network twice, with two seeds"
        raise QueryError(message, field="retrains")
    if case.lmc is not None:
        return
    if case.cka is not None:
        if case.density is None or case.epochs is None:
            message = "cka alone does not tell a regime; give lmc too, or density and epochs"
            raise QueryError(message, field="lmc")
    for name, value in (("density", case.density), ("epochs", case.epochs)):
        if value is None:
            message = f"{name} is missing; give density and epochs, or measured lmc and cka"
            raise QueryError(message, field=name)


def by_thresholds(lmc: float, cka: float | None, catalogue: Catalogue) -> tuple[dict[str, float], str | None]:
    """Return the probability of each regime by the thresholds on measured values, and what there is to beware of.

    A threshold is right in the share of the published map's cells in which it reproduces the drawn boundary. Without
    `cka` both regimes II are equally likely.
    """
    law = catalogue.get(THRESHOLDS)
    constants = law.spec.constants
    first = constants["barrier_right"] if lmc < constants["barrier"] else 1 - constants["barrier_right"]
    alike = 0.5
    if cka is not None:
        alike = constants["alike_right"] if cka >= constants["alike"] else 1 - constants["alike_right"]
    say = answer(law, {"mode_connectivity": lmc, "similarity": 1.0 if cka is None else cka}, plain=True).say
    return {"I": first, "II-A": (1 - first) * (1 - alike), "II-B": (1 - first) * alike}, say


def choose_model(cases: Sequence[PruneCase], catalogue: Catalogue) -> ModelChoice | None:
    """Return which model to prune: of those that are connected, the one whose retrainings are most alike.

    None where fewer than two cases name a model with connectivity and similarity.
    """
    told = [(case.model, case.lmc, case.cka) for case in cases]
    known = [(name, lmc, cka) for name, lmc, cka in told if name is not None and lmc is not None and cka is not None]
    if len(known) < 2:
        return None
    barrier = catalogue.get(THRESHOLDS).spec.constants["barrier"]
    rejected = [name for name, lmc, _ in known if lmc < barrier]
    left = [(cka, name) for name, lmc, cka in known if lmc >= barrier]
    if not left:
        say = f"no model is connected: all have lmc below {barrier:g}; train hotter, or prune less"
        return ModelChoice(model=None, rejected=rejected, lmc_below=barrier, say=say)
    cka, name = max(left, key=lambda item: item[0])
    say = f"prune {name}: cka {cka:.4g} is the largest of {len(left)} with lmc of {barrier:g} or more"
    return ModelChoice(model=name, rejected=rejected, lmc_below=barrier, say=say)


# The error that goes with a map


def _surface(law: Law, catalogue: Catalogue) -> Law | None:
    grid = law.spec.grid
    return catalogue.find(grid.error) if grid is not None and grid.error else None


def _action(regime: str, found: Mapping[str, float], case: PruneCase, law: Law, surface: Law | None) -> str:
    """Return what a regime asks for; where it is uncertain, the way in which the expected error falls by what matters.

    Without a law of the error, connectivity alone tells: hotter where regime I is likelier than both others.
    """
    if regime != UNCERTAIN:
        return ACTIONS[regime]
    if surface is None or case.density is None or case.epochs is None:
        return HOTTER if found["I"] > 0.5 else COOLER
    best, gain = _best(case.density, case.epochs, KEEP, law, surface)
    if gain < MATTERS:
        return KEEP
    return HOTTER if best < case.epochs else COOLER


def _best(density: float, epochs: float, action: str, law: Law, surface: Law) -> tuple[float, float]:
    """Return the epochs of lowest expected error, on the side of an action, and how much lower it is there."""
    places, axis = read_grid(law).axes
    density = _held(density, places)
    sides = {HOTTER: axis[axis < epochs], COOLER: axis[axis > epochs], KEEP: axis}
    tried = np.concatenate([[epochs], [float(f"{place:.3g}") for place in sides[action]]])
    held = np.clip(tried, axis[0], axis[-1])
    column = {"density": np.full(len(tried), density), "dense_epochs": held, "to_dense_epochs": held}
    errors = np.asarray(answer(surface, column, want=["pruned_error"], plain=True).values["pruned_error"])
    best = int(errors[1:].argmin()) + 1 if len(tried) > 1 else 0
    return float(tried[best]), float(errors[0] - errors[best])


def _change(case: PruneCase, action: str, law: Law, surface: Law) -> ErrorChange:
    assert case.density is not None
    assert case.epochs is not None
    to = case.to_epochs
    if to is None:
        to, _ = _best(case.density, case.epochs, action, law, surface)
    places, epochs = read_grid(law).axes
    known = {
        "density": _held(case.density, places),
        "dense_epochs": _held(case.epochs, epochs),
        "to_dense_epochs": _held(to, epochs),
    }
    found = answer(surface, known, want=["error_change"])
    spread, _ = found.interval("error_change")
    return ErrorChange(
        from_epochs=case.epochs,
        to_epochs=to,
        value=float(found.values["error_change"]),
        low=None if spread is None else float(spread.low),
        high=None if spread is None else float(spread.high),
        law=surface.address,
    )


def _farther(epochs: float, other: float, law: Law) -> float:
    """Return which of two numbers of epochs is farther outside of a map."""
    return max(epochs, other, key=lambda value: distance(law, {"dense_epochs": value}).total)


def _held(value: float, axis: Array) -> float:
    """Return a value held at the edges of an axis, as the map is: far outside the law of the error has no number."""
    return min(max(value, float(axis[0])), float(axis[-1]))


def _against(case: PruneCase, action: str, law: Law, surface: Law) -> tuple[str, ErrorChange]:
    """Return what to do where the error surely rises on the side that a regime asks for: the other side, or nothing."""
    other = {HOTTER: COOLER, COOLER: HOTTER}.get(action, KEEP)
    found = _change(case, other, law, surface)
    if other != KEEP and found.value < -MATTERS and (found.high or 0) < 0:
        return other, found
    return KEEP, _change(case, KEEP, law, surface)


def _too_little(case: PruneCase, change: ErrorChange) -> bool:
    little = case.density is not None and case.density >= LITTLE_PRUNED
    return little and case.to_epochs is None and abs(change.value) < MATTERS
