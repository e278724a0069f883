"""Rows of the laws of time and energy: made by one command from tables of others, the same that the shipped laws were fitted to."""

from pathlib import Path

import polars as pl
import pytest

from hplaw.cli import main
from hplaw.errors import DataError
from hplaw.fit.data.law_rows import make_rows
from hplaw.fit.data.runs import read_runs
from hplaw.runs.table import sha256_of
from tests.helpers import is_one_sentence, shipped


PUBLISHED = (
    "model,family,precision,hardware,hours_kind,energy_scope,energy_basis,flag,n_params_b,n_active_b,tokens_b,n_accel,accel_hours,pue,energy_mwh\n"
    "one,llama2,bf16,A100-SXM4-80GB,reported,gpu_x_pue,tdp_x_hours,,7,7,2000,,184320,1.1,\n"
    "two,llama2,bf16,A100-SXM4-80GB,,gpu,measured,,7,7,2000,,,,74\n"
    "three,llama2,bf16,an abacus,reported,,,,7,7,2000,,184320,,\n"
    "four,llama2,bf16,A100-SXM4-80GB,reported,,,exclude: no 6ND,7,7,2000,,184320,,\n"
)
HEAD = "gpu,dataset,network,optimizer,batch_size,power_limit_w,time_per_epoch_s,energy_per_epoch_j,train_samples\n"
METERED = HEAD + "".join(
    f"V100,cifar,resnet,adam,{batch},{watts},{1000 / batch + 2e4 / watts},{90000 / batch + 30 * watts},\n"
    for batch in (8, 16, 32, 64, 128)
    for watts in (100, 150, 250)
)


def written(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("law", "file"), [("training-energy", ""), ("device-energy", "zeus_power.csv")])
def test_rows_of_shipped_laws_are_made_again_to_the_letter(law, file, data, tmp_path, capfd):
    to = tmp_path / "rows.csv"
    assert main(["data", "rows", law, str(data / file), "--to", str(to)]) == 0
    evidence = shipped().get(law).spec.evidence
    assert evidence is not None
    assert sha256_of(to) == evidence.data_sha256
    said = capfd.readouterr().out
    assert said.startswith(f"{evidence.runs} rows in {to}")
    assert evidence.data_sha256 in said


def test_rows_tell_what_a_law_is_fitted_to(tmp_path):
    """One of hours, one of energy; an unknown accelerator and a flagged row tell neither."""
    path = written(tmp_path, PUBLISHED)
    energies = make_rows("training-energy", path, shipped())
    assert energies["accelerator_hours"].to_list() == [184320.0, None]
    assert energies["energy_j"].to_list() == [None, 74 * 3.6e9]
    assert energies["peak_flop_per_s"].to_list() == [312e12] * 2
    assert energies["developer"].to_list() == ["meta"] * 2


def test_a_third_probe_is_that_of_the_limit_nearest_to_two_fifths(tmp_path):
    rows = make_rows("device-energy", written(tmp_path, METERED), shipped())
    assert len(rows) == 15 - 3  # probes are no rows
    assert rows.select(pl.col("^probe_.*(samples|_w)$").n_unique()).row(0) == (1, 1, 1, 1)
    first = rows.row(0, named=True)
    probes = [
        first[name] for name in ("probe_small_samples", "probe_large_samples", "probe_power_limit_w", "probe_capped_w")
    ]
    assert probes == [8.0, 64.0, 250.0, 100.0]
    assert first["probe_capped_s"] == pytest.approx(1000 / 64 + 200)


@pytest.mark.parametrize(("law", "text"), [("training-energy", PUBLISHED), ("device-energy", METERED)])
def test_a_fit_reads_the_rows(law, text, tmp_path):
    to = tmp_path / "rows.csv"
    assert main(["data", "rows", law, str(written(tmp_path, text)), "--to", str(to)]) == 0
    assert len(read_runs(to, law=shipped().get(law))) == len(pl.read_csv(to))


@pytest.mark.parametrize(
    ("law", "text", "words"),
    [
        ("training-energy", PUBLISHED.replace("tokens_b", "tokens"), "no column 'tokens_b'; did you mean 'tokens'"),
        ("training-energy", PUBLISHED.replace("7,7,2000", "7,7,many"), "row 1: tokens_b='many' is not a number"),
        ("training-energy", PUBLISHED.replace("bf16", "bf17"), "row 1: precision='bf17' is not known"),
        ("training-energy", PUBLISHED.partition("\n")[0] + "\n", "none of its rows"),
        ("training-energy", "\n".join(PUBLISHED.splitlines()[:1] + PUBLISHED.splitlines()[3:]), "none of its rows"),
        ("device-energy", METERED.replace("gpu,", "card,"), "no column 'gpu'"),
        ("device-energy", METERED.replace(",250,", ",most,"), "row 3: power_limit_w='most' is not a number"),
        ("device-energy", HEAD, "none of its rows"),
        ("device-energy", "\n".join(METERED.splitlines()[:7]), "none of its rows"),
        ("device-energy", "", "is no table"),
    ],
)
def test_another_table_is_refused(law, text, words, tmp_path):
    with pytest.raises(DataError) as error:
        make_rows(law, written(tmp_path, text), shipped())
    assert words in str(error.value)
    assert is_one_sentence(str(error.value))


@pytest.mark.parametrize(
    ("words", "said", "status"),
    [
        (
            ("training-enrgy", "table.csv", "--to", "rows.csv"),
            "no rows are made for 'training-enrgy'; did you mean 'training-energy'?",
            1,
        ),
        (("step-law-2025", "table.csv", "--to", "rows.csv"), "there is training-energy, device-energy", 1),
        (("training-energy", "nowhere.csv", "--to", "rows.csv"), "nowhere.csv: No such file", 1),
        (("training-energy", "table.csv", "--to", "rows.parquet"), "give a name that ends with .csv", 2),
        (("training-energy", "table.csv", "--to", "table.csv"), "is the table itself", 2),
        (("training-energy", "table.csv", "--to", "nowhere/rows.csv"), "give a file that can be written", 1),
    ],
)
def test_wrong_words_are_one_sentence(words, said, status, tmp_path, monkeypatch, capfd):
    written(tmp_path, PUBLISHED)
    monkeypatch.chdir(tmp_path)
    assert main(["data", "rows", *words]) == status
    got = capfd.readouterr()
    assert said in got.err
    assert is_one_sentence(got.err.removesuffix("\n"))
    assert not got.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.csv"]
    assert (tmp_path / "table.csv").read_text() == PUBLISHED


def test_missing_measurements_are_left_out(tmp_path):
    """A row without a time is as if it were not there, a size that is not given likewise."""
    whole = make_rows("device-energy", written(tmp_path, METERED), shipped())
    more = METERED + "V100,cifar,resnet,adam,256,250,,,\n"
    assert make_rows("device-energy", written(tmp_path, more), shipped()).equals(whole)
    more = PUBLISHED + "five,llama2,bf16,A100-SXM4-80GB,reported,,,,,7,2000,,184320,,\n"
    assert len(make_rows("training-energy", written(tmp_path, more), shipped())) == 2
