"""Maps of regimes: laws of kind grid over density and epochs, found, read and shown whole."""

from __future__ import annotations

from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import LawNotFound, nearest
from hplaw.evaluation.grid import read_grid
from hplaw.law.law import Law
from hplaw.messages.pruning import RegimeMap
from hplaw.vocabulary.names import REGIMES


AXES = ("density", "dense_epochs")
"""What a map of regimes goes over, in this order."""

DIGITS = 6
"""Digits of probabilities in a map shown whole."""


def is_regime_map(law: Law) -> bool:
    """Return whether a law is a map of the regimes of pruning."""
    grid = law.spec.grid
    return grid is not None and tuple(grid.axes) == AXES and set(grid.classes) == set(REGIMES)


def find_map(address: str, catalogue: Catalogue) -> Law:
    """Return a map of regimes by its id or address.

    **Raises:** `LawNotFound` where there is none of that name, or the law is no such map.
    """
    known = sorted(law.id for law in catalogue.laws if is_regime_map(law))
    try:
        found = catalogue.get(address)
    except LawNotFound:
        found = None
    if found is None or not is_regime_map(found):
        what = "no law has that name" if found is None else "that law is no map of regimes"
        message = f"no map '{address[:80]}': {what}{nearest(address[:80], known)}; give one of {', '.join(known) or 'your own maps'}"
        raise LawNotFound(message)
    return found


def regime_map(address: str, catalogue: Catalogue) -> RegimeMap:
    """Return a map whole.

    **Raises:** `LawNotFound` where there is none of that name.
    """
    law = find_map(address, catalogue)
    grid, evidence = law.spec.grid, law.spec.evidence
    assert grid is not None
    read = read_grid(law)
    return RegimeMap(
        law=law.address,
        title=law.spec.title,
        axes={name: axis.tolist() for name, axis in zip(grid.axes, read.axes, strict=True)},
        classes=[REGIMES[word] for word in grid.classes],
        probabilities=read.probabilities.round(DIGITS).tolist(),
        reject_below=grid.reject_below,
        error_law=grid.error or None,
        held_out=dict(evidence.held_out) if evidence else {},
        notes=law.spec.notes.strip(),
        citation=law.citation(),
    )
