"""`hplaw intrinsic-dimension`: how many random directions a task needs."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from hplaw.cli.exit_status import FAILED, OK
from hplaw.cli.extras import needing
from hplaw.cli.options import Json
from hplaw.cli.page import Page, write
from hplaw.errors import QueryError
from hplaw.formatting import number


DIMENSIONS = (32, 64, 96, 128, 192, 256)
"""Dimensions tried when none are given: they bracket that of the digits for networks of any width."""


def intrinsic_dimension(
    *,
    dimensions: Annotated[
        list[int] | None, Parameter(name="--dimensions", negative=(), consume_multiple=True, help="Dimensions to try.")
    ] = None,
    model: Annotated[Literal["mlp", "convnet"], Parameter(help="The model family.")] = "mlp",
    width: Annotated[int, Parameter(help="Width of the model.")] = 32,
    n_layers: Annotated[int, Parameter(name="--layers", help="Hidden layers or blocks.")] = 1,
    steps: Annotated[int, Parameter(help="Steps of Adam, 64 examples each.")] = 400,
    seeds: Annotated[int, Parameter(help="Test seeds; rates are chosen on one more.")] = 2,
    share: Annotated[float, Parameter(help="Share of the full accuracy that counts as solved.")] = 0.9,
    json: Json = False,
) -> int:
    """Measure the minimum random subspace in which a model of handwritten digits trains nearly as well as in all of it.

    The exit status is 1 where no dimension tried does.
    """
    with needing("an intrinsic dimension", error=QueryError):
        from hplaw_experiments.diagnostics.intrinsic_dimension import intrinsic_dimension as measure
        from hplaw_experiments.trial import Trial
    if width < 1 or n_layers < 1 or steps < 1 or seeds < 1 or not 0 < share <= 1:
        message = "width, layers, steps and seeds are at least 1, and the share lies above 0 and up to 1; change the one that is not"
        raise QueryError(message, field="share")
    trial = Trial(
        family=model,
        width=width,
        n_layers=n_layers,
        tokens=64 * steps,
        batch_tokens=64,
        peak_lr=0.01,
        optimizer="adam",
        warmup_fraction=0.0,
    )
    try:
        report = measure(trial, dimensions or DIMENSIONS, n_seeds=seeds, share=share)
    except ValueError as error:
        raise QueryError(str(error), field="dimensions") from None
    if json:
        import msgspec

        write(msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n")
        return OK if report.d90 is not None else FAILED
    page = Page()
    page.text(f"{model} on digits: {report.say}", indent=0)
    page.heading("held-out accuracy")
    rows = [(str(s.dimension), f"{s.accuracy:.3f}", f"{s.deviation:.3f}", number(s.peak_lr)) for s in report.subspaces]
    page.table(
        [*rows, (f"all {report.n_params}", f"{report.full_accuracy:.3f}", "-", "-")],
        head=("dimension", "mean", "deviation", "rate"),
    )
    write(str(page))
    return OK if report.d90 is not None else FAILED
