"""Writing a robust fit as a law folder: its bootstraps as draws, so that it is served like a posterior."""

from __future__ import annotations

import datetime as dt
import os
import platform
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from hplaw.fit.data.runs import domain_seen
from hplaw.fit.infer.huber import HuberFit
from hplaw.fit.output.law_folder import SERVED, thin, write_served
from hplaw.law import Law
from hplaw.law.format import CovarianceSpec, EvidenceSpec


Array = NDArray[np.float64]


def write_robust(to: Path, law: Law, runs: pl.DataFrame, fitted: HuberFit, *, data: str, sha256: str, seed: int) -> Law:
    """Write the folder of a robust fit and return the law as it reads back.

    Without bootstraps there are no draws, and the law is written with values alone.

    **Raises:** `DataError` where the folder holds other things.
    """
    parameters = {
        name: msgspec.structs.replace(item, value=fitted.best[name], sd=None)
        for name, item in law.spec.parameters.items()
    }
    evidence = EvidenceSpec(
        runs=fitted.runs,
        groups=1,
        data_sha256=sha256,
        data=data,
        code_version=f"hplaw {version('hplaw')}",
        hardware=f"{platform.machine()}, {os.cpu_count()} cores",
        sampler=f"{fitted.words}, seed {seed}",
        fitted=dt.datetime.now(dt.UTC).date().isoformat(),
    )
    spec = msgspec.structs.replace(
        law.spec,
        status="calibrated",
        parameters=parameters,
        covariance=list[CovarianceSpec](),
        evidence=evidence,
        domain=domain_seen(law, runs),
    )
    served: dict[str, Array] = thin(fitted.draws, SERVED)
    enough = all(len(values) > 1 for values in served.values())
    return write_served(to, spec, served if enough else {}, _card(law, fitted, data))


def _card(law: Law, fitted: HuberFit, data: str) -> str:
    """Return the card: what was minimized, and the constants with their bootstrap errors."""
    errors = fitted.errors
    rows = [
        f"| {name} | {value} | {np.round(errors[name], 6) if name in errors else ''} |"
        for name, value in {**fitted.best, **fitted.derived}.items()
    ]
    return "\n".join(
        [
            f"# {law.spec.title}",
            "",
            f"`{law.id}@{law.version}`, {fitted.words}, on {fitted.runs} runs of {data}.",
            f"The objective is {fitted.value:.6g} at the best; {fitted.agreeing:.0%} of the starts found it.",
            f"{fitted.converged:.0%} of the bootstraps came to rest.",
            "A bootstrap says how the constants depend on the runs drawn, not how far the form itself deviates.",
            "",
            "| constant | value | standard error |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )
