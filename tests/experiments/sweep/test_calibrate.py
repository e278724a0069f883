"""From runs to a law of your own."""

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hplaw.catalogue.catalogue import load_catalogue
from hplaw.cli.calibrate import _changed
from hplaw.cli.page import Page
from hplaw.errors import FitError, QueryError
from hplaw.fit.data.smooth import MIN_RUNS, smooth
from hplaw.runs import Store
from hplaw_experiments.recipes.from_table import middle, narrowing
from hplaw_experiments.sweep.calibrate import changes, fit_table, preset, read_budget, sweep_table
from hplaw_experiments.sweep.plan import make_trials, space_of
from hplaw_experiments.sweep.space import enumerate_points
from hplaw_experiments.trial import Trial


LAWS = Path(__file__).parents[3] / "experiments" / "laws"


def simulated(seed: int = 0) -> pl.DataFrame:
    """Return runs of a hidden law: best rate 0.02 (N / 1e4)^-0.5, best batch 400 (D / 1e5)^0.5."""
    random = np.random.default_rng(seed)
    rows = []
    for n in (2e3, 8e3, 3e4):
        for d in (4e4, 1e5, 2.5e5):
            base = math.log(2.2 + 0.35 * (n / 1e4) ** -0.35 + 0.35 * (d / 1e5) ** -0.35)
            x, y = math.log(0.02) - 0.5 * math.log(n / 1e4), math.log(400) + 0.5 * math.log(d / 1e5)
            x, y = x + 0.05 * random.normal(), y + 0.05 * random.normal()
            for u in (-1.6, -0.8, 0.0, 0.8, 1.6):
                for v in (-1.2, 0.0, 1.2):
                    bowl = 0.012 * (u - 0.4 * v) ** 2 + 0.006 * v**2
                    loss = math.exp(base + bowl + 0.002 * random.normal())
                    rows.append(
                        {
                            "n_params": n,
                            "tokens": d,
                            "peak_lr": math.exp(x + u),
                            "batch_tokens": math.exp(y + v),
                            "loss": loss,
                        }
                    )
    return pl.DataFrame(rows)


@pytest.mark.parametrize("text", ["10", "m", "0m", "-1h", "10 parsecs", "5 kwh"])
def test_a_budget_has_a_unit(text: str) -> None:
    with pytest.raises(QueryError, match="10m"):
        read_budget(text)


def test_cells_of_the_quick_sweep_have_one_amount_of_data_each() -> None:
    spec = preset("quick")
    trials = make_trials(spec, enumerate_points(space_of(spec)))
    assert len(trials) == 189
    assert len({trial.tokens for trial in trials}) == 3


def test_cells_of_the_quick_sweep_are_enough_for_an_optimum_of_their_own() -> None:
    spec = preset("quick")
    cells: dict[tuple[float, int], list[Trial]] = {}
    for trial in make_trials(spec, enumerate_points(space_of(spec))):
        cells.setdefault((trial.tokens, trial.width), []).append(trial)
    for cell in cells.values():
        x = np.log([[trial.peak_lr, trial.batch_tokens] for trial in cell])
        bowl = ((x - x.mean(axis=0)) ** 2).sum(axis=1) / 100
        assert len(cell) >= MIN_RUNS
        surface = smooth(x, bowl)
        assert surface is not None
        assert surface.inside


def test_what_changed_fits_80_columns() -> None:
    law = load_catalogue([LAWS]).get("small-transformer-surface")
    page = Page(80)
    _changed(page, law)
    assert page.lines[0].startswith("What changed, at n_params=")
    head, ours, *others = page.lines[1:]
    assert head.split() == ["law", "peak_lr", "here", "is", "batch_tokens", "here", "is"]
    assert ours.split()[0] == law.id
    assert max(map(len, page.lines)) <= 80
    assert {len(line) - len(line.lstrip()) for line in others} == {2}  # none is continued below
    assert any(line.split()[0] == "recipe@1" for line in others)


def test_a_sweep_that_has_not_run_has_no_table(tmp_path: Path) -> None:
    with pytest.raises(FitError, match="no run of quick"):
        sweep_table(preset("quick"), Store(tmp_path))


@pytest.mark.slow
def test_a_law_of_ones_own_is_recovered_and_compared(tmp_path: Path) -> None:
    law = fit_table(simulated(), tmp_path, title="mine", method="map", accept=True)
    assert law.id == "own-recipe"
    assert law.spec.domain["recipe"] == ["own-recipe"]
    assert law.spec.evidence is not None
    assert law.spec.evidence.groups == 9
    plots = tmp_path / "own-recipe" / "plots"
    assert (plots / "bowls.svg").read_text().count("n_params") >= 9  # a bowl of each cell, although few runs are in it
    told = {change.quantity: change for change in changes(law)}
    n, d = middle(law)
    assert told["peak_lr"].ours == pytest.approx(0.02 * (n / 1e4) ** -0.5, rel=0.25)
    assert told["batch_tokens"].ours == pytest.approx(400 * (d / 1e5) ** 0.5, rel=0.4)
    assert any(change.law.startswith("step-law-2025") for change in changes(law))
    [narrowed] = narrowing(law, [(n, d)])
    assert all(after < 2 < before for before, after in zip(narrowed.before, narrowed.after, strict=True))
