"""What a run would take on a common accelerator, for a question that names none."""

from __future__ import annotations

from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import HplawError
from hplaw.formatting import number, with_unit
from hplaw.messages.query import Query
from hplaw.messages.recommendation import Recommendation


ACCELERATOR = "h100-sxm"
"""The accelerator of the example."""

WANT = ("accelerator_hours", "energy_kwh")

EXPERTS_GIVEN = ("n_experts", "n_active_experts", "n_shared_experts", "granularity")
"""What decides how many parameters a token uses."""


def example(query: Query, answer: Recommendation, catalogue: Catalogue) -> str | None:
    """Return hours and energy of the run on an accelerator that nobody named, or None where that is no help.

    It is no part of the answer: it decides nothing and is in no record.
    """
    from hplaw.recommendation.derivation import derive
    from hplaw.recommendation.question import understand

    if (
        query.hardware is not None
        or query.want
        or "finetune" in query.given
        or any(name in answer.answers for name in WANT)
    ):
        return None
    sizes = {name: _size(name, query, answer) for name in ("n_params", "tokens")}
    if query.model is None and None in sizes.values():
        return None
    asked = Query(
        n_params=sizes["n_params"],
        n_active_params=query.n_active_params,
        tokens=sizes["tokens"],
        precision=query.precision,
        model=query.model,
        hardware=ACCELERATOR,
        given={name: query.given[name] for name in EXPERTS_GIVEN if name in query.given},
        want=list(WANT),
    )
    try:
        found = derive(understand(asked, catalogue), catalogue)
    except HplawError:  # an example is omitted where it cannot be had: the answer itself is
        return None
    values = {name: found.answers[law].values[name] for name in WANT if (law := found.source.get(name)) is not None}
    if len(values) < len(WANT) or None in values.values():
        return None
    hours, energy = values.values()
    return f"on {ACCELERATOR} {number(hours)} accelerator hours, {with_unit(energy, 'kWh')} (set --hardware)"


def _size(name: str, query: Query, answer: Recommendation) -> float | None:
    """Return the size or data of the run, as given or as answered."""
    given = getattr(query, name)
    if given is not None:
        return float(given)
    value = query.given.get(name)
    if value is None and name in answer.answers:
        value = answer.answers[name].value
    return float(value) if isinstance(value, int | float) else None
