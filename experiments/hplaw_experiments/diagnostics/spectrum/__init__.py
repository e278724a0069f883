"""The curvature of batches: spectra, the edge and noise that explain them, and the largest stable learning rate."""

from hplaw_experiments.diagnostics.spectrum.report import (
    SpectrumReport,
    StableRate,
    largest_stable_rate,
    spectrum_chart,
)


__all__ = ["SpectrumReport", "StableRate", "largest_stable_rate", "spectrum_chart"]
