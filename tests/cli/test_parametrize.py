"""`hplaw parametrize` and `hplaw classify`."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

import hplaw


GPT2 = {
    "model_type": "gpt2",
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "vocab_size": 50257,
    "n_positions": 1024,
    "initializer_range": 0.02,
}


def cells(out: str, name: str) -> list[str]:
    """Return the words of a table's row."""
    return next(line.split()[1:] for line in out.splitlines() if line.split()[:1] == [name])


def test_the_table_says_what_to_set_and_what_decay_means(run: Any) -> None:
    done = run(
        "parametrize",
        "--scheme",
        "mup",
        "--optimizer",
        "adam",
        "--base-width",
        256,
        "--width",
        2048,
        "--lr",
        "1e-3",
        "--init-std",
        0.02,
    )
    assert (done.status, done.err) == (0, "")
    assert cells(done.out, "hidden") == ["0.007071", "x1", "1.25e-4", "x8", "x1"]
    assert cells(done.out, "output") == ["0.02", "x0.125", "0.001", "x1", "x1"]
    assert "its rate times its decay, as in" in done.out
    assert "full alignment: feature" in done.out
    assert "parametrization-mup@1: Greg Yang" in done.out


def test_depth_moves_branches_and_epsilon(run: Any) -> None:
    words = ["parametrize", "--base-width", 64, "--width", 256, "--base-depth", 2, "--depth", 8]
    done = run(*words, "--scheme", "completep")
    assert cells(done.out, "hidden") == ["x0.5", "x1", "x0.25", "x4", "x0.0625"]
    assert "Each residual branch: x0.25." in done.out
    assert cells(run(*words, "--scheme", "depth-mup").out, "block_vector")[2] == "x0.5"


def test_json_is_the_record_of_the_library(run: Any) -> None:
    done = run("parametrize", "--scheme", "u-mup", "--width", "4k", "--base-width", 500, "--json")
    table = hplaw.parametrize(scheme="u-mup", width=4000, base_width=500)
    assert done == (0, msgspec.json.encode(table).decode() + "\n", "")


def test_a_config_has_a_row_for_each_weight_by_name(run: Any, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(GPT2))
    base = {**GPT2, "n_embd": 192, "n_head": 3, "n_layer": 6}
    (tmp_path / "base.json").write_text(json.dumps(base))
    done = run(
        "parametrize", "--config", tmp_path / "config.json", "--base-config", tmp_path / "base.json", "--lr", "1e-3"
    )
    assert (done.status, done.err) == (0, "")
    assert cells(done.out, "transformer.h.*.attn.c_attn.weight") == ["0.01", "x1", "2.5e-4", "x4"]
    assert cells(done.out, "transformer.wte.weight") == ["0.02", "x1", "0.001", "x1"]
    assert cells(done.out, "lm_head.weight") == ["0.02", "x0.25", "0.001", "x1"]
    assert "As in the base model: epsilon." in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert "lm_head.weight is transformer.wte.weight, with a multiplier of its own." in done.out
    assert "4 times the base's width, 2 times the base's depth" in done.out


@pytest.mark.parametrize(
    ("words", "regime"),
    [
        ("--a 0,0,0 --b 0,1/2,1/2 --c 0", "unstable"),
        ("--a 0,0,0 --b 0,1/2,1/2 --c 1", "kernel"),
        ("--a 0,1/2,1/2 --b 0,0,0", "kernel"),
        ("--a=-1/2,0,1/2 --b 1/2,1/2,1/2", "feature"),
        ("--a=-0.5,0,0.5 --b input=1/2 hidden=1/2 output=1/2 --c 0,0,0", "feature"),
        ("--a=-1/5,3/10,4/5 --b 1/5,1/5,1/5 --c=-3/5", "feature"),
        ("--a=-1/2,0,1/2 --b 1/2,1/2,1/2 --c 1/2", "trivial"),
        ("--a 0,0,1 --b 0,0,0 --c=-1 --hidden-layers 0", "feature"),
        ("--a 0,0,1 --b 0,1/2,0 --c 0,1,0 --optimizer adam", "feature"),
    ],
)
def test_exponents_are_classified(run: Any, words: str, regime: str) -> None:
    done = run("classify", *words.split())
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[0] == regime


def test_the_largest_rates_are_fractions(run: Any) -> None:
    done = run("classify", "--a", "0,1/2,1/2", "--b", "0,0,0", "--json")
    found = json.loads(done.out)
    assert found["r"] == "1/2"
    assert found["largest_rates"] == {"input": "-1/2", "hidden": "-1/2", "output": "0"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("parametrize --scheme mupp --width 8 --base-width 2", "did you mean 'mup'"),
        ("parametrize --width 8", "base_width is missing"),
        ("parametrize --width 8 --base-width 0", "base_width: a number is needed here that is > 0"),
        ("parametrize --width inf --base-width 2", "--width 'inf' is not a number"),
        ("parametrize --width -8 --base-width 2", "width: a number is needed here that is > 0"),
        ("parametrize --width 1e9 --base-width 1e-9", "give sizes of a ratio from"),
        ("parametrize --width 8 --base-width 2 --decay cupled", "did you mean 'coupled'"),
        ("parametrize --width 8 --base-width 2 --optimizer lion", "give one of sgd, momentum"),
        ("classify --a 1,2 --b 1,2,3", "give three exponents"),
        ("classify --a 1,2,x --b 1,2,3", "'x' is not a number or a fraction"),
        ("classify --a 1,2,3 --b input=1", "b lacks hidden, output"),
    ],
)
def test_wrong_words_are_one_sentence(run: Any, words: str, says: str) -> None:
    run(*words.split()).check_misused(says)


def test_a_config_that_cannot_be_read_is_one_sentence(run: Any, tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[1]")
    for name, says in (("none.json", "No such file"), ("list.json", "no JSON object")):
        done = run("parametrize", "--config", tmp_path / name, "--base-width", 2)
        assert done.status == 1
        assert says in done.err
        assert done.err.count("\n") == 1


def test_the_command_takes_a_rate_of_adamw_to_muon(run: Any) -> None:
    sizes = ["--width", "4096", "--base-width", "4096", "--lr", "3e-4"]
    page = run("parametrize", "--optimizer", "muon", "--from-optimizer", "adamw", *sizes).out
    assert "0.00384" in page
    assert "muon-from-adamw" in page
    wrong = run("parametrize", "--optimizer", "muon", "--muon-scale", "spectral", *sizes)
    assert wrong.status == 2
    assert "original or match_rms_adamw" in wrong.err
