"""Write into the surfaces how far another recipe's optimum may lie from theirs, as the law of recipes has it.

python tools/recipe_spread.py            # write it
python tools/recipe_spread.py --check    # fail if it is out of date

The law `recipe` was fitted to many teams' sweeps and is the one place where the covariance between recipes is learned. The
effect `recipe` of a surface is this covariance at the size and data where the surface states its constants.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from hplaw.catalogue.catalogue import Catalogue, load_catalogue
from hplaw.law import Law, read_law
from hplaw.law.format import LawSpec
from hplaw.law.write import write_law
from hplaw_experiments.recipes.recipe import D_REF, N_REF, PRIOR, Prior, read_prior


ROOT = Path(__file__).resolve().parent.parent
OTHERS = (ROOT / "experiments" / "laws" / "small-transformer-surface",)
"""Surfaces that are not shipped with the laws."""
EFFECT = "recipe"
OF = ["recipe_p0", "recipe_p1", "recipe_p2", "recipe_q0", "recipe_q1", "recipe_q2"]
"""What it moves: the six numbers of the optimum; laws of the loss have an effect of that name for other numbers."""
DIGITS = 4


def surfaces(catalogue: Catalogue) -> list[Law]:
    """Return the laws that say what another recipe does to their optimum."""
    laws = [*catalogue.laws, *map(read_law, OTHERS)]
    return [law for law in laws if EFFECT in law.spec.effects and law.spec.effects[EFFECT].of == OF]


def spread(prior: Prior, n_ref: float, d_ref: float) -> list[list[float]]:
    """Return the covariance of the six numbers between recipes, the constants stated at another size and data."""
    n, d = math.log(n_ref / N_REF), math.log(d_ref / D_REF)
    move = np.eye(6)
    move[0, 1:3] = move[3, [5, 4]] = n, d
    found = move @ prior.between @ move.T
    return [[float(f"{value:.{DIGITS}g}") for value in row] for row in 0.5 * (found + found.T)]


def with_spread(law: Law, prior: Prior) -> LawSpec:
    """Return the tables of a surface with the covariance between recipes of the law of recipes."""
    constants, effect = law.spec.constants, law.spec.effects[EFFECT]
    covariance = spread(prior, constants["n_ref"], constants["d_ref"])
    effects = {**law.spec.effects, EFFECT: msgspec.structs.replace(effect, covariance=covariance)}
    return msgspec.structs.replace(law.spec, effects=effects)


def names_law(law: Law, *, write: bool) -> bool:
    """Return whether the influences beside a law, which the covariance between recipes leaves alone, name this law."""
    assert law.path is not None
    beside = law.path.with_name("influence.json")
    if not beside.is_file():
        return True
    text = beside.read_text(encoding="utf-8")
    named = re.sub(r'"law": "[^"]*"', f'"law": "{read_law(law.path.parent).address}"', text, count=1)
    if write:
        beside.write_text(named, encoding="utf-8")
    return named == text


def main(words: Sequence[str] | None = None) -> int:
    """Write the covariances, or say which are out of date."""
    check = "--check" in (sys.argv[1:] if words is None else words)
    catalogue = load_catalogue()
    prior = read_prior(catalogue.get(PRIOR))
    late = 0
    for law in surfaces(catalogue):
        assert law.path is not None
        text = write_law(with_spread(law, prior))
        same = text == law.path.read_text(encoding="utf-8")
        if not same and not check:
            law.path.write_text(text, encoding="utf-8")
        if names_law(law, write=not check) and same:
            continue
        late += 1
        print(f"{law.path}: {'out of date' if check else 'written'}")
    return 1 if check and late else 0


if __name__ == "__main__":
    sys.exit(main())
