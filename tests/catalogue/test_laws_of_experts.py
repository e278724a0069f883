"""The published laws of mixtures of experts: what their papers print of them, and runs that others released."""

import csv
import math
import os
import statistics
from pathlib import Path

import pytest

from hplaw.evaluation.point import plain_point
from tests.helpers import shipped


def value(law: str, name: str, **given: float | str) -> float:
    point = plain_point(shipped().get(law), given)
    assert point is not None
    found = point.plain(name)
    assert isinstance(found, float)
    return found


@pytest.mark.skipif("HPLAW_DATA" not in os.environ, reason="needs the table of runs: set HPLAW_DATA")
def test_clark_misses_released_runs_by_a_percent() -> None:
    with (Path(os.environ["HPLAW_DATA"]) / "moe_loss_runs.csv").open(encoding="utf-8") as lines:
        runs = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    off = [
        math.log(float(run["loss_validation"]) / value("clark-2022", "loss", n_active_params=size, n_experts=experts))
        for run in runs
        for size, experts in [(float(run["dense_parameter_count"]), float(run["num_experts"]))]
    ]
    assert len(off) == 193
    assert statistics.median(map(abs, off)) < 0.015


@pytest.mark.parametrize(
    ("experts", "m", "mu", "n", "nu"),
    [
        (1, 30.3640, -0.1817, 53.9838, -0.1965),
        (4, 24.8462, -0.1731, 87.7022, -0.2192),
        (32, 16.5424, -0.1557, 234.6726, -0.2652),
    ],
)
def test_the_joint_law_is_its_table_of_chinchilla_laws(experts: int, m: float, mu: float, n: float, nu: float) -> None:
    for size in (1e8, 2e9):
        for tokens in (1e9, 6e10):
            expected = m * size**mu + n * tokens**nu + 1.3637
            counts = dict.fromkeys(("n_active_params", "n_params", "n_params_with_embedding"), size)
            found = value("joint-moe-2025", "loss", **counts, tokens=tokens, n_experts=float(experts))
            assert found == pytest.approx(expected, rel=3e-3)


@pytest.mark.parametrize(
    ("compute", "experts", "size", "tokens"),
    [(1e20, 1, 1.7e9, 9.7e9), (1e20, 32, 669e6, 24.9e9), (1e21, 8, 3.8e9, 44.3e9), (1e22, 32, 12.2e9, 136.9e9)],
)
def test_the_joint_law_has_the_optimum_that_its_paper_prints(
    compute: float, experts: int, size: float, tokens: float
) -> None:
    def loss(n: float) -> float:
        counts = dict.fromkeys(("n_active_params", "n_params", "n_params_with_embedding"), n)
        return value("joint-moe-2025", "loss", **counts, tokens=compute / (6 * n), n_experts=float(experts))

    best = min((size * 1.02**step for step in range(-15, 16)), key=loss)
    assert best == pytest.approx(size, rel=0.06)
    assert compute / (6 * best) == pytest.approx(tokens, rel=0.06)


def test_embedding_counts_as_active_in_the_joint_law() -> None:
    counts = {"n_active_params": 2e8, "n_params": 4e9, "tokens": 1e10, "n_experts": 16.0}
    bare = value("joint-moe-2025", "loss", **counts, n_params_with_embedding=4e9)
    more = value("joint-moe-2025", "loss", **counts, n_params_with_embedding=4.1e9)
    same = value("joint-moe-2025", "loss", **{**counts, "n_active_params": 3e8}, n_params_with_embedding=4e9)
    assert more == pytest.approx(same, rel=1e-12)
    assert more < bare


@pytest.mark.parametrize(
    ("size", "tokens", "fineness", "loss"),
    [(64e8, 4.37e9, 8, 3.133), (64e9, 28.94e9, 16, 2.491), (64 * 7e9, 137.6e9, 32, 2.076), (64e12, 7.94e12, 64, 1.367)],
)
def test_krajewski_counts_all_experts_and_is_low_by_what_its_constants_are_rounded(
    size: float, tokens: float, fineness: int, loss: float
) -> None:
    found = value("krajewski-2024", "loss", n_params=size, tokens=tokens, granularity=fineness / 2)
    assert 0.97 < found / loss < 0.98
    active = value("krajewski-2024", "loss", n_params=size / 64, tokens=tokens, granularity=fineness / 2)
    assert active / loss > 1.15


def test_the_leverage_is_seven_where_the_paper_has_it_and_best_at_its_granularity() -> None:
    def leverage(granularity: float, share: float = 0.031) -> float:
        given = {"training_flop": 1e22, "activation_ratio": share, "granularity": granularity}
        return value("ling-2025", "efficiency_leverage", **given)

    assert leverage(12) == pytest.approx(7.25, abs=0.01)
    assert max((2 + 0.1 * step for step in range(200)), key=leverage) == pytest.approx(11.3, abs=0.1)
    assert leverage(12, 0.01) > leverage(12) > leverage(12, 0.2) > 1


def test_a_dense_model_has_no_leverage_and_an_unknown_share_gives_none() -> None:
    law = shipped().get("ling-2025")
    dense = plain_point(law, {"training_flop": 1e20, "architecture": "dense"})
    unknown = plain_point(law, {"training_flop": 1e20})
    assert dense
    assert unknown
    assert dense.plain("efficiency_leverage") == 1
    assert unknown.plain("efficiency_leverage") is None
    assert unknown.plain("peak_lr") == pytest.approx(1.1576 * 1e20**-0.1529, rel=1e-12)


def test_size_times_data_is_the_compute_in_both_rows_of_ling() -> None:
    for architecture in ("dense", "moe"):
        given = {"training_flop": 1e21, "architecture": architecture}
        size, tokens = (value("ling-2025", name, **given) for name in ("optimal_flop_per_token", "optimal_tokens"))
        assert size * tokens == pytest.approx(1e21, rel=1e-3)


def test_the_two_counting_rules_are_inverse() -> None:
    experts = {"n_experts": 128.0, "n_active_experts": 8.0, "granularity": 6.0, "n_shared_experts": 1.0}
    active = value("active-params-of-experts", "n_active_params", n_params=3e10, **experts)
    assert value("total-params-of-experts", "n_params", n_active_params=active, **experts) == pytest.approx(3e10)


def test_the_counting_rule_is_near_the_exact_count_of_a_shape() -> None:
    shape = {"n_layers": 16.0, "d_model": 2048.0, "n_heads": 16.0, "d_expert": 1024.0}
    experts = {"n_experts": 64.0, "n_active_experts": 8.0}
    exact = [value("transformer-params-moe", name, **shape, **experts) for name in ("n_params", "n_active_params")]
    granularity = value("expert-granularity", "granularity", d_model=2048.0, d_expert=1024.0)
    found = value("active-params-of-experts", "n_active_params", n_params=exact[0], granularity=granularity, **experts)
    assert found == pytest.approx(exact[1], rel=3e-3)


@pytest.mark.parametrize("name", ["ling-2025", "clark-2022", "krajewski-2024", "joint-moe-2025"])
def test_each_law_has_a_citation(name: str) -> None:
    source = shipped().get(name).citation()
    assert source.bibtex
    assert source.arxiv
