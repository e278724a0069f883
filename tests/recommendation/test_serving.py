"""Tokens that a model serves count in budgets and targets; weights that are rounded for it cost loss."""

from pathlib import Path

import pytest

from hplaw.catalogue.catalogue import Catalogue, load_catalogue
from hplaw.messages.query import Query
from hplaw.recommendation.record import recommend
from tests.helpers import shipped


# the constants of Hoffmann et al. with the digits that their text's source has
FINER = """
schema = 1
id = "hoffmann-finer"
version = 1
title = "Chinchilla's loss with the digits of its source"
status = "published"
checked = "secondary"
inputs = ["n_params", "tokens"]
[source]
title = "Training Compute-Optimal Large Language Models"
[outputs]
loss = "1.6934 + 406.4 / n_params ** 0.3392 + 410.7 / tokens ** 0.2849"
[[examples]]
given = { n_params = 3e10, tokens = 1.56e12 }
expect = { loss = 1.9449 }
rtol = 1e-3
"""


def values(query: Query, catalogue: Catalogue) -> dict[str, float]:
    found = recommend(query, catalogue)
    return {name: float(one.value) for name, one in found.answers.items() if isinstance(one.value, float)}


def test_a_served_model_is_smaller_and_trained_for_longer_as_published(tmp_path: Path) -> None:
    (tmp_path / "hoffmann-finer.toml").write_text(FINER)
    catalogue = load_catalogue([tmp_path])
    size = {"n_params": 3e10, "tokens": 1.56e12, "laws": ["hoffmann-finer"], "given": {"serve_tokens": 5e12}}
    there = values(Query(**size, want=["loss", "lifetime_flop"]), catalogue)
    least = values(
        Query(
            target_loss=there["loss"],
            laws=["hoffmann-finer"],
            given={"serve_tokens": 5e12},
            want=["n_params", "tokens", "lifetime_flop", "loss"],
        ),
        catalogue,
    )
    assert least["n_params"] == pytest.approx(16.4e9, rel=0.03)
    assert least["tokens"] == pytest.approx(3.27e12, rel=0.03)
    assert least["loss"] == pytest.approx(there["loss"], rel=1e-6)
    assert 1 - least["lifetime_flop"] / there["lifetime_flop"] == pytest.approx(0.16, abs=0.015)


@pytest.mark.slow
@pytest.mark.parametrize(("minimize", "total"), [("flop", "lifetime_flop"), ("joules", "lifetime_energy_j")])
def test_no_other_size_at_the_loss_takes_less(minimize: str, total: str) -> None:
    given = {"serve_tokens": 5e12, "minimize": minimize, "devices": 64.0}
    asked = {"target_loss": 2.1, "hardware": "h100-sxm"}
    best = values(Query(**asked, given=given, want=["n_params", total]), shipped())
    for factor in (0.8, 1.25):
        aside = Query(**asked, n_params=best["n_params"] * factor, given=given, want=["tokens", total])
        assert values(aside, shipped())[total] > best[total] * (1 - 1e-4)


def test_a_budget_pays_for_training_and_serving() -> None:
    budget = {"compute_flop": 1e24}
    alone = values(Query(given=budget, want=["n_params", "tokens", "loss"]), shipped())
    served = values(
        Query(given={**budget, "serve_tokens": 5e12}, want=["n_params", "tokens", "loss", "lifetime_flop"]), shipped()
    )
    assert served["lifetime_flop"] == pytest.approx(1e24, rel=1e-3)
    assert served["n_params"] < alone["n_params"]
    assert served["loss"] > alone["loss"]


def test_rounded_weights_cost_loss_and_more_after_more_data() -> None:
    def increase(tokens: float, **given: str) -> float:
        query = Query(n_params=1e9, tokens=tokens, given=given, want=["loss", "serve_loss"])
        found = values(query, shipped())
        return found["serve_loss"] - found["loss"]

    assert increase(1e11, serve_precision="bf16") == 0
    assert 0 < increase(2e10, serve_precision="int4") < increase(2e11, serve_precision="int4")
    assert increase(2e11, serve_precision="int8") < 1e-3
    # by post-training quantization unless it is said otherwise
    ptq, qat = (increase(1e11, serve_precision="int4", serve_method=name) for name in ("ptq", "qat"))
    assert increase(1e11, serve_precision="int4") == ptq != qat
