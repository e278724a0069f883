"""What was given and changes no answer, each with the reason: no fact is dropped in silence."""

from __future__ import annotations

from collections.abc import Sequence

from hplaw.evaluation.inputs import inputs
from hplaw.law import Law
from hplaw.recommendation.budget import limits_of
from hplaw.recommendation.derivation import Derivation


PLACES = ("recipe", "task", "finetune")
"""Quantities that decide which law answers."""


def ignored(found: Derivation, used: Sequence[Law]) -> dict[str, str]:
    """Return the names of what was given and no law of the answer takes, with the reason.

    **Arguments:**

    - `used`: the laws behind the answer.
    """
    question = found.question
    members = [member for law in used for member in found.catalogue.members(law)]
    taken = {item.known for member in members for item in inputs(member)} | limits_of(question.known)
    if "unique_tokens" in taken or ("tokens", "unique_tokens") in question.filled:
        taken |= {"epochs", "unique_tokens"}  # what the tokens follow from
    if "serve_precision" in question.known and any("serve_method" in law.spec.domain for law in used):
        taken.add("serve_method")  # what chose among these laws
    given = [name for name in question.given if name in question.known]  # a budget that was spent is what its law gives
    return {
        name: _reason(name, question.known[name], used)
        for name in given
        if name not in taken and name not in question.shape and name not in PLACES
    }


def _reason(name: str, value: object, used: Sequence[Law]) -> str:
    """Return why a quantity changes nothing: it is a condition of a law at most."""
    for law in used:
        seen = law.spec.domain.get(name)
        if seen is not None and isinstance(value, str):
            held = "holds for it" if value in seen else f"was fitted on {', '.join(map(str, seen))}"
            return f"{law.id} {held}; no law used here changes with {name}"
    return f"no law used here depends on {name}"
