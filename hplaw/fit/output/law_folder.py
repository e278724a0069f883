"""Writing a fitted law: a folder with law.toml, its draws and its card, whole or not at all."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import math
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw.answer.answer import plain_outputs
from hplaw.errors import DataError, HplawError
from hplaw.expression import Undefined
from hplaw.fit.check.verdict import Verdict
from hplaw.fit.data.runs import domain_seen
from hplaw.fit.infer.fitting import Fitted
from hplaw.fit.output.digits import expected, rounded, with_digits
from hplaw.law import Law
from hplaw.law.format import CovarianceSpec, DiscrepancySpec, EvidenceSpec, ExampleSpec, LawSpec, PredictSpec
from hplaw.law.law import ARRAYS
from hplaw.law.read import parse_law
from hplaw.law.write import write_law


Array = NDArray[np.float64]

SERVED = 256
"""Draws that a law is served with."""
EXAMPLE_RTOL = 1e-6
"""To how many digits an example of a fitted law holds: its value is a minimum found by iteration."""
OURS = frozenset(("law.toml", ARRAYS, "moments.npz", "draws.npz", "influence.json", "card.md", "plots", "map.npz"))
"""What a fitted law's folder holds."""


def thin(arrays: Mapping[str, Array], size: int) -> dict[str, Array]:
    """Return evenly spaced draws, at most `size` of them."""
    found: dict[str, Array] = {}
    for name, array in arrays.items():
        places = np.linspace(0, len(array) - 1, min(size, len(array))).round().astype(int)
        found[name] = np.ascontiguousarray(array[places], dtype=np.float64)
    return found


def fitted_spec(
    fitted: Fitted, served: Mapping[str, Array], verdict: Verdict, *, data: str, sha256: str, accept: bool
) -> LawSpec:
    """Return the tables of the fitted law: medians as values, the domain seen, evidence; examples still as they were."""
    spec = fitted.law.spec
    parameters = {
        name: msgspec.structs.replace(item, value=_median(served[name]), sd=None)
        for name, item in spec.parameters.items()
    }
    failed = list(dict.fromkeys([*fitted.diagnostics.failed(), *verdict.failed]))
    evidence = EvidenceSpec(
        runs=len(fitted.kept),
        groups=fitted.groups,
        data_sha256=sha256,
        data=data,
        code_version=f"hplaw {version('hplaw')}",
        hardware=f"{platform.machine()}, {os.cpu_count()} cores",
        sampler=fitted.sampler,
        fitted=dt.datetime.now(dt.UTC).date().isoformat(),
        r_hat=_finite(fitted.diagnostics.r_hat),
        ess=_finite(fitted.diagnostics.ess),
        divergences=fitted.diagnostics.divergences,
        held_out={**verdict.held_out, **verdict.checks},
        failed=failed,
        accepted_with=failed if accept else [],
    )
    return with_digits(
        msgspec.structs.replace(
            spec,
            status="calibrated",
            parameters=parameters,
            covariance=list[CovarianceSpec](),
            evidence=evidence,
            predict=_predict(spec, verdict),
            domain=domain_seen(fitted.law, fitted.kept),
            effects=fitted.effects(),
        ),
        served,
    )


def _median(array: Array) -> float | list[float]:
    found: Any = np.median(array, axis=0).tolist()
    return found


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else value


def _predict(spec: LawSpec, verdict: Verdict) -> PredictSpec:
    if verdict.discrepancy is None or spec.decision is None:
        return spec.predict
    before = spec.predict.discrepancy
    grows = before.grows if before is not None else "1 + 0.1 * outside ** 2"
    return PredictSpec(
        discrepancy=DiscrepancySpec(of=list(spec.decision.choose), covariance=verdict.discrepancy, grows=grows)
    )


def with_examples(spec: LawSpec, law: Law) -> LawSpec:
    """Return the tables with worked examples as `law`, which has the draws, answers them."""
    kept: list[ExampleSpec] = []
    for example in [*spec.examples, _central(law)]:
        try:
            status, values = plain_outputs(law, example.given, want=list(example.expect))
        except (HplawError, Undefined):
            continue
        state: Any = None if status == "ok" else status
        expect = {name: values[name] for name in example.expect or values if name in values}
        plain = {name: value for name, value in expect.items() if isinstance(value, float | int | str)}
        if plain and len(kept) < max(len(spec.examples), 1):
            kept.append(expected(ExampleSpec(given=example.given, expect=plain, rtol=EXAMPLE_RTOL, status=state)))
    if not kept:
        message = f"{law.id} gives no number in the middle of its domain; the fit is not worth keeping"
        raise DataError(message)
    return msgspec.structs.replace(spec, examples=kept)


def _central(law: Law) -> ExampleSpec:
    """Return a question in the middle of the domain."""
    given: dict[str, Any] = {}
    for name, seen in law.spec.domain.items():
        if name not in law.inputs:
            continue
        if law.quantity(name).categorical:
            given[name] = seen[0]
        else:
            given[name] = rounded(math.sqrt(float(seen[0]) * float(seen[1])), 3)
    return ExampleSpec(given=given)


def write_folder(
    to: Path,
    fitted: Fitted,
    verdict: Verdict,
    *,
    data: str,
    sha256: str,
    accept: bool = False,
    all_draws: bool = False,
    card: Callable[[Law, Path], str] | None = None,
) -> Law:
    """Write a fitted law's folder and return the law as it reads back.

    **Arguments:**

    - `to`: the folder; one that holds a fitted law is replaced, one that holds anything else refused.
    - `data`, `sha256`: what the runs were read from.
    - `accept`: whether to serve the law although checks failed.
    - `all_draws`: whether to write every draw of everything beside the served ones.
    - `card`: from the law and the folder to the text of its card; may write plots into the folder.

    **Raises:** `DataError` where the folder holds other things.
    """
    check_folder(to)
    served = thin(fitted.parameters(), SERVED)
    spec = fitted_spec(fitted, served, verdict, data=data, sha256=sha256, accept=accept)
    with _whole(to) as folder:
        _save(folder / ARRAYS, served)
        _save(folder / "moments.npz", _moments(fitted.parameters()))
        if all_draws:
            _save(folder / "draws.npz", fitted.draws)
        first = parse_law(write_law(spec).encode(), path=folder / "law.toml", arrays=folder / ARRAYS)
        text = write_law(with_examples(spec, first)).encode()
        (folder / "law.toml").write_bytes(text)
        law = parse_law(text, path=folder / "law.toml", arrays=folder / ARRAYS)
        if card is not None:
            (folder / "card.md").write_text(card(law, folder), encoding="utf-8")
    from hplaw.law import read_law

    return read_law(to)


def write_served(to: Path, spec: LawSpec, served: Mapping[str, Array], card: str) -> Law:
    """Write a folder from tables, the draws to serve (there may be none) and a card; return the law as it reads back.

    **Raises:** `DataError` where the folder holds other things.
    """
    check_folder(to)
    spec = with_digits(spec, served)
    with _whole(to) as folder:
        arrays = folder / ARRAYS if served else None
        if arrays is not None:
            _save(arrays, served)
            _save(folder / "moments.npz", _moments(served))
        first = parse_law(write_law(spec).encode(), path=folder / "law.toml", arrays=arrays)
        (folder / "law.toml").write_bytes(write_law(with_examples(spec, first)).encode())
        (folder / "card.md").write_text(card, encoding="utf-8")
    from hplaw.law import read_law

    return read_law(to)


def write_map(to: Path, spec: LawSpec, arrays: Mapping[str, Array], card: Callable[[Law, Path], str]) -> Law:
    """Write the folder of a map from its tables, its grid and a card; return the law as it reads back.

    **Arguments:**

    - `card`: from the law and the folder to the text of its card; may write plots into the folder.

    **Raises:** `DataError` where the folder holds other things.
    """
    check_folder(to)
    grid = spec.grid
    assert grid is not None
    spec = with_digits(spec, ())
    with _whole(to) as folder:
        values = folder / grid.values
        _save(values, arrays)
        first = parse_law(write_law(spec).encode(), path=folder / "law.toml", arrays=values)
        text = write_law(with_examples(spec, first)).encode()
        (folder / "law.toml").write_bytes(text)
        law = parse_law(text, path=folder / "law.toml", arrays=values)
        (folder / "card.md").write_text(card(law, folder), encoding="utf-8")
    from hplaw.law import read_law

    return read_law(to)


def check_folder(to: Path) -> None:
    """Refuse a folder that holds anything but a fitted law.

    **Raises:** `DataError`.
    """
    if to.is_dir():
        strange = sorted(item.name for item in to.iterdir() if item.name not in OURS)
        if strange:
            message = f"{to} holds other things than a fitted law ({strange[0]}); give a folder of its own"
            raise DataError(message)
    elif to.exists():
        message = f"{to} is a file; give a folder"
        raise DataError(message)


@contextlib.contextmanager
def _whole(to: Path) -> Generator[Path]:
    """Yield a temporary folder beside the one wanted, put in its place when all is written and safe on the disk."""
    to = to.absolute()
    to.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{to.name}-", dir=to.parent))
    try:
        yield folder
        for file in folder.rglob("*"):
            if file.is_file():
                file.chmod(0o644)
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
        folder.chmod(0o755)
        if to.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{to.name}-old-", dir=to.parent))
            old.rmdir()
            to.rename(old)
            folder.rename(to)
            shutil.rmtree(old)
        else:
            folder.rename(to)
    finally:
        if folder.exists():
            shutil.rmtree(folder)


def _save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **{n: np.asarray(a) for n, a in arrays.items()})
    path.write_bytes(buffer.getvalue())


def _moments(parameters: Mapping[str, Array]) -> dict[str, NDArray[Any]]:
    """Return mean and covariance over all draws, and the names of the columns."""
    names: list[str] = []
    columns: list[Array] = []
    for name, array in parameters.items():
        flat = array.reshape(len(array), -1)
        names += [name] if flat.shape[1] == 1 and array.ndim == 1 else [f"{name}[{i}]" for i in range(flat.shape[1])]
        columns.append(flat)
    table = np.concatenate(columns, axis=1)
    found: dict[str, Any] = {
        "names": np.asarray(names),
        "mean": table.mean(axis=0),
        "covariance": np.atleast_2d(np.cov(table, rowvar=False)),
    }
    return found


__all__ = ["SERVED", "Verdict", "check_folder", "domain_seen", "thin", "write_folder", "write_map", "write_served"]
