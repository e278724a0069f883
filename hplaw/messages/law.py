"""Laws, their sources, the quantities they use, and the health of what holds them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from hplaw.messages.record import Record, Scalar
from hplaw.vocabulary.quantities import Quantity


class Citation(Record, frozen=True, kw_only=True):
    """The source of a law that an answer used."""

    law: str
    title: str
    authors: str = ""
    year: int | None = None
    arxiv: str | None = None
    doi: str | None = None
    where: str = ""
    checked: str = ""
    bibtex: str = ""


class LawSummary(Record, frozen=True, kw_only=True):
    """A line of the list of laws."""

    id: str
    version: int
    address: str
    title: str
    kind: str
    status: str
    checked: str
    inputs: list[str]
    outputs: list[str]
    shelf: str
    shadows: str | None = None


class LawRecord(Record, frozen=True, kw_only=True):
    """A law whole: summary, formulas as text and LaTeX, domain, source, notes, examples, and the file itself."""

    summary: LawSummary
    formulas: dict[str, str]
    latex: dict[str, str]
    domain: dict[str, list[Scalar]]
    citation: Citation
    notes: str
    evidence: dict[str, Any] | None
    examples: list[dict[str, Any]]
    text: str


class QuantityRecord(Record, frozen=True, kw_only=True):
    """A word of the vocabulary."""

    name: str
    symbol: str
    unit: str
    meaning: str
    low: float | None = None
    high: float | None = None
    categories: list[str] = []


class Health(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Whether the service can answer, with how many laws, and the law files that could not be read."""

    status: str
    laws: int = 0
    problems: list[str] = []


def quantity_records(quantities: Iterable[Quantity]) -> list[QuantityRecord]:
    """Return words of the vocabulary as records.

    >>> from hplaw.vocabulary.quantities import vocabulary
    >>> quantity_records([vocabulary()["tokens"]])[0].unit
    'token'
    """
    return [msgspec.convert(item, QuantityRecord, from_attributes=True) for item in quantities]
