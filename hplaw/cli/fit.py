"""`hplaw fit`: a law and a table of runs in, a fitted law out."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from hplaw.cli.exit_status import FAILED, OK
from hplaw.cli.extras import needing
from hplaw.cli.fit_map import fit_map
from hplaw.cli.laws import find_law
from hplaw.cli.options import LawFolders
from hplaw.cli.page import Page, write
from hplaw.cli.reading import open_catalogue
from hplaw.errors import DataError, FitError, QueryError
from hplaw.formatting import number, plural
from hplaw.vocabulary.reading import parse_pairs


if TYPE_CHECKING:
    from hplaw.catalogue.catalogue import Catalogue
    from hplaw.law import Law


MAX_SEED = 2**32 - 1
"""The largest seed, which all generators behind a fit take."""

UNMOVED = 1e-12
"""Relative standard error up to which a parameter did not move between bootstraps."""


def fit(
    law: Annotated[str, Parameter(name="LAW", help="A law with [fit], by its id or file; a fitted one is refitted.")],
    /,
    *,
    data: Annotated[
        Path,
        Parameter(
            help="The runs: CSV with # comments, or parquet; or the folder of a fitted law that LAW follows from."
        ),
    ],
    to: Annotated[Path, Parameter(help="The folder of the fitted law.")],
    map_: Annotated[
        list[str] | None,
        Parameter(
            name="--map",
            negative=(),
            help="A quantity as a formula over the file's columns: loss=smooth_loss; may be repeated.",
        ),
    ] = None,
    where: Annotated[str, Parameter(help="Only rows for which this holds, in SQL: \"family = 'dense'\".")] = "",
    method: Annotated[
        Literal["nuts", "map", "huber"],
        Parameter(help="nuts samples the posterior, map draws around its mode, huber is what papers do."),
    ] = "nuts",
    chains: Annotated[int, Parameter(help="Chains of the sampler.")] = 4,
    draws: Annotated[int, Parameter(help="Draws of each chain.")] = 750,
    warmup: Annotated[
        int | None, Parameter(help="Iterations before the draws; chosen automatically by default.")
    ] = None,
    objective: Annotated[
        Literal["huber", "l1"],
        Parameter(help="What huber minimizes: Huber's function of 0.001, or absolute residuals."),
    ] = "huber",
    bootstrap: Annotated[int, Parameter(help="Refits on resampled runs, for huber.")] = 4000,
    seed: Annotated[int, Parameter(help="The seed of everything random.")] = 0,
    accept: Annotated[
        bool, Parameter(negative=(), help="Serve the law although a check failed; recorded in it.")
    ] = False,
    all_draws: Annotated[
        bool, Parameter(negative=(), help="Write every draw of everything beside those served.")
    ] = False,
    laws: LawFolders = None,
) -> int:
    """Fit a law to runs, judge the fit, and write the fitted law with its posterior and its card."""
    if not (1 <= chains <= 64 and 25 <= draws <= 100_000 and (warmup is None or 0 <= warmup <= 100_000)):
        message = f"--chains {chains} --draws {draws}: give 1 to 64 chains of 25 to 100000 draws"
        raise QueryError(message)
    if (data / "law.toml").is_file():
        return _derived(law, data, to, laws)
    if not data.is_file():
        what = "a folder without a fitted law" if data.is_dir() else "no such file"
        message = f"--data {data}: there is {what}; give a table of runs"
        raise DataError(message)
    if not 0 <= seed <= MAX_SEED:
        message = f"--seed {seed}: give a whole number from 0 to {MAX_SEED}"
        raise QueryError(message, field="seed")
    if not 0 <= bootstrap <= 1_000_000:
        message = f"--bootstrap {bootstrap}: give how many refits, 0 to 1000000"
        raise QueryError(message, field="bootstrap")
    catalogue = open_catalogue(laws)
    found = find_law(law, catalogue)
    if found.spec.grid is not None:
        with needing("a fit", "fit", error=FitError):
            return fit_map(found, data, parse_pairs(map_, "--map"), where, to)
    if found.spec.fit is None:
        fitting = ", ".join(each.id for each in catalogue.laws if each.spec.fit is not None)
        message = f"{found.id} has no [fit], so it cannot be fitted; give a law that has, as {fitting} do"
        raise QueryError(message, field="LAW")
    maps = parse_pairs(map_, "--map")
    _prepare()
    with needing("a fit", "fit", error=FitError):
        _say_stand_ins(found, data, maps)
        if method == "huber":
            return _huber(found, data, maps, where, to, objective, bootstrap, seed)
        return _posterior(
            found,
            data,
            maps,
            where,
            to,
            method,
            chains,
            draws,
            warmup,
            seed,
            catalogue,
            accept=accept,
            all_draws=all_draws,
        )


def _prepare() -> None:
    """Tell the compiler behind JAX to be quick rather than thorough: programs here run for seconds."""
    flags = "--xla_llvm_disable_expensive_passes=true --xla_cpu_multi_thread_eigen=false"
    os.environ["XLA_FLAGS"] = f"{flags} {os.environ.get('XLA_FLAGS', '')}".strip()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")


def _posterior(
    law: Law,
    data: Path,
    maps: dict[str, str],
    where: str,
    to: Path,
    method: Literal["nuts", "map"],
    chains: int,
    draws: int,
    warmup: int | None,
    seed: int,
    catalogue: Catalogue,
    *,
    accept: bool,
    all_draws: bool,
) -> int:
    from hplaw.fit.check.judge import judge
    from hplaw.fit.check.scores import read_scores
    from hplaw.fit.data.runs import read_runs
    from hplaw.fit.infer.fitting import fit_law
    from hplaw.fit.output.card import Provenance, write_card
    from hplaw.fit.output.law_folder import check_folder, write_folder
    from hplaw.runs.table import sha256_of

    check_folder(to)
    began = time.monotonic()
    progress, finish = _progress()
    try:
        runs = read_runs(data, law=law, maps=maps, where=where)
        fitted = fit_law(
            law,
            runs,
            method=method,
            chains=chains,
            draws=draws,
            warmup=warmup,
            seed=seed,
            catalogue=catalogue,
            progress=progress,
        )
        judgement = judge(fitted, progress=progress)
        progress(0.99, "writing")
        provenance = Provenance(
            law=law.id, data=data.name, maps=maps, where=where, method=method, seed=seed, draws=draws
        )
        written = write_folder(
            to,
            fitted,
            judgement.verdict,
            data=data.name,
            sha256=sha256_of(data),
            accept=accept,
            all_draws=all_draws,
            card=lambda new, folder: write_card(new, folder, fitted, judgement, provenance),
        )
    finally:
        finish()
    evidence = written.spec.evidence
    assert evidence is not None
    print(
        f"wrote {to}: {written.address}, {evidence.runs} of {plural(len(runs), 'run')} in {plural(evidence.groups, 'group')}, {time.monotonic() - began:.0f} s"
    )
    if evidence.r_hat is not None:
        verdict = "FAILED" if fitted.diagnostics.failed() else "passed"
        print(
            f"  sampler: R-hat {evidence.r_hat:.3f}, effective sample size {evidence.ess:.0f}, "
            f"{plural(evidence.divergences or 0, 'divergence')}: {verdict}"
        )
    observed = [item.quantity for item in fitted.density.model.likelihoods]
    for score in read_scores(evidence.held_out, observed):
        print(f"  {score.line}")
    for problem in evidence.failed:
        print(f"hplaw: failed a check: {problem}", file=sys.stderr)
    if evidence.failed and not accept:
        print(
            "hplaw: the law is written but will not be served; look at its card, and fit with --accept to serve it anyway",
            file=sys.stderr,
        )
        return FAILED
    print(f"next: hplaw recommend --laws {to} ...")
    return OK


def _huber(
    law: Law,
    data: Path,
    maps: dict[str, str],
    where: str,
    to: Path,
    objective: Literal["huber", "l1"],
    bootstrap: int,
    seed: int,
) -> int:
    from hplaw.fit.data.runs import keep_runs, read_runs
    from hplaw.fit.infer.huber import fit_huber
    from hplaw.fit.output.huber_folder import write_robust
    from hplaw.fit.output.law_folder import check_folder
    from hplaw.runs.table import sha256_of

    check_folder(to)
    runs = read_runs(data, law=law, maps=maps, where=where)
    fitted = fit_huber(law, keep_runs(runs, law), objective=objective, bootstrap=bootstrap, seed=seed)
    written = write_robust(to, law, runs, fitted, data=data.name, sha256=sha256_of(data), seed=seed)
    page = Page()
    page.line(f"wrote {to}: {written.address}, {fitted.runs} of {len(runs)} runs, {sum(fitted.seconds):.0f} s")
    page.text(f"{fitted.words}; {fitted.agreeing:.0%} of the starts found the best")
    for title, found in (("Constants", fitted.derived), ("Parameters, by their names in law.toml", fitted.best)):
        rows = list(_constants(found, fitted.errors))
        if rows:
            page.heading(title)
            page.table(rows, head=("", "value", "standard error"))
    page.line()
    write(str(page))
    print(f"next: hplaw recommend --laws {to} ...")
    return OK


def _constants(found: Mapping[str, Any], errors: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield the constants of a robust fit, those omitted that no bootstrap moved: the objective does not have them."""
    import numpy as np

    for name, value in found.items():
        values: list[float] = np.ravel(value).tolist()
        error = float(np.max(errors[name])) if name in errors else None
        if error is not None and error <= UNMOVED * max(map(abs, values)):
            continue
        shown = "-" if error is None or len(values) > 1 else number(error, digits=2)
        yield name, ", ".join(number(item, digits=4) for item in values), shown


def _derived(law: str, data: Path, to: Path, laws: list[Path] | None) -> int:
    """Write a law that follows from a fitted one."""
    from hplaw.law import read_law

    found = find_law(law, open_catalogue(laws))
    with needing("a fit", "fit", error=FitError):
        from hplaw.fit.output.derived_law import write_derived
    written = write_derived(to, found, read_law(data))
    print(f"wrote {to}: {written.address}, from the draws of {data}")
    return OK


def _say_stand_ins(law: Law, data: Path, maps: dict[str, str]) -> None:
    """Warn where one count of parameters is used as another, as the table has no other."""
    from hplaw.fit.data.runs import STAND_INS
    from hplaw.runs.table import read_table

    have = {*read_table(data).columns, *maps}
    for name, other in STAND_INS[1:]:
        if name in law.inputs and name not in have and other in have:
            print(f"hplaw: {other} of {data.name} is used as {name}; --map {name}=... says otherwise", file=sys.stderr)


def _progress() -> tuple[Callable[[float, str], None], Callable[[], None]]:
    """Return what shows progress on a terminal, and what ends it; elsewhere both do nothing."""
    if not sys.stderr.isatty():
        return lambda share, words: None, lambda: None
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=Console(stderr=True), transient=True
    )
    task = bar.add_task("fit", total=1.0)
    bar.start()
    return lambda share, words: bar.update(task, completed=share, description=words), bar.stop
