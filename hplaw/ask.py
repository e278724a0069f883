"""The shortest ways to ask: one call for one answer, with the laws that this process finds."""

from __future__ import annotations

import functools as ft
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hplaw.catalogue import Catalogue, load_catalogue
from hplaw.client import LocalClient
from hplaw.messages import Evaluation, Query, Recommendation


@ft.lru_cache(maxsize=8)
def _catalogue(folders: tuple[str, ...]) -> Catalogue:
    return load_catalogue(folders)


def recommend(
    query: Query | None = None, /, *, folders: Iterable[str | Path] = (), **fields: Any
) -> Recommendation:
    """Return what to set and what to expect for a run.

    **Arguments:**

    - `query`: a `Query`; or its fields by name (`n_params`, `tokens`, `batch_tokens`, `given`, `want`, `laws`, ...).
    - `folders`: folders of law files searched before all others.

    **Raises:** `QueryError` naming the field at fault; `LawNotFound`.

    >>> round(recommend(n_params=1e9, tokens=1e11, laws=["step-law-2025"]).answers["peak_lr"].value, 6)
    0.001632
    """
    from hplaw.client.calls import query_body
    from hplaw.decoding import decode
    from hplaw.recommendation import recommend as answer

    return answer(decode(query_body(query, fields), Query), _catalogue(tuple(map(str, folders))))


def evaluate(
    address: str, given: Mapping[str, Any], *, folders: Iterable[str | Path] = ()
) -> Evaluation:
    """Return what one law says at one point.

    **Arguments:**

    - `address`: `id`, `id@version` or `id@version+digest`.
    - `given`: values by input; a table by category for an input over an index.

    **Raises:** `LawNotFound`; `QueryError` naming the input at fault.

    >>> evaluate("compute-6nd", {"n_active_params": 1e9, "tokens": 2e10}).outputs["compute_flop"].value
    1.2e+20
    """
    from hplaw.evaluation import evaluate as answer

    catalogue = _catalogue(tuple(map(str, folders)))
    return answer(catalogue.get(address), given, catalogue)


def local(laws: Iterable[str | Path] = ()) -> LocalClient:
    """Return a client that answers in this process, with the methods of the one over HTTP.

    >>> local().law("step-law-2025").summary.status
    'published'
    """
    return LocalClient(laws)
