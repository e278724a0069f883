"""`hplaw spectrum`: the curvature of batches, the largest stable rate that it predicts, and where training diverges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from hplaw.cli.charts import altair_for
from hplaw.cli.exit_status import OK
from hplaw.cli.extras import needing
from hplaw.cli.options import Json
from hplaw.cli.page import Page, write, write_json
from hplaw.errors import QueryError
from hplaw.formatting import number, plural


def spectrum(
    *,
    model: Annotated[Literal["mlp", "convnet", "transformer"], Parameter(help="The model family.")] = "mlp",
    width: Annotated[int, Parameter(help="Width of the model.")] = 64,
    n_layers: Annotated[int, Parameter(name="--layers", help="Hidden layers or blocks.")] = 2,
    activation: Annotated[str, Parameter(help="relu, gelu, tanh or silu.")] = "relu",
    data: Annotated[str | None, Parameter(help="Where examples come from; digits, or language for text.")] = None,
    batches: Annotated[
        list[int] | None,
        Parameter(
            negative=(),
            consume_multiple=True,
            help="Examples or sequences in a batch, three sizes or more; 4 to 512 by default.",
        ),
    ] = None,
    starts: Annotated[int, Parameter(help="Initial weights that are averaged over.")] = 6,
    samples: Annotated[int, Parameter(help="Batches of each size for each start.")] = 24,
    sweep: Annotated[
        bool, Parameter(negative="--no-sweep", help="Also train at many rates and see where it diverges.")
    ] = True,
    seed: Annotated[int, Parameter(help="The first of the seeds.")] = 0,
    plot: Annotated[Path | None, Parameter(help="Write the plot here: .html, .svg, .png or .json.")] = None,
    json: Json = False,
) -> int:
    """Measure the spectra of batches, fit edge and noise, predict the largest stable rate of SGD, and check it by divergence."""
    with needing("a spectrum", error=QueryError):
        from hplaw_experiments.diagnostics.spectrum import largest_stable_rate, spectrum_chart
        from hplaw_experiments.diagnostics.spectrum.report import BATCHES
        from hplaw_experiments.trial import Trial
    if width < 1 or n_layers < 1 or starts < 1 or seed < 0:
        message = "width, layers and starts are 1 or more, and a seed is 0 or more; for example --width 64 --starts 3"
        raise QueryError(message, field="width")
    if plot is not None:
        altair_for(plot)
    text = model == "transformer"
    trial = Trial(
        family=model,
        width=width,
        n_layers=n_layers,
        activation=activation,
        optimizer="sgd",
        peak_lr=0.1,
        seed=seed,
        data=data or ("language" if text else "digits"),
        seq_len=32 if text else 1,
        tokens=6400,
        batch_tokens=64,
    )
    report = largest_stable_rate(
        trial,
        batches=tuple(batches) if batches else BATCHES,
        starts=range(seed, seed + starts),
        n_batches=samples,
        sweep=sweep,
    )
    if plot is not None:
        spectrum_chart(report).save(str(plot))
    if json:
        import msgspec

        write_json(msgspec.json.encode(report))
    else:
        write(str(_page(report, f"{model} of width {width} on {trial.data}", plot)))
    return OK


def _page(report: Any, what: str, plot: Path | None) -> Page:
    page = Page()
    page.line(f"{what}: {number(report.n_params)} parameters, {plural(len(report.starts), 'start')}")
    page.heading("Largest eigenvalue of batches")
    rows = [
        (_plain(e.matrix), number(e.batch_tokens), number(e.edge), f"+- {number(e.error, digits=2)}", number(e.fitted))
        for e in sorted(report.edges, key=lambda e: (e.matrix, e.batch_tokens))
    ]
    page.table(rows, head=("matrix", "batch", "measured", "", "by the law"))
    page.heading("Edge and noise")
    for fit in report.fits:
        page.text(
            f"{_plain(fit.matrix)}: edge {number(fit.hessian_edge)}, noise {number(fit.hessian_noise)}; "
            f"the law is within {number(100 * fit.worst, digits=2)} percent of all batches"
        )
    page.text(
        f"Products with random vectors alone put the noise at {number(report.noise_by_products)}: the two agree where the "
        "noise of all entries is independent, as the theorem assumes."
    )
    page.heading("Largest stable rate of SGD")
    page.table(
        [(number(r.batch_tokens), number(r.predicted), *(_measured(r.sweep) if r.sweep else ())) for r in report.rates],
        head=("batch", "predicted", *(("diverges from", "ratio") if report.rates[0].sweep else ())),
    )
    if report.worst_ratio is not None:
        page.text(f"measured and predicted rates differ by a factor of {number(report.worst_ratio)} at most")
    if plot is not None:
        page.line(f"plot: {plot}")
    return page


def _plain(matrix: str) -> str:
    return {"hessian": "Hessian", "gauss_newton": "Gauss-Newton"}[matrix]


def _measured(sweep: Any) -> tuple[str, str]:
    if sweep.measured is None:
        return "not within the rates tried", "-"
    return number(sweep.measured), f"{sweep.ratio:.2f}"
