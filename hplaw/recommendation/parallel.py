"""The parallel layout that goes with a recommendation, where accelerators and their number are named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import HplawError
from hplaw.formatting import number
from hplaw.layout.layouts import layouts
from hplaw.messages.layout import FIXABLE, Layout, LayoutRequest
from hplaw.messages.layouts import LayoutReply
from hplaw.messages.query import Query
from hplaw.messages.recommendation import AnswerWarning, Estimate
from hplaw.recommendation.experts import is_routed
from hplaw.recommendation.finetuning import FINETUNE


SETTLED = ("n_params", "batch_tokens")
"""What a recommendation says of a layout where the question does not."""

ALSO = ("precision", "optimizer", "network_bytes_per_s", "devices_per_node", *FIXABLE, "recomputation")
"""What of a question changes a layout, beside `seq_len` where it was given: a config.json has the longest that a model takes."""


class Laid(msgspec.Struct, frozen=True):
    """The layout of an answer with the laws behind it, or why there is none."""

    layout: Layout | None = None
    laws: tuple[str, ...] = ()
    warnings: tuple[AnswerWarning, ...] = ()


def lay_out(
    query: Query,
    known: Mapping[str, Any],
    answers: Mapping[str, Estimate],
    catalogue: Catalogue,
    *,
    level: Callable[[], float | None],
) -> Laid:
    """Return the fastest layout that fits a run.

    **Arguments:**

    - `known`, `answers`: what the question says, and what was answered.
    - `level`: gives the share of the peak that a law of whole trainings counts on, or None where none does.
    """
    named = "hardware" in known and "devices" in known
    sparse = is_routed(known) or known.get("n_active_params", known.get("n_params")) != known.get("n_params")
    if not named or query.want or FINETUNE in known or sparse:
        return Laid()
    found = {name: known.get(name) or _number(answers.get(name)) for name in SETTLED}
    if found["batch_tokens"] is None or (found["n_params"] is None and query.model is None):
        return Laid()
    fields = {name: known[name] for name in ALSO if known.get(name) is not None}
    if "seq_len" in query.given:
        fields["seq_len"] = query.given["seq_len"]
    request = LayoutRequest(
        hardware=known["hardware"], devices=known["devices"], model=query.model, top=1.0, **found, **fields
    )
    try:
        reply = layouts(request, catalogue, level=level())
    except HplawError as error:
        return Laid(warnings=(AnswerWarning(code="no-layout", text=str(error)),))
    return Laid(reply.layouts[0], tuple(reply.laws), (*_assumed(reply), *reply.warnings))


def _assumed(reply: LayoutReply) -> Iterator[AnswerWarning]:
    """Yield what the layout takes the model to be, where its shape is not known."""
    if reply.assumptions:
        layers, width = (number(reply.shape[name]) for name in ("n_layers", "d_model"))
        text = (
            f"the layout assumes a usual shape, {layers} layers of width {width}; give the model's config for its own"
        )
        yield AnswerWarning(code="assumed-shape", text=text)


def _number(estimate: Estimate | None) -> float | None:
    return estimate.value if estimate is not None and isinstance(estimate.value, float) else None
