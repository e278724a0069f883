"""`hplaw quantities`: the vocabulary."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from hplaw.catalogue.listing import full_quantities
from hplaw.cli.exit_status import OK
from hplaw.cli.options import Json, LawFolders
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.reading import open_catalogue
from hplaw.errors import QueryError
from hplaw.formatting import number, plural
from hplaw.messages.law import quantity_records
from hplaw.messages.record import encode
from hplaw.vocabulary.names import meant_quantity
from hplaw.vocabulary.quantities import Quantity, vocabulary


def quantities(
    name: Annotated[str | None, Parameter(name="NAME", help="One quantity to explain.")] = None,
    /,
    *,
    laws: LawFolders = None,
    json: Json = False,
) -> int:
    """List the vocabulary that laws, questions and tables share, or explain one quantity."""
    words = vocabulary()
    if name is None:
        records = quantity_records(words.values())
        if json:
            write_json(encode(records))
            return OK
        page = Page()
        page.table([(r.name, r.unit or "name", r.meaning) for r in records], head=("quantity", "unit", "meaning"))
        page.line()
        page.line(f"{plural(len(records), 'quantity')}; `hplaw quantities NAME` says more of one")
        write(str(page))
        return OK
    if name not in words:
        message = f"{name} is no quantity{meant_quantity(name, words)}"
        raise QueryError(message, field=name, lists="quantities")
    catalogue = open_catalogue(laws)
    found = quantity_records([full_quantities(catalogue)[name]])[0]
    if json:
        write_json(encode(found))
        return OK
    page = Page()
    page.heading(found.name)
    page.text(found.meaning)
    rows = [("symbol", found.symbol), ("unit", found.unit or "none, a name")]
    if found.low is not None or found.high is not None:
        rows.append(("allowed", _allowed(words[name])))
    if found.categories:
        rows.append(("one of", ", ".join(found.categories)))
    for title, users in (
        ("given by", [law for law in catalogue.laws if name in law.gives]),
        ("taken by", [law for law in catalogue.laws if name in law.inputs]),
    ):
        if users:
            rows.append((title, ", ".join(law.id for law in users)))
    page.table(rows)
    write(str(page))
    return OK


def _allowed(quantity: Quantity) -> str:
    parts: list[str] = []
    if quantity.low is not None:
        words = "more than" if quantity.open_low else "at least"
        parts.append(f"{words} {number(quantity.low)}")
    if quantity.high is not None:
        words = "less than" if quantity.open_high else "at most"
        parts.append(f"{words} {number(quantity.high)}")
    return ", ".join(parts)
