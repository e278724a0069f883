"""`hplaw laws diff`: what differs between two laws, key by key of their files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter

from hplaw.cli.exit_status import OK
from hplaw.cli.laws import find_law
from hplaw.cli.options import LawFolders
from hplaw.cli.page import Page, write
from hplaw.cli.reading import open_catalogue
from hplaw.formatting import number
from hplaw.toml import read_toml


if TYPE_CHECKING:
    from hplaw.law import Law


def diff(
    before: Annotated[str, Parameter(name="A", help="A law by its id, address, or file.")],
    after: Annotated[str, Parameter(name="B", help="Another law, or another version of it.")],
    /,
    *,
    laws: LawFolders = None,
) -> int:
    """Compare two laws: parameters, formulas, domain, examples and the rest."""
    catalogue = open_catalogue(laws)
    old, new = find_law(before, catalogue), find_law(after, catalogue)
    page = Page()
    page.line(f"from {old.address}")
    page.line(f"to   {new.address}")
    for table, lines in differences(_content(old), _content(new)):
        page.heading(table)
        for line in lines:
            page.text(line, hang=4)
    if old.digest == new.digest:
        page.line("the same, byte for byte")
    elif len(page.lines) == 2:
        page.line("the same but for comments, layout or draws")
    write(str(page))
    return OK


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Yield the tables of a law file that differ, each with a line for every key that does.

    >>> list(differences({"outputs": {"loss": "c"}, "version": 1}, {"outputs": {"loss": "2 * c"}, "version": 1}))
    [('outputs', ['loss: c -> 2 * c'])]
    """
    for table in dict.fromkeys((*old, *new)):
        before, after = dict(_flat(old.get(table))), dict(_flat(new.get(table)))
        lines: list[str] = []
        for key in dict.fromkeys((*before, *after)):
            label = f"{key}: " if key else ""
            if key not in after:
                lines.append(f"{label}{_text(before[key])} -> nothing")
            elif key not in before:
                lines.append(f"{label}nothing -> {_text(after[key])}")
            elif before[key] != after[key]:
                change = _change(before[key], after[key])
                lines.append(f"{label}{_text(before[key])} -> {_text(after[key])}{change}")
        if lines:
            yield table, lines


def _content(law: Law) -> Mapping[str, Any]:
    return read_toml(law.text)


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of a table with their dotted keys; a list of plain values is one leaf."""
    if isinstance(value, dict):
        for name, item in cast("dict[str, Any]", value).items():
            yield from _flat(item, f"{key}.{name}" if key else name)
    elif isinstance(value, list) and any(isinstance(i, dict | list) for i in _items(value)):
        for place, item in enumerate(_items(value), start=1):
            yield from _flat(item, f"{key}[{place}]")
    elif value is not None:
        yield key, value


def _items(value: Any) -> list[Any]:
    return value


def _text(value: Any) -> str:
    text = f"{value:.12g}" if isinstance(value, float) else str(value)
    return " ".join(text.split()) or "empty"


def _change(before: Any, after: Any) -> str:
    plain = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (before, after))
    return f" ({number(100 * (after / before - 1)):s} percent)" if plain and before else ""
