"""JSON -> wire types, with every refusal a sentence that names the field."""

from __future__ import annotations

import json
import re
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec

from hplaw.errors import MalformedQuery, QueryError, nearest


Kind = TypeVar("Kind")


def decode(body: bytes, kind: type[Kind]) -> Kind:
    """Return the record of type `kind` that the JSON `body` holds.

    **Raises:** `QueryError` naming the field: malformed JSON, unknown or repeated fields, a string for a number,
    NaN and infinities, values out of bounds.
    """
    try:
        record = _decoder(kind).decode(body)
        _refuse_repeated(body)
    except msgspec.ValidationError as error:
        raise _at_fault(str(error), body, kind) from None
    except QueryError:
        raise
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        message = f"the body is not JSON: {error}; give one JSON object"
        raise MalformedQuery(message) from None
    return record


def _at_fault(text: str, body: bytes, kind: type[Any]) -> QueryError:
    """Return the error for what msgspec says of a body, naming the field."""
    problem, _, path = text.partition(" - at `")
    field = path.rstrip("`").removeprefix("$").lstrip(".")
    if "[...]" in field:
        field = _with_key(field, body, kind)
    unknown = problem.partition("unknown field `")[2].rstrip("`")
    if unknown:
        fields: tuple[str, ...] = getattr(kind, "__struct_fields__", ())
        offer = "" if field else nearest(unknown[:80], fields)
        field = f"{field}.{unknown}" if field else unknown
        return MalformedQuery(f"{field[:200]}: unknown field{offer}", field=field)
    named = problem.partition("Invalid enum value ")[2]
    words = _choices(kind, field) if named else ()
    if words:
        text = f"{named} is not known{nearest(named.strip(chr(39))[:80], words)}; give one of {', '.join(words)}"
        return MalformedQuery(f"{field}: {text}", field=field)
    return MalformedQuery(f"{field or 'the body'}: {_in_words(problem)}", field=field)


def _choices(kind: type[Any], field: str) -> tuple[str, ...]:
    """Return the words that a field takes, where it takes some and no others."""
    hint = get_type_hints(kind).get(field)
    return tuple(map(str, get_args(hint))) if get_origin(hint) is Literal else ()


_TYPES = {
    "float": "a number",
    "int": "a whole number",
    "str": "a text",
    "object": "an object",
    "array": "a list",
    "bool": "true or false",
    "null": "null",
}
"""What JSON's types are called to people."""

_EXPECTED = re.compile(r"Expected `(?P<type>[^`]+)`(?:, got `(?P<got>[^`]+)`| (?P<bound>[<>]=? \S+))?\Z")


def _in_words(problem: str) -> str:
    """Return what msgspec says of a value in the words of a person: what is needed, and what was given.

    >>> _in_words("Expected `float | null`, got `str`")
    'a number is needed here, not a text'
    >>> _in_words("Expected `float` > 0.0")
    'a number is needed here that is > 0'
    """
    match = _EXPECTED.match(problem)
    if not match:
        return f"{problem[0].lower()}{problem[1:]}"
    kinds = [_TYPES.get(kind, kind) for kind in match["type"].split(" | ") if kind != "null"]
    needed = " or ".join(kinds)
    if match["bound"]:
        return f"{needed} is needed here that is {match['bound'].removesuffix('.0')}"
    return f"{needed} is needed here" + (f", not {_TYPES.get(match['got'], match['got'])}" if match["got"] else "")


_LONG_BODY = 65_536
"""Bytes of a body beyond which no key is looked for."""


def _with_key(path: str, body: bytes, kind: type[Any]) -> str:
    """Return a path with the key at fault in place of the dots that msgspec writes for any key of a mapping."""
    head, _, tail = path.partition("[...]")
    try:
        whole: Any = msgspec.json.decode(body) if len(body) <= _LONG_BODY else None
    except msgspec.MsgspecError:  # an integer too long for any type
        whole = None
    node: Any = whole
    for part in re.findall(r"[^.\[\]]+", head):
        node = node and node[int(part) if part.isdigit() else part]
    if not isinstance(node, dict):
        return path
    mapping = cast("dict[str, Any]", node)
    items = list(mapping.items())
    for key, value in items:
        mapping.clear()
        mapping[key] = value
        try:
            msgspec.convert(whole, kind)
        except msgspec.ValidationError:
            return f"{head}.{key[:80]}{tail}"
    return path


_decoders: dict[type[Any], msgspec.json.Decoder[Any]] = {}


def _decoder(kind: type[Kind]) -> msgspec.json.Decoder[Kind]:
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders.setdefault(kind, msgspec.json.Decoder(kind))
    return decoder


def _refuse_repeated(body: bytes) -> None:
    """Refuse an object with a key twice: msgspec keeps the last, the standard decoder can be asked."""

    def unique(pairs: list[tuple[str, Any]]) -> None:
        if len({key for key, _ in pairs}) < len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    message = f"{key}: given twice; give each field once"
                    raise MalformedQuery(message, field=key)
                seen.add(key)

    json.loads(body, object_pairs_hook=unique)
