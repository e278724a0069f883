"""What is chosen: against the surface computed again, scans of the expected loss, and simulated cells."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from hplaw.answer.answer import answer
from hplaw.answer.estimate import estimate_of
from hplaw.answer.intervals import samples
from hplaw.decide.decide import decide
from hplaw.errors import QueryError
from hplaw.evaluation.point import closed_form
from hplaw.forms.linex import linex
from hplaw.law import Law, parse_law
from hplaw.messages.query import Bounds, Query
from hplaw.messages.record import encode
from hplaw.recommendation.record import recommend
from tests.helpers import catalogue_of, fixture_law, fixture_text, make_law, replaced, shipped
from tests.surface import CELLS, Cell, P, least


SURFACE = fixture_law("dense-surface")
INSIDE = [Cell(4e8, 3e10), Cell(2.2e8, 9e10), Cell(1e9, 5e9)]
ALL = [*INSIDE, Cell(7e9, 1.4e12), Cell(5e7, 1e9)]
each_cell = pytest.mark.parametrize("cell", ALL, ids=lambda c: f"{c.n_params:.0e}-{c.tokens:.0e}")


def known(cell: Cell, **fixed: float) -> dict[str, float]:
    return {**cell._asdict(), "n_active_params": cell.n_params, **fixed}


def without_optimum() -> Law:
    text = fixture_text("dense-surface")
    line = next(line for line in text.splitlines() if line.startswith("optimum = "))
    return parse_law(replaced(text, (line + "\n", "")).encode())


# The minimum


@each_cell
def test_the_closed_form_is_the_least_point(cell: Cell) -> None:
    found = closed_form(SURFACE, known(cell))
    assert found is not None
    x, y = math.log(found["peak_lr"]), math.log(found["batch_tokens"])
    assert [x, y] == pytest.approx(cell.optimum, abs=1e-12)
    assert cell.bowl(x, y) == pytest.approx(0, abs=1e-20)
    around = np.array([[u, v] for u in (-0.5, -1e-3, 0, 1e-3, 0.5) for v in (-0.5, -1e-3, 0, 1e-3, 0.5) if u or v])
    assert (cell.bowl(x + around[:, 0], y + around[:, 1]) > 0).all()


@each_cell
def test_the_decision_is_where_expected_loss_is_least(cell: Cell) -> None:
    found = decide(SURFACE, known(cell)).values
    x, y = math.log(found["peak_lr"]), math.log(found["batch_tokens"])
    here = cell.expected(x, y)
    for _ in range(40):
        moved_x = least(lambda v, y=y: cell.expected(v, y), x - 1, x + 1)
        moved_y = least(lambda v, x=moved_x: cell.expected(x, v), y - 1, y + 1)
        if abs(moved_x - x) + abs(moved_y - y) < 1e-6:
            break
        x, y = moved_x, moved_y
    assert [math.log(found["peak_lr"]), math.log(found["batch_tokens"])] == pytest.approx([x, y], abs=2e-3)
    assert here <= cell.expected(x, y) * (1 + 1e-6)


@each_cell
@pytest.mark.parametrize("factor", [0.2, 1.0, 6.0])
def test_with_the_batch_fixed_the_rate_is_that_of_a_scan(cell: Cell, factor: float) -> None:
    batch = math.exp(cell.optimum[1]) * factor
    found = decide(SURFACE, known(cell, batch_tokens=batch))
    assert set(found.values) == {"peak_lr"}
    x = least(lambda v: cell.expected(v, math.log(batch)), cell.optimum[0] - 3, cell.optimum[0] + 3)
    assert math.log(found.values["peak_lr"]) == pytest.approx(x, abs=1e-4)


@each_cell
def test_with_the_rate_fixed_the_batch_is_that_of_a_scan(cell: Cell) -> None:
    rate = math.exp(cell.optimum[0]) * 1.7
    found = decide(SURFACE, known(cell, peak_lr=rate))
    y = least(lambda v: cell.expected(math.log(rate), v), cell.optimum[1] - 4, cell.optimum[1] + 4)
    assert math.log(found.values["batch_tokens"]) == pytest.approx(y, abs=1e-4)


def test_expected_loss_and_its_logarithm_choose_the_same() -> None:
    cell = INSIDE[0]
    batch = math.exp(cell.optimum[1]) * 4
    rng = np.random.default_rng(1)
    draws = rng.multivariate_normal(np.zeros(2), CELLS, 4000)
    draws = np.concatenate([draws, -draws]) + cell.optimum

    def loss(x: np.ndarray) -> np.ndarray:
        return np.array([np.exp(cell.bowl(v, math.log(batch), draws.T)).mean() for v in x])

    x = least_slowly(loss, cell.optimum[0] - 1.5, cell.optimum[0] + 1.5)
    found = decide(SURFACE, known(cell, batch_tokens=batch)).values["peak_lr"]
    assert math.log(found) == pytest.approx(x, abs=5e-3)


def least_slowly(function, low: float, high: float) -> float:
    for _ in range(4):
        x = np.linspace(low, high, 21)
        i = int(np.argmin(function(x)))
        low, high = float(x[max(i - 1, 0)]), float(x[min(i + 1, 20)])
    return (low + high) / 2


# Bounds


@each_cell
def test_a_bound_is_kept_and_the_other_quantity_follows(cell: Cell) -> None:
    limit = math.exp(cell.optimum[0]) / 2
    found = decide(SURFACE, known(cell), {"peak_lr": (None, limit)})
    assert found.values["peak_lr"] <= limit
    assert found.values["peak_lr"] == pytest.approx(limit, rel=1e-12)
    y = least(lambda v: cell.expected(math.log(limit), v), cell.optimum[1] - 4, cell.optimum[1] + 4)
    assert math.log(found.values["batch_tokens"]) == pytest.approx(y, abs=1e-4)
    assert found.plateau["peak_lr"][1] == pytest.approx(limit)
    for name in ("peak_lr",):
        assert (found.samples[name] <= limit * (1 + 1e-12)).all()


def test_a_bound_that_does_not_bind_changes_nothing() -> None:
    cell = INSIDE[0]
    free = decide(SURFACE, known(cell)).values
    wide = {"peak_lr": (1e-6, 1.0), "batch_tokens": (1e3, None)}
    assert decide(SURFACE, known(cell), wide).values == pytest.approx(free, rel=1e-5)


@pytest.mark.parametrize("tokens", [2e10, 1e11, 1e13])
@pytest.mark.parametrize("n_params", [4e8, 2e11])
def test_a_plateau_rests_on_every_draw_however_far_outside(n_params: float, tokens: float) -> None:
    law = shipped().get("pretrain-surface")
    asked = {"n_params": n_params, "tokens": tokens}
    free = decide(law, asked).plateau
    # with a bound the edges are found by bisection of the profile, another way
    searched = decide(law, asked, {"peak_lr": (1e-12, None)}).plateau
    for name, edges in searched.items():
        assert free[name] == pytest.approx(edges, rel=1e-2)


def test_bounds_that_meet_fix_a_quantity() -> None:
    cell = INSIDE[0]
    fixed = decide(SURFACE, known(cell, batch_tokens=1e6)).values["peak_lr"]
    bound = decide(SURFACE, known(cell), {"batch_tokens": (1e6, 1e6)}).values
    assert bound["batch_tokens"] == 1e6
    assert bound["peak_lr"] == pytest.approx(fixed, rel=1e-4)


def test_bounds_that_leave_nothing_are_refused() -> None:
    with pytest.raises(QueryError, match="leave nothing"):
        decide(SURFACE, known(INSIDE[0]), {"peak_lr": (1e-2, 1e-3)})
    with pytest.raises(QueryError, match="leave nothing above zero"):
        decide(SURFACE, known(INSIDE[0]), {"peak_lr": (None, 0.0)})


def test_a_decision_with_nothing_free_is_refused() -> None:
    with pytest.raises(QueryError, match="are all fixed"):
        decide(SURFACE, known(INSIDE[0], peak_lr=1e-3, batch_tokens=1e6))


# Plateaus


@each_cell
def test_the_ends_of_a_plateau_cost_a_thousandth(cell: Cell) -> None:
    found = decide(SURFACE, known(cell))
    x0, y0 = cell.optimum
    best = float(cell.expected(math.log(found.values["peak_lr"]), math.log(found.values["batch_tokens"])))
    for end in found.plateau["peak_lr"]:
        y = least(lambda v, e=end: cell.expected(math.log(e), v), y0 - 5, y0 + 5)
        assert float(cell.expected(math.log(end), y)) - best == pytest.approx(1e-3, rel=0.05)
    for end in found.plateau["batch_tokens"]:
        x = least(lambda v, e=end: cell.expected(v, math.log(e)), x0 - 5, x0 + 5)
        assert float(cell.expected(x, math.log(end))) - best == pytest.approx(1e-3, rel=0.05)
    for name, (low, high) in found.plateau.items():
        assert low < found.values[name] < high


def test_a_plateau_with_the_batch_fixed_is_narrower() -> None:
    cell = INSIDE[0]
    free = decide(SURFACE, known(cell)).plateau["peak_lr"]
    batch = decide(SURFACE, known(cell)).values["batch_tokens"]
    fixed = decide(SURFACE, known(cell, batch_tokens=batch)).plateau["peak_lr"]
    assert free[0] < fixed[0] < fixed[1] < free[1]


# Scaling


def test_what_is_chosen_scales_as_the_law_says() -> None:
    shifts = []
    for cell in ALL:
        found = decide(SURFACE, known(cell)).values
        shifts.append([math.log(found["peak_lr"]), math.log(found["batch_tokens"])] - cell.optimum)
    assert np.ptp(np.array(shifts), axis=0) == pytest.approx([0, 0], abs=1e-4)


def test_elasticities_are_the_laws_exponents() -> None:
    query = Query(n_params=4e8, tokens=3e10, want=["peak_lr", "batch_tokens", "loss"])
    found = recommend(query, catalogue_of(SURFACE)).answers
    assert found["peak_lr"].elasticities == pytest.approx({"n_params": P["p1"], "tokens": P["p2"]}, abs=1e-5)
    assert found["batch_tokens"].elasticities == pytest.approx({"n_params": P["q2"], "tokens": P["q1"]}, abs=1e-5)


# Other forms of the same law


@pytest.mark.parametrize("fixed", [{}, {"batch_tokens": 2e6}, {"peak_lr": 1e-3}])
def test_a_law_without_its_closed_form_finds_the_same_point(fixed: dict[str, float]) -> None:
    for cell in INSIDE:
        with_form = decide(SURFACE, known(cell, **fixed))
        without = decide(without_optimum(), known(cell, **fixed))
        assert without.values == pytest.approx(with_form.values, rel=2e-4)
        for name, plateau in with_form.plateau.items():
            assert without.plateau[name] == pytest.approx(plateau, rel=5e-3)
        for name, drawn in with_form.samples.items():
            spread = [np.quantile(np.log(s), [0.05, 0.95]) for s in (drawn, without.samples[name])]
            assert spread[0] == pytest.approx(spread[1], abs=0.02)


def test_a_law_of_another_form_finds_the_same_point() -> None:
    # with the ridges written out, no closed form of the expectation is seen
    text = replaced(fixture_text("dense-surface"), ("expm2(t)", "(exp(t) - 1 - t)"))
    for fixed in ({}, {"batch_tokens": 2e6}):
        cell = INSIDE[0]
        found = decide(parse_law(text.encode()), known(cell, **fixed))
        exact = decide(SURFACE, known(cell, **fixed))
        assert found.values == pytest.approx(exact.values, rel=6e-3)
        for name, plateau in exact.plateau.items():
            assert found.plateau[name] == pytest.approx(plateau, rel=0.03)


def test_a_law_that_is_no_power_law_is_decided_alike() -> None:
    text = replaced(fixture_text("dense-surface"), ("log(n_params / n_ref)", "log(n_params / n_ref + 0)"))
    other = parse_law(text.encode())
    straight, bent = linex(SURFACE), linex(other)
    assert straight is not None
    assert straight.lines is not None
    assert bent is not None
    assert bent.lines is None
    for cell in INSIDE:
        found, expected = decide(other, known(cell)), decide(SURFACE, known(cell))
        assert found.values == pytest.approx(expected.values, rel=1e-9)
        assert found.plateau == {n: pytest.approx(e, rel=1e-9) for n, e in expected.plateau.items()}
        for name, samples_there in expected.transfer.items():
            np.testing.assert_allclose(found.transfer[name], samples_there, rtol=1e-9)


def test_a_law_without_uncertainty_is_decided_at_its_point() -> None:
    text = (
        fixture_text("dense-surface")
        .replace('predict = "integrate"', 'predict = "zero"')
        .replace('predict = "transfer"', 'predict = "zero"')
    )
    start, _, rest = text.partition("[predict.discrepancy]")
    law = parse_law((start + "[let]" + rest.partition("[let]")[2]).encode())
    cell = INSIDE[0]
    found = decide(law, known(cell))
    assert [math.log(found.values[n]) for n in ("peak_lr", "batch_tokens")] == pytest.approx(cell.optimum)
    assert found.samples == {}
    assert found.regret is None
    fixed = decide(law, known(cell, batch_tokens=2e6)).values["peak_lr"]
    x = least(lambda v: cell.bowl(v, math.log(2e6)), cell.optimum[0] - 3, cell.optimum[0] + 3)
    assert math.log(fixed) == pytest.approx(x, abs=1e-5)


# No best value


@pytest.mark.parametrize(
    ("loss", "stated"),
    [
        ("exp(1 + k / peak_lr)", ""),
        ("exp(1 + k * peak_lr)", ""),
        ("2 + k * peak_lr ** 0.3", ""),
        ("exp(1 + k / peak_lr)", ", sd = 0.1"),
        ("2 - k * log(peak_lr)", ", sd = 0.1"),
        ("2 + 0 * peak_lr * k", ""),
        ("exp(1 - k * expm2(log(peak_lr) + 7))", ", sd = 0.1"),
        ("exp(1 + 0 * expm2(log(peak_lr) + 7) * k)", ", sd = 0.1"),
    ],
)
def test_a_loss_that_only_falls_has_no_best_value(loss: str, stated: str) -> None:
    law = monotone(loss, stated)
    with pytest.raises(QueryError) as caught:
        decide(law, {"tokens": 1e9})
    assert str(caught.value) == "test-law has no best peak_lr under what is given; fix it or bound it"
    found = recommend(Query(tokens=1e9, want=["peak_lr", "loss"]), catalogue_of(law))
    assert found.answers["peak_lr"].value is None
    assert "no best peak_lr" in (found.answers["peak_lr"].reason or "")
    assert b"NaN" not in encode(found)


def monotone(loss: str, stated: str) -> Law:
    return make_law(
        f'[parameters]\nk = {{ value = 1{stated} }}\n[outputs]\nloss = "{loss}"\n[decision]\nminimise = "loss"\nchoose = ["peak_lr"]',
        inputs='["tokens", "peak_lr"]',
        examples="[[examples]]\ngiven = { tokens = 8, peak_lr = 1 }",
    )


def test_bounds_give_a_monotone_loss_a_best_value() -> None:
    law = monotone("exp(1 + k / peak_lr)", "")
    assert decide(law, {"tokens": 1e9}, {"peak_lr": (1e-4, 1e-2)}).values == pytest.approx({"peak_lr": 1e-2})
    law = monotone("exp(1 + k * peak_lr)", ", sd = 0.1")
    assert decide(law, {"tokens": 1e9}, {"peak_lr": (1e-4, 1e-2)}).values == pytest.approx({"peak_lr": 1e-4})


def test_a_flat_valley_is_answered_and_finite() -> None:
    law = make_law(
        '[parameters]\nk = { value = 1, sd = 0.1 }\n[let]\nu = "log(peak_lr) + log(batch_tokens) - 8"\n[outputs]\nloss = "exp(1 + k * expm2(u))"\n[decision]\nminimise = "loss"\nchoose = ["peak_lr", "batch_tokens"]',
        inputs='["tokens", "peak_lr", "batch_tokens"]',
        examples="[[examples]]\ngiven = { tokens = 8, peak_lr = 1, batch_tokens = 1 }",
    )
    found = decide(law, {"tokens": 1e9}).values
    assert math.log(found["peak_lr"] * found["batch_tokens"]) == pytest.approx(8, abs=0.05)


# Intervals of new cells


def normal_share(low: float, high: float, deviation: float) -> float:
    return 0.5 * (math.erf(high / deviation / math.sqrt(2)) - math.erf(low / deviation / math.sqrt(2)))


@each_cell
def test_the_interval_covers_simulated_optima_of_new_cells(cell: Cell) -> None:
    found = answer(SURFACE, known(cell))
    rng = np.random.default_rng(7)
    simulated = rng.multivariate_normal(cell.optimum, CELLS + cell.strays, 400)
    for i, name in enumerate(("peak_lr", "batch_tokens")):
        spread = found.spreads[name]
        covered = np.mean((np.log(spread.low) < simulated[:, i]) & (simulated[:, i] < np.log(spread.high)))
        assert abs(covered - 0.9) < 3 * math.sqrt(0.09 / 400)
        deviation = math.sqrt(CELLS[i, i] + cell.strays[i, i])
        share = normal_share(math.log(spread.low) - cell.optimum[i], math.log(spread.high) - cell.optimum[i], deviation)
        assert share == pytest.approx(0.9, abs=0.035)
        half = normal_share(
            math.log(spread.low50) - cell.optimum[i], math.log(spread.high50) - cell.optimum[i], deviation
        )
        assert half == pytest.approx(0.5, abs=0.08)


@each_cell
def test_the_scatter_of_best_values_has_the_files_covariance(cell: Cell) -> None:
    found = decide(SURFACE, known(cell))
    logs = np.log([found.samples["peak_lr"], found.samples["batch_tokens"]])
    np.testing.assert_allclose(np.cov(logs, bias=True), CELLS + cell.strays, rtol=1e-6)
    np.testing.assert_allclose(logs.mean(axis=1), cell.optimum, atol=1e-9)
    other = np.log([found.transfer["peak_lr"], found.transfer["batch_tokens"]])
    np.testing.assert_allclose(np.cov(other, bias=True), CELLS + cell.strays + cell.transfer, rtol=1e-6)


@each_cell
def test_the_interval_of_another_recipe_is_wider(cell: Cell) -> None:
    found = answer(SURFACE, known(cell))
    for name in ("peak_lr", "batch_tokens"):
        own, other = found.spreads[name], found.transfers[name]
        assert other.low < own.low < own.high < other.high
    assert "loss" not in found.transfers, "losses of other recipes are not comparable"


@each_cell
def test_the_interval_of_the_loss_covers_simulated_runs(cell: Cell) -> None:
    found = answer(SURFACE, known(cell))
    rng = np.random.default_rng(3)
    count = 4000
    x, y = math.log(found.values["peak_lr"]), math.log(found.values["batch_tokens"])
    centres = rng.multivariate_normal(cell.optimum, CELLS + cell.strays, count).T
    bowl = cell.bowl(x, y, centres)
    scale = math.exp(P["ls0"]) + math.exp(P["lk"]) * bowl
    simulated = np.exp(cell.base + P["td"] * rng.standard_normal(count) + bowl + scale * rng.standard_t(4, count))
    spread = found.spreads["loss"]
    assert np.mean((spread.low < simulated) & (simulated < spread.high)) == pytest.approx(0.9, abs=0.035)
    assert spread.median == pytest.approx(np.median(simulated), rel=2e-3)


@each_cell
def test_the_predicted_regret_is_the_mean_excess_of_new_cells(cell: Cell) -> None:
    found = decide(SURFACE, known(cell))
    rng = np.random.default_rng(5)
    centres = rng.multivariate_normal(cell.optimum, CELLS + cell.strays, 50_000)
    x, y = math.log(found.values["peak_lr"]), math.log(found.values["batch_tokens"])
    excess = np.mean(cell.bowl(x, y, centres.T))
    assert found.regret == pytest.approx(math.expm1(excess), rel=0.15)
    assert 0 < found.regret < 0.05


# Outside the domain


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0.1, 6), st.sampled_from(["n_params", "tokens"]), st.booleans())
@settings(max_examples=25)
def test_the_interval_never_narrows_outside_the_domain(
    n: float, d: float, farther: float, which: str, up: bool
) -> None:
    cell = {"n_params": 4.8e8 * math.exp(n), "tokens": 2e10 * math.exp(d)}
    low, high = SURFACE.spec.domain[which]
    edge = float(high) if up else float(low)
    near = {**cell, which: edge * math.exp(0.5 if up else -0.5)}
    far = {**cell, which: near[which] * math.exp(farther if up else -farther)}
    widths = []
    for place in (near, far):
        spreads = answer(SURFACE, place).spreads
        widths.append([math.log(spreads[name].high / spreads[name].low) for name in ("peak_lr", "batch_tokens")])
    assert widths[1][0] > widths[0][0]
    assert widths[1][1] > widths[0][1]


def test_the_interval_is_the_same_everywhere_inside() -> None:
    widths = [math.log(s.high / s.low) for s in (answer(SURFACE, known(c)).spreads["peak_lr"] for c in INSIDE)]
    assert widths == pytest.approx([widths[0]] * 3, rel=1e-9)


def test_a_growth_without_a_value_gives_no_interval_and_no_failure() -> None:
    text = replaced(fixture_text("dense-surface"), ("1 + 0.1 * outside ** 2", "exp(outside ** 9)"))
    law = parse_law(text.encode())
    found = recommend(Query(n_params=1e12, tokens=1e14, want=["peak_lr", "loss"]), catalogue_of(law))
    assert b"NaN" not in encode(found)
    assert found.answers["peak_lr"].value
    assert found.answers["peak_lr"].low is None


# The record


def test_a_decision_is_shown_whole() -> None:
    query = Query(n_params=4e8, tokens=3e10, want=["peak_lr", "batch_tokens", "loss"])
    found = recommend(query, catalogue_of(SURFACE))
    for name in ("peak_lr", "batch_tokens"):
        e = found.answers[name]
        for ends in (
            [e.low, e.low50, e.value, e.high50, e.high],
            [e.low, e.same_recipe_low, e.value, e.same_recipe_high, e.high],
        ):
            assert ends == sorted(ends)
        assert e.plateau_low < e.value < e.plateau_high
        assert e.law == SURFACE.address
        assert SURFACE.optimum[name].text in e.derivation[-1].formula
    assert found.predicted_regret
    assert found.predicted_regret_reason is None
    assert found.answers["loss"].plateau_low is None


def test_given_a_batch_the_answer_is_the_best_rate_for_it() -> None:
    query = Query(n_params=4e8, tokens=3e10, batch_tokens=4e6, want=["peak_lr", "loss"])
    found = recommend(query, catalogue_of(SURFACE))
    x = least(lambda v: Cell(4e8, 3e10).expected(v, math.log(4e6)), -12, 0)
    assert math.log(found.answers["peak_lr"].value) == pytest.approx(x, abs=1e-4)
    assert [w.code for w in found.warnings] == []
    free = recommend(Query(n_params=4e8, tokens=3e10, want=["loss"]), catalogue_of(SURFACE))
    assert found.answers["loss"].value > free.answers["loss"].value


def test_bounds_of_a_query_bind() -> None:
    query = Query(n_params=4e8, tokens=3e10, bounds={"peak_lr": Bounds(high=1e-3)}, want=["peak_lr", "batch_tokens"])
    found = recommend(query, catalogue_of(SURFACE)).answers
    assert found["peak_lr"].value == pytest.approx(1e-3, rel=1e-12)
    y = least(lambda v: Cell(4e8, 3e10).expected(math.log(1e-3), v), 8, 18)
    assert math.log(found["batch_tokens"].value) == pytest.approx(y, abs=1e-4)


def test_an_evaluation_at_a_given_setting_has_an_interval() -> None:
    cell = INSIDE[0]
    place = known(cell, peak_lr=4e-3, batch_tokens=2.6e5)
    found = estimate_of(answer(SURFACE, place), "loss")
    drawn = samples(SURFACE, place, ["loss"])["loss"]
    assert found.low < np.median(drawn) < found.high
    assert math.log(np.median(drawn)) == pytest.approx(
        cell.base + float(cell.bowl(math.log(4e-3), math.log(2.6e5))), rel=0.02
    )


@pytest.mark.parametrize("name", ["pretrain-surface", "pretrain-surface-moe"])
@pytest.mark.parametrize("fixed", [{}, {"batch_tokens": 1e6}])
def test_a_bound_that_binds_nothing_changes_no_digit(name: str, fixed: dict[str, float]) -> None:
    law = shipped().get(name)
    known = {"n_params": 2.3e9, "n_active_params": 5.1e8, "tokens": 7.7e10, **fixed}
    wide = {free: (1e-12, 1e12) for free in law.chosen if free not in fixed}
    free, bounded = decide(law, known), decide(law, known, wide)
    assert bounded.values == free.values
    assert bounded.plateau == free.plateau
    assert bounded.regret == free.regret
    for one, other in ((free.samples, bounded.samples), (free.transfer, bounded.transfer)):
        assert one.keys() == other.keys()
        assert all((one[chosen] == other[chosen]).all() for chosen in one)


def test_a_bound_that_cuts_the_plateau_keeps_it_inside() -> None:
    law = shipped().get("pretrain-surface")
    known = {"n_params": 2.3e9, "tokens": 7.7e10}
    free = decide(law, known)
    edge = math.sqrt(free.plateau["peak_lr"][0] * free.values["peak_lr"])
    cut = decide(law, known, {"peak_lr": (edge, None)})
    assert cut.values["peak_lr"] == pytest.approx(free.values["peak_lr"], rel=1e-4)
    assert cut.plateau["peak_lr"][0] >= edge * (1 - 1e-12)
    assert cut.samples["peak_lr"].min() >= edge * (1 - 1e-12)
