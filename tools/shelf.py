"""Write the table of shipped laws into README.md, between its two marks.

python tools/shelf.py            # write it
python tools/shelf.py --check    # say whether it is up to date
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from hplaw.catalogue.catalogue import Catalogue, load_catalogue
from hplaw.formatting import number
from hplaw.law import Law


README = Path(__file__).resolve().parent.parent / "README.md"
STATUSES = ("calibrated", "published", "theory")
MARKS = re.compile(r"(<!-- shelf -->\n).*?(<!-- end of shelf -->)", re.DOTALL)


def table(catalogue: Catalogue) -> str:
    """Return the shipped laws in Markdown: fitted and published ones as a table, counting rules as a sentence."""
    laws = [law for status in STATUSES for law in catalogue.laws if law.spec.status == status]
    head = ["| law | gives | was seen on | constants |", "| --- | --- | --- | --- |"]
    rows = [f"| {' | '.join(_cells(law))} |" for law in laws if law.spec.status != "theory"]
    rules = [f"`{law.id}` ({law.spec.checked})" for law in laws if law.spec.status == "theory"]
    return "\n".join([*head, *rows, "", f"Rules of theory: {', '.join(rules)}.", ""])


def _cells(law: Law) -> Iterator[str]:
    yield f"`{law.id}`"
    yield ", ".join(f"`{name}`" for name in law.gives)
    yield ", ".join(_domain(law)) or "-"
    yield law.spec.checked


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
    """Write the table, or say whether it is as it should be."""
    shipped = load_catalogue(environ={"XDG_DATA_HOME": os.devnull})
    old = README.read_text(encoding="utf-8")
    new = MARKS.sub(lambda found: found[1] + table(shipped) + found[2], old)
    if not MARKS.search(old):
        sys.exit("README.md has no place for the table: <!-- shelf --> and <!-- end of shelf -->")
    if "--check" in words:
        if new != old:
            sys.exit("the table of laws in README.md is not that of the laws: python tools/shelf.py")
        return 0
    README.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
