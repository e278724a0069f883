"""The model that a law file says: priors, groups, several likelihoods, what is not known, other laws as data."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

import jax

from hplaw.errors import FitError, LawError
from hplaw.fit.model.centring import centre_of
from hplaw.fit.model.density import Density
from hplaw.fit.model.double_precision import double_precision
from hplaw.fit.model.model import Model
from hplaw.law import Law, read_law
from hplaw.law.read import parse_law
from tests.fit.conftest import simulate


FIXTURES = Path(__file__).parents[2] / "law" / "fixtures"

Potential = Callable[[dict[str, float]], float]


def changed(law: Law, *pairs: tuple[str, str]) -> Law:
    text = law.text.decode()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return parse_law(text.encode())


def density_of(law: Law, frame: pl.DataFrame) -> Density:
    with double_precision():
        return Density(Model(law, frame))


def log_density(density: Density, z: np.ndarray, weights: np.ndarray | None = None) -> float:
    with double_precision():
        return -density.value(z, np.ones(density.rows) if weights is None else weights)


def test_the_density_is_prior_times_likelihood(toy: Law) -> None:
    frame = simulate(cells=3, runs=2)
    density = density_of(toy, frame)
    places = {name: density.sites[name][0] for name in density.sites}
    z = np.zeros(density.size)
    z[places["a"]], z[places["b"]] = 0.9, -0.2
    z[places["t"]], z[places["s"]] = np.log(0.08), np.log(0.02)
    n = np.geomspace(1e8, 1e10, 3)
    centre = 0.9 - 0.2 * np.log(n / 1e9)
    shift = np.array([0.05, -0.02, 0.01])
    z[places["cell_place"]] = centre + shift
    mean = np.repeat(centre + shift, 2) - 0.1 * np.log(frame["tokens"].to_numpy() / 1e10)
    expected = stats.norm(1, 0.5).logpdf(0.9) + stats.norm(0, 0.5).logpdf(-0.2)
    expected += stats.norm(np.log(0.1), 0.5).logpdf(np.log(0.08))  # of the logarithm: that is what is free
    expected += stats.norm(np.log(0.03), 0.5).logpdf(np.log(0.02))
    expected += stats.norm(0, 0.08).logpdf(shift).sum()
    expected += stats.norm(mean, 0.02).logpdf(np.log(frame["loss"].to_numpy())).sum()
    assert log_density(density, z) == pytest.approx(expected, rel=1e-10)


def test_a_weight_of_zero_leaves_a_run_out(toy: Law) -> None:
    frame = simulate(cells=3, runs=2)
    whole = density_of(toy, frame)
    z = np.full(whole.size, 0.1)
    without = log_density(whole, z, np.array([1.0, 1, 1, 1, 1, 0]))
    assert without != log_density(whole, z)
    again = log_density(whole, z, np.array([1.0, 1, 1, 1, 1, 0.5]))
    assert again == pytest.approx((without + log_density(whole, z)) / 2, rel=1e-10)


PRIORS = {
    "normal(2, 3)": stats.norm(2, 3).cdf,
    "lognormal(1, 0.5)": stats.lognorm(0.5, scale=np.e).cdf,
    "halfnormal(2)": stats.halfnorm(scale=2).cdf,
    "uniform(1, 4)": stats.uniform(1, 3).cdf,
    "beta(2, 3)": stats.beta(2, 3).cdf,
    "gamma(2, 3)": stats.gamma(2, scale=1 / 3).cdf,
    "student_t(4, 1, 2)": stats.t(4, 1, 2).cdf,
    "exponential(2)": stats.expon(scale=0.5).cdf,
    "truncnormal(0, 1, -1, 2)": stats.truncnorm(-1, 2).cdf,
    "atanh_normal(0.5, 1)": lambda rho: stats.norm(0.5, 1).cdf(np.arctanh(rho)),
    "fixed(3)": None,
}


def test_priors_are_the_distributions_they_name(toy: Law) -> None:
    lines = "".join(f'p{i} = {{ prior = "{prior}" }}\n' for i, prior in enumerate(PRIORS))
    law = changed(toy, ("[effects.cell]", f"{lines}\n[effects.cell]"))
    density = density_of(law, simulate(cells=2, runs=3))
    with double_precision():
        draws = density.constrain(density.prior_draws)
    for i, (prior, cdf) in enumerate(PRIORS.items()):
        if cdf is None:
            assert (draws[f"p{i}"] == 3).all()
        else:
            assert stats.kstest(draws[f"p{i}"], cdf).pvalue > 1e-3, prior


def test_priors_over_an_index_use_tables_and_other_parameters() -> None:
    law = read_law(FIXTURES / "dense-surface.toml")
    n = np.repeat([1e9, 2e9], 4)
    frame = pl.DataFrame(
        {
            "n_params": n,
            "tokens": 10 * n,
            "peak_lr": n * 0 + 1e-3,
            "batch_tokens": n * 0 + 1e6,
            "loss": n * 0 + 2.5,
            "n_active_params": n,
        }
    )
    density = density_of(law, frame)
    with double_precision():
        th = density.constrain(density.prior_draws)["th"]
    assert th.shape == (200, 3)
    assert np.allclose(th.mean(axis=0), [0.0, np.pi / 2, 3 * np.pi / 4], atol=0.15)
    assert density.scales.sum() == 4  # tx, ty, rho and td
    assert not density.model.effects["recipe"].active


def test_an_effect_with_one_member_is_held_at_zero(toy: Law) -> None:
    density = density_of(toy, simulate(cells=1, runs=8))
    assert not density.model.effects["cell"].active
    assert set(density.sites) == {"a", "b", "t", "s"}


def test_effects_are_centred_on_the_terms_that_tell_members_apart(toy: Law) -> None:
    law = read_law(FIXTURES / "dense-surface.toml")
    columns = ["n_params", "n_active_params", "tokens"]
    assert len(centre_of(law, "cell_lr", columns)) == 4  # recipe_p0 is held at zero
    assert len(centre_of(law, "level", columns)) == 1
    assert len(centre_of(law, "level", ["n_params"])) == 0  # the base uses tokens too
    assert len(centre_of(toy, "shift", ["n_params"])) == 2


def test_how_an_effect_is_sampled_does_not_change_what_is_found(toy: Law) -> None:
    from hplaw.fit.infer.laplace import fit_normal

    frame = simulate(cells=6, runs=6)
    plain = changed(toy, ('scale = { shift = "t" }', 'scale = { shift = "t" }\ncentred = false'))
    found = []
    for law in (toy, plain):
        density = density_of(law, frame)
        with double_precision():
            normal = fit_normal(density, np.ones(len(frame)), rounds=0)
            found.append(density.constrain(normal.mode[None])["b"][0])
    assert found[0] == pytest.approx(found[1], abs=0.02)


def test_effects_can_be_drawn_apart_whatever_the_law_says(toy: Law) -> None:
    frame = simulate(cells=6, runs=6)
    plain = changed(toy, ('scale = { shift = "t" }', 'scale = { shift = "t" }\ncentred = false'))
    with double_precision():
        apart = Density(Model(toy, frame, centred=False))
    said = density_of(plain, frame)
    assert apart.sites == said.sites
    z = 0.1 * np.arange(apart.size)
    assert log_density(apart, z) == log_density(said, z)


def test_likelihoods_speak_of_the_rows_they_name(toy: Law) -> None:
    law = changed(
        toy,
        (
            'observed = "loss"\ntransform = "log"\nlikelihood = "normal(scale)"\nscale = "s"',
            """
[[fit.likelihoods]]
when = "tokens < 1e10"
observed = "loss"
transform = "log"
likelihood = "normal(scale)"
scale = "s"

[[fit.likelihoods]]
when = "tokens >= 1e10"
observed = "loss"
likelihood = "student_t(4, 2 * scale)"
scale = "s"
""",
        ),
    )
    frame = simulate(cells=3, runs=5)
    model = density_of(law, frame).model
    sizes = [len(item.rows) for item in model.likelihoods]
    assert sum(sizes) == 15
    assert sizes[0] == int((frame["tokens"] < 1e10).sum())
    assert np.allclose(model.likelihoods[1].observed, frame.filter(frame["tokens"] >= 1e10)["loss"])


def test_categories_pick_entries_of_tables() -> None:
    law = read_law(FIXTURES / "training-energy.toml")
    rows = [
        {
            "n_params": 7e9,
            "n_active_params": 7e9,
            "tokens": 2e12,
            "hardware": "a100_sxm4_80gb",
            "accelerator_generation": "ampere",
            "precision": "bf16",
            "energy_basis": "measured",
            "energy_scope": scope,
            "developer": d,
            "family": d,
            "run": f"{d}{scope}",
            "accelerator_hours": 2.2e5,
            "energy_j": 2.9e14,
            "power_limit_ratio": 1.3,
        }
        for d in ("a", "b")
        for scope in ("gpu", "system")
    ]
    density = density_of(law, pl.DataFrame(rows))
    assert [item.quantity for item in density.model.likelihoods] == ["accelerator_hours", "energy_j", "energy_j"]
    assert set(density.model.latents) == {"pue", "host_power_ratio"}
    assert density.sites["pue"][1] == (4,)
    assert np.isfinite(log_density(density, np.zeros(density.size)))


def test_another_law_is_data(toy: Law) -> None:
    pseudo = '[[fit.pseudo]]\nlaw = "kaplan-loss-nd-2020"\nat = "cells"\nsd = { loss = 0.1 }\n\n[domain]'
    law = changed(toy, ("[domain]", pseudo))
    frame = simulate(cells=3, runs=2)
    density = density_of(law, frame)
    assert len(density.model.pseudo[0].points) == 6
    z = np.zeros(density.size)
    assert log_density(density, z) < log_density(density_of(toy, frame), z)
    with pytest.raises(LawError, match="do not both give 'peak_lr'"):
        density_of(changed(law, ("sd = { loss", "sd = { peak_lr")), frame)


def test_a_best_setting_somebody_found_is_data() -> None:
    law = read_law(FIXTURES / "dense-surface.toml")
    frame = pl.DataFrame(
        {
            "n_params": [4e8] * 3,
            "n_active_params": [4e8] * 3,
            "tokens": [3e10] * 3,
            "peak_lr": [2e-3, 2e-3, None],
            "batch_tokens": [5e5, None, 6e5],
            "loss": [2.3, None, None],
        }
    )
    density = density_of(law, frame)
    assert [names for names, _, _ in density.model.found] == [["peak_lr"], ["batch_tokens"]]
    with double_precision():
        z = np.median(density.prior_draws, axis=0)
    z[density.sites["p0"][0]], z[density.sites["q0"][0]] = np.log(2e-3), np.log(6e5)
    weights = np.array([1.0, 1.0, 1.0])
    farther = z.copy()
    farther[density.sites["p0"][0]] += 1.0
    only = np.array([0.0, 1.0, 0.0])
    gain = log_density(density, z, only) - log_density(density, farther, only)
    expected = 0.5 / 0.0196 + 0.5  # the measured one strays with sd 0.14, the prior has sd 1
    assert gain == pytest.approx(expected, rel=1e-9)
    assert np.isfinite(log_density(density, z, weights))


def test_a_law_that_says_nothing_of_fitting_or_of_the_rows_is_refused(toy: Law) -> None:
    text = toy.text.decode()
    without = parse_law((text[: text.index("[fit]")] + text[text.index("[domain]") :]).encode())
    with pytest.raises(FitError, match="has no \\[fit\\]"):
        Model(without, simulate())


@pytest.mark.parametrize("cells", [4, 80])
def test_an_effect_has_members_only_where_it_says(toy: Law, cells: int) -> None:
    law = changed(toy, ('by = ["n_params"]', 'by = ["n_params"]\nwhen = "tokens > 2e10"'))
    frame = simulate(cells=cells, runs=8)
    here = (frame["tokens"] > 2e10).to_numpy()
    with double_precision():
        model = Model(law, frame)
        effect = model.effects["cell"]
        members = jax.numpy.arange(1.0, effect.size + 1)[:, None]
        found = np.asarray(effect.rows(members, np.arange(len(frame)))["shift"])
    assert 0 < here.sum() < len(frame)
    assert set(effect.members["n_params"]) == set(frame.filter(here)["n_params"])
    assert (found[~here] == 0).all()
    assert np.isclose(
        effect.members["n_params"].to_numpy()[found[here].astype(int) - 1], frame["n_params"].to_numpy()[here]
    ).all()


def test_a_condition_of_an_effect_is_checked(toy: Law) -> None:
    law = changed(toy, ('by = ["n_params"]', 'by = ["n_params"]\nwhen = "n_params * 2"'))
    with pytest.raises(LawError, match="a condition is needed here"):
        Model(law, simulate(cells=3, runs=2))
