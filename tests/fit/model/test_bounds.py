"""Observations known to lie within bounds only, and members of a group drawn with a heavy tail."""

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats

import jax
import numpyro.distributions as dist

from hplaw.errors import LawError
from hplaw.fit.data.runs import read_runs
from hplaw.fit.infer.fitting import fit_law
from hplaw.fit.model.bounds import log_share, student_tail
from hplaw.fit.model.density import Density
from hplaw.fit.model.double_precision import double_precision
from hplaw.fit.model.model import Model
from hplaw.law import Law
from hplaw.law.read import parse_law
from tests.fit.conftest import TEXT, simulate


BOUNDED = TEXT.replace(
    """[fit]
observed = "loss"
transform = "log"
likelihood = "normal(scale)"
scale = "s"
""",
    """[quantities.loss_low]
meaning = "the loss is above"
unit = "nat"

[quantities.loss_high]
meaning = "the loss is below"
unit = "nat"

[fit]

[[fit.likelihoods]]
observed = "loss"
transform = "log"
likelihood = "student_t(4, scale)"
scale = "s"
low = "loss_low"
high = "loss_high"
""",
)


def law_of(text: str) -> Law:
    return parse_law(text.encode())


def censored(frame: pl.DataFrame, step: float) -> pl.DataFrame:
    """Return runs of which a coarse grid of the logarithm tells the loss, open above and below a range."""
    place = np.floor(np.log(frame["loss"].to_numpy()) / step)
    low, high = place * step, (place + 1) * step
    least, most = np.quantile(place, [0.2, 0.8]) * step
    low, high = (
        np.where(low < least, np.nan, np.minimum(low, most)),
        np.where(low >= most, np.nan, np.maximum(high, least)),
    )
    middle = pl.Series("loss", np.exp(np.where(np.isnan(low), high, low))).cast(pl.Float64)
    return frame.with_columns(
        middle, pl.Series("loss_low", np.exp(low)).fill_nan(None), pl.Series("loss_high", np.exp(high)).fill_nan(None)
    )


@pytest.mark.parametrize("freedom", [2, 4, 10])
def test_the_share_of_a_tail_keeps_its_digits(freedom: int) -> None:
    t = np.array([-1e5, -300.0, -9.0, -3.0, -0.1, 0.0, 0.2, 4.0])
    with double_precision():
        found = np.asarray(student_tail(jax.numpy.asarray(t), freedom))
    assert found == pytest.approx(stats.t(freedom).cdf(t), rel=1e-10)


@pytest.mark.parametrize(
    ("noise", "freedom", "truth"),
    [(dist.Normal(0.3, 0.1), None, stats.norm(0.3, 0.1)), (dist.StudentT(4, 0.3, 0.1), 4, stats.t(4, 0.3, 0.1))],
)
def test_bounds_score_the_share_between_them(noise: dist.Distribution, freedom: float | None, truth) -> None:
    low, high = np.array([0.2, math.nan, 0.35, 2.0]), np.array([0.4, 0.1, math.nan, 3.0])
    with double_precision():
        found = np.asarray(log_share(noise, freedom, low, high))
    below = np.where(np.isnan(high), 0, truth.sf(np.nan_to_num(high)))
    above = np.where(np.isnan(low), 0, truth.cdf(np.nan_to_num(low)))
    expected = np.log([*(1 - below - above)[:3], truth.sf(2.0) - truth.sf(3.0)])
    assert found == pytest.approx(expected, rel=1e-9)


def test_a_bound_far_off_still_pulls() -> None:
    with double_precision():
        slope = jax.grad(lambda m: log_share(dist.StudentT(4, m, 0.1), 4, np.array([5.0]), np.array([np.nan]))[0])
        assert float(slope(-1e3)) > 0


def test_a_run_within_bounds_scores_the_share_of_the_noise() -> None:
    law = law_of(BOUNDED)
    frame = simulate(cells=3, runs=2).with_columns(
        loss=pl.Series([2.0, 2.1, None, 2.2, 1.9, 2.0]),
        loss_low=pl.Series([None, 2.0, 1.8, None, None, None], dtype=pl.Float64),
        loss_high=pl.Series([None, 2.2, None, None, None, 2.05], dtype=pl.Float64),
    )
    with double_precision():
        model = Model(law, frame)
        [likelihood] = model.likelihoods
        mean = np.log(2.05)
        found = np.asarray(likelihood.score(dist.StudentT(4, jax.numpy.full(6, mean), 0.03)))
    noise = stats.t(4, mean, 0.03)
    expected = [
        noise.logpdf(np.log(2.0)),
        np.log(noise.cdf(np.log(2.2)) - noise.cdf(np.log(2.0))),
        noise.logsf(np.log(1.8)),
        noise.logpdf(np.log(2.2)),
        noise.logpdf(np.log(1.9)),
        noise.logcdf(np.log(2.05)),
    ]
    assert found == pytest.approx(expected, rel=1e-9)
    assert likelihood.told.tolist() == [True, True, False, True, True, False]


@pytest.mark.slow
def test_bounds_recover_what_made_them() -> None:
    frame = censored(simulate(cells=16, runs=8), step=0.1)
    assert 0.2 < frame["loss_low"].is_null().mean() + frame["loss_high"].is_null().mean() < 0.7
    fitted = fit_law(law_of(BOUNDED), frame, method="map", chains=2, draws=200)
    for name, truth in (("a", 0.9), ("b", -0.25)):
        draws = fitted.draws[name]
        assert abs(draws.mean() - truth) < 3 * draws.std()
    naive = np.polyfit(np.log(frame["n_params"].to_numpy() / 1e9), np.log(frame["loss"].to_numpy()), 1)[0]
    assert abs(fitted.draws["b"].mean() + 0.25) < abs(naive + 0.25)


def test_a_table_may_lack_the_bounds_or_tell_nothing_else(tmp_path) -> None:
    law = law_of(BOUNDED)
    file = tmp_path / "runs.csv"
    file.write_text("n_params,tokens,loss\n1e9,1e10,2.5\n")
    assert read_runs(file, law=law)["loss"].to_list() == [2.5]
    file.write_text("n_params,tokens,loss,loss_high\n1e9,1e10,,2.5\n2e9,1e10,2.4,\n")
    assert read_runs(file, law=law)["loss_high"].to_list() == [2.5, None]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('low = "loss_low"', 'low = "loss_lowest"', "'loss_lowest' is not a quantity with a number"),
        ("student_t(4, scale)", "student_t(3, scale)", "n even"),
        ("student_t(4, scale)", "lognormal(scale)", "has no bounds"),
        ('by = ["n_params"]', 'by = ["n_params"]\ntail = 0', "tail is degrees of freedom, 1 to 100, not 0"),
    ],
)
def test_a_law_with_bounds_or_tails_is_checked(old: str, new: str, says: str) -> None:
    with pytest.raises(LawError, match=says.replace("(", r"\(")):
        law_of(BOUNDED.replace(old, new))


TAILED = TEXT.replace('by = ["n_params"]', 'by = ["n_params"]\ntail = 4')


def test_a_tail_makes_strange_members_likelier() -> None:
    frame = simulate(cells=12, runs=8)
    strange = pl.col("n_params") == frame["n_params"].max()
    frame = frame.with_columns(loss=pl.when(strange).then(pl.col("loss") * 2).otherwise(pl.col("loss")))
    plain, tailed = (
        fit_law(law_of(text), frame, method="map", chains=2, draws=200).draws["b"].mean() for text in (TEXT, TAILED)
    )
    assert abs(tailed + 0.25) < abs(plain + 0.25)


@pytest.mark.parametrize("centred", [True, False])
def test_a_tailed_effect_scores_as_students_t_however_it_is_drawn(*, centred: bool) -> None:
    law = law_of(TAILED)
    with double_precision():
        density = Density(Model(law, simulate(cells=3, runs=1), centred=centred))
        z = np.zeros(density.size)
        place, site = density.sites["t"][0], "cell_place" if centred else "cell_raw"
        z[place] = math.log(0.1)
        shift = np.array([0.3, -0.1, 0.02])
        if centred:
            members = density.constrain(z[None])["cell"][0, :, 0]
            start = z.copy()
            start[density.sites[site][0]] = -members + shift
        else:
            start = z.copy()
            start[density.sites[site][0]] = shift / 0.1
        zero = np.zeros(density.rows)
        other = start.copy()
        other[density.sites[site][0]] += (np.zeros(3) - shift) / (1.0 if centred else 0.1)
        found = density.value(other, zero) - density.value(start, zero)
    expected = stats.t(4, 0, 0.1).logpdf(shift).sum() - stats.t(4, 0, 0.1).logpdf(np.zeros(3)).sum()
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_new_member_of_a_tailed_group_has_wider_intervals_and_the_same_middle() -> None:
    from hplaw.answer.evaluate_law import evaluate

    given = {"n_params": 1e9, "tokens": 1e10}
    plain, tailed = (evaluate(law_of(text), given).outputs["loss"] for text in (TEXT, TAILED))
    assert tailed.value == pytest.approx(plain.value)
    assert tailed.low < plain.low < plain.high < tailed.high
    ratio = math.log(tailed.high / tailed.low) / math.log(plain.high / plain.low)
    expected = stats.t(4).ppf(0.95) / stats.norm.ppf(0.95)
    assert ratio == pytest.approx(expected, rel=0.15)
