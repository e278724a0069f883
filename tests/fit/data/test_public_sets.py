"""Public runs: fetched from a local server in their original formats, held to checksums, read into the vocabulary."""

import functools as ft
import hashlib
import http.server
import threading
from pathlib import Path

import msgspec
import polars as pl
import pytest

from hplaw.cli import main
from hplaw.errors import DataError, LawNotFound
from hplaw.fit.data import public_sets as data_sets
from hplaw.fit.data.public_sets import DATA_SETS, fetch, find_data_set
from hplaw.vocabulary.quantities import check_value, vocabulary


ORIGINALS = {
    "svg_extracted_data.csv": (
        "x,y,color,Model Size,Training FLOP,hex_color,loss\n"
        "154.0,140.6,#faebdd,6795600349.3,9.99e18,#faebdd,5.0056\n"
        "151.1,198.5,#eb483e,1730543416.1,9.08e18,#eb483e,3.3957\n"
        "151.1,198.5,#eb483e,,9.08e18,#eb483e,3.3957\n"
    ),
    "dense_lr_bs_loss.csv": (
        "h,ffnh,numh,numl,lr,bs,ti,loss,smooth loss,exp_name,D,N,D/N\n"
        "960,9368,15,7,0.0004883,32,61035,2.61,2.6531,step2v2_a,4000000000,214663680,18.6\n"
    ),
    "moe_lr_bs_loss.csv": (
        "h,ffnh,numh,numl,lr,bs,ti,loss,smooth loss,exp_name,seq_len,topk,nume,moeh,D,N,Na,M,Na/N\n"
        "1408,1024,11,16,0.001,64,15259,2.9,2.95,moe_a,2048,1,89,352,2000000000,2150612992,187973632,1.3e9,0.087\n"
    ),
    "wandb_df_for_fitting_hot.jsonl": (
        '{"run_name":"PyGemma-1024x28_pretrain","params_active_precise":543482880,"width":1024,"depth":28,'
        '"tokens":10003415040,"step":2385,"num_nodes":32,"seconds_per_step":1.39,"final_loss":3.101}\n'
    ),
    "scaling_results_last_ckpt_only.csv": (
        "loss,C4 Eval Loss,N,N_no_emb,D,C,C_no_emb,C_6ND,C_6ND_no_emb,portion_steps_elapsed,model,train_tokens,"
        "total_steps,current_steps,total_epochs,current_epoch,peak_lr,sweep\n"
        "3.2875,3.2875,93940416,35842752,16777216000,9456351902178213888,3608049554037669888,9456351902171136000,"
        "3608049554030592000,1.0,misfitting_35m,16777216000,16000,16000,125,125,0.002,2024_11_26_sweep\n"
    ),
}
for _kind in ("lr_ablation_hot", "cool_end"):
    ORIGINALS[f"wandb_df_for_fitting_{_kind}.jsonl"] = ORIGINALS["wandb_df_for_fitting_hot.jsonl"]


@pytest.fixture
def origin(tmp_path):
    """Return the address of a server of this machine that has all files in their original formats."""
    folder = tmp_path / "origin"
    folder.mkdir()
    for name, text in ORIGINALS.items():
        (folder / name).write_text(text)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), ft.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def at(name: str, address: str, *, sha256: str | None = None):
    """Return a set as declared, its files at another address."""
    found = find_data_set(name)
    files = tuple(
        msgspec.structs.replace(source, url=f"{address}/{source.name}", sha256=sha256) for source in found.files
    )
    return msgspec.structs.replace(found, files=files)


@pytest.mark.parametrize("name", [item.name for item in DATA_SETS])
def test_every_set_is_read_from_its_original_format(name, origin, tmp_path):
    found = fetch(at(name, origin), tmp_path / "runs")
    table = pl.read_csv(found.table)
    assert len(table) == found.rows > 0
    assert set(table.columns) <= set(vocabulary())
    assert {"tokens", "loss", "recipe"} <= set(table.columns)
    for row in table.iter_rows(named=True):
        for column, value in row.items():
            assert check_value(vocabulary()[column], value) is None
    assert all(path.parent == tmp_path / "runs" / name for path, _, _ in found.files)
    assert not list((tmp_path / "runs").glob(".*"))


def test_tokens_of_chinchilla_follow_from_its_compute(origin, tmp_path):
    table = pl.read_csv(fetch(at("chinchilla", origin), tmp_path).table)
    assert len(table) == 2  # a row without a size tells nothing
    assert table["tokens"][0] == pytest.approx(9.99e18 / (6 * 6795600349.3))
    assert table["n_params_with_embedding"][0] == 6795600349.3


def test_batches_of_step_law_are_counted_in_tokens_and_experts_told_apart(origin, tmp_path):
    table = pl.read_csv(fetch(at("step-law", origin), tmp_path).table)
    assert table["batch_tokens"].to_list() == [32 * 2048.0, 64 * 2048.0]
    assert table["architecture"].to_list() == ["dense", "moe"]
    assert table["n_active_params"].to_list() == [214663680.0, 187973632.0]
    assert table["loss"].to_list() == [2.6531, 2.95]


def test_a_checksum_is_held(origin, tmp_path):
    right = hashlib.sha256(ORIGINALS["svg_extracted_data.csv"].encode()).hexdigest()
    found = fetch(at("chinchilla", origin, sha256=right), tmp_path / "right")
    assert found.files[0][1:] == (right, True)
    with pytest.raises(DataError, match="is not the file that was read"):
        fetch(at("chinchilla", origin, sha256="0" * 64), tmp_path / "wrong")
    assert not (tmp_path / "wrong" / "chinchilla.csv").exists()


def test_a_file_that_is_there_is_not_downloaded_again(origin, tmp_path):
    fetch(at("misfitting", origin), tmp_path)
    assert fetch(at("misfitting", "http://127.0.0.1:9"), tmp_path).rows == 1


@pytest.mark.parametrize(
    ("address", "words"), [("http://127.0.0.1:9", "cannot be reached; try again"), ("{origin}/none", "answered 404")]
)
def test_what_cannot_be_fetched_is_one_sentence(address, words, origin, tmp_path):
    with pytest.raises(DataError, match=words) as error:
        fetch(at("chinchilla", address.format(origin=origin)), tmp_path / "new" / "folder")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "new").exists()


def test_a_failed_download_leaves_what_was_there(origin, tmp_path):
    kept = tmp_path / "chinchilla" / "notes.txt"
    kept.parent.mkdir()
    kept.write_text("mine")
    with pytest.raises(DataError, match="answered 404"):
        fetch(at("chinchilla", f"{origin}/none"), tmp_path)
    assert kept.read_text() == "mine"


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "", '"'])
def test_another_format_is_refused(text, origin, tmp_path):
    folder = tmp_path / "chinchilla"
    folder.mkdir()
    (folder / "svg_extracted_data.csv").write_text(text)
    with pytest.raises(DataError, match="not in the format that was read"):
        fetch(at("chinchilla", origin), tmp_path)


def test_a_folder_that_cannot_be_written_is_named(origin, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="give a folder that can be written by --to"):
        fetch(at("chinchilla", origin), tmp_path / "file")


def test_a_set_of_another_name_is_refused_with_the_nearest():
    with pytest.raises(LawNotFound, match="did you mean 'gemstones'"):
        find_data_set("gemstone")


def test_the_command_lists_and_fetches(origin, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(data_sets, "find_data_set", lambda name: at(name, origin))
    assert main(["data", "list"]) == 0
    listed = capfd.readouterr().out
    assert all(item.name in listed and item.origin in listed for item in DATA_SETS)
    assert listed.count("not known before") == sum(
        any(source.sha256 is None for source in item.files) for item in DATA_SETS
    )
    assert main(["data", "list", "--json"]) == 0
    assert [item["name"] for item in msgspec.json.decode(capfd.readouterr().out)] == [item.name for item in DATA_SETS]
    assert main(["data", "fetch", "gemstones", "--to", str(tmp_path / "runs")]) == 0
    out = capfd.readouterr().out
    assert out.startswith("3 runs in ")
    assert "not known before" in out
    assert (tmp_path / "runs" / "gemstones.csv").is_file()


def test_the_sets_name_public_addresses_and_checksums_in_full():
    for item in DATA_SETS:
        assert item.origin.startswith("https://")
        for source in item.files:
            assert source.url.startswith("https://")
            assert source.sha256 is None or len(source.sha256) == 64
            assert Path(source.name).name == source.name
