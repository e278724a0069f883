"""Rows that know and want the same, on their way through the planner's route: every step of one question, on columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw.answer.columns import Column, Columns, ask_column, followed
from hplaw.catalogue.catalogue import Catalogue
from hplaw.law import Law
from hplaw.messages.recommendation import BriefEstimate, BriefRecommendation
from hplaw.narrowing import is_column
from hplaw.posterior.scenarios import scenarios
from hplaw.recommendation.question import Question
from hplaw.recommendation.route import Candidate, Route
from hplaw.recommendation.warnings import TELLING, Seen, codes_of, question_share


Array = NDArray[np.float64]


class _Source(msgspec.Struct):
    """Where the rows of one quantity came from: index into `laws` by row, and values with intervals."""

    laws: list[Law]
    law: NDArray[np.int64]
    column: Columns


class Walk:
    """One group of rows on its way through a route.

    **Arguments:**

    - `questions`: the rows, of one signature.
    - `known`: what they know: categories, and numbers `[row]`.
    """

    def __init__(self, route: Route, questions: Sequence[Question], known: dict[str, Any]) -> None:
        self.route, self.questions, self.known = route, questions, known
        self.question, self.size = questions[0], len(questions)
        self.needed = frozenset(slot.quantity for slot in route.slots)
        self.sources: dict[str, _Source] = {}
        self.away: dict[Law, tuple[int, Array]] = {}
        self.asked: dict[tuple[Law, bytes, tuple[str, ...]], Column] = {}
        self.passed = np.zeros(self.size, dtype=np.int64)
        """Whether some law that came first had no value for a row, 1 or 0."""

    def run(self) -> None:
        """Derive every quantity of the route for all rows.

        **Raises:** `NeedsSearch` where a decision cannot be made by row.
        """
        leaders: dict[str, tuple[list[Law], NDArray[np.int64]]] | None = None
        for slot in self.route.slots:
            if slot.quantity in self.known:
                continue
            lead = None
            if any(slot.quantity in group.names for group in self.route.together):
                leaders = self._leaders() if leaders is None else leaders
                lead = leaders.get(slot.quantity)
            self._fill(slot.quantity, slot.candidates, lead)

    def _distance(self, law: Law) -> tuple[int, Array]:
        """Return the distance to a law's domain when it was first looked at, by which it is ranked."""
        found = self.away.get(law)
        if found is None:
            found = self.away[law] = self._measured(law, frozenset())
        return found

    def _measured(self, law: Law, own: frozenset[str]) -> tuple[int, Array]:
        """Return how many categories of a law's domain differ, and the e-folds outside it by row, as known now."""
        differs, total = 0, np.zeros(self.size)
        known = {name: value for name, value in self.known.items() if name not in own}
        known |= followed(law, known)
        for name, seen in law.spec.domain.items():
            value = known.get(name)
            if isinstance(value, str):
                differs += value not in seen
            elif value is not None:
                total = total + np.nan_to_num(_outside(value, float(seen[0]), float(seen[1])))
        return differs, total

    def _ranks(self, candidates: Sequence[Candidate]) -> NDArray[np.int64]:
        """Return for every row the candidates in order, best first: `[place, row]`."""
        away = [self._distance(candidate.law) for candidate in candidates]
        coarse = {
            key: i
            for i, key in enumerate(
                sorted({(c.preferred, c.status, d) for c, (d, _) in zip(candidates, away, strict=True)})
            )
        }
        bucket = np.array([[coarse[c.preferred, c.status, d]] for c, (d, _) in zip(candidates, away, strict=True)])
        order = sorted(range(len(candidates)), key=lambda i: candidates[i].tail)
        tail = np.empty((len(candidates), 1))
        tail[order, 0] = np.arange(len(candidates))
        total = np.stack([t for _, t in away])
        return np.lexsort((np.broadcast_to(tail, total.shape), total, np.broadcast_to(bucket, total.shape)), axis=0)

    def _ready(self, candidate: Candidate) -> NDArray[np.bool_]:
        ready = np.ones(self.size, dtype=bool)
        for name in candidate.needs:
            value = self.known.get(name)
            ready &= np.isfinite(value) if is_column(value) else value is not None
        return ready

    def _leaders(self) -> dict[str, tuple[list[Law], NDArray[np.int64]]]:
        """Return for each coherent quantity the law that gives all of its group, by row."""
        for group in self.route.together:
            shared = [c for c in group.shared.candidates if self._ready(c).all()]
            if shared and group.best in (None, min(c.preferred for c in shared)):
                first = self._ranks(shared)[0]
                return dict.fromkeys(group.names, ([c.law for c in shared], first))
        return {}

    def _fill(
        self, name: str, candidates: Sequence[Candidate], lead: tuple[list[Law], NDArray[np.int64]] | None
    ) -> None:
        """Give every row the value of its best law that speaks there, a doubtful one where no other does."""
        ranks = self._ranks(candidates)
        if lead is not None:
            leading = np.array([[lead[0].index(c.law) if c.law in lead[0] else -1] for c in candidates])
            first = np.take_along_axis(leading == lead[1][None], ranks, axis=0)
            ranks = np.take_along_axis(ranks, np.argsort(~first, axis=0, kind="stable"), axis=0)
        source = _Source([c.law for c in candidates], np.full(self.size, -1), Columns.empty(self.size))
        settled = np.zeros(self.size, dtype=bool)
        for place in range(len(candidates)):
            for index in sorted({*_whole(ranks[place])}):
                candidate = candidates[index]
                ready = (ranks[place] == index) & ~settled & self._ready(candidate)
                for rows, own in self._by_choice(candidate.law, np.flatnonzero(ready)):
                    column = self._ask(candidate.law, rows, own)
                    values = column.values.get(name)
                    if values is None:
                        continue
                    speaks = np.isfinite(values)
                    self.passed[rows[~speaks]] = 1
                    preferred = candidate.preferred < len(self.question.prefer)
                    sure = speaks & ((column.doubtful == 0) | preferred)
                    take = sure | (speaks & (source.law[rows] < 0))
                    source.law[rows[take]] = index
                    source.column.put(rows[take], column.one(name, take))
                    settled[rows[sure]] = True
        self.known[name] = source.column.value
        self.sources[name] = source

    def _by_choice(self, law: Law, rows: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], frozenset[str]]]:
        """Yield rows that agree in which chosen quantities this law gave itself, so that it is free to give them again.

        It is not where another law gave a part of them.
        """
        given = [name for name in law.chosen if name in self.sources]
        mine = {name: self._gave(law, name)[rows] for name in given}
        others = [np.isfinite(self.known[name][rows]) & ~mine[name] for name in given]
        whole = ~np.any(others, axis=0) if others else np.ones(len(rows), dtype=bool)
        own = {name: gave & whole for name, gave in mine.items()}
        pattern = sum(
            (mine.astype(np.int64) << i for i, mine in enumerate(own.values())), np.zeros(len(rows), np.int64)
        )
        for code in sorted({*_whole(pattern)}):
            names = frozenset(name for i, name in enumerate(own) if code >> i & 1)
            yield rows[pattern == code], names

    def _gave(self, law: Law, name: str) -> NDArray[np.bool_]:
        """Return the rows for which a law gave a quantity."""
        source = self.sources[name]
        return source.law == source.laws.index(law) if law in source.laws else np.zeros(self.size, dtype=bool)

    def _ask(self, law: Law, rows: NDArray[np.int64], own: frozenset[str]) -> Column:
        fixed = tuple(name for name in law.chosen if name in self.known and name not in own)
        key = (law, rows.tobytes(), fixed)
        found = self.asked.get(key)
        if found is None:
            inputs = {
                name: value if isinstance(value, str) else value[rows]
                for name, value in self.known.items()
                if name not in own
            }
            found = self.asked[key] = ask_column(law, inputs, self._measured(law, own)[1][rows], seen=self._seen(law))
        return found

    def _seen(self, law: Law) -> frozenset[str]:
        """Return the outputs of a law that are worked out with intervals: those that are needed, where one is wanted.

        A fitted law's are, too, as its values are the medians of its scenarios.
        """
        wanted = any(name in law.outputs for name in self.question.want)
        if not wanted and not scenarios(law).fitted:
            return frozenset()
        return self.needed & law.outputs.keys()

    def results(self, catalogue: Catalogue) -> list[BriefRecommendation]:
        """Return the rows as records."""
        question = self.question
        wanted = [name for name in question.want if question.asked or name in catalogue.givers]
        columns = {name: self._estimates(name) for name in wanted}
        codes = self._codes(wanted, catalogue)
        return [
            BriefRecommendation(answers={name: columns[name][i] for name in wanted}, warnings=codes[i])
            for i in range(self.size)
        ]

    def _estimates(self, name: str) -> list[BriefEstimate]:
        source = self.sources.get(name)
        if source is None:
            reason = self.route.reasons.get(name, f"no law here gives {name}")
            return [BriefEstimate(value=None, reason=reason)] * self.size
        addresses = [law.address for law in source.laws]
        lists = [
            _nullable(field)
            for field in (
                source.column.value,
                source.column.low,
                source.column.high,
                source.column.transfer_low,
                source.column.transfer_high,
            )
        ]
        reason = f"no law that gives {name} has a value here"
        return [
            BriefEstimate(
                value=value,
                low=low,
                high=high,
                transfer_low=t_low,
                transfer_high=t_high,
                law=addresses[index] if index >= 0 else None,
                reason=None if value is not None else reason,
            )
            for index, (value, low, high, t_low, t_high) in zip(
                _whole(source.law), zip(*lists, strict=True), strict=True
            )
        ]

    def _codes(self, wanted: Sequence[str], catalogue: Catalogue) -> list[list[str]]:
        """Return the codes of the warnings by row, those of equal rows worked out once."""
        behind = self._behind(wanted)
        laws = list(dict.fromkeys(law for name in behind for law in self.sources[name].laws))
        away = [(self._distance(law)[1] > 0).astype(np.int64) for law in laws]
        doubt = [self._doubt(law) for law in laws]
        telling = np.array([int(question_share(q) > TELLING) for q in self.questions])
        sources = [self.sources[name].law for name in behind]
        keys = np.stack([*sources, *away, *doubt, telling, self.passed], axis=1)
        found: dict[bytes, list[str]] = {}
        result: list[list[str]] = []
        for i, row in enumerate(keys):
            key = row.tobytes()
            codes = found.get(key)
            if codes is None:
                source = {
                    name: self.sources[name].laws[index]
                    for name, index in zip(behind, _whole(row), strict=False)
                    if index >= 0
                }
                needed = _rest_on(wanted, source)
                used = [law for law in laws if law in needed]
                seen = [
                    Seen(
                        law, bool(away[laws.index(law)][i]), self._distance(law)[0] > 0, int(doubt[laws.index(law)][i])
                    )
                    for law in used
                ]
                codes = codes_of(self.questions[i], seen, source, catalogue)
                found[key] = codes = codes + ["passed-over"] * int(self.passed[i])
            result.append(codes)
        return result

    def _doubt(self, law: Law) -> NDArray[np.int64]:
        doubt = np.zeros(self.size, dtype=np.int64)
        for (asked, rows, _), column in self.asked.items():
            if asked is law:
                doubt[np.frombuffer(rows, dtype=np.int64)] = column.doubtful
        return doubt

    def _behind(self, wanted: Sequence[str]) -> list[str]:
        """Return the derived quantities that wanted ones rest on, themselves included."""
        found: dict[str, None] = {}
        stack = [name for name in wanted if name in self.sources]
        while stack:
            name = stack.pop()
            if name not in found:
                found[name] = None
                source = self.sources[name]
                used = [source.laws[i] for i in sorted({*_whole(source.law)}) if i >= 0]
                stack.extend(n for law in used for n in law.inputs if n in self.sources)
        return list(found)


def _rest_on(wanted: Sequence[str], source: Mapping[str, Law]) -> set[Law]:
    """Return the laws that wanted quantities of one row rest on, by the law of each quantity."""
    found: set[str] = set()
    stack = [name for name in wanted if name in source]
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack.extend(n for n in source[name].inputs if n in source)
    return {source[name] for name in found}


def _outside(value: Array, low: float, high: float) -> Array:
    """Return e-folds outside [low, high], or shares of its width where a logarithm makes no sense."""
    edge = np.where(value > high, high, low)
    folds = np.abs(np.log(value) - np.log(edge))
    plain = np.abs(value - edge) / ((high - low) or abs(low) or 1.0)
    return np.where((low <= value) & (value <= high), 0.0, np.where((edge > 0) & (value > 0), folds, plain))


def _whole(values: NDArray[np.int64]) -> list[int]:
    found: list[int] = values.tolist()
    return found


def _nullable(values: Array) -> list[float | None]:
    found: list[Any] = values.tolist()
    if np.isnan(values).any():
        return [None if value != value else value for value in found]
    return found
