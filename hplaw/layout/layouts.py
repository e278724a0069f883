"""The layouts that fit a model on so many accelerators, the fastest first.

Memory is that of `layout-memory`, the share of the peak that of `layout-throughput`. A level from elsewhere, such as the
utilization of a law of whole trainings, replaces that of the latter, which then says only how layouts compare.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw.answer.answer import answer
from hplaw.arrays import Array
from hplaw.catalogue.catalogue import Catalogue
from hplaw.catalogue.listing import read_category
from hplaw.errors import ConflictingQuery, QueryError
from hplaw.evaluation.domain import distance
from hplaw.evaluation.point import point
from hplaw.expression.backends import Undefined
from hplaw.formatting import number, plural
from hplaw.layout.candidates import SLACK, Columns, candidates
from hplaw.layout.columns import over_columns
from hplaw.layout.memory import MEMORY, STATE, device_bytes
from hplaw.layout.shape import Shape, shape_of
from hplaw.messages.layout import FIXABLE, Layout, LayoutRequest, Recomputation
from hplaw.messages.layouts import LayoutReply
from hplaw.messages.recommendation import AnswerWarning
from hplaw.vocabulary.quantities import check_value, vocabulary


THROUGHPUT = "layout-throughput"
UTILIZATION = "layout_utilization"

MARGIN = 0.9
"""Share of an accelerator's memory that a layout may take by the law, which misses peaks by a tenth."""

DEVICE = ("peak_flop_per_s", "memory_bytes_per_s", "link_bytes_per_s", "device_memory_bytes")
LIMIT_FACTOR = 1024
"""Multiples of the accelerators up to which is looked for a number on which something fits."""

WORDS: tuple[Recomputation, ...] = ("none", "selective", "full")


class Found(msgspec.Struct, frozen=True):
    """Layouts as columns, with memory, predicted share of the peak and bubble; `room` is the memory they may take."""

    shape: Shape
    assumed: list[str]
    known: Mapping[str, Any]
    columns: Mapping[str, Array]
    words: list[Recomputation]
    room: float

    @property
    def fits(self) -> NDArray[np.bool_]:
        """Return which of them fit; what is too large to be computed does not."""
        return (self.columns["device_bytes"] <= self.room) & (self.columns[UTILIZATION] > 0)


def layouts(request: LayoutRequest, catalogue: Catalogue, *, level: float | None = None) -> LayoutReply:
    """Return the fastest layouts that fit, the best of each tensor and pipeline degree.

    **Arguments:**

    - `level`: share of the peak that the best layout reaches; by default what the law of layouts gives. Shares of others,
      and intervals, are in proportion.

    **Raises:** `QueryError` for a model that is not covered, an accelerator that is not known, and a batch that cannot be
    split; where nothing fits, with what would help.

    >>> from hplaw.catalogue.catalogue import load_catalogue
    >>> request = LayoutRequest(n_params=7e9, devices=8, hardware="h100-sxm")
    >>> found = layouts(request, load_catalogue())
    >>> found.layouts[0].relative, found.layouts[0].device_bytes < found.room_bytes
    (1.0, True)
    """
    found = find_layouts(request, catalogue)
    if not found.fits.any():
        message = _too_large(request, found, catalogue)
        raise ConflictingQuery(message, field="devices")
    best = _best_of_each(found, int(request.top))
    listed = _listed(found, best, catalogue, level)
    laws = [catalogue.get(name).address for name in (STATE, MEMORY, THROUGHPUT)]
    return LayoutReply(
        layouts=listed,
        considered=len(found.words),
        fitting=int(found.fits.sum()),
        room_bytes=found.room,
        shape=found.shape,
        assumptions=found.assumed,
        laws=laws,
        warnings=_warnings(found, listed[0], catalogue),
    )


def find_layouts(request: LayoutRequest, catalogue: Catalogue) -> Found:
    """Return all layouts that are looked at, those that do not fit too.

    **Raises:** `QueryError` as `layouts` does, but for memory.
    """
    shape, assumed = shape_of(request.model, request.n_params, catalogue)
    device, precision = _device(request, catalogue)
    batch_seqs = request.batch_tokens / request.seq_len
    columns = candidates(
        shape, devices=int(request.devices), devices_per_node=int(request.devices_per_node), batch_seqs=batch_seqs
    )
    if not len(columns["batch_seqs"]):
        message = f"a batch of {number(batch_seqs)} sequences cannot be split over {request.devices:g} accelerators within {SLACK:.0%}; give more batch_tokens, shorter sequences, or other devices"
        raise ConflictingQuery(message, field="batch_tokens")
    columns, again = _fixed(request, columns)
    known = {
        **shape,
        **device,
        "precision": precision,
        "optimizer": _named(catalogue, "optimizer", request.optimizer),
        "seq_len": request.seq_len,
        "devices_per_node": request.devices_per_node,
        "network_bytes_per_s": request.network_bytes_per_s,
    }
    try:
        parts = [_with_predictions(columns, {**known, "recomputation": word}, catalogue) for word in again]
    except Undefined as error:
        message = f"no layout of this model with {known['optimizer']} in {precision}: {error}"
        raise ConflictingQuery(message, field="optimizer") from None
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    words: list[Recomputation] = [word for word in again for _ in columns["batch_seqs"]]
    return Found(shape, assumed, known, whole, words, MARGIN * float(device["device_memory_bytes"]))


def _fixed(request: LayoutRequest, columns: Columns) -> tuple[Columns, list[Recomputation]]:
    """Return the layouts that have what a question fixes, and what they may recompute.

    **Raises:** `ConflictingQuery` where there is none.
    """
    fixed = {name: value for name in FIXABLE if (value := getattr(request, name)) is not None}
    kept = np.ones(len(columns["batch_seqs"]), dtype=bool)
    for name, value in fixed.items():
        kept &= columns[name] == value
    if not kept.any():
        said = " and ".join(f"{name}={value:g}" for name, value in fixed.items())
        message = f"no layout of this model on {request.devices:g} accelerators has {said}; omit it to have it chosen"
        raise ConflictingQuery(message, field=next(iter(fixed)))
    words: list[Recomputation] = [word for word in WORDS if request.recomputation in (None, word)]
    return {name: column[kept] for name, column in columns.items()}, words


def _device(request: LayoutRequest, catalogue: Catalogue) -> tuple[dict[str, float], str]:
    """Return the figures of an accelerator and the format that it computes in."""
    hardware = str(read_category(catalogue, "hardware", request.hardware, field="hardware"))
    precision = _named(catalogue, "precision", request.precision)
    here = point(catalogue.get("accelerators"), {"hardware": hardware, "precision": precision})
    try:
        return {name: float(here.output(name)) for name in DEVICE}, str(here.output("compute_format"))
    except Undefined as error:
        message = f"{hardware} in {precision}: {error}"
        raise ConflictingQuery(message, field="precision") from None


def _named(catalogue: Catalogue, name: str, value: str) -> str:
    """Return the name of a category as it is spelled here.

    **Raises:** `QueryError` for one that there is not.
    """
    found = str(read_category(catalogue, name, value, field=name))
    problem = check_value(vocabulary()[name], found)
    if problem:
        raise QueryError(problem, field=name)
    return found


def _with_predictions(columns: Columns, known: Mapping[str, Any], catalogue: Catalogue) -> dict[str, Array]:
    memory = device_bytes(known, columns, catalogue)["device_bytes"]
    predicted = over_columns(catalogue.get(THROUGHPUT), known, columns, (UTILIZATION, "bubble_share"))
    return {**columns, **predicted, "device_bytes": memory}


def _best_of_each(found: Found, top: int) -> list[int]:
    """Return the places of the fastest layouts that fit, one for each tensor and pipeline degree."""
    columns = found.columns
    order: NDArray[np.intp] = np.lexsort((columns["device_bytes"], -columns[UTILIZATION]))
    fitting: list[int] = order[found.fits[order]].tolist()
    best: dict[tuple[float, float], int] = {}
    for place in fitting:
        degrees = float(columns["tensor_parallel"][place]), float(columns["pipeline_parallel"][place])
        best.setdefault(degrees, place)
    return list(best.values())[:top]


def _listed(found: Found, places: list[int], catalogue: Catalogue, level: float | None) -> list[Layout]:
    """Return layouts as records, their shares in proportion to that of the best."""
    columns = found.columns
    share = columns[UTILIZATION]
    law = catalogue.get(THROUGHPUT)
    listed: list[Layout] = []
    for place in places:
        at = {name: float(columns[name][place]) for name in columns}
        known = {**found.known, **at, "recomputation": found.words[place]}
        spread = answer(law, known, want=[UTILIZATION]).spreads.get(UTILIZATION)
        if spread is None:
            message = f"{law.id} has no value for this model and batch; they are too large or too small to be computed"
            raise ConflictingQuery(message, field="n_params")
        relative = float(share[place] / share[places[0]])
        if level is None:
            level = float(spread.median)  # the first is the best
        here = level * relative
        listed.append(
            Layout(
                tensor_parallel=int(at["tensor_parallel"]),
                pipeline_parallel=int(at["pipeline_parallel"]),
                data_parallel=int(at["data_parallel"]),
                micro_batch_seqs=int(at["micro_batch_seqs"]),
                accumulation=int(at["accumulation"]),
                zero_stage=int(at["zero_stage"]),
                recomputation=found.words[place],
                batch_tokens=at["batch_seqs"] * float(found.known["seq_len"]),
                device_bytes=at["device_bytes"],
                utilization=here,
                low=here * float(spread.low / spread.median),
                high=min(here * float(spread.high / spread.median), 1.0),
                relative=relative,
                bubble_share=at["bubble_share"],
            )
        )
    return listed


def _too_large(request: LayoutRequest, found: Found, catalogue: Catalogue) -> str:
    """Return why nothing fits, and what would help."""
    least = float(found.columns["device_bytes"].min())
    where = f"{plural(int(request.devices), 'accelerator')} of {request.hardware}"
    need = f"no layout fits on {where}: the smallest takes {number(least / 1e9)} GB on each of them, and {number(found.room / 1e9)} GB is {MARGIN:.0%} of its memory"
    more = _enough(request, catalogue)
    helps = f"{more:,} accelerators fit" if more else "more accelerators alone do not help"
    return f"{need}; {helps}, or give accelerators with more memory, shorter sequences or an optimizer with less state"


def _enough(request: LayoutRequest, catalogue: Catalogue) -> int | None:
    """Return the first doubling of the accelerators on which something fits, None where the batch or the limit ends it first."""
    for doubling in range(1, math.frexp(LIMIT_FACTOR)[1]):
        devices = request.devices * 2.0**doubling
        try:
            found = find_layouts(msgspec.structs.replace(request, devices=devices), catalogue)
        except ConflictingQuery:
            return None
        if found.fits.any():
            return int(devices)
    return None


def _warnings(found: Found, best: Layout, catalogue: Catalogue) -> list[AnswerWarning]:
    """Return how far the best layout is from those that the law of throughput was fitted to."""
    law = catalogue.get(THROUGHPUT)
    at = {
        "tensor_parallel": float(best.tensor_parallel),
        "pipeline_parallel": float(best.pipeline_parallel),
        "data_parallel": float(best.data_parallel),
        "micro_batch_seqs": float(best.micro_batch_seqs),
        "zero_stage": float(best.zero_stage),
        "recomputation": best.recomputation,
    }
    away = distance(law, {**found.known, **at})
    outside = [name for name, _ in (*away.efolds, *away.differs)]
    if not outside:
        return []
    words = " and ".join((", ".join(outside[:-1]), outside[-1])) if len(outside) > 1 else outside[0]
    text = f"{law.id} was fitted to other values of {words}"
    return [AnswerWarning(code="outside-domain", law=law.address, text=text, efolds=round(float(away.total), 4))]
