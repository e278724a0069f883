"""The law of recipes: it loads, predicts what its formulas say, and recovers what made simulated sweeps."""

import math
from importlib.resources import files

import numpy as np
import polars as pl
import pytest

from hplaw.answer.evaluate_law import evaluate
from hplaw.fit.infer.fitting import fit_law
from hplaw.law import Law
from hplaw.law.read import parse_law
from tests.helpers import shipped


TRUTH = {"r0": -6.2, "r1": -0.35, "r2": 0.1, "q0": 12.8, "q1": 0.5, "q2": 0.0}
LION = -1.9


@pytest.fixture(scope="module")
def law() -> Law:
    return parse_law((files("hplaw_experiments") / "templates" / "recipe.toml").read_bytes())


def given(**known: float | str) -> dict[str, float | str]:
    return {"n_params": 4e8, "tokens": 1e10, **known}


def rate(law: Law, **known: float | str) -> float:
    found = evaluate(law, given(**known)).outputs["peak_lr"].value
    assert isinstance(found, float)
    return found


def test_the_mean_recipe_at_the_reference(law: Law) -> None:
    values = law.spec.parameters
    found = evaluate(law, given()).outputs
    assert found["peak_lr"].value == pytest.approx(math.exp(values["r0"].value), rel=1e-9)
    assert found["batch_tokens"].value == pytest.approx(math.exp(values["q0"].value), rel=1e-9)


def test_an_interval_for_a_recipe_of_ones_own_is_a_wide_one(law: Law) -> None:
    found = evaluate(law, given()).outputs["peak_lr"]
    assert 3 < found.high / found.value < 6


def test_the_rate_falls_below_the_best_batch_and_hardly_rises_above(law: Law) -> None:
    best = evaluate(law, given()).outputs["batch_tokens"].value
    below, at, above = (rate(law, given_batch_tokens=best * factor) for factor in (1 / 4, 1, 4))
    assert at == pytest.approx(rate(law), rel=1e-6)
    assert math.log(at / below) / math.log(4) == pytest.approx(0.55, abs=0.01)
    assert math.log(above / at) / math.log(4) == pytest.approx(0.15, abs=0.01)


def test_muons_two_conventions_differ_by_the_width(law: Law) -> None:
    muon = {"n_params": 1.342e8, "optimizer": "muon"}
    original = rate(law, **muon, muon_scale="original", d_model=512.0)
    rms = rate(law, **muon, muon_scale="match_rms_adamw", d_model=512.0)
    assert original / rms == pytest.approx(0.2 * math.sqrt(512), rel=1e-9)
    assert rate(law, **muon, muon_scale="match_rms_adamw", d_model=2048.0) == pytest.approx(rms / 2, rel=1e-9)
    usual = (128 * 1.342e8 / 12) ** (1 / 3)
    assert original / rate(law, **muon, muon_scale="match_rms_adamw") == pytest.approx(0.2 * usual**0.5, rel=1e-9)
    assert rate(law, muon_scale="match_rms_adamw") == rate(law), "the scale is Muon's alone"


def test_the_weights_beside_muons_learn_at_the_rate_of_adamw(law: Law) -> None:
    beside = evaluate(law, given(optimizer="muon", n_params=1e9)).outputs["adam_lr"].value
    assert beside == pytest.approx(rate(law, n_params=1e9), rel=1e-12)


def test_only_what_teams_train_with_has_a_shift_between_muons_conventions() -> None:
    ratios: list[float] = []
    for practice in (0.0, 1.0):
        asked = {"n_params": 1.342e8, "optimizer": "muon", "d_model": 512.0, "practice": practice}
        original, rms = (rate(shipped().get("recipe"), **asked, muon_scale=s) for s in ("original", "match_rms_adamw"))
        ratios.append(original / rms)
    assert ratios[0] == pytest.approx(0.2 * math.sqrt(512), rel=1e-9)
    assert ratios[1] < 0.7 * ratios[0]


def simulate(*, recipes: int, seed: int) -> pl.DataFrame:
    """Return cells of recipes around the truth, one of them strange, on grids of factors of two."""
    random = np.random.default_rng(seed)
    rows: list[dict[str, float | str | None]] = []
    for r in range(recipes):
        a, b = random.normal(0, 0.3, 2)
        if r == 0:
            a += 4.0
        optimizers = ["adamw", "lion"] if r == 1 else ["adamw"]
        for optimizer in optimizers:
            for n, times in ((1e8, 10), (1e8, 40), (4e8, 20), (1e9, 10), (1e9, 60)):
                x, d = math.log(n / 4e8), math.log(times * n / 1e10)
                lr = TRUTH["r0"] + TRUTH["r1"] * x + TRUTH["r2"] * (d - x) + a + random.normal(0, 0.1)
                lr += LION if optimizer == "lion" else 0.0
                batch = TRUTH["q0"] + TRUTH["q1"] * d + b + random.normal(0, 0.1)
                step = math.log(2)
                place = round(lr / step)
                edge = place == round((TRUTH["r0"] + a) / step)
                rows.append(
                    {
                        "recipe": f"r{r}",
                        "n_params": n,
                        "n_active_params": n,
                        "tokens": times * n,
                        "optimizer": optimizer,
                        "muon_scale": "original",
                        "practice": 0.0,
                        "published_law": 0.0,
                        "given_batch_tokens": 0.0,
                        "peak_lr": math.exp(place * step),
                        "peak_lr_low": math.exp((place - 0.5) * step),
                        "peak_lr_high": None if edge else math.exp((place + 0.5) * step),
                        "batch_tokens": math.exp(batch),
                        "batch_tokens_low": None,
                        "batch_tokens_high": None,
                    }
                )
    return pl.DataFrame(rows, schema_overrides={"batch_tokens_low": pl.Float64, "batch_tokens_high": pl.Float64})


@pytest.mark.slow
def test_simulated_sweeps_give_back_what_made_them(law: Law) -> None:
    frame = simulate(recipes=8, seed=3)
    assert 0.05 < frame["peak_lr_high"].is_null().mean() < 0.6
    fitted = fit_law(law, frame, method="map", chains=2, draws=200)
    for name, truth in TRUTH.items():
        draws = fitted.draws[name]
        assert abs(draws.mean() - truth) < 3 * draws.std(), name
    lion = fitted.draws["at_optimizer"][:, 9]
    assert abs(lion.mean() - LION) < 3 * lion.std()
    assert lion.std() < 0.4
