"""`hplaw layout`: one screen, JSON as the service has it, and refusals in one sentence."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

import hplaw
from tests.helpers import LLAMA_3_8B


PLAIN = "layout --params 70B --devices 64 --hardware h100-sxm"


def test_the_page_fits_on_one_screen(run: Any) -> None:
    done = run(*PLAIN.split())
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert len(lines) <= 25
    assert all(len(line) <= 80 for line in lines), done.out
    head = next(line for line in lines if line.startswith("  tp"))
    assert head.split() == [
        "tp",
        "pp",
        "dp",
        "micro",
        "acc.",
        "ZeRO",
        "recompute",
        "memory",
        "of",
        "peak",
        "90%",
        "rel.",
    ]
    assert "Assumed: the shape of a usual transformer" in done.out


def test_json_is_what_the_library_answers(run: Any, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps(LLAMA_3_8B))
    done = run("layout", "--model", config, "--devices", "8", "--hardware", "H100-SXM", "--top", "2", "--json")
    assert done.status == 0
    found = hplaw.layouts(model=LLAMA_3_8B, devices=8, hardware="h100-sxm", top=2)
    assert json.loads(done.out) == msgspec.to_builtins(found)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("layout --params 70B --devices 64", "--hardware is not given"),
        ("layout --params 70B --hardware h100-sxm", "--devices is not given"),
        ("layout --devices 64 --hardware h100-sxm", "give the size"),
        ("layout --params 70B --devices 2.5 --hardware h100-sxm", "devices"),
        ("layout --params 70B --devices 8 --hardware h100-sxm", "32 accelerators fit"),
        (f"{PLAIN} --recomputation some", "give one of none, selective, full"),
        (f"{PLAIN} --zero-stage 4", "zero_stage"),
        (f"{PLAIN} --tensor-parallel 3", "has tensor_parallel=3"),
        ("layout --params big --devices 8 --hardware h100-sxm", "--params"),
    ],
)
def test_refusals_are_one_sentence(run: Any, words: str, says: str) -> None:
    run(*words.split()).check_misused(says)


def test_a_recommendation_proposes_a_layout(run: Any) -> None:
    done = run("recommend", "--params", "70B", "--tokens", "15T", "--hardware", "h100-sxm", "--devices", "64")
    assert "\nLayout\n  tp " in done.out
    assert "of peak" in done.out
