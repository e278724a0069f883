"""What is measured beside the runs of the study: the noise scale along them, and the spectrum of batches."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec
import polars as pl

from hplaw.errors import DataError
from hplaw_experiments.diagnostics.noise_scale import NoiseScale, mean_scale, noise_scales
from hplaw_experiments.diagnostics.spectrum import SpectrumReport, largest_stable_rate
from hplaw_experiments.studies.batch_rule.cells import with_model
from hplaw_experiments.studies.study import StudySpec
from hplaw_experiments.trial import Trial


NOISE, SPECTRUM = "noise-scale.json", "spectrum.json"
"""Files of the measurements in the folder of runs."""

STABLE_BATCHES = (4, 16, 64, 256)
"""Examples or sequences in a batch at which spectra are taken."""

Kind = TypeVar("Kind")


class RunNoise(msgspec.Struct, frozen=True, kw_only=True):
    """The noise scale along the best run at one batch, and its mean, in tokens; None where it came out negative."""

    family: str
    optimizer: str
    batch_tokens: float
    peak_lr: float
    mean: float | None
    scales: list[NoiseScale]


def measure(spec: StudySpec, folder: Path, runs: pl.DataFrame) -> None:
    """Write the measurements of a folder of runs that are not there yet."""
    options = spec.options
    path = folder / NOISE
    if not path.exists():
        found: list[RunNoise] = []
        for trial in _best_runs(runs):
            scales = noise_scales(trial, small=options["small_examples"], batches=options["small_batches"])
            found.append(
                RunNoise(
                    family=trial.family,
                    optimizer=trial.optimizer,
                    batch_tokens=trial.batch_tokens,
                    peak_lr=trial.peak_lr,
                    mean=mean_scale(scales),
                    scales=scales,
                )
            )
        _write(path, found)
    path = folder / SPECTRUM
    if not path.exists():
        spectra: dict[str, SpectrumReport] = {}
        for trial in _best_runs(runs.filter(pl.col("optimizer") == "sgd")):
            if trial.family != "mlp":  # the spectra of a Transformer take longer than all its training here
                continue
            report = largest_stable_rate(
                trial,
                batches=STABLE_BATCHES,
                starts=range(options["spectrum_starts"]),
                n_batches=options["spectrum_batches"],
            )
            # the densities are large, and no page shows them
            edges = [msgspec.structs.replace(edge, values=[], weights=[]) for edge in report.edges]
            spectra[trial.family] = msgspec.structs.replace(report, edges=edges)
        _write(path, spectra)


def read_noise(folder: Path) -> list[RunNoise]:
    """Return the noise scales of a folder of runs.

    **Raises:** `DataError` where they were not measured.
    """
    return _read(folder / NOISE, list[RunNoise])


def read_spectra(folder: Path) -> dict[str, SpectrumReport]:
    """Return the spectra of a folder of runs by model.

    **Raises:** `DataError` where they were not measured.
    """
    return _read(folder / SPECTRUM, dict[str, SpectrumReport])


def _best_runs(runs: pl.DataFrame) -> list[Trial]:
    """Return for each model and optimizer the best run at its middle batch, of the first seed."""
    found: list[Trial] = []
    for _, part in with_model(runs).sort("model", "optimizer").group_by("model", "optimizer", maintain_order=True):
        batches = part["batch_tokens"].unique().sort()
        here = part.filter((pl.col("batch_tokens") == batches[len(batches) // 2]) & pl.col("loss").is_finite())
        rate = here.group_by("peak_lr").agg(pl.col("loss").mean()).sort("loss")["peak_lr"][0]
        row = here.filter(pl.col("peak_lr") == rate).sort("seed")["trial"][0]
        found.append(msgspec.json.decode(row, type=Trial))
    return found


def _write(path: Path, value: object) -> None:
    partial = path.with_suffix(".part")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=1))
    partial.replace(path)


def _read(path: Path, kind: type[Kind]) -> Kind:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError:
        message = f"{path} is missing; finish the study with `hplaw study run batch-rule`"
        raise DataError(message) from None
    except msgspec.DecodeError as error:
        message = f"{path} is no measurement of this study: {error}; remove it, and run the study again"
        raise DataError(message) from None
