"""How well parallel layouts are predicted, each model size held out of the fit: share of the peak, choice, what fits.

Measurements are others' and lie where HPLAW_DATA says. A size on a number of nodes is one choice: of the measured layouts
that hplaw would list, whose tensor-parallel group stays within a node and which fit with a margin, the one predicted best
is compared with the best of all measured ones. A layout measured several times counts with its best.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rows import Row, data_file, row


FILE = "ultrascale_h100_throughput.csv"
GOOD = 0.05
"""The share of peak above which a layout is no bad one."""
NEAR = 0.9
"""The share of the best measured that a choice is to reach."""
LARGE = 1e10
"""Parameters from which a size is large, here the one of 80B."""
LAYOUT = ("tensor_parallel", "pipeline_parallel", "data_parallel", "micro_batch_seqs", "zero_stage")

Columns = Mapping[str, Any]


def run() -> list[Row]:
    """Measure; see `benchmarks.__main__`."""
    path = data_file(FILE)
    # programs here run for seconds: compiling them well would take longer
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
    from hplaw.catalogue.catalogue import load_catalogue
    from hplaw.fit.data.layouts import for_fit, read_layouts

    catalogue = load_catalogue()
    rows = read_layouts(path, catalogue)
    fits = predicted_to_fit(rows, catalogue)
    lines = memory_lines(rows, fits)
    ran = for_fit(rows)
    listed = (
        fits["fits"][rows["layout_utilization"].is_not_null().to_numpy()] & (ran["tensor_parallel"] <= 8).to_numpy()
    )
    by_size = left_out(ran, catalogue, ran["n_params"].to_numpy())
    large = ran["n_params"].to_numpy() >= LARGE
    lines += share_lines("a size held out, 1.3B and 3.6B", by_size, ~large, most=1.25)
    lines += share_lines("a size held out, 80B", by_size, large, most=1.25)
    lines += choice_lines(by_size, ran, listed)
    by_nodes = left_out(ran, catalogue, ran["devices"].to_numpy())
    every = large | ~large
    lines += share_lines("a number of nodes held out", by_nodes, every)
    return [*lines, row("share in 90% intervals, a size held out", inside(by_size, every), "1", least=0.8)]


def predicted_to_fit(rows: Any, catalogue: Any) -> dict[str, Any]:
    """Return the memory predicted for each layout, and whether it fits and its stages hold a layer each."""
    from hplaw.layout.layouts import MARGIN
    from hplaw.layout.memory import device_bytes

    columns = {name: rows[name].to_numpy() for name in rows.columns if rows[name].dtype.is_numeric()}
    known = {"precision": "bf16", "recomputation": "none"}
    predicted = device_bytes(known, columns, catalogue)["device_bytes"]
    room = MARGIN * columns["device_memory_bytes"]
    return {"bytes": predicted, "fits": predicted <= room, "staged": columns["pipeline_parallel"] < columns["n_layers"]}


def memory_lines(rows: Any, found: Columns) -> list[Row]:
    """Return what the memory law says of layouts that ran and of those that did not."""
    ran = rows["ran"].to_numpy()
    peak = rows["device_bytes"].to_numpy()
    told = ~np.isnan(peak)
    error = np.abs(np.log(found["bytes"][told] / peak[told]))
    no, staged = ~found["fits"], found["staged"]
    return [
        row("did not run: share that does not fit", float(no[~ran].mean()), "1", least=0.85),
        row(
            "did not run: share that does not fit or has stages without layers", float((no | ~staged)[~ran].mean()), "1"
        ),
        row("ran: share that fits", float((~no)[ran].mean()), "1", least=0.95),
        row("peak memory: median factor", math.exp(float(np.median(error))), "1", most=1.15),
        row("peak memory: 90th percentile", math.exp(float(np.quantile(error, 0.9))), "1"),
    ]


def left_out(rows: Any, catalogue: Any, groups: Any) -> dict[str, Any]:
    """Return measured and predicted shares, with 90% intervals, each group of rows predicted by a fit to the others."""
    from hplaw.answer.intervals import Run
    from hplaw.answer.quantiles import quantiles

    columns = {name: rows[name].to_numpy() for name in rows.columns if rows[name].dtype.is_numeric()}
    measured = columns["layout_utilization"]
    levels = np.empty((len(measured), 5))
    for law, here in _fits(rows, catalogue, groups):
        values = {name: columns[name][here] for name in law.inputs if name in columns}
        defaults = {"recomputation": "none", "n_experts": 1.0, "network_bytes_per_s": 5e10, "devices_per_node": 8.0}
        settings = Run(law, {**defaults, **values}, stretch=1.0)
        found = settings.output("layout_utilization") * settings.noise("layout_utilization")
        levels[here] = quantiles(found)
    return {"measured": measured, "low": levels[:, 0], "middle": levels[:, 2], "high": levels[:, 4]}


def _fits(rows: Any, catalogue: Any, groups: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the law fitted to all groups but one, and which rows that one has."""
    from hplaw.fit.check.verdict import Verdict
    from hplaw.fit.data.runs import keep_runs, read_runs
    from hplaw.fit.infer.fitting import Diagnostics, Fitted
    from hplaw.fit.infer.laplace import fit_normal
    from hplaw.fit.model.density import Density
    from hplaw.fit.model.double_precision import double_precision
    from hplaw.fit.model.model import Model
    from hplaw.fit.output.law_folder import write_folder
    from hplaw.posterior.scenarios import standard_normals

    law = catalogue.get("layout-throughput")
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "rows.parquet"
        rows.write_parquet(table)
        runs = read_runs(table, law=law)
    with double_precision():
        for group in np.unique(groups):
            here = groups == group
            others = keep_runs(runs.filter(~here), law)
            density = Density(Model(law, others, catalogue))
            normal = fit_normal(density, np.ones(len(others)))
            flat = normal.draws(standard_normals(density.size, 512).T)
            fitted = Fitted(
                law=law,
                runs=runs,
                kept=others,
                density=density,
                normal=normal,
                flat=flat,
                draws=density.constrain(flat),
                diagnostics=Diagnostics(),
                sampler="",
                seconds=0.0,
            )
            with tempfile.TemporaryDirectory() as folder:
                yield (write_folder(Path(folder) / "law", fitted, Verdict(), data=FILE, sha256="", accept=True), here)


def share_lines(label: str, found: Columns, here: Any, most: float | None = None) -> list[Row]:
    """Return how far predicted shares are from those measured above `GOOD`, and how many lie in their intervals."""
    kept = here & (found["measured"] > GOOD)
    measured = found["measured"][kept]
    error = np.abs(np.log(found["middle"][kept] / measured))
    return [
        row(f"{label}: median factor", math.exp(float(np.median(error))), "1", most=most),
        row(f"{label}: 90th percentile", math.exp(float(np.quantile(error, 0.9))), "1"),
        row(f"{label}: share in 90% intervals", inside(found, here), "1"),
    ]


def inside(found: Columns, here: Any) -> float:
    """Return the share of measurements above `GOOD` that lie in their intervals."""
    kept = here & (found["measured"] > GOOD)
    measured = found["measured"][kept]
    return float(((found["low"][kept] <= measured) & (measured <= found["high"][kept])).mean())


def choice_lines(found: Columns, rows: Any, listed: Any) -> list[Row]:
    """Return how often the layout predicted best comes near the best measured, over sizes and numbers of nodes."""
    cases = rows.select("n_params", "devices").to_numpy()
    layouts = rows.select(LAYOUT).to_numpy()
    reached: list[float] = []
    for case in np.unique(cases, axis=0):
        here = (cases == case).all(axis=1)
        best = np.flatnonzero(here & listed)[np.argmax(found["middle"][here & listed])]
        same = here & (layouts == layouts[best]).all(axis=1)
        reached.append(float(found["measured"][same].max() / found["measured"][here].max()))
    return [
        row("choice: share of the best measured, median", float(np.median(reached)), "1"),
        row(
            f"choice: reaches {NEAR:g} of the best measured", float(np.mean(np.array(reached) >= NEAR)), "1", least=0.7
        ),
    ]
