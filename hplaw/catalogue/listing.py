"""What a catalogue holds, as records: its laws, the words they use, and its health. Shared by service and client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from hplaw.errors import QueryError, nearest
from hplaw.law.derived import derived
from hplaw.messages.law import Health, LawRecord, LawSummary
from hplaw.vocabulary.quantities import Quantity, vocabulary


if TYPE_CHECKING:
    from hplaw.catalogue.catalogue import Catalogue
    from hplaw.law import Law


STATUSES = ("calibrated", "published", "theory")
"""What a law's status may be: fitted here, as its authors published it, or from theory."""


@derived
def known_quantities(catalogue: Catalogue) -> Mapping[str, Quantity]:
    """Return the quantities that questions to this catalogue may use: the vocabulary, then the laws' own."""
    known = dict(vocabulary())
    for law in catalogue.laws:
        for name in (*law.inputs, *law.gives):
            if name not in known:
                known[name] = law.quantity(name)
    return known


def law_summary(catalogue: Catalogue, law: Law) -> LawSummary:
    """Return the line of a law in a list, with the folder it was found in and the law it hides."""
    if law not in catalogue.laws:
        return law.summary()
    found = law.summary(shelf=catalogue.shelf(law), shadows=catalogue.shadows(law))
    return _of_members(catalogue, law, found)


def law_record(catalogue: Catalogue, law: Law) -> LawRecord:
    """Return a law whole, with the folder it was found in and the law it hides."""
    if law not in catalogue.laws:
        return law.record()
    found = law.record(shelf=catalogue.shelf(law), shadows=catalogue.shadows(law))
    return msgspec.structs.replace(found, summary=_of_members(catalogue, law, found.summary))


def _of_members(catalogue: Catalogue, law: Law, line: LawSummary) -> LawSummary:
    """Return the line of a law, a mixture's with what its members take and give."""
    if law.spec.mixture is None:
        return line
    members = [catalogue.get(address) for address in law.spec.mixture.members]
    inputs = list(dict.fromkeys(name for member in members for name in member.inputs))
    return msgspec.structs.replace(line, inputs=inputs, outputs=list(catalogue.gives(law)))


def list_laws(catalogue: Catalogue, *, quantity: str | None = None, status: str | None = None) -> list[LawSummary]:
    """Return a line for each law, or for those that give `quantity` and have `status`.

    **Raises:** `QueryError` for a quantity or a status that does not exist.
    """
    if quantity is not None:
        names = known_quantities(catalogue)
        if quantity not in names:
            message = f"quantity={quantity} is not known{nearest(quantity, names)}; `hplaw quantities` lists all"
            raise QueryError(message, field="quantity")
    if status is not None and status not in STATUSES:
        message = f"status={status} is not known; give {', '.join(STATUSES)}"
        raise QueryError(message, field="status")
    return [
        law_summary(catalogue, law)
        for law in catalogue.laws
        if quantity is None or quantity in catalogue.gives(law)
        if status is None or status == law.spec.status
    ]


def health(catalogue: Catalogue | None, problems: Iterable[str] = ()) -> Health:
    """Return whether a catalogue can answer: `ready`, `degraded` where a file could not be read, `unavailable` without laws."""
    count = len(catalogue.laws) if catalogue else 0
    found = [error.text for error in catalogue.problems] if catalogue else []
    told = list(dict.fromkeys([*found, *problems]))
    status = "unavailable" if not count else "degraded" if told else "ready"
    return Health(status=status, laws=count, problems=told)
