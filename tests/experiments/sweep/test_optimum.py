"""The optimum of a sweep: lowest loss over seeds, and where it lies in the grid."""

import math

import msgspec
import pytest

from hplaw_experiments.sweep.optimum import find_optimum
from hplaw_experiments.sweep.walkers import next_trials
from hplaw_experiments.trial import SweepSpec, Trial, Walker, key


SPEC = SweepSpec(
    name="best",
    model={"family": "mlp"},
    data={"source": "digits"},
    training={"tokens": 3200, "batch_tokens": 32},
    space={"peak_lr": {"log_grid": [1e-4, 1e-1, 4]}, "width": [8, 16]},
    seeds=(0, 1),
)


def losses(spec: SweepSpec, best: float) -> dict[str, float | None]:
    """Return losses with a bowl around a rate, lower at the larger width; the rates above 0.05 diverge."""

    def loss(trial: Trial) -> float | None:
        bowl = math.log10(trial.peak_lr / best) ** 2
        return None if trial.peak_lr > 0.05 else 1 + bowl - trial.width / 100 + trial.seed / 10

    return {key(trial): loss(trial) for trial in next_trials(spec, {})}


@pytest.mark.parametrize(("at", "edge"), [(1e-3, ""), (1e-4, "lowest"), (1e-2, "")])
def test_the_find_optimum_has_least_loss_over_seeds(at: float, edge: str) -> None:
    found = find_optimum(SPEC, losses(SPEC, at))
    assert found is not None
    assert found.setting == {"peak_lr": at, "width": 16}
    assert found.loss == pytest.approx(1 - 0.16 + 0.05)
    assert (found.seeds, found.edge) == (2, edge)  # rates above the best diverged: no edge


def test_a_rate_at_the_top_of_its_grid_is_at_the_edge() -> None:
    spec = msgspec.structs.replace(SPEC, space={"peak_lr": [1e-3, 1e-2]})
    found = find_optimum(spec, losses(spec, 1e-1))
    assert found is not None
    assert found.edge == "highest"


def test_where_a_seed_diverged_or_all_did_there_is_no_optimum() -> None:
    known = losses(SPEC, 1e-3)
    winner = next(t for t in next_trials(SPEC, {}) if (t.peak_lr, t.width, t.seed) == (1e-3, 16, 1))
    found = find_optimum(SPEC, known | {key(winner): None})
    assert found is not None
    assert found.setting == {"peak_lr": 1e-3, "width": 8}
    assert find_optimum(SPEC, dict.fromkeys(known)) is None


def test_of_halving_the_last_round_counts() -> None:
    spec = msgspec.structs.replace(SPEC, walker=Walker(kind="halving", eta=2, least=0.5))
    known = losses(spec, 1e-3)
    for trial in next_trials(spec, known):
        known.setdefault(key(trial), 5.0 - trial.peak_lr)
    found = find_optimum(spec, known)
    assert found is not None
    assert found.setting["peak_lr"] == 1e-2
