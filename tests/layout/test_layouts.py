"""The layouts that are listed: they fit, they are ranked, and what is unlike the measured ones is said."""

from typing import Any

import pytest

import hplaw
from hplaw.errors import QueryError
from hplaw.layout.layouts import find_layouts, layouts
from hplaw.messages.layout import LayoutRequest
from tests.helpers import LLAMA_3_8B, is_one_sentence, shipped


def ask(**fields: Any) -> Any:
    return layouts(LayoutRequest(**{"n_params": 7e10, "devices": 64.0, "hardware": "h100-sxm", **fields}), shipped())


def test_layouts_fit_and_are_ranked():
    found = ask(top=20.0)
    assert [item.utilization for item in found.layouts] == sorted((i.utilization for i in found.layouts), reverse=True)
    for item in found.layouts:
        assert item.device_bytes <= found.room_bytes
        assert item.low < item.utilization < item.high
        assert item.tensor_parallel * item.pipeline_parallel * item.data_parallel == 64
        assert item.relative == pytest.approx(item.utilization / found.layouts[0].utilization)
    degrees = [(item.tensor_parallel, item.pipeline_parallel) for item in found.layouts]
    assert len(set(degrees)) == len(degrees)
    assert 0 < found.fitting < found.considered


def test_nothing_that_fits_is_faster_than_the_first():
    found = find_layouts(LayoutRequest(n_params=7e10, devices=64.0, hardware="h100-sxm"), shipped())
    best = found.columns["layout_utilization"][found.fits].max()
    first = ask().layouts[0]
    here = (found.columns["layout_utilization"] == best) & found.fits
    assert first.tensor_parallel in found.columns["tensor_parallel"][here]
    assert first.utilization == pytest.approx(best, rel=0.05)


def test_a_level_from_elsewhere_moves_all_shares_alike():
    request = LayoutRequest(n_params=7e10, devices=64.0, hardware="h100-sxm")
    own, other = layouts(request, shipped()), layouts(request, shipped(), level=0.5)
    assert other.layouts[0].utilization == 0.5
    for a, b in zip(own.layouts, other.layouts, strict=True):
        assert b.relative == a.relative
        assert b.low / b.utilization == pytest.approx(a.low / a.utilization)


def test_what_a_question_fixes_is_so():
    fixed = {"tensor_parallel": 4.0, "zero_stage": 1.0, "recomputation": "full"}
    for item in ask(**fixed).layouts:
        assert {name: getattr(item, name) for name in fixed} == fixed


def test_a_config_needs_no_assumption():
    found = ask(n_params=None, model=LLAMA_3_8B, devices=8.0)
    assert found.assumptions == []
    assert found.shape["n_params_with_embedding"] == 8030261248


def test_little_memory_takes_more_sharding_or_recomputation():
    roomy, tight = ask(n_params=8e9, hardware="h200-sxm"), ask(n_params=8e9, hardware="a100-sxm-40gb")
    assert roomy.layouts[0].device_bytes > tight.room_bytes
    assert tight.room_bytes == pytest.approx(0.9 * 40e9)


def test_what_was_not_measured_is_warned_of():
    (warning,) = ask(n_params=8e9, hardware="a100-sxm").warnings
    assert warning.code == "outside-domain"
    assert "peak_flop_per_s" in warning.text


def test_too_large_a_model_says_what_would_help():
    with pytest.raises(QueryError) as caught:
        ask(devices=8.0)
    text = str(caught.value)
    assert is_one_sentence(text)
    assert "no layout fits on 8 accelerators of h100-sxm" in text
    assert "32 accelerators fit" in text
    assert ask(devices=32.0).layouts


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"batch_tokens": 4096.0, "devices": 1024.0}, "batch_tokens"),
        ({"hardware": "abacus"}, "hardware"),
        ({"precision": "fp3"}, "precision"),
        ({"optimizer": "adamx"}, "optimizer"),
        ({"optimizer": "soap"}, "optimizer"),
        ({"n_params": None}, "n_params"),
        ({"tensor_parallel": 3.0}, "tensor_parallel"),
        ({"zero_stage": 3.0, "pipeline_parallel": 2.0}, "pipeline_parallel"),
    ],
)
def test_what_cannot_be_laid_out_is_one_sentence(fields, field):
    with pytest.raises(QueryError) as caught:
        ask(**fields)
    assert caught.value.field == field
    assert is_one_sentence(str(caught.value))


def test_the_function_answers_as_the_room_does():
    assert hplaw.layouts(n_params=7e10, devices=64, hardware="h100-sxm") == ask()
