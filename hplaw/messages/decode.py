"""JSON -> wire types, with every refusal a sentence that names the field."""

from __future__ import annotations

import contextlib
import functools as ft
import json
import re
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec

from hplaw.errors import MalformedQuery, QueryError, nearest
from hplaw.messages.query import MAX_QUERIES, BatchRequest, Query
from hplaw.vocabulary.names import called, folded, meant_quantity
from hplaw.vocabulary.quantities import vocabulary


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
        again = _respelled(str(error), body, kind)
        if again is None:
            raise _at_fault(str(error), body, kind) from None
        _refuse_repeated(body)
        record = decode(again, kind)
    except QueryError:
        raise
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        message = f"the body is not JSON: {error}; give one JSON object"
        raise MalformedQuery(message) from None
    return record


def _at_fault(text: str, body: bytes, kind: type[Any]) -> QueryError:
    """Return the error for what msgspec says of a body, naming the field."""
    whole: Any = None
    if "[...]" in text and len(body) <= _LONG_BODY:
        # an integer may be too long for any type, lists too deep
        with contextlib.suppress(msgspec.MsgspecError, RecursionError):
            whole = msgspec.json.decode(body)
    problem, field = find_fault(text, whole, kind)
    unknown = problem.partition("unknown field `")[2].rstrip("`")
    if unknown:
        offer = "" if field else _offer(unknown, body, kind)
        field = f"{field}.{unknown}" if field else unknown
        return MalformedQuery(f"{field[:200]}: unknown field{offer}", field=field)
    named = problem.partition("Invalid enum value ")[2]
    words = _choices(kind, field) if named else ()
    if words:
        text = f"{named} is not known{nearest(named.strip(chr(39))[:80], words)}; give one of {', '.join(words)}"
        return MalformedQuery(f"{field}: {text}", field=field)
    return MalformedQuery(f"{field or 'the body'}: {_in_words(problem)}", field=field)


def _offer(unknown: str, body: bytes, kind: type[Any]) -> str:
    """Return what to write in place of a field that is unknown: another one, or a quantity in `given`."""
    fields: tuple[str, ...] = getattr(kind, "__struct_fields__", ())
    name = called(unknown)
    if "given" not in fields or name in fields or name not in vocabulary():
        return meant_quantity(unknown[:80], fields)
    return f'; a quantity that is no field is given by given={{"{name}": {_shown(body, unknown)}}}'


def _shown(body: bytes, field: str) -> str:
    """Return the value of a field as JSON, or dots where it is long or the body is none."""
    if len(body) <= _LONG_BODY:
        try:
            value = msgspec.json.decode(body, type=dict[str, msgspec.Raw]).get(field)
        except (msgspec.MsgspecError, RecursionError):
            value = None
        if value is not None and len(text := bytes(value).decode(errors="replace")) <= 40:
            return text
    return "..."


def _respelled(text: str, body: bytes, kind: type[Any]) -> bytes | None:
    """Return a body with a word spelled as its field has it, where case alone was at fault."""
    problem, _, path = text.partition(" - at `$.")
    field = path.rstrip("`")
    words = _choices(kind, field) if problem.startswith("Invalid enum value") else ()
    if not words or len(body) > _LONG_BODY:
        return None
    whole = msgspec.json.decode(body, type=dict[str, Any])
    word = folded(str(whole[field]))
    return msgspec.json.encode({**whole, field: word}) if word in words else None


def _choices(kind: type[Any], field: str) -> tuple[str, ...]:
    """Return the words that a field takes, where it takes some and no others."""
    hint = get_type_hints(kind).get(field)
    kinds = (hint, *get_args(hint))  # a field may also be null
    return next((tuple(map(str, get_args(each))) for each in kinds if get_origin(each) is Literal), ())


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
_WHOLE = "that's a multiple of 1"


def _in_words(problem: str) -> str:
    """Return what msgspec says of a value in the words of a person: what is needed, and what was given.

    >>> _in_words("Expected `float | null`, got `str`")
    'a number is needed here, not a text'
    >>> _in_words("Expected `float` > 0.0")
    'a number is needed here that is > 0'
    """
    if _WHOLE in problem:
        return "a whole number is needed here"
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


def find_fault(text: str, whole: Any, kind: type[Any]) -> tuple[str, str]:
    """Return what msgspec says is wrong with a value, and where: its path, keys of mappings by name.

    **Arguments:**

    - `text`: the words of the error, which have dots for any key of a mapping.
    - `whole`: the value, to find the key in; it is taken apart on the way.
    """
    problem, _, at = text.partition(" - at `")
    path = at.rstrip("`").removeprefix("$").lstrip(".")
    head, dots, tail = path.partition("[...]")
    node = whole
    for part in re.findall(r"[^.\[\]]+", head):
        node = node and node[int(part) if part.isdigit() else part]
    if not dots or not isinstance(node, dict):
        return problem, path
    mapping = cast("dict[str, Any]", node)
    for key, value in list(mapping.items()):
        mapping.clear()
        mapping[key] = value
        try:
            msgspec.convert(whole, kind)
        except msgspec.ValidationError as error:
            if str(error).endswith(at):  # another fault may come behind it
                return problem, f"{head}.{key[:80]}{tail}"
    return problem, path


class _Rows(msgspec.Struct, forbid_unknown_fields=True):
    queries: list[msgspec.Raw]


def decode_queries(body: bytes) -> list[Query | QueryError]:
    """Return the questions of a batch; in place of one that cannot be read is what is wrong with it.

    **Raises:** `QueryError` where the body is no batch: malformed JSON, a row that is no object, too many rows.
    """
    try:
        return [*decode(body, BatchRequest).queries]
    except MalformedQuery as error:
        try:
            rows = msgspec.json.decode(body, type=_Rows).queries
            json.loads(body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise error from None
        if len(rows) > MAX_QUERIES or not all(bytes(row).lstrip()[:1] == b"{" for row in rows):
            raise
    return [_row(bytes(row)) for row in rows]


def _row(body: bytes) -> Query | QueryError:
    try:
        return decode(body, Query)
    except QueryError as error:
        return error


@ft.cache
def _decoder(kind: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


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
