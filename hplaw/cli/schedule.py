"""`hplaw schedule`: curves of the learning rate, their area, a plot; rates from feedback, and a forecast of the loss."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hplaw.cli.charts import altair_for
from hplaw.cli.details import source
from hplaw.cli.exit_status import OK
from hplaw.cli.extras import needing
from hplaw.cli.options import Json, LawFolders, one, several
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.reading import open_catalogue
from hplaw.errors import DataError, QueryError
from hplaw.evaluation.rates import SCHEDULES
from hplaw.formatting import number
from hplaw.messages.record import encode
from hplaw.messages.schedule import ScheduleCurve, ScheduleRequest
from hplaw.theory.schedules import find_schedule, schedule_curve
from hplaw.vocabulary.reading import parse_pairs, read_number


SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the run at which a page shows the rate."""


def schedule(
    name: Annotated[
        str | None,
        Parameter(
            name="NAME",
            help="constant, cosine, linear, wsd, inverse-sqrt, uba, cosine-power, or a law by its id; all by default; fedhyper with --products, autolrs with --losses.",
        ),
    ] = None,
    /,
    *,
    steps: Annotated[
        str | None,
        one("Steps of the run, 1000 by default, 24k to compare; for autolrs the step whose loss is predicted."),
    ] = None,
    lr: Annotated[
        str | None,
        one("The peak learning rate, 1 by default, 3e-4 to compare; for fedhyper the rate before any feedback."),
    ] = None,
    compare: Annotated[
        bool,
        Parameter(help="Compare schedules by predicted loss, and find the best share of decay of wsd.", negative=""),
    ] = False,
    params: Annotated[str | None, one("To compare: parameters of the model, 100M by default.")] = None,
    law: Annotated[str | None, one("To compare: the law that predicts the loss, schedule-loss by default.")] = None,
    set_: Annotated[
        list[str] | None, several("What the schedule takes: warmup_steps=100 final_lr=1e-5 uba_phi=0.5.", "--set")
    ] = None,
    points: Annotated[str, one("Points of the curve that --json and --plot have.")] = "201",
    products: Annotated[
        list[str] | None, several("fedhyper: the inner product of each round's update with the one before.")
    ] = None,
    rate: Annotated[str, one("fedhyper: which rate moves: server, server_momentum or client.")] = "server",
    losses: Annotated[
        Path | None, one("autolrs: a file with one loss in each line, of steps 0, 1, 2 and so on.")
    ] = None,
    plot: Annotated[Path | None, Parameter(help="Write the plot here: .svg, .png, .html or .json.")] = None,
    laws: LawFolders = None,
    json: Json = False,
) -> int:
    """Show a schedule of the learning rate, the area under it, and a plot."""
    pairs = parse_pairs(set_, "--set")
    given = {key: read_number(f"--set {key}", text) for key, text in pairs.items()}
    if compare:
        _refuse_beside_compare(name=name, products=products, losses=losses, plot=plot)
        from hplaw.cli.schedule_compare import show_comparison

        texts = {"total_steps": ("--steps", steps), "peak_lr": ("--lr", lr), "n_params": ("--params", params)}
        fields: dict[str, float | str] = {
            field: read_number(option, text) for field, (option, text) in texts.items() if text is not None
        }
        return show_comparison({**fields, **({"law": law} if law else {})}, given, laws, json=json)
    for option, text in (("--params", params), ("--law", law)):
        if text is not None:
            message = f"{option} is for --compare, which predicts a loss; add --compare"
            raise QueryError(message, field=option.strip("-"))
    total, peak = read_number("--steps", steps or "1000"), read_number("--lr", lr or "1")
    if name == "autolrs" or losses is not None:
        return _forecast(losses, at=total, json=json)
    if name == "fedhyper" or products is not None:
        return _fedhyper(products, peak, rate, json=json)
    from hplaw.client.calls import to_json
    from hplaw.messages.decode import decode

    fields = {"total_steps": total, "peak_lr": peak, "points": read_number("--points", points)}
    catalogue = open_catalogue(laws)
    names = (name,) if name else SCHEDULES
    takes = {each: find_schedule(each, catalogue).inputs for each in names}
    strange = [key for key in given if not any(key in inputs for inputs in takes.values())]
    curves: list[ScheduleCurve] = []
    for each, inputs in takes.items():
        # of all schedules at once, each is given what it takes; what none takes is refused by the first
        mine = {key: value for key, value in given.items() if key in inputs or key in strange}
        asked = decode(to_json({**fields, "schedule": each, "given": mine}), ScheduleRequest)
        curves.append(schedule_curve(asked, catalogue))
    if plot is not None:
        _draw(curves, plot)
    if json:
        write_json(encode(curves[0] if name else curves))
    else:
        write(_page(curves, plot))
    return OK


def _refuse_beside_compare(**others: object) -> None:
    """Refuse what means nothing where schedules are compared."""
    for name, value in others.items():
        if value is not None:
            what = "a schedule by name" if name == "name" else f"--{name}"
            message = f"--compare is for all schedules of one run; leave {what} out"
            raise QueryError(message, field="compare")


def _page(curves: Sequence[ScheduleCurve], plot: Path | None) -> str:
    page = Page()
    first = curves[0]
    told = {key: value for curve in curves for key, value in curve.given.items()}
    given = ", ".join(f"{key} {number(value)}" for key, value in told.items())
    page.heading(f"{number(first.total_steps)} steps, peak {number(first.peak_lr)}{given and ', ' + given}")
    rows = [
        (
            curve.schedule,
            *(number(_at(curve, share)) for share in SHARES),
            number(curve.area, digits=4),
            number(curve.mean_share, digits=4),
        )
        for curve in curves
    ]
    head = ("", "start", *(f"{share:.0%}" for share in SHARES[1:-1]), "end", "area", "mean/peak")
    page.table(rows, head=head)
    page.line()
    page.text("area: the sum of the rates of all steps.")
    for curve in curves:
        if curve.say:
            page.text(f"{curve.schedule}: {curve.say}")
    if plot is not None:
        page.text(f"plot: {plot}")
    page.heading("Sources")
    for curve in curves:
        page.text(source(curve.citation))
    return str(page)


def _at(curve: ScheduleCurve, share: float) -> float:
    return curve.rates[round(share * (len(curve.rates) - 1))]


def _draw(curves: Sequence[ScheduleCurve], path: Path) -> None:
    """Write the curves as a plot."""
    alt = altair_for(path)
    rows = [
        {"schedule": curve.schedule, "step": step, "learning rate": rate}
        for curve in curves
        for step, rate in zip(curve.steps, curve.rates, strict=True)
    ]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_line()
        .encode(
            x=alt.X("step:Q"),
            y=alt.Y("learning rate:Q"),
            color=alt.Color("schedule:N", sort=[curve.schedule for curve in curves]),
        )
        .properties(width=480, height=280)
    )
    chart.save(str(path))


def _fedhyper(products: Sequence[str] | None, peak: float, rate: str, *, json: bool) -> int:
    if not products:
        message = (
            "fedhyper needs --products: the inner product of each round's update with the one before, 0 for the first"
        )
        raise QueryError(message, field="products")
    from hplaw.theory.schedules import hypergradient_rates

    numbers = [read_number("--products", part) for word in products for part in word.split(",") if part]
    rates = hypergradient_rates(numbers, peak_lr=peak, rate=rate)
    if json:
        write_json(encode({"products": numbers, "rates": rates, "area": sum(rates)}))
        return OK
    page = Page()
    page.heading("learning rate of each round, by fedhyper@1")
    rows = [(str(i), number(p), number(r, digits=4)) for i, (p, r) in enumerate(zip(numbers, rates, strict=True), 1)]
    page.table(rows, head=("round", "product", "rate"))
    page.line()
    page.text(f"area {number(sum(rates), digits=4)}")
    write(str(page))
    return OK


def _forecast(losses: Path | None, *, at: float, json: bool) -> int:
    if losses is None:
        message = "autolrs needs --losses FILE, one loss in each line, and --steps, the step whose loss is predicted"
        raise QueryError(message, field="losses")
    with needing("a forecast", "fit,sweep", error=QueryError):
        from hplaw_experiments.training.forecast import FEWEST, exponential_forecast
    seen = _read_losses(losses)
    found = exponential_forecast(range(len(seen)), seen, at=at)
    if found is None:
        message = f"{losses} holds {len(seen)} losses; a forecast needs {FEWEST} or more"
        raise DataError(message)
    if json:
        write_json(encode({"step": at, "forecast_loss": found, "seen": len(seen)}))
        return OK
    page = Page()
    page.line(f"loss {number(found, digits=4)} predicted for step {number(at)}, from {len(seen)} losses")
    page.line("  by the fit of autolrs-forecast@1: an exponential, which levels off too soon")
    write(str(page))
    return OK


def _read_losses(path: Path) -> list[float]:
    try:
        words = path.read_text(encoding="utf-8").replace(",", " ").split()
    except (OSError, UnicodeDecodeError) as error:
        message = f"--losses {path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}"
        raise DataError(message) from None
    return [read_number(f"--losses {path}:", word) for word in words]
