"""The layout beside a recommendation: that of `hplaw layout` for the same run, or a warning why there is none."""

from typing import Any

import msgspec
import pytest

import hplaw
from hplaw.catalogue.catalogue import Catalogue
from hplaw.messages.query import Query
from hplaw.messages.recommendation import Estimate, Recommendation
from hplaw.recommendation.parallel import lay_out
from hplaw.recommendation.record import recommend
from tests.helpers import LLAMA_3_8B, MIXTRAL_8X7B, shipped


RUN: dict[str, Any] = {"n_params": 7e10, "tokens": 1.5e13, "hardware": "h100-sxm", "devices": 64.0}


def ask(**changed: Any) -> Recommendation:
    return recommend(Query(**{**RUN, **changed}), shipped())


def test_the_layout_is_that_of_the_batch_recommended():
    found = ask()
    batch = found.answers["batch_tokens"].value
    alone = hplaw.layouts(n_params=7e10, devices=64, hardware="h100-sxm", batch_tokens=batch, top=1)
    assert found.layout is not None
    # its share is that of the law of hours, so that both agree
    level = {"utilization": 0.0, "low": 0.0, "high": 0.0}
    assert msgspec.structs.replace(found.layout, **level) == msgspec.structs.replace(alone.layouts[0], **level)
    assert {source.law for source in found.citations} >= set(alone.laws)
    assert ask(given={"seq_len": 8192.0}).layout != found.layout


def test_a_level_from_a_law_of_whole_trainings_is_what_is_shown():
    answers = {"batch_tokens": Estimate(value=4e6)}
    known = {**RUN, "precision": "bf16"}
    laid = lay_out(Query(**RUN), known, answers, shipped(), level=lambda: 0.37)
    assert laid.layout is not None
    assert laid.layout.utilization == 0.37


def test_a_shape_that_was_guessed_is_said():
    assert any(warning.code == "assumed-shape" for warning in ask().warnings)
    known = ask(model=LLAMA_3_8B, n_params=None)
    assert known.layout is not None
    assert not any(warning.code == "assumed-shape" for warning in known.warnings)


def test_what_is_given_of_a_layout_is_kept_and_not_ignored():
    found = ask(given={"tensor_parallel": 4.0, "recomputation": "full", "beta2": 0.9})
    assert found.layout is not None
    assert (found.layout.tensor_parallel, found.layout.recomputation) == (4, "full")
    assert "tensor_parallel" not in found.ignored
    assert "beta2" in found.ignored


@pytest.mark.parametrize(
    "changed",
    [
        {"devices": None},
        {"hardware": None},
        {"want": ["loss"]},
        {"n_active_params": 2e10},
        {"model": MIXTRAL_8X7B, "n_params": None},
    ],
)
def test_without_accelerators_or_for_experts_there_is_none(changed):
    found = ask(**changed)
    assert found.layout is None
    assert not any(warning.code == "no-layout" for warning in found.warnings)


def test_what_does_not_fit_is_a_warning():
    found = ask(devices=8.0)
    assert found.layout is None
    (told,) = [warning.text for warning in found.warnings if warning.code == "no-layout"]
    assert "32 accelerators fit" in told


def test_an_optimizer_without_known_state_is_a_warning():
    assert any(warning.code == "no-layout" for warning in ask(optimizer="soap").warnings)


def test_laws_without_layouts_give_none(tmp_path):
    laws = [law for law in shipped().laws if not law.id.startswith("layout-")]
    found = recommend(Query(**RUN), Catalogue([(law, "shipped") for law in laws], problems=[], folders=[]))
    assert found.layout is None
