"""Laws derived from a fitted one: other formulas over the same draws, so that both give the same values and intervals."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw.errors import FitError
from hplaw.fit.output.law_folder import write_served
from hplaw.law import Law
from hplaw.law.format import CovarianceSpec
from hplaw.posterior.arrays import read_arrays


Array = NDArray[np.float64]


def write_derived(to: Path, law: Law, fitted: Law) -> Law:
    """Write the folder of a law whose parameters are all a fitted law's, with its draws, evidence and domain.

    **Arguments:**

    - `to`: the folder, as `write_folder` takes it.
    - `law`: the derived law.
    - `fitted`: the law with draws.

    **Raises:** `FitError` where the fitted law lacks draws or a parameter; `DataError` where the folder holds other things.
    """
    arrays = read_arrays(fitted)
    missing = [name for name in law.spec.parameters if name not in arrays]
    if missing or not law.spec.parameters:
        what = f"has no draws of {missing[0]}" if missing else "has no parameters to take"
        message = (
            f"{fitted.id if missing else law.id} {what}; give the folder of the fitted law that {law.id} follows from"
        )
        raise FitError(message)
    draws: dict[str, Array] = {name: arrays[name] for name in law.spec.parameters}
    parameters = {
        name: msgspec.structs.replace(item, value=np.median(draws[name], axis=0).tolist(), sd=None)
        for name, item in law.spec.parameters.items()
    }
    seen = {name: at for name, at in fitted.spec.domain.items() if not fitted.quantity(name).categorical}
    spec = msgspec.structs.replace(
        law.spec,
        status="calibrated",
        parameters=parameters,
        covariance=list[CovarianceSpec](),
        evidence=fitted.spec.evidence,
        domain={n: seen.get(n, own) for n, own in law.spec.domain.items()},
    )
    return write_served(to, spec, draws, _card(law, fitted))


def _card(law: Law, fitted: Law) -> str:
    evidence = fitted.spec.evidence
    lines = [
        f"# {law.spec.title}",
        "",
        f"`{law.id}@{law.version}`, derived from `{fitted.address}`: other formulas over the same draws.",
        "",
        law.spec.notes.strip(),
        "",
        "## How it was made",
        "",
        "```",
        f"hplaw fit {law.id} --data {fitted.id} --to {law.id}",
        "```",
        "",
        f"`--data` is the folder of the fitted `{fitted.id}`.",
    ]
    if evidence is not None:
        lines += ["", f"{evidence.runs} runs of {evidence.data}, sha256 `{evidence.data_sha256}`; {evidence.sampler}."]
    return "\n".join(line for line in lines) + "\n"
