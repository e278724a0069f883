"""The law of throughput by layout: what slows a layout down, and the layouts that it was fitted to."""

from typing import Any

import numpy as np
import pytest

from hplaw.evaluation.point import point
from hplaw.fit.data.layouts import SHAPES, for_fit, read_layouts
from hplaw.layout.columns import over_columns
from tests.helpers import shipped


LAW = "layout-throughput"
KNOWN: dict[str, Any] = {
    "n_params": 7e9,
    "n_layers": 32.0,
    "d_model": 4096.0,
    "vocab_size": 128256.0,
    "seq_len": 4096.0,
    "batch_seqs": 1024.0,
    "data_parallel": 8.0,
    "peak_flop_per_s": 9.894e14,
    "memory_bytes_per_s": 3.35e12,
    "link_bytes_per_s": 9e11,
}


def share(**changed: Any) -> float:
    here = point(shipped().get(LAW), {**KNOWN, **changed})
    assert here.status == "ok"
    return here.output("layout_utilization")


def test_a_pipeline_pays_for_its_bubble():
    few = share(pipeline_parallel=8.0, batch_seqs=64.0) / share(pipeline_parallel=8.0)
    assert few == pytest.approx((8 / 15) / (128 / 135), rel=0.1)


def test_recomputing_whole_layers_costs_a_third_of_the_work():
    assert 1.25 < share() / share(recomputation="full") < 1.34
    assert 1.0 < share() / share(recomputation="selective") < 1.03


def test_small_shares_of_a_layer_are_launched_rather_than_computed():
    assert share(tensor_parallel=8.0, data_parallel=1.0) < 0.5 * share(data_parallel=8.0)
    assert share(tensor_parallel=8.0, data_parallel=1.0, micro_batch_seqs=8.0) > 0.6 * share(data_parallel=8.0)


def test_groups_across_nodes_are_slow():
    wide = share(tensor_parallel=16.0, data_parallel=1.0, micro_batch_seqs=8.0)
    assert wide < 0.8 * share(tensor_parallel=8.0, data_parallel=2.0, micro_batch_seqs=8.0)


def test_more_copies_of_the_same_batch_exchange_more_for_the_same_work():
    shares = [share(data_parallel=copies) for copies in (8.0, 64.0, 256.0)]
    assert shares == sorted(shares, reverse=True)


def test_sharding_more_is_never_faster():
    shares = [share(zero_stage=stage, data_parallel=64.0) for stage in (1.0, 2.0, 3.0)]
    assert shares == sorted(shares, reverse=True)


def test_too_many_copies_and_experts_are_refused():
    law = shipped().get(LAW)
    assert point(law, {**KNOWN, "batch_seqs": 4.0}).status == "refused"
    assert point(law, {**KNOWN, "n_experts": 8.0}).status == "refused"


def test_shapes_have_the_flop_that_the_measurements_state(data):
    table = (data / "ultrascale_h100_throughput.csv").read_text().splitlines()
    stated = {int(line.split(",")[0]): float(line.split(",")[1]) for line in table if line[0].isdigit()}
    for group, flop in stated.items():
        shape = {**SHAPES[group], "vocab_size": 131072.0, "n_ffn_matrices": 3.0}
        body = point(shipped().get("transformer-params"), shape).output("n_params")
        both = 2 * shape["vocab_size"] * shape["d_model"]
        counted = 6 * (body + both) + 12 * shape["n_layers"] * shape["d_model"] * 4096
        assert counted / 1e9 == pytest.approx(flop, rel=3e-3)


def test_columns_are_what_single_layouts_are(data):
    rows = for_fit(read_layouts(data / "ultrascale_h100_throughput.csv", shipped())).head(40)
    columns = {name: rows[name].to_numpy() for name in rows.columns if rows[name].dtype.is_numeric()}
    law = shipped().get(LAW)
    found = over_columns(law, {}, columns, ["layout_utilization"])["layout_utilization"]
    single = [
        point(law, {name: float(column[row]) for name, column in columns.items() if name in law.inputs}).output(
            "layout_utilization"
        )
        for row in range(len(rows))
    ]
    assert found == pytest.approx(single)
    error = np.abs(np.log(found / columns["layout_utilization"]))
    assert np.exp(np.median(error)) < 1.25
