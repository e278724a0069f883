"""One law at one point, as a record: what `hplaw evaluate` and POST .../evaluate answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hplaw.answer.answer import answer, by_category
from hplaw.answer.estimate import estimate_of
from hplaw.answer.mixture import read_known
from hplaw.catalogue.listing import find_quantity, known_quantities
from hplaw.evaluation.domain import distance
from hplaw.law import Law
from hplaw.messages.recommendation import Estimate, Evaluation


def evaluate(law: Law, given: Mapping[str, Any], catalogue: Any = None) -> Evaluation:
    """Return what one law gives at one point, as a record.

    **Arguments:**

    - `given`: values by input, a table by category for an input over an index.

    **Raises:** `QueryError` naming the input that is missing, unknown or out of bounds.
    """
    words = dict(law.namespace.quantities)
    if catalogue is not None:
        words |= known_quantities(catalogue)
    for name in given:
        find_quantity(words, name, field=name)
    known = read_known(law, given, catalogue)
    found = answer(law, known, catalogue=catalogue)
    away = distance(law, {**known, **found.values})
    outputs: dict[str, Estimate] = {}
    tables: dict[str, dict[str, Estimate]] = {}
    for name in dict.fromkeys((*law.gives, *found.values)):
        if name in known:
            continue
        value = found.values.get(name)
        if isinstance(value, tuple):
            unit = law.quantity(name).unit
            tables[name] = {
                word: Estimate(value=entry if isinstance(entry, str) else float(entry), unit=unit, law=law.address)
                for word, entry in by_category(law, name, value).items()
            }
        else:
            outputs[name] = estimate_of(found, name)
    evidence = law.spec.evidence
    return Evaluation(
        law=law.address,
        status=found.status,
        outputs=outputs,
        tables=tables,
        say=found.say,
        outside={**dict(away.differs), **{name: round(efolds, 4) for name, efolds in away.efolds}},
        accepted_with=list(evidence.accepted_with) if evidence else [],
    )
