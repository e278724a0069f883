"""Writing law files: a `LawSpec` as TOML that reads back to the same."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from hplaw.law.format import LawSpec
from hplaw.narrowing import is_list, is_table


_BARE = re.compile(r"[A-Za-z0-9_-]+\Z")
_WIDE = 120
"""Characters that a line has at most, where its content can be broken."""
_INDENT = "  "
_NESTED = frozenset(("quantities", "tables", "effects", "predict"))
"""Tables whose entries are tables with a head of their own."""


def write_law(spec: LawSpec) -> str:
    """Return the text of a law file; what has its default value is omitted, and so are comments.

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


def _own_head(value: object) -> bool:
    """Return whether a value is written under a head: a table, or a list of nothing but tables."""
    return is_table(value) or (is_list(value) and bool(value) and all(map(is_table, value)))


def _table(name: str, table: Mapping[str, object], *, nested: bool) -> Iterator[str]:
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


def _lines(table: Mapping[str, object]) -> str:
    return "\n".join(line for key, value in table.items() for line in _entry(_key(key), value))


def _entry(name: str, value: object) -> Iterator[str]:
    """Yield the lines of one entry; a table too wide for a line has a line for each of its own, as in `a.b = 1`."""
    line = f"{name} = {_flat(value)}"
    if len(line) <= _WIDE:
        yield line
    elif is_table(value) and value:
        for key, entry in value.items():
            yield from _entry(f"{name}.{_key(key)}", entry)
    else:
        yield f"{name} = {_value(value, 0)}"


def _key(key: str) -> str:
    return key if _BARE.match(key) else _string(key)


def _value(value: object, level: int) -> str:
    """Return a value that is too wide for one line: a list over several, indented by its level."""
    if not is_list(value):
        return _flat(value)
    inside = _INDENT * (level + 1)
    wide = _WIDE - len(inside)
    if any(is_list(entry) or is_table(entry) for entry in value):
        lines = [line if len(line := _flat(entry)) < wide else _value(entry, level + 1) for entry in value]
    else:
        lines = _filled([_flat(entry) for entry in value], wide)
    return "\n".join(["[", *(f"{inside}{line}," for line in lines), f"{_INDENT * level}]"])


def _filled(words: list[str], wide: int) -> list[str]:
    """Return words as lines, as many in each as it holds."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(word) + 3 <= wide:
            lines[-1] += f", {word}"
        else:
            lines.append(word)
    return lines


def _flat(value: object) -> str:
    """Return a value in one line, a text of several lines apart."""
    if is_table(value):
        inside = ", ".join(f"{_key(key)} = {_flat(entry)}" for key, entry in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if is_list(value):
        return f"[{', '.join(map(_flat, value))}]"
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return _number(value)
        case str():
            return _string(value)
        case _:
            return str(value)


_EXACT = 1e15
"""Size below which a whole number is exact, so that it may be written as one."""


def _number(value: float) -> str:
    """Return a number as people write it: 2.1e8 and not 210000000.0, 8 and not 8.0, 1e-6 and not 1e-06."""
    if value.is_integer() and abs(value) < _EXACT and repr(value) != "-0.0":
        plain = str(int(value))
    else:
        plain = re.sub(r"e([+-])0*", r"e\1", repr(value)).replace("e+", "e")
    short = re.sub(r"\.?0*e\+0*", "e", f"{value:.16e}")
    return short if len(short) < len(plain) > 5 and float(short) == value else plain


def _string(text: str) -> str:
    """Return a string as TOML writes it, of several lines where it has several."""
    plain = text.replace("\\", r"\\").replace('"', r"\"").replace("\t", r"\t")
    plain = re.sub(r"[\x00-\x09\x0b-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", plain)
    return f'"""\n{plain}"""' if "\n" in plain else f'"{plain}"'
