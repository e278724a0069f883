"""Measured layouts as rows: those that ran, those that the shipped law was fitted to, and tables of other models."""

import pytest

from hplaw.cli import main
from hplaw.errors import DataError
from hplaw.fit.data.layouts import for_fit, read_layouts
from hplaw.runs.table import sha256_of
from tests.helpers import is_one_sentence, shipped


HEAD = "model_group,nodes,gpus,mbs,grad_acc,gbs_seq,dp,pp,tp,zero,mfu_pct,tok_s_gpu,gpu_memory_gb\n"
RAN = "0,1,8,1,32,256,8,1,1,1,38.1,39000,24.2\n"
FAILED = "0,1,8,32,1,256,8,1,1,1,,,\n"
OTHER_BATCH = "0,1,8,1,16,256,8,1,1,1,38.1,39000,24.2\n"


@pytest.fixture
def table(tmp_path):
    def write(*lines):
        path = tmp_path / "layouts.csv"
        path.write_text(HEAD + "".join(lines), encoding="utf-8")
        return path

    return write


def test_rows_of_the_shipped_law_are_made_again_to_the_letter(data, tmp_path, capfd):
    to = tmp_path / "rows.csv"
    assert (
        main(["data", "rows", "layout-throughput", str(data / "ultrascale_h100_throughput.csv"), "--to", str(to)]) == 0
    )
    evidence = shipped().get("layout-throughput").spec.evidence
    assert evidence is not None
    assert sha256_of(to) == evidence.data_sha256
    rows = for_fit(read_layouts(data / "ultrascale_h100_throughput.csv", shipped()))
    assert (rows["layout_utilization"] > 0.05).sum() == evidence.runs
    assert capfd.readouterr().out.startswith(f"{len(rows):,} rows in {to}")


def test_a_layout_that_ran_has_its_share_of_the_peak_and_its_memory(table):
    (row,) = read_layouts(table(RAN), shipped()).iter_rows(named=True)
    flop = 6 * row["n_params_with_embedding"] + 12 * 16 * 2048 * 4096
    assert row["layout_utilization"] == pytest.approx(39000 * flop / 9.894e14)
    assert row["device_bytes"] == 24.2e9
    assert (row["data_parallel"], row["batch_seqs"], row["devices"]) == (8, 256, 8)


def test_what_did_not_run_or_had_another_batch_is_not_fitted_to(table):
    rows = read_layouts(table(RAN, FAILED, OTHER_BATCH), shipped())
    assert rows["ran"].to_list() == [True, False, True]
    assert len(for_fit(rows)) == 1


def test_a_model_of_no_known_shape_is_refused(table):
    with pytest.raises(DataError) as caught:
        read_layouts(table(RAN.replace("0,", "9,", 1)), shipped())
    assert "model_group 9" in str(caught.value)
    assert is_one_sentence(str(caught.value))
