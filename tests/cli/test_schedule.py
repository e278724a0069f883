"""`hplaw schedule`: curves, areas, plots, feedback and the forecast."""

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

import hplaw


def cells(out: str, name: str) -> list[str]:
    return next(line.split()[1:] for line in out.splitlines() if line.split()[:1] == [name])


def test_a_schedule_shows_rates_and_area(run: Any) -> None:
    done = run("schedule", "uba", "--steps", "100k", "--set", "uba_phi=0.5")
    assert (done.status, done.err) == (0, "")
    start, *between, end, area, share = cells(done.out, "uba")
    assert (start, between, end) == ("1", ["0.959", "0.8", "0.407"], "0")
    assert (area, share) == ("66.67k", "0.6667")
    assert "schedule-uba@1: Stepsize anything" in done.out


@pytest.mark.parametrize(
    ("phi", "rates"),
    [
        ("0.5", (1.0, 0.95887, 0.8, 0.40698, 0.0)),
        ("1", (1.0, 0.92099, 0.66667, 0.25548, 0.0)),
        ("2", (1.0, 0.85355, 0.5, 0.14645, 0.0)),
        ("5", (1.0, 0.69982, 0.28571, 0.06422, 0.0)),
    ],
)
def test_golden_values_of_the_budget_aware_schedule(run: Any, phi: str, rates: Any) -> None:
    done = run("schedule", "uba", "--set", f"uba_phi={phi}", "--points", 5, "--json")
    assert json.loads(done.out)["rates"] == pytest.approx(rates, abs=5e-6)


def test_all_schedules_stand_side_by_side(run: Any) -> None:
    done = run("schedule", "--steps", 1000, "--lr", "3e-4", "--set", "warmup_steps=100")
    assert done.status == 0
    shares = {name: float(cells(done.out, name)[-1]) for name in ("cosine", "linear", "wsd")}
    assert shares == {"cosine": 0.5, "linear": 0.5, "wsd": 0.85}


def test_json_is_the_record_of_the_library(run: Any) -> None:
    done = run("schedule", "cosine-power", "--steps", 200, "--set", "final_lr=0.1", "--points", 7, "--json")
    curve = hplaw.schedule("cosine-power", total_steps=200, given={"final_lr": 0.1}, points=7)
    assert done == (0, msgspec.json.encode(curve).decode() + "\n", "")


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_a_plot_is_drawn(run: Any, tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("altair")
    file = tmp_path / f"plot.{suffix}"
    done = run("schedule", "wsd", "--steps", 100, "--plot", file)
    assert (done.status, done.err) == (0, "")
    head = file.read_bytes()[:300]
    assert head.startswith(b"\x89PNG") if suffix == "png" else b"<svg" in head


def test_feedback_moves_the_rate(run: Any) -> None:
    done = run("schedule", "fedhyper", "--products", "0", "0.04", "-3", "--json")
    found = json.loads(done.out)
    assert found["rates"] == pytest.approx([1.0, 1.04, 0.2])
    assert found["area"] == pytest.approx(2.24)


def test_the_loss_to_come_is_foretold(run: Any, tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    file = tmp_path / "losses.txt"
    file.write_text("\n".join(str(2 * math.exp(-0.05 * x) + 0.5) for x in range(100)))
    found = json.loads(run("schedule", "autolrs", "--losses", file, "--steps", 1000, "--json").out)
    assert found["forecast_loss"] == pytest.approx(0.5, abs=1e-6)
    file.write_text("3 2 1")
    done = run("schedule", "autolrs", "--losses", file)
    assert done.status == 1
    assert "a forecast needs 8 or more" in done.err


def test_a_law_of_ones_own_is_a_schedule(run: Any, tmp_path: Path) -> None:
    (tmp_path / "halving.toml").write_text(
        """
schema = 1
id = "halving"
version = 1
title = "A rate that is halved"
status = "theory"
checked = "derived"
inputs = ["step", "total_steps", "peak_lr"]
[source]
title = "An example"
[outputs]
learning_rate = "peak_lr * where(2 * step < total_steps, 1, 0.5)"
[[examples]]
given = { step = 0, total_steps = 2, peak_lr = 1 }
expect = { learning_rate = 1 }
"""
    )
    done = run("schedule", "halving", "--laws", tmp_path, "--steps", 100, "--json")
    assert json.loads(done.out)["area"] == 75


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("schedule cosin", "did you mean 'cosine'"),
        ("schedule step-law-2025", "is no schedule"),
        ("schedule cosine --steps 0", "total_steps: a number is needed here that is >= 1"),
        ("schedule cosine --lr -1", "peak_lr: a number is needed here that is > 0"),
        ("schedule cosine --set uba_phi=1", "takes no uba_phi"),
        ("schedule --set decay=1", "takes no decay"),
        ("schedule uba --set uba_phi=0", "not defined for phi"),
        ("schedule cosine --plot x.txt", "give a name that ends in .svg"),
        ("schedule fedhyper", "fedhyper needs --products"),
        ("schedule fedhyper --products x", "--products 'x' is not a number"),
        ("schedule fedhyper --products 0 --rate sever", "fedhyper_rate='sever' is not known"),
        ("schedule autolrs", "autolrs needs --losses"),
    ],
)
def test_wrong_words_are_one_sentence(run: Any, words: str, says: str) -> None:
    run(*words.split()).check_misused(says)


# Comparing


def test_schedules_are_compared_on_one_screen(run: Any) -> None:
    done = run("schedule", "--compare", "--steps", "24k", "--set", "warmup_steps=2160")
    assert (done.status, done.err) == (0, "")
    assert "wsd           2.946  lowest" in done.out
    assert "cost at most 0.1% more" in done.out
    assert len(done.out.splitlines()) <= 25


def test_the_comparison_is_the_record_of_the_library(run: Any) -> None:
    import hplaw
    from hplaw.messages.record import encode

    done = run("schedule", "--compare", "--steps", "50k", "--params", "25M", "--json")
    assert done.out.encode() == encode(hplaw.compare_schedules(total_steps=5e4, n_params=25e6)) + b"\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--compare cosine", "leave a schedule by name out"),
        ("--compare --plot a.svg", "leave --plot out"),
        ("--compare --steps 0", "total_steps"),
        ("--compare --steps many", "--steps"),
        ("--compare --set warmup_steps=50k", "leaves no step"),
        ("--compare --set color=1", "takes color"),
        ("--compare --law step-law-2025", "does not give the loss"),
        ("--params 7B", "--params is for --compare"),
        ("cosine --law schedule-loss", "--law is for --compare"),
    ],
)
def test_wrong_comparisons_are_one_sentence(run: Any, words: str, says: str) -> None:
    done = run("schedule", *words.split())
    assert (done.status, done.out) == (2, "")
    assert says in done.err
    assert len(done.err.splitlines()) == 1
