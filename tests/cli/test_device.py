"""`hplaw device`: the record of the library, a page for people, a plot, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

import hplaw
from hplaw.messages.record import encode


NAMES = ("batch_samples", "power_limit_w", "energy_per_sample_j", "time_per_sample_s")
ROWS = ((16, 300, 0.925, 0.00384), (256, 300, 0.706, 0.003), (256, 125, 0.946, 0.00753))
OPTIONS = [f"--probe={','.join(f'{n}={v}' for n, v in zip(NAMES, row, strict=True))}" for row in ROWS]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "probes.csv"
    lines = [",".join(NAMES), *(",".join(map(str, row)) for row in ROWS)]
    file.write_text("\n".join(lines))
    return file


def test_options_and_a_table_give_the_record_of_the_library(run: Any, table: Path) -> None:
    found = hplaw.device_energy(probes=[dict(zip(NAMES, row, strict=True)) for row in ROWS])
    for words in (OPTIONS, ["--probes", table]):
        done = run("device", *words, "--json")
        assert done.status == 0
        assert json.loads(done.out) == json.loads(encode(found))


def test_the_page_has_the_best_setting_and_a_short_front(run: Any, table: Path) -> None:
    page = run("device", "--probes", table, "--batch", "16").out
    assert "minimum energy  256    190 W" in page
    front = page.partition("What joules cost in seconds\n")[2].partition("\n\n")[0].splitlines()
    assert 3 <= len(front) <= 14


def test_the_plot_is_written(run: Any, table: Path, tmp_path: Path) -> None:
    pytest.importorskip("altair")
    file = tmp_path / "front.json"
    assert run("device", "--probes", table, "--plot", file).status == 0
    assert len(json.loads(file.read_text())["layer"]) == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "give --probe three times"),
        (["--probe", "batch_samples=3"], "probe 1 lacks power_limit_w"),
        (["--probe", "batch_samples"], "give name=value"),
        ([*OPTIONS, "--limits", "nan"], "'nan' is not a number"),
        ([*OPTIONS, "--limits", "0"], "limits[0]"),
        ([*OPTIONS, "--plot", "front.xyz"], "ends in .svg"),
        ([*OPTIONS, "--probes", "probes.csv"], "or --probes"),
    ],
)
def test_wrong_words_are_one_sentence(run: Any, words: list[str], says: str) -> None:
    done = run("device", *words)
    assert done.status == 2
    assert says in done.err
    assert done.err.count("\n") == 1
    assert not done.out
