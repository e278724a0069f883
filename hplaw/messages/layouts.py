"""The wire type of the answer which parallel layouts fit and are fastest."""

from __future__ import annotations

from msgspec import field

from hplaw.messages.layout import Layout
from hplaw.messages.recommendation import AnswerWarning
from hplaw.messages.record import Record


class LayoutReply(Record, frozen=True, kw_only=True):
    """The fastest layouts, the best of each tensor and pipeline degree, of those that fit; and what was taken for known.

    - `considered`, `fitting`: how many layouts were looked at, and how many of them fit.
    - `room_bytes`: memory that a layout may take.
    - `shape`: the model's shape; `assumptions` what was not given.
    """

    layouts: list[Layout]
    considered: int
    fitting: int
    room_bytes: float
    shape: dict[str, float]
    assumptions: list[str] = field(default_factory=list[str])
    laws: list[str]
    warnings: list[AnswerWarning] = field(default_factory=list[AnswerWarning])
