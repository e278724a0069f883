"""`hplaw calibrate`: from a table of one's own, or a sweep, to an answer for one's own recipe."""

from pathlib import Path
from typing import Any

import pytest

from hplaw.answer.evaluate_law import evaluate
from hplaw.evaluation.domain import distance
from hplaw.law import read_law


OPTIMA = (
    "n_params,tokens,peak_lr,batch_tokens\n1e8,2e9,3.1e-3,130000\n2e8,4e9,2.4e-3,196000\n2e8,1.2e10,2.6e-3,390000\n"
)

TINY = """
name = "tiny"
seeds = [0]
[model]
family = "transformer"
n_layers = 1
n_heads = 2
seq_len = 16
[data]
source = "language"
options = { vocab_size = 32 }
[training]
optimizer = "adamw"
schedule = "cosine"
warmup_fraction = 0.1
[space]
tokens = [8192, 16384]
width = [8, 16]
batch_tokens = [64, 256]
peak_lr = { log_grid = [1e-2, 1e-1, 3] }
"""


def asked_next(run: Any, said: str) -> str:
    """Return what the command that is proposed prints."""
    [line] = [line for line in said.splitlines() if line.startswith("next: hplaw ")]
    done = run(*line.removeprefix("next: hplaw ").split())
    assert done.status == 0
    return done.out


def test_tuned_optima_lead_to_an_answer_for_ones_own_recipe(run: Any, tmp_path: Path) -> None:
    (tmp_path / "best.csv").write_text(OPTIMA)
    done = run("calibrate", "--runs", tmp_path / "best.csv", "--to", tmp_path / "mine")
    assert done.status == 0
    assert "own-recipe@1" in done.out
    assert "3 tuned optima" in done.out
    [at_asked] = [line for line in done.out.splitlines() if "n_params=1B" in line]
    before, after = (float(word) for word in at_asked.replace(" to ", " ").split()[2:4])
    assert after < 0.6 * before
    told = asked_next(run, done.out)
    assert "own-recipe@1" in told
    law = read_law(tmp_path / "mine" / "own-recipe")
    inside = {"n_params": 1.5e8, "tokens": 4e9}
    assert not distance(law, {**inside, "recipe": "own-recipe"}).differs
    assert distance(law, {**inside, "recipe": "unknown"}).differs == (("recipe", "unknown"),)


def test_rates_at_a_batch_that_was_not_chosen_lead_to_a_higher_best_rate(run: Any, tmp_path: Path) -> None:
    small = OPTIMA.replace("130000", "16000").replace("196000", "16000").replace("390000", "16000")
    rates: list[float] = []
    for name, text in (("none", small), ("given", small.replace("batch_tokens", "given_batch_tokens"))):
        (tmp_path / f"{name}.csv").write_text(text)
        assert run("calibrate", "--runs", tmp_path / f"{name}.csv", "--to", tmp_path / name).status == 0
        found = evaluate(read_law(tmp_path / name / "own-recipe"), {"n_params": 2e8, "tokens": 4e9}).outputs
        rates.append(float(found["peak_lr"].value))
    assert rates[1] > 2 * rates[0]


@pytest.mark.slow
def test_a_sweep_leads_to_an_answer_for_ones_own_recipe(run: Any, tmp_path: Path, bucket: str) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    to, store = tmp_path / "mine", ("--store", f"{bucket}/runs")
    done = run("calibrate", "--spec", tmp_path / "tiny.toml", "--to", to, "--method", "map", "--accept", *store)
    assert done.status == 0
    assert f"training into {bucket}/runs" in done.err
    assert not (to / "runs").exists()
    assert "What it narrowed" in done.out
    assert "24 of 24 trials" in done.out
    assert "own-recipe@1" in asked_next(run, done.out)
    again = run("calibrate", "--runs", to / "runs.parquet", "--to", tmp_path / "again")
    assert again.status == 0
    one, other = (
        evaluate(
            read_law(folder / "own-recipe"), {"n_params": 5e3, "tokens": 1e4, "peak_lr": 1e-2, "batch_tokens": 100}
        )
        for folder in (to, tmp_path / "again")
    )
    assert one.outputs["loss"].value == pytest.approx(other.outputs["loss"].value, rel=1e-6)
