"""The page of the width study: tables, plots, and what agrees with theory, in words made from the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from hplaw.formatting import number
from hplaw_experiments.studies.page import StudyPage
from hplaw_experiments.studies.study import StudySpec
from hplaw_experiments.studies.width_transfer.analysis import FLAT
from hplaw_experiments.studies.width_transfer.charts import best_chart, bowl_chart, carried_chart, slope_chart
from hplaw_experiments.studies.width_transfer.recovery import smallest_seen
from hplaw_experiments.studies.width_transfer.results import DEPTH, OUTSIDE, OWN, Result, Results, summary


def write_page(spec: StudySpec, found: Results, path: Path) -> list[Path]:
    """Write the page and its plots; return their paths."""
    page = StudyPage(spec.title, path)
    own, depth, outside = (_of(found, kind) for kind in (OWN, DEPTH, OUTSIDE))
    page.text(
        "Each model was trained with one learning rate for all layers, at several rates and widths; the factors of single",
        "layers are those of its parametrization over the smallest width. The best rate goes with the width as width^c:",
        "where c is 0, a rate that was tuned on a small model is the best for a large one, too.",
    )
    page.heading("What was found")
    page.items(*_findings(own))
    page.chart(
        "slopes",
        slope_chart([*own, *outside]),
        "Slopes with 90% intervals; orange is theory, from no alignment of updates with features to full alignment.",
    )
    page.table(HEAD, [_row(one) for one in own])
    page.text(
        f"P(flat) is the probability that |c| is below {FLAT:g}. Theory is the slope of the rate that the largest stable rate of each",
        "layer allows (laws `adam-lr-exponents` and `abc-classification`), without and with full alignment; NTK and mean field are as in",
        "`hplaw parametrize`, whose factors for Adam are by layer, so that theory gives them a slope of 0.",
        "The last column is the slope that this design distinguishes from zero in 80% of studies.",
    )
    page.chart("bowls", bowl_chart(own), "Training loss over the learning rate, mean over seeds.")
    page.chart("best", best_chart(own), "Best rates with 90% intervals.")
    page.heading("Carrying the rate over")
    seeds = f"{_list(spec.tuning_seeds)} to choose, {_list(spec.test_seeds)} to score"
    page.text(
        f"The rate that is best at the smallest width is used at each width. Rates were chosen and scored on different seeds ({seeds};",
        "fewer where a sweep has fewer). Given is the training loss over that of the width's own best rate; it is below 1 where the rate that",
        "was best on the first seeds is near where training fails, and did worse on the others.",
    )
    page.table(*_carried(own))
    page.chart("carried", carried_chart(own), "Loss at the smallest width's rate over that at the width's own.")
    page.heading("Activations")
    page.text(
        "The coordinate check beside it: how the mean size of activations goes with the width after four steps at the smallest width's",
        "best rate, as a power of the width. A scheme passes where no hidden layer goes by more than 0.1 and the output does not grow.",
    )
    layers = list(found.checks[0].slopes) if found.checks else []
    page.table(
        ("optimizer", "parametrization", *layers, "passes"),
        [
            (c.optimizer, c.parametrization, *(_signed(c.slopes[name]) for name in layers), "yes" if c.passed else "no")
            for c in found.checks
        ],
    )
    if depth:
        page.heading("Depth")
        page.text(
            "The same over layers of a Transformer of one width. Theory says that the rate stays under CompleteP, and under depth-muP",
            "where blocks have one layer; those of a Transformer have two or more.",
        )
        seen = min(smallest_seen(one.draws) for one in depth)
        page.text(
            f"These depths are few: the design distinguishes slopes of {seen:.2f} and more from zero, so that smaller ones are neither",
            "found nor excluded.",
        )
        page.table(HEAD, [_row(one) for one in depth])
        page.table(*_carried(depth, "layers"))
        page.chart("depth", best_chart(depth), "Best rates over layers with 90% intervals.")
    page.heading("Planted slopes")
    page.text(
        "Studies of the same sizes, rates, noise and bowls as those of the standard parametrization were simulated with a slope,",
        "and analyzed by the same program: the mean",
        "of the medians found, the share of 90% intervals that hold the planted slope, and the share that exclude zero.",
    )
    page.table(*_recovery([*own, *depth]))
    page.heading("Sizes held out")
    worth = summary(found.sets)
    page.text(
        "Each width is predicted from the smaller ones. `rate` is the one to use: of minimum expected log loss, which lies below the",
        "median where too high a rate costs more. `cost` is the loss there over the lowest at that width.",
        f"Over all {worth['predictions']:.0f} predictions the 90% interval holds the best rate tried, to half a step of the rates, in {worth['coverage']:.0%}; the rate costs a factor of",
        f"{worth['cost_median']:.2f} in the median, and at most 2 in {worth['cost_within_two']:.0%}.",
    )
    page.table(*_held_out([*own, *outside]))
    if outside:
        page.heading("Tables of others")
        page.table(HEAD, [_row(one) for one in outside])
        page.chart("outside", best_chart(outside), "Best rates of the tables of others.")
        page.text("The same numbers from the tables themselves:")
        page.console(*_table_commands(spec))
    page.heading("The law")
    page.text(
        "The law `width-transfer` gives the rate of a wider model from one that was tuned. Its slopes are those of a model that was not",
        "measured: the mean over models of a scheme, and how they differ.",
    )
    page.console(
        "hplaw evaluate width-transfer --set base_peak_lr=3e-3 base_width=256 width=4096 parametrization=mup optimizer=adamw"
    )
    data = "HPLAW_DATA=FOLDER " if outside else ""
    page.provenance(
        found.runs,
        "hplaw study run width-transfer",
        f"{data}hplaw study report width-transfer --laws-to fitted_laws/hplaw_laws/calibrated",
    )
    page.text(
        "Runs of a pack train side by side on the cores, so that the time of all runs is more than the study took."
    )
    if outside:
        page.text("FOLDER holds the tables of others, by the names in the study's file.")
    return page.write()


HEAD = ("model", "optimizer", "parametrization", "sizes", "slope c, 90%", "P(flat)", "theory", "agrees", "seen from")


def _of(found: Results, kind: str) -> list[Result]:
    return [one for one in found.sets if one.kind == kind]


def _row(one: Result) -> tuple[str, ...]:
    labels, slope = one.runs.labels, one.slope
    theory = "none" if slope.theory is None else " to ".join(dict.fromkeys(f"{value:.2g}" for value in slope.theory))
    agrees = {True: "yes", False: "no", None: "-"}[slope.agrees]
    sizes = f"{one.runs.sizes[0]:g} to {one.runs.sizes[-1]:g}"
    interval = f"{slope.median:+.2f} ({slope.low:+.2f} to {slope.high:+.2f})"
    seen = f"{smallest_seen(one.draws):.2f}"
    names = (labels["family"], labels["optimizer"], labels["parametrization"])
    return (*names, sizes, interval, f"{slope.flat:.2f}", theory, agrees, seen)


def _findings(own: Sequence[Result]) -> Iterator[str]:
    for one in own:
        labels, slope = one.runs.labels, one.slope
        said = f"{labels['family']}, {labels['optimizer']}, {labels['parametrization']}: c = {slope.median:+.2f} ({slope.low:+.2f} to {slope.high:+.2f})"
        if slope.theory is not None and slope.agrees:
            said += ", as theory has it"
        elif slope.theory is not None:
            said += f", not the {slope.theory[-1]:g} of theory; the design would have seen a slope of {smallest_seen(one.draws):.2f}"
            if one.recovery:
                aligned = slope.theory[-1]
                planted = min(one.recovery, key=lambda r: abs(r.planted - aligned))
                said += f", and of a planted {planted.planted:g} it finds {planted.found:+.2f}"
        edges = one.runs.at_edge()
        if edges:
            said += f" (best rate at the edge of those tried at {', '.join(f'{size:g}' for size in edges)})"
        yield said + "."


def _carried(sets: Sequence[Result], size: str = "width") -> tuple[list[str], list[list[str]]]:
    sizes = sorted({each.size for one in sets for each in one.carried})
    rows: list[list[str]] = []
    for one in sets:
        by_size = {each.size: each.cost for each in one.carried}
        labels = one.runs.labels
        cells = [_cost(by_size[s]) if s in by_size else "" for s in sizes]
        rows.append([labels["family"], labels["optimizer"], labels["parametrization"], *cells])
    return ["model", "optimizer", "parametrization", *(f"{size} {s:g}" for s in sizes)], rows


def _cost(value: float) -> str:
    return "-" if math.isnan(value) else "diverged" if math.isinf(value) else f"{value:.2f}"


def _recovery(sets: Sequence[Result]) -> tuple[list[str], list[list[str]]]:
    head = [
        "model",
        "optimizer",
        "parametrization",
        "over",
        "planted",
        "found",
        "interval holds it",
        "excludes zero",
        "studies",
    ]
    rows = [
        [
            *(one.runs.labels[name] for name in ("family", "optimizer", "parametrization")),
            "layers" if one.size == "n_layers" else one.size,
            f"{r.planted:g}",
            f"{r.found:+.2f}",
            f"{r.covered:.0%}",
            f"{r.apart:.0%}",
            str(r.studies),
        ]
        for one in sets
        for r in one.recovery
    ]
    return head, rows


def _held_out(sets: Sequence[Result]) -> tuple[list[str], list[list[str]]]:
    head = [
        "model",
        "optimizer",
        "parametrization",
        "predicted width",
        "from widths",
        "rate",
        "90% interval",
        "best tried",
        "cost",
    ]
    rows = [
        [
            *(one.runs.labels[name] for name in ("family", "optimizer", "parametrization")),
            f"{each.prediction.size:g}",
            str(each.sizes),
            number(each.prediction.peak_lr),
            f"{number(each.prediction.low)} to {number(each.prediction.high)}" + ("" if each.inside else ", missed"),
            number(each.best),
            _cost(each.cost),
        ]
        for one in sets
        for each in one.held_out
    ]
    return head, rows


def _table_commands(spec: StudySpec) -> Iterator[str]:
    for table in spec.options.get("tables", ()):
        words = [f"hplaw study width-table FOLDER/{table['file']}"]
        words += [
            f'--map {name}="{text}"' if " " in text else f"--map {name}={text}" for name, text in table["map"].items()
        ]
        words += [f"--optimum {name}={column}" for name, column in table.get("optimum", {}).items()]
        if "where" in table:
            words.append(f'--where "{table["where"]}"')
        yield " ".join(words)


def _signed(value: float | None) -> str:
    return "not finite" if value is None else f"{value:+.2f}"


def _list(seeds: Sequence[int]) -> str:
    return " and ".join(map(str, seeds))
