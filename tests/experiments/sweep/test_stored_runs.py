"""The runs that were made here, and the law fitted to them, are as they were left."""

from pathlib import Path

from hplaw.answer.evaluate_law import evaluate
from hplaw.catalogue.catalogue import load_catalogue
from hplaw.runs import Store, verify
from hplaw.runs.table import sha256_of
from hplaw_experiments.sweep.run import saved_specs, standing


EXPERIMENTS = Path(__file__).parents[3] / "experiments"


def test_the_stored_sweeps_are_whole_and_those_of_their_files() -> None:
    for name in ("transformer-grid-cpu", "precision-cpu"):
        store = Store(EXPERIMENTS / "runs" / name)
        assert not verify(store).problems
        (spec,) = saved_specs(store)
        found = standing(spec, store)
        assert found.complete
        assert found.asked == len(store.keys())
        file = (EXPERIMENTS / "specs" / f"{name}.toml").read_text()
        assert f'name = "{spec.name}"' in file


def test_the_law_of_the_grid_names_its_runs_and_passed_its_checks() -> None:
    laws = load_catalogue([EXPERIMENTS / "laws"])
    law = laws.get("small-transformer-surface")
    evidence = law.spec.evidence
    assert evidence is not None
    assert not evidence.failed
    assert evidence.data_sha256 == sha256_of(EXPERIMENTS / "runs" / evidence.data)
    found = evaluate(law, {"n_params": 8000, "tokens": 1e5}, laws).outputs["peak_lr"]
    assert 0.005 < float(found.value) < 0.05
