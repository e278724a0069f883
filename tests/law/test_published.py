"""What published laws give against the data and the tables behind them."""

import csv
import math
import os
from pathlib import Path

import numpy as np
import pytest

from hplaw.answer.evaluate_law import evaluate
from tests.helpers import shipped


def by_law(law: str, name: str, **given: float | str) -> float:
    value = evaluate(shipped().get(law), given, shipped()).outputs[name].value
    assert isinstance(value, float)
    return value


@pytest.fixture(scope="module")
def steps_to_goal() -> list[dict[str, str]]:
    path = Path(os.environ.get("HPLAW_DATA", "")) / "critical_batch_steps.csv"
    if not path.is_file():
        pytest.skip("set HPLAW_DATA to a folder with critical_batch_steps.csv")
    with path.open() as lines:
        return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def critical_batch(batches: np.ndarray, steps: np.ndarray) -> float:
    """Return where the steps exceed by 20% those of halving from 256 sequences on, of steps = a + b / B in logarithms."""
    least, work = steps.min() / 2, steps[0] * batches[0]
    for _ in range(50):  # Gauss-Newton in ln a and ln b
        model = least + work / batches
        slopes = np.stack([least / model, work / batches / model], axis=1)
        move = np.linalg.lstsq(slopes, np.log(steps / model), rcond=None)[0]
        least, work = least * math.exp(move[0]), work * math.exp(move[1])
    return work / (5 * least) + 1.2 * 256


def test_zhangs_exponents_follow_from_the_steps_behind_them(steps_to_goal: list[dict[str, str]]) -> None:
    sizes: list[float] = []
    found: list[float] = []
    for model in dict.fromkeys(row["model"] for row in steps_to_goal):
        rows = [row for row in steps_to_goal if row["model"] == model]
        batches, steps = (np.array([float(row[name]) for row in rows]) for name in ("batch_seqs", "steps_to_goal"))
        sizes.append(float(rows[0]["n_params_nominal"]))
        found.append(critical_batch(batches, steps))
    for scale, constant in ((1.0, 93.20), (20.0, 22.92)):  # by the size, and by 20 tokens for each parameter
        exponent, intercept = np.polyfit(np.log(np.array(sizes) * scale / 1e6), np.log(found), 1)
        assert exponent == pytest.approx(0.468, abs=0.002)
        assert math.exp(intercept) == pytest.approx(constant, rel=1e-3)
    for size, batch in zip(sizes, found, strict=True):
        line = math.exp(np.polyval(np.polyfit(np.log(sizes), np.log(found), 1), math.log(size)))
        given = {"n_params": size, "tokens": 20 * size}
        assert by_law("zhang-critical-batch-2024", "critical_batch_tokens", **given) == pytest.approx(
            512 * line, rel=1e-4
        )
        assert by_law("zhang-critical-batch-2024", "critical_batch_by_size", **given) == pytest.approx(
            512 * line, rel=1e-4
        )
        assert batch == pytest.approx(line, rel=0.05)


MOONLIGHT = (
    (399e6, 12, 1536, 8.92e9, 9.503e-4, 96),
    (545e6, 14, 1792, 14.04e9, 9.143e-4, 128),
    (822e6, 16, 2048, 20.76e9, 8.825e-4, 160),
    (1.1e9, 18, 2304, 28.54e9, 8.561e-4, 192),
    (1.5e9, 20, 2560, 38.91e9, 8.305e-4, 256),
)
"""Table 2: parameters without embedding, layers, width, tokens, rate, sequences of 8192."""


@pytest.mark.parametrize(("n", "layers", "width", "tokens", "rate", "seqs"), MOONLIGHT)
def test_moonlight_gives_what_it_was_trained_with(
    n: float, layers: int, width: int, tokens: float, rate: float, seqs: int
) -> None:
    """The compute with attention counted meets rates and batches, that of 6 N D the sizes and data."""
    with_attention = (6 * n + 12 * layers * width * 8192) * tokens
    assert by_law("moonlight-2025", "peak_lr", training_flop=with_attention) == pytest.approx(rate, rel=0.02)
    assert by_law("moonlight-2025", "batch_tokens", training_flop=with_attention) == pytest.approx(
        8192 * seqs, rel=0.25
    )
    assert by_law("moonlight-2025", "n_params", training_flop=6 * n * tokens) == pytest.approx(n, rel=0.09)
    assert by_law("moonlight-2025", "tokens", training_flop=6 * n * tokens) == pytest.approx(tokens, rel=0.09)


def test_by_moonlight_muon_needs_half_the_compute_for_a_loss() -> None:
    for days in (0.5, 1.0, 5.0):
        adamw = by_law("moonlight-2025", "loss", training_flop=days * 8.64e19)
        share = (2.506 / adamw) ** (1 / 0.052) / days
        assert 0.43 < share < 0.53
        given = {"training_flop": share * days * 8.64e19, "optimizer": "muon"}
        assert by_law("moonlight-2025", "loss", **given) == pytest.approx(adamw, rel=1e-9)


def test_muons_scales_differ_by_one_ratio_in_every_law_of_best_rates() -> None:
    """The rate on the original scale over that on the scale of AdamW is 0.2 sqrt(d_model) for square matrices.

    In `practice` teams on the scale of AdamW have a shift of their own.
    """
    size = {"n_params": 1e9, "tokens": 2e10, "d_model": 2048.0}
    questions = {
        "recipe": {**size, "optimizer": "muon"},
        "nanochat-2026": size,
        "moonlight-2025": {"training_flop": 1e20, "d_model": 2048.0, "optimizer": "muon"},
        "muon-from-adamw": {"adam_lr": 1e-3, "d_model": 2048.0},
    }
    for law, given in questions.items():
        original, matched = (by_law(law, "peak_lr", muon_scale=s, **given) for s in ("original", "match_rms_adamw"))
        assert original / matched == pytest.approx(0.2 * math.sqrt(2048), rel=1e-9), law


@pytest.mark.parametrize(
    ("law", "rest"), [("recipe", {"optimizer": "muon"}), ("practice", {"optimizer": "muon"}), ("nanochat-2026", {})]
)
def test_a_width_moves_muons_rate_on_the_scale_of_adamw_alone(law: str, rest: dict[str, str]) -> None:
    rates = {
        (scale, width): by_law(law, "peak_lr", n_params=1e9, tokens=2e10, muon_scale=scale, d_model=width, **rest)
        for scale in ("original", "match_rms_adamw")
        for width in (1024.0, 4096.0)
    }
    assert rates["original", 1024.0] == rates["original", 4096.0]
    assert rates["match_rms_adamw", 1024.0] == pytest.approx(2 * rates["match_rms_adamw", 4096.0], rel=1e-9)


def test_nanochat_keeps_the_timescale_of_its_decay() -> None:
    """batch / (rate decay tokens) is the reference's at every length and batch."""
    timescales = [
        batch
        / tokens
        / by_law("nanochat-2026", "peak_lr", tokens=tokens, batch_tokens=batch)
        / by_law("nanochat-2026", "weight_decay", tokens=tokens, batch_tokens=batch)
        for tokens in (1e9, 1e10)
        for batch in (2.0**18, 2.0**20)
    ]
    assert timescales == pytest.approx([timescales[0]] * 4, rel=1e-12)


def test_the_vocabularys_fixed_point_is_the_minimum_of_the_loss() -> None:
    """At one compute, a larger or smaller vocabulary than the law's has a higher loss."""
    a2, alpha2, b, beta, n, flop = (
        0.19584238398665638,
        0.6707374679896795,
        2.1241123120064955,
        0.44660634152009615,
        7e9,
        5e21,
    )

    def loss(table: float) -> float:
        return a2 * (table / 1e6) ** -alpha2 + b * (flop / 6 / (n + table) / 1e9) ** -beta

    best = by_law("tao-vocabulary-2024", "vocabulary_params", n_params=n, vocabulary_approach="loss", compute_flop=flop)
    assert loss(best) < min(loss(best * 0.99), loss(best * 1.01))
