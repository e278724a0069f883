"""Spectra of batches: right on a small matrix, the fit finds what made the edges, and the rate is where training diverges."""

import json
from typing import Any

import numpy as np
import pytest

import jax
import jax.numpy as jnp
import jax.random as jr

from hplaw.cli import main
from hplaw.errors import FitError, QueryError
from hplaw.law.procedures import call
from hplaw_experiments.data import load_source
from hplaw_experiments.diagnostics.spectrum import largest_stable_rate
from hplaw_experiments.diagnostics.spectrum.divergence import Divergence, divergence
from hplaw_experiments.diagnostics.spectrum.edges import Edge, fit_edges, predicted
from hplaw_experiments.diagnostics.spectrum.lanczos import dense, ritz
from hplaw_experiments.diagnostics.spectrum.products import PRODUCTS, Problem, problem_of
from hplaw_experiments.diagnostics.spectrum.report import SpectrumReport, StableRate, spectrum_chart
from hplaw_experiments.trial import Trial


SMALL = {"features": 4, "classes": 3, "hidden": 5}
TINY = Trial(
    width=3,
    data="teacher",
    data_options=SMALL,
    activation="tanh",
    tokens=64,
    batch_tokens=8,
    peak_lr=0.1,
    optimizer="sgd",
)


def edges(hessian_edge: float, noise: float, batches: tuple[int, ...]) -> list[Edge]:
    return [
        Edge(matrix="hessian", batch_tokens=float(b), edge=predicted(b, hessian_edge, noise)[0], error=0.0, floor=0.0)
        for b in batches
    ]


@pytest.mark.parametrize("matrix", ["hessian", "gauss_newton"])
def test_ritz_values_reach_the_eigenvalues_of_the_whole_matrix(matrix: str) -> None:
    problem = problem_of(TINY, seed=0)
    x, y = load_source("teacher", SMALL).batch(jr.key(1), 16)
    product = PRODUCTS[matrix](problem, problem.start, x, y)
    size = problem.start.size
    whole = np.asarray(jax.jit(lambda: dense(product, size))(), float)
    assert np.allclose(whole, whole.T, atol=1e-5)
    truth = np.linalg.eigvalsh((whole + whole.T) / 2)
    values, weights = jax.jit(lambda key: ritz(product, size=size, key=key, steps=size))(jr.key(2))
    assert np.isclose(values[-1], truth[-1], rtol=1e-3)
    assert np.isclose(values[0], truth[0], atol=1e-3 * truth[-1])
    assert np.isclose(np.sum(weights), 1.0, rtol=1e-5)
    if matrix == "gauss_newton":
        assert truth[0] > -1e-5 * truth[-1]


def test_the_density_has_the_trace_of_the_matrix() -> None:
    """The mean of a quadrature over many vectors is the trace over the number of rows."""
    diagonal = jnp.asarray(np.linspace(-1, 3, 40), jnp.float32)
    many = jax.jit(jax.vmap(lambda key: ritz(lambda v: diagonal * v, size=40, key=key, steps=10)))
    values, weights = many(jr.split(jr.key(0), 64))
    means = np.sum(np.asarray(values) * np.asarray(weights), axis=1)
    assert np.mean(means) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(("edge", "noise"), [(10.0, 100.0), (2.0, 12.0), (8.7, 783.0), (0.3, 1e-3)])
def test_the_fit_finds_the_edge_and_noise_that_made_the_eigenvalues(edge: float, noise: float) -> None:
    found = fit_edges(edges(edge, noise, (4, 16, 64, 512)))
    assert found.worst < 0.01
    assert found.hessian_edge == pytest.approx(edge, rel=0.01)
    if noise > edge**2:  # where it shows
        assert found.hessian_noise == pytest.approx(noise, rel=0.05)


def test_a_fit_of_two_batches_is_refused() -> None:
    with pytest.raises(FitError, match="three batch sizes"):
        fit_edges(edges(1.0, 1.0, (4, 8)))


def test_a_quadratic_diverges_at_two_over_its_curvature() -> None:
    curvature = 5.0

    def loss(weights: Any, x: Any, y: Any) -> Any:
        return 0.5 * curvature * jnp.sum(jnp.square(weights))

    problem = Problem(jnp.ones(3, jnp.float32), lambda weights, x: x, loss)
    source = load_source("teacher", SMALL)
    found = divergence([problem], source, 4, 0.35, seq_len=1, n_seeds=1, seed=0, steps=100)
    assert found.measured is not None
    assert 2.0**-0.125 < found.measured / (2 / curvature) < 2.0**0.125
    assert found.ratio == pytest.approx(found.measured / 0.35)
    beyond = divergence([problem], source, 4, 4.0, seq_len=1, n_seeds=1, seed=0, steps=100)
    assert beyond.measured is None


def test_what_cannot_be_measured_is_refused() -> None:
    for options in ({"batches": (4, 8)}, {"batches": (0, 4, 8)}, {"starts": ()}, {"n_batches": 0}):
        with pytest.raises(QueryError, match="three batch sizes"):
            largest_stable_rate(TINY, **options)


def test_the_procedure_of_the_law_is_the_instrument() -> None:
    with pytest.raises(QueryError, match="three batch sizes"):
        call("spectrum.largest_stable_rate", TINY, batches=(1, 2))


def test_the_command_tells_edges_fit_and_rates(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "spectrum",
        "--width",
        "3",
        "--data",
        "teacher",
        "--batches",
        "4",
        "16",
        "64",
        "--starts",
        "1",
        "--samples",
        "3",
        "--no-sweep",
    ]
    assert main([*words, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [e["batch_tokens"] for e in report["edges"]] == [4, 4, 16, 16, 64, 64]
    assert [fit["matrix"] for fit in report["fits"]] == ["hessian", "gauss_newton"]
    rates = [r["predicted"] for r in report["rates"]]
    assert rates == sorted(rates)
    assert sum(report["edges"][0]["weights"]) == pytest.approx(1.0, abs=1e-4)
    assert main(["spectrum", "--batches", "0", "4", "8"]) == 2
    assert "three batch sizes" in capsys.readouterr().err


@pytest.mark.slow
def test_on_digits_the_law_fits_the_edges_and_foretells_where_training_diverges() -> None:
    """Initial weights here are others than those that the definition of divergence was settled with."""
    trial = Trial(width=64, tokens=64, batch_tokens=64, peak_lr=0.1, optimizer="sgd")
    report = largest_stable_rate(trial, starts=range(3, 15))
    assert {fit.matrix: fit.worst < 0.10 for fit in report.fits} == {"hessian": True, "gauss_newton": True}
    ratios = [rate.sweep.ratio for rate in report.rates if rate.sweep]
    assert len(ratios) == 6
    assert all(ratio is not None and 1 / 1.3 < ratio < 1.3 for ratio in ratios), ratios


def test_a_batch_that_was_not_measured_is_a_gap_in_the_line() -> None:
    measured = {4.0: 0.2, 16.0: None, 64.0: 0.9}
    rates = [
        StableRate(
            batch_tokens=batch,
            predicted=0.1,
            sweep=Divergence(batch_tokens=batch, predicted=0.1, rates=[], share=[], measured=rate, ratio=None),
        )
        for batch, rate in measured.items()
    ]
    report = SpectrumReport(
        n_params=8.0,
        starts=[0],
        edges=edges(10.0, 1e3, (4, 16, 64)),
        fits=[],
        noise_by_products=1.0,
        rates=rates,
        worst_ratio=None,
    )
    points = spectrum_chart(report).to_dict()["hconcat"][1]["data"]["values"]
    assert [p["rate"] for p in points if p["what"] == "measured"] == [0.2, None, 0.9]
