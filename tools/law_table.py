"""Write the tables of shipped laws into docs/laws.md, between its two marks.

python tools/law_table.py            # write them
python tools/law_table.py --check    # fail if they are out of date
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from law_effects import effects

from hplaw.catalogue.catalogue import Catalogue, load_catalogue
from hplaw.formatting import number
from hplaw.law import Law


PAGE = Path(__file__).resolve().parent.parent / "docs" / "laws.md"
STATUSES = ("calibrated", "published")
CHECKED = {
    "primary": "from the paper",
    "secondary": "from a work that quotes it",
    "derived": "fitted or derived here",
    "recalled": "not verified against the paper",
}
MARKS = re.compile(r"(<!-- laws -->\n).*?(<!-- end of laws -->)", re.DOTALL)


def tables(catalogue: Catalogue) -> str:
    """Return the shipped laws in Markdown: fitted and published ones with their domains, rules of theory by title."""
    fitted = [law for status in STATUSES for law in catalogue.laws if law.spec.status == status]
    theory = [law for law in catalogue.laws if law.spec.status == "theory"]
    changes = dict(effects(catalogue))
    head = ["| law | gives | fitted on | constants | changes |", "| --- | --- | --- | --- | --- |"]
    rows = [f"| {' | '.join([*_cells(law), changes[law.id]])} |" for law in fitted]
    rules = [f"| `{law.id}` | {law.spec.title} | {CHECKED[law.spec.checked]} | {changes[law.id]} |" for law in theory]
    below = ["", "| rule of theory | title | constants | changes |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *rows, *below, *rules, ""])


def _cells(law: Law) -> Iterator[str]:
    yield f"`{law.id}`"
    yield ", ".join(f"`{name}`" for name in law.gives)
    yield ", ".join(_domain(law)) or "-"
    yield CHECKED[law.spec.checked]


def _domain(law: Law) -> Iterator[str]:
    """Yield the ranges of a domain, then what narrows it by name."""
    names: list[str] = []
    for name, seen in law.spec.domain.items():
        if law.quantity(name).categorical:
            names += map(str, seen)
        else:
            low, high = (_number(float(edge), law.quantity(name).unit) for edge in seen)
            yield f"{name} {low}" if low == high else f"{name} {low} to {high}"
    if names:
        yield " ".join(names)


def _number(value: float, unit: str) -> str:
    """Return an edge of a range; a suffix such as B reads well with tokens and parameters, not with FLOP."""
    return f"{value:.3g}".replace("e+", "e") if unit == "FLOP" else number(value)


def main(words: Sequence[str]) -> int:
    """Write the tables, or fail if they are out of date."""
    shipped = load_catalogue(environ={"XDG_DATA_HOME": os.devnull})
    old = PAGE.read_text(encoding="utf-8")
    new = MARKS.sub(lambda found: found[1] + tables(shipped) + found[2], old)
    if not MARKS.search(old):
        sys.exit("docs/laws.md has no place for the tables: <!-- laws --> and <!-- end of laws -->")
    if "--check" in words:
        if new != old:
            sys.exit("the tables in docs/laws.md are out of date: run python tools/law_table.py")
        return 0
    PAGE.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
