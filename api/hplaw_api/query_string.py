"""Questions written as a query string."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import msgspec

from hplaw.errors import MalformedQuery
from hplaw.messages.decode import decode
from hplaw.messages.layout import SHAPE_WORDS, LayoutRequest
from hplaw.messages.query import Query
from hplaw.messages.query_text import DAYS, NAMES, NUMBERS, OTHERS, TUNED_BASE, read_query_fields
from hplaw.vocabulary.names import called, meant_quantity
from hplaw.vocabulary.quantities import vocabulary
from hplaw.vocabulary.reading import read_number


LISTS = ("want", "laws", "given", "bound")
"""Parameters that may be given several times."""

BODY_ONLY = ("model",)
"""Fields of a question that only the body of a POST can carry."""

PARAMETERS = (*NUMBERS, *NAMES, DAYS, *OTHERS, TUNED_BASE, *LISTS)
"""All parameters of a question: what the options of `hplaw recommend` are, named as the fields of the body are."""

LAYOUT_NAMES = ("hardware", "precision", "optimizer", "recomputation")
"""Parameters of a question for layouts that are names; the others are numbers."""

LAYOUT_PARAMETERS = (*(name for name in LayoutRequest.__struct_fields__ if name not in BODY_ONLY), *SHAPE_WORDS)
"""All parameters of a question for layouts; a model is given by the words of its shape."""

_MAX_PARAMETERS = 100


def read_pairs(query_string: bytes) -> list[tuple[str, str]]:
    """Return the names and values of a query string in order; a plus is a plus, as in 1e+9 and in law addresses.

    **Raises:** `QueryError` for more than a hundred, or text that is not UTF-8.
    """
    text = query_string.replace(b"+", b"%2B").decode("latin-1")
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS)
    except UnicodeDecodeError:
        message = "the query string is not UTF-8; percent-encode UTF-8"
        raise MalformedQuery(message) from None
    except ValueError:
        message = f"more than {_MAX_PARAMETERS} parameters were given; ask with POST"
        raise MalformedQuery(message) from None


def read_filters(query_string: bytes, *names: str) -> dict[str, str]:
    """Return parameters that may each be given once, and no others.

    **Raises:** `QueryError` naming a parameter that is unknown or repeated.

    >>> read_filters(b"status=theory", "quantity", "status")
    {'status': 'theory'}
    """
    found: dict[str, str] = {}
    for name, value in read_pairs(query_string):
        _check_known(name, names)
        _check_once(name, found)
        found[name] = value
    return found


def read_query(query_string: bytes) -> Query:
    """Return the question that a query string asks; numbers are read as the command line reads them.

    **Raises:** `QueryError` naming a parameter that is unknown, repeated, no number or out of range.

    >>> read_query(b"n_params=7B&want=peak_lr&want=loss").want
    ['peak_lr', 'loss']
    >>> read_query(b"n_params=7B&days=1&given=weight_decay=0.1").given
    {'duration_s': 86400.0, 'weight_decay': 0.1}
    """
    texts: dict[str, str] = {}
    lists: dict[str, list[str]] = {name: [] for name in LISTS}
    for name, value in read_pairs(query_string):
        if name in BODY_ONLY:
            message = f"{name}: a query string cannot carry it; send it in the body of a POST"
            raise MalformedQuery(message, field=name)
        _check_known(name, PARAMETERS)
        if name in LISTS:
            lists[name].append(value)
            continue
        _check_once(name, texts)
        texts[name] = value
    fields = read_query_fields(texts, given=lists["given"], bound=lists["bound"])
    fields |= {"want": lists["want"], "laws": lists["laws"]}
    # the same checks, in the same words, as for a body
    return decode(msgspec.json.encode(fields), Query)


def read_layout_request(query_string: bytes) -> LayoutRequest:
    """Return the question for layouts that a query string asks.

    **Raises:** `QueryError` naming a parameter that is unknown, repeated, missing, no number or out of range.

    >>> read_layout_request(b"n_params=70B&devices=64&hardware=h100-sxm").devices
    64.0
    """
    texts = read_filters(query_string, *LAYOUT_PARAMETERS)
    read: dict[str, float | str] = {
        name: text if name in LAYOUT_NAMES else read_number(name, text) for name, text in texts.items()
    }
    for name in ("devices", "hardware"):
        if name not in read:
            message = f"{name}: missing; a layout is for a number of devices of one hardware"
            raise MalformedQuery(message, field=name)
    model = {name: read.pop(name) for name in SHAPE_WORDS if name in read}
    return decode(msgspec.json.encode({**read, **({"model": model} if model else {})}), LayoutRequest)


def _check_known(name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        quantity = called(name)
        if "given" in names and quantity not in names and quantity in vocabulary():
            known = f"a quantity that is no parameter is given by given={quantity}=VALUE"
        else:
            known = f"known are {', '.join(names)}{meant_quantity(name, names)}" if names else "this path takes none"
        message = f"{name}: unknown parameter; {known}"
        raise MalformedQuery(message, field=name)


def _check_once(name: str, seen: dict[str, Any]) -> None:
    if name in seen:
        message = f"{name}: given twice; give it once"
        raise MalformedQuery(message, field=name)
