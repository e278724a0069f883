"""`hplaw layout`: which parallel layouts fit a model on so many accelerators, and which share of the peak they reach."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from hplaw.cli.details import law_name
from hplaw.cli.exit_status import OK
from hplaw.cli.options import Json, LawFolders, one
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.reading import open_catalogue, read_object
from hplaw.cli.render import add_warnings
from hplaw.errors import QueryError
from hplaw.formatting import number
from hplaw.layout.layouts import MARGIN, layouts
from hplaw.messages.layout import LayoutRequest
from hplaw.messages.record import encode
from hplaw.vocabulary.reading import read_number


if TYPE_CHECKING:
    from hplaw.messages.layout import Layout
    from hplaw.messages.layouts import LayoutReply


HEAD = ("tp", "pp", "dp", "micro", "acc.", "ZeRO", "recompute", "memory", "of peak", "90%", "rel.")


NAMES = ("hardware", "precision", "optimizer", "recomputation")
"""Options whose values are names."""


def _flag(name: str) -> str:
    return "--params" if name == "n_params" else f"--{name.replace('_', '-')}"


def layout(
    *,
    params: Annotated[str | None, one("Parameters without embedding: 70B; a usual shape is then assumed.")] = None,
    model: Annotated[str | None, one("The model's config.json, as Hugging Face writes it.")] = None,
    devices: Annotated[str | None, one("Number of accelerators.")] = None,
    hardware: Annotated[str | None, one("Accelerator, by name.")] = None,
    precision: Annotated[str | None, one("Number format of the matrix products; bf16 by default.")] = None,
    optimizer: Annotated[str | None, one("Update rule; adamw by default.")] = None,
    batch_tokens: Annotated[str | None, one("Tokens in one step, met within 10%; 4M by default.")] = None,
    seq_len: Annotated[str | None, one("Tokens in one sequence; 4096 by default.")] = None,
    devices_per_node: Annotated[str | None, one("Accelerators joined by fast links; 8 by default.")] = None,
    network_bytes_per_s: Annotated[
        str | None, one("Bandwidth of one accelerator to other nodes, one direction; 50G by default.")
    ] = None,
    tensor_parallel: Annotated[
        str | None, one("Tensor-parallel degree; chosen by default, as all that follow.")
    ] = None,
    pipeline_parallel: Annotated[str | None, one("Pipeline stages.")] = None,
    data_parallel: Annotated[str | None, one("Copies of the model.")] = None,
    micro_batch_seqs: Annotated[str | None, one("Sequences of a micro-batch.")] = None,
    zero_stage: Annotated[
        str | None, one("What copies share: 0 nothing, 1 optimizer state, 2 gradients, 3 weights.")
    ] = None,
    recomputation: Annotated[str | None, one("What is computed again: none, selective, full.")] = None,
    top: Annotated[str | None, one("Layouts to list; 5 by default.")] = None,
    laws: LawFolders = None,
    json: Json = False,
) -> int:
    """List the parallel layouts that fit a model on accelerators, the fastest first.

    tp, pp and dp are tensor-, pipeline- and data-parallel degrees; a step has `acc.` micro-batches of `micro` sequences on each
    copy; `rel.` is the share of the peak over that of the best.
    """
    from hplaw.client.calls import to_json
    from hplaw.messages.decode import decode

    texts = {
        "n_params": params,
        "devices": devices,
        "batch_tokens": batch_tokens,
        "seq_len": seq_len,
        "devices_per_node": devices_per_node,
        "network_bytes_per_s": network_bytes_per_s,
        "tensor_parallel": tensor_parallel,
        "pipeline_parallel": pipeline_parallel,
        "data_parallel": data_parallel,
        "micro_batch_seqs": micro_batch_seqs,
        "zero_stage": zero_stage,
        "top": top,
        "hardware": hardware,
        "precision": precision,
        "optimizer": optimizer,
        "recomputation": recomputation,
    }
    fields: dict[str, Any] = {
        name: text if name in NAMES else read_number(_flag(name), text)
        for name, text in texts.items()
        if text is not None
    }
    if model is not None:
        fields["model"] = read_object("--model", Path(model))
    for name, example in (("devices", "64"), ("hardware", "h100-sxm")):
        if name not in fields:
            message = f"--{name} is not given; give it, for example --{name} {example}"
            raise QueryError(message, field=name)
    asked = decode(to_json(fields), LayoutRequest)
    found = layouts(asked, open_catalogue(laws))
    if json:
        write_json(encode(found))
    else:
        write(render_layouts(asked, found))
    return OK


def render_layouts(asked: LayoutRequest, found: LayoutReply, columns: int | None = None) -> str:
    """Return the page of layouts."""
    page = Page(columns)
    size = number(found.shape["n_params"])
    page.text(
        f"For {size} parameters on {asked.devices:g} {asked.hardware}, {asked.precision}, {asked.optimizer}, steps of {number(asked.batch_tokens)} tokens in sequences of {asked.seq_len:g}",
        indent=0,
    )
    page.heading("Layouts that fit, fastest first")
    page.table([_row(item) for item in found.layouts], head=HEAD)
    page.line()
    for text in found.assumptions:
        page.text(f"Assumed: {text}.")
    page.text(
        f"{found.fitting:,} of {found.considered:,} layouts fit in {number(found.room_bytes / 1e9)} GB, {MARGIN:.0%} of the memory; shown is the best of each tp and pp."
    )
    page.text(f"By {', '.join(law_name(law) for law in found.laws)}.")
    add_warnings(page, [warning.text for warning in found.warnings])
    return str(page)


def _row(item: Layout) -> tuple[str, ...]:
    return (
        str(item.tensor_parallel),
        str(item.pipeline_parallel),
        str(item.data_parallel),
        str(item.micro_batch_seqs),
        str(item.accumulation),
        str(item.zero_stage),
        item.recomputation,
        f"{number(item.device_bytes / 1e9)} GB",
        f"{item.utilization:.0%}",
        f"{item.low:.0%}-{item.high:.0%}",
        f"{item.relative:.2f}",
    )
