"""Search spaces as TOML has them: a table of fields, each a value, a list of choices, or a node by its word.

width = [32, 64]
peak_lr = { log_grid = [1e-4, 1e-1, 7] }
order = { permutation = ["a", "b", "c"] }
layers = { subset = 2, of = [0, 1, 2, 3] }
optimizer = { choice = ["sgd", { value = "adamw", with = { beta2 = [0.95, 0.99] } }] }
size = { choice = [{ with = { width = 32, n_layers = 2 } }, { with = { width = 64, n_layers = 4 } }] }
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hplaw.errors import QueryError, nearest
from hplaw_experiments.sweep.space import (
    Case,
    Choice,
    Const,
    Grid,
    Node,
    Permutation,
    Range,
    Record,
    Subset,
    case,
    choice,
    grid,
    log_grid,
    names_in,
    permutation,
    subset,
)


WORDS = ("choice", "grid", "log_grid", "range", "log_range", "subset", "permutation", "with")


def read_space(table: Mapping[str, Any]) -> Record:
    """Return the space that a table of a sweep file says.

    **Raises:** `QueryError` naming the field.

    >>> from hplaw_experiments.sweep.space import count
    >>> count(read_space({"width": [32, 64], "peak_lr": {"log_grid": [1e-4, 1e-1, 7]}}))
    14
    """
    space = Record({name: _read(name, value) for name, value in table.items()})
    owners: dict[str, str] = {}
    for name, node in space.fields.items():
        for word in (name, *names_in(node)):
            if owners.setdefault(word, name) != name:
                message = f"space.{name} and space.{owners[word]} both set {word}; let one of them"
                raise QueryError(message, field=word)
    return space


def write_space(space: Record) -> dict[str, Any]:
    """Return the table that reads back to the space.

    >>> table = {"width": [32, {"with": {"n_layers": 2}}], "x": {"subset": 1, "of": [1, 2]}}
    >>> write_space(read_space(table)) == table
    True
    """
    return {name: _write(node) for name, node in space.fields.items()}


def _read(name: str, value: Any) -> Node:
    if isinstance(value, list | tuple):
        if not value:
            message = f"space.{name} is empty; give one choice or more"
            raise QueryError(message, field=name)
        return choice(*(_read(name, option) for option in value))
    if not isinstance(value, Mapping):
        return Const(value)
    body = dict(value)
    try:
        match body:
            case {"choice": [*options], **rest} if not rest:
                return _read(name, options)
            case {"grid": [low, high, int(points)], **rest} if not rest:
                return grid(low, high, points)
            case {"log_grid": [low, high, int(points)], **rest} if not rest:
                return log_grid(low, high, points)
            case {"range": [low, high], **rest} if not rest:
                return Range(float(low), float(high))
            case {"log_range": [low, high], **rest} if not rest and low > 0:
                return Range(float(low), float(high), log=True)
            case {"subset": int(size), "of": [*options], **rest} if not rest:
                return subset(size, options)
            case {"permutation": [*options], **rest} if not rest:
                return permutation(*options)
            case {"with": Mapping() as fields, **rest} if set(rest) <= {"value"}:
                own = {k: _read(f"{name}.{k}", v) for k, v in fields.items()}
                given = _read(name, rest["value"]) if "value" in rest else None
                return case(given, **own)
            case _:
                pass
    except QueryError as error:
        message = f"space.{name}: {error.text}"
        raise QueryError(message, field=name) from None
    except TypeError:
        pass
    word = next((key for key in body if key not in WORDS and key not in ("of", "value")), "")
    message = f"space.{name} = {body} is no node{nearest(word, WORDS)}; give a list, or one of {', '.join(WORDS)} as in log_grid = [1e-4, 1e-1, 7]"
    raise QueryError(message, field=name)


def _write(node: Node) -> Any:
    match node:
        case Const(value):
            return value
        case Choice(options):
            return [_write(option) for option in options]
        case Grid(low, high, points, log):
            return {"log_grid" if log else "grid": [low, high, points]}
        case Range(low, high, log):
            return {"log_range" if log else "range": [low, high]}
        case Subset(size, options):
            return {"subset": size, "of": list(options)}
        case Permutation(options):
            return {"permutation": list(options)}
        case Record():
            return {"with": write_space(node)}
        case Case(value, fields):
            own = {} if value is None else {"value": _write(value)}
            return {**own, "with": write_space(fields)}
