"""`hplaw coordinate-check`: whether a parametrization keeps activations the same at every width, with a plot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from hplaw.cli.charts import altair_for
from hplaw.cli.exit_status import FAILED, OK
from hplaw.cli.extras import needing
from hplaw.cli.options import Json
from hplaw.cli.page import Page, write
from hplaw.errors import QueryError


Widths = Annotated[
    list[int] | None,
    Parameter(
        name="--widths",
        negative=(),
        consume_multiple=True,
        help="Two widths or more; a range that suits the family by default.",
    ),
]


WIDTHS = {"mlp": (128, 256, 512, 1024, 2048), "convnet": (8, 16, 32, 64), "transformer": (64, 128, 256, 512)}
"""Widths that a minute or less is enough for on two cores; the smallest is wide enough to behave like the others."""


def coordinate_check(
    *,
    model: Annotated[Literal["mlp", "convnet", "transformer"], Parameter(help="The model family.")] = "mlp",
    parametrization: Annotated[
        str, Parameter(help="standard, ntk, mean_field, mup, depth_mup, completep or u_mup.")
    ] = "mup",
    optimizer: Annotated[str, Parameter(help="sgd, momentum, adam, adamw or muon.")] = "adam",
    widths: Widths = None,
    n_layers: Annotated[int, Parameter(name="--layers", help="Hidden layers or blocks.")] = 2,
    peak_lr: Annotated[float, Parameter(name="--lr", help="The learning rate: a large one shows more.")] = 0.002,
    steps: Annotated[int, Parameter(help="Optimizer steps before the activations are measured.")] = 4,
    seeds: Annotated[int, Parameter(help="Seeds that are averaged over.")] = 4,
    plot: Annotated[Path | None, Parameter(help="Write the plot here: .html, .svg, .png or .json.")] = None,
    json: Json = False,
) -> int:
    """Check whether a parametrization keeps activations the same at every width; the exit status is 1 where it does not."""
    with needing("a coordinate check", error=QueryError):
        from hplaw_experiments.diagnostics.coordinate_check import coordinate_chart, coordinate_check as check
        from hplaw_experiments.trial import Trial
    sizes = sorted(set(widths or WIDTHS[model]))
    if len(sizes) < 2 or sizes[0] < 1 or steps < 1 or seeds < 1:
        message = "give two positive widths or more, for example --widths 64 256 1024, and at least one step and seed"
        raise QueryError(message, field="widths")
    if plot is not None:
        altair_for(plot)
    text = model == "transformer"
    trial = Trial(
        family=model,
        n_layers=n_layers,
        parametrization=parametrization,
        optimizer=optimizer,
        peak_lr=peak_lr,
        data="language" if text else "digits",
        seq_len=32 if text else 1,
        batch_tokens=512 if text else 64,
        tokens=6400,
        warmup_fraction=0.0,
    )
    report = check(trial, sizes, n_steps=steps, n_seeds=seeds)
    if plot is not None:
        coordinate_chart(report).save(str(plot))
    if json:
        import msgspec

        write(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        page = Page()
        page.line(f"{parametrization} with {optimizer}, {model}: {report.say}")
        page.heading("slope of log size over log width")
        for layer, slope in report.slopes.items():
            page.line(f"  {layer:<12} {'not finite' if slope is None else f'{slope:+.3f}'}")
        if plot is not None:
            page.line(f"plot: {plot}")
        write(str(page))
    return OK if report.passed else FAILED
