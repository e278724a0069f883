"""Rates measured over width by others against what the tables of parametrizations say."""

import csv
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

import hplaw


BASE = 256


def table(file: Path) -> list[dict[str, str]]:
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


def last_losses(data: Path, parametrization: str) -> dict[int, dict[float, float]]:
    """Return the training loss behind the last epoch by width and log2 rate; that of a run that diverged is infinite."""
    found: dict[int, dict[float, float]] = defaultdict(dict)
    last: dict[tuple[int, float], int] = {}
    for row in table(data / "mup_mlp_cifar10_lr_sweep.csv"):
        key = int(row["width"]), float(row["log2_lr"])
        if row["parametrization"] == parametrization and int(row["epoch"]) >= last.get(key, 0):
            last[key] = int(row["epoch"])
            found[key[0]][key[1]] = float(row["train_loss"] or math.inf)
    return found


def best(losses: dict[float, float]) -> float:
    """Return the log2 of the best rate: the vertex of a parabola through the lowest loss and its neighbors."""
    rates = sorted(losses)
    at = min(range(len(rates)), key=lambda i: losses[rates[i]])
    near = [i for i in (at - 1, at, at + 1) if 0 <= i < len(rates)]
    y = [math.log(losses[rates[i]]) for i in near]
    if len(near) < 3 or not all(map(math.isfinite, y)):
        return rates[at]
    a, b, _ = np.polyfit([rates[i] for i in near], y, 2)
    return float(-b / (2 * a))


def slope(widths: list[int], log2_rates: list[float]) -> float:
    return float(np.polyfit(np.log2(widths), log2_rates, 1)[0])


@pytest.mark.parametrize(("name", "low", "high"), [("SP", -1.0, -0.5), ("muP", -0.35, 0.35)])
def test_the_best_rate_stays_in_mup_only(data: Path, name: str, low: float, high: float) -> None:
    losses = last_losses(data, name)
    widths = sorted(losses)
    assert low <= slope(widths, [best(losses[width]) for width in widths]) <= high


def test_the_bases_best_rate_does_for_wider_models_in_mup_only(data: Path) -> None:
    regret = {}
    for name in ("SP", "muP"):
        losses = last_losses(data, name)
        rate, widest = min(losses[BASE], key=losses[BASE].__getitem__), max(losses)
        assert widest == 8 * BASE
        regret[name] = losses[widest][rate] / min(losses[widest].values())
    assert regret["muP"] <= 3
    assert regret["SP"] >= 10


@pytest.mark.parametrize("column", ["sp_opt_lr", "mup_opt_lr"])
def test_rates_of_language_models_go_as_the_hidden_layers_do(data: Path, column: str) -> None:
    rows = table(data / "megatron_mup_opt_lr.csv")
    widths = [int(row["width"]) for row in rows]
    measured = slope(widths, [math.log2(float(row[column])) for row in rows])
    # one rate for all layers in the standard parametrization is that of the hidden ones, which are most of the model
    asked = {"optimizer": "adam", "width": widths[-1], "base_width": widths[0]}
    if column == "sp_opt_lr":
        hidden = hplaw.parametrize(scheme="standard", alignment=1, **asked).layers[2]
        said = math.log(hidden.rate) / math.log(widths[-1] / widths[0])
        assert said == -1
    else:
        said = 0.0  # the rate that is tuned is the base's
    assert measured == pytest.approx(said, abs=0.25)
