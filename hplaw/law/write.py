"""Writing law files: a `LawSpec` as TOML that reads back to the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from hplaw.law.format import LawSpec
from hplaw.narrowing import is_list, is_table


_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
_WIDE = 100
"""Characters of a line beyond which a list is written with one entry a line."""
_NESTED = frozenset(("quantities", "tables", "effects", "predict"))
"""Tables whose entries are tables with a head of their own; those of others are written in one line each."""


def write_law(spec: LawSpec) -> str:
    """Return the text of a law file; what has its default value is left out, and so are comments.

    >>> from hplaw.law.read import decode_spec
    >>> from hplaw.catalogue.catalogue import load_catalogue
    >>> spec = load_catalogue().get("step-law-2025").spec
    >>> decode_spec(write_law(spec).encode()) == spec
    True
    """
    whole: dict[str, Any] = msgspec.to_builtins(spec)
    head = {key: value for key, value in whole.items() if key == "inputs" or not _own_head(value)}
    parts = [_lines(head)]
    for key, value in whole.items():
        if is_table(value):
            parts += _table(key, value, nested=key in _NESTED)
        elif key not in head:
            parts += _list(key, value)
    return "\n\n".join(parts) + "\n"


def _own_head(value: Any) -> bool:
    """Return whether a value is written under a head: a table, or a list of nothing but tables."""
    return is_table(value) or (is_list(value) and bool(value) and all(map(is_table, value)))


def _table(name: str, table: Mapping[str, Any], *, nested: bool) -> Iterator[str]:
    """Yield a table under its head, then the tables in it that have heads of their own."""
    heads = {
        key: value
        for key, value in table.items()
        if (nested and is_table(value)) or (is_list(value) and _own_head(value))
    }
    plain = {key: value for key, value in table.items() if key not in heads}
    if plain or not heads:
        yield f"[{name}]\n{_lines(plain)}".rstrip("\n")
    for key, value in heads.items():
        head = f"{name}.{_key(key)}"
        yield from _table(head, value, nested=False) if is_table(value) else _list(head, value)


def _list(name: str, tables: Any) -> Iterator[str]:
    return (f"[[{name}]]\n{_lines(entry)}" for entry in tables)


def _lines(table: Mapping[str, Any]) -> str:
    return "\n".join(f"{_key(key)} = {_value(value)}" for key, value in table.items())


def _key(key: str) -> str:
    return key if _BARE.match(key) else _string(key)


def _value(value: Any) -> str:
    if is_table(value):
        inside = ", ".join(f"{_key(key)} = {_value(entry)}" for key, entry in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if is_list(value):
        entries = [_value(entry) for entry in value]
        line = f"[{', '.join(entries)}]"
        return line if len(line) <= _WIDE else "[\n  " + ",\n  ".join(entries) + ",\n]"
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return _number(value)
        case str():
            return _string(value)
        case _:
            return str(value)


def _number(value: float) -> str:
    """Return a number in the shorter of its two forms: 2.1e8, and not 210000000.0."""
    plain = repr(value)
    short = re.sub(r"\.?0*e\+0*", "e", f"{value:.16e}")
    return short if len(short) < len(plain) > 6 and float(short) == value else plain


def _string(text: str) -> str:
    """Return a string as TOML writes it, of several lines where it has several."""
    plain = text.replace("\\", r"\\").replace('"', r"\"").replace("\t", r"\t")
    plain = re.sub(r"[\x00-\x09\x0b-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", plain)
    return f'"""\n{plain}"""' if "\n" in plain else f'"{plain}"'
