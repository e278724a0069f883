"""Memory of training on one accelerator: what each kind of parallelism divides, and peaks that others measured."""

from typing import Any

import numpy as np
import pytest

from hplaw.evaluation.point import point
from hplaw.fit.data.layouts import read_layouts
from hplaw.layout.layouts import MARGIN
from hplaw.layout.memory import PARTS, device_bytes
from hplaw.layout.shape import usual_shape
from tests.helpers import shipped


KNOWN: dict[str, Any] = {**usual_shape(7e9), "seq_len": 4096.0, "batch_seqs": 1024.0, "data_parallel": 8.0}
STATE = PARTS[:3]
ALL = KNOWN["n_params_with_embedding"]


def memory(**changed: Any) -> dict[str, float]:
    known = {**KNOWN, **changed}
    columns = {"data_parallel": np.array([known["data_parallel"]])}
    return {name: float(value[0]) for name, value in device_bytes(known, columns, shipped()).items()}


def test_bytes_are_those_of_the_law_of_bytes_per_parameter():
    found = memory(zero_stage=0.0, data_parallel=1.0)
    # weights in bf16, gradients summed in fp32, Adam's moments and a master copy
    assert [found[name] / ALL for name in STATE] == pytest.approx([2, 4, 12], rel=1e-2)
    assert memory(zero_stage=0.0, data_parallel=1.0, optimizer="sgd")["device_optimizer_bytes"] == pytest.approx(
        found["device_optimizer_bytes"] / 3
    )
    assert memory(zero_stage=0.0, precision="fp32")["device_gradient_bytes"] == pytest.approx(4 * ALL, rel=1e-2)


@pytest.mark.parametrize(("stage", "shards"), [(0.0, 0), (1.0, 1), (2.0, 2)])
def test_each_stage_of_zero_shards_one_part_more(stage, shards):
    whole, found = memory(zero_stage=0.0), memory(zero_stage=stage)
    kept = [found[name] / whole[name] for name in reversed(STATE)]
    assert kept == pytest.approx([1 / 8] * shards + [1.0] * (3 - shards))


def test_stage_three_holds_two_gathered_layers_beside_its_shard():
    found = memory(zero_stage=3.0)["device_weight_bytes"]
    layer = KNOWN["n_params"] / KNOWN["n_layers"]
    assert found == pytest.approx(2 * ALL / 8 + 2 * 2 * layer, rel=1e-2)


def test_tensor_parallelism_divides_everything():
    one, four = memory(), memory(tensor_parallel=4.0)
    assert [four[name] / one[name] for name in PARTS] == pytest.approx([1 / 4] * 5)


def test_activations_are_those_counted_by_hand():
    # bytes per token and layer at 2 each: norms in and out, queries and outputs, keys and values, rotation, gated block
    d, heads, kv, f = 4096, 32, 8, 14336
    numbers = 4 * d + 2 * (heads + kv) * 128 + (heads + kv) * 128 + 4 * f
    assert memory()["device_activation_bytes"] == pytest.approx(1.2 * 2 * 4096 * numbers * 32)


def test_korthikanti_is_met_for_a_plain_block_without_rotation_and_masks():
    # 34 s b h without 5 h of masks: 2 norms in, 2 + 2 out, 8 queries to output, 16 of GELU, less the norm outputs that are shared
    plain = memory(n_kv_heads=32.0, n_ffn_matrices=2.0, d_ff=4 * 4096.0)["device_activation_bytes"]
    per_token = plain / (1.2 * 4096 * 32 * 4096)
    assert per_token - 2 * 2 == pytest.approx(34 - 2, rel=0.01)


def test_the_first_stage_of_a_pipeline_keeps_as_many_micro_batches_as_there_are_stages():
    one = memory()["device_activation_bytes"]
    assert memory(pipeline_parallel=8.0)["device_activation_bytes"] == pytest.approx(one)
    few = memory(pipeline_parallel=8.0, batch_seqs=16.0, vocab_size=1000.0)["device_activation_bytes"]
    assert few == pytest.approx(one * 2 / 8)


def test_the_last_stage_is_counted_where_its_logits_fill_it_more():
    first = memory(pipeline_parallel=8.0, batch_seqs=16.0)
    assert first["device_logit_bytes"] == 14 * 4096 * KNOWN["vocab_size"]
    assert memory(pipeline_parallel=8.0)["device_logit_bytes"] == 0


def test_more_recomputation_keeps_less():
    kept = [memory(recomputation=word)["device_activation_bytes"] for word in ("none", "selective", "full")]
    assert kept[0] > 1.5 * kept[1] > 3 * kept[2]


def test_expert_parallelism_divides_the_routed_experts_alone():
    mixture = {"n_experts": 8.0, "n_active_experts": 2.0, "d_expert": 14336.0, "n_params": 4.6e10}
    mixture["n_params_with_embedding"] = mixture["n_params"] + 2 * KNOWN["vocab_size"] * KNOWN["d_model"]
    whole, spread = memory(**mixture), memory(**mixture, expert_parallel=8.0)
    routed = 32 * 8 * 3 * 4096 * 14336
    assert whole["device_weight_bytes"] - spread["device_weight_bytes"] == pytest.approx(2 * routed * 7 / 8)
    assert spread["device_optimizer_bytes"] == pytest.approx(whole["device_optimizer_bytes"])  # sharded over all copies
    one = memory(**{**mixture, "n_active_experts": 1.0})
    assert spread["device_activation_bytes"] > 1.3 * one["device_activation_bytes"]


def test_what_memory_cannot_be_counted_for_is_refused():
    law = shipped().get("layout-memory")
    known = {**KNOWN, "parameter_bytes": 1.6e10, "gradient_bytes": 1.6e10, "optimizer_bytes": 9.6e10}
    without = {name: value for name, value in known.items() if name != "d_ff"}
    assert point(law, known).status == "ok"
    assert point(law, without).status == "refused"
    assert point(law, {**known, "expert_parallel": 2.0}).status == "refused"
    assert point(law, {**known, "pipeline_parallel": 64.0}).status == "refused"


def test_layouts_that_did_not_run_do_not_fit(data):
    rows = read_layouts(data / "ultrascale_h100_throughput.csv", shipped())
    columns = {name: rows[name].to_numpy() for name in rows.columns if rows[name].dtype.is_numeric()}
    found = device_bytes({"precision": "bf16", "recomputation": "none"}, columns, shipped())["device_bytes"]
    fits = found <= MARGIN * columns["device_memory_bytes"]
    ran = rows["ran"].to_numpy()
    assert (~fits[~ran]).mean() >= 0.85
    assert fits[ran].mean() >= 0.95
    measured = columns["device_bytes"]
    told = np.isfinite(measured)
    assert np.exp(np.median(np.abs(np.log(found[told] / measured[told])))) <= 1.15
