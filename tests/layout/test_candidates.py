"""The layouts that are looked at: every one can be run."""

import numpy as np
import pytest

from hplaw.layout.candidates import SLACK, candidates
from hplaw.layout.shape import usual_shape


SHAPE = usual_shape(70e9)


@pytest.mark.parametrize("devices", [1, 6, 8, 48, 64, 1000, 1024])
def test_degrees_multiply_to_the_accelerators_and_batches_to_the_batch(devices):
    found = candidates(SHAPE, devices=devices, devices_per_node=8, batch_seqs=1024.0)
    product = found["tensor_parallel"] * found["pipeline_parallel"] * found["data_parallel"]
    assert (product == devices).all()
    batch = found["micro_batch_seqs"] * found["accumulation"] * found["data_parallel"]
    assert (batch == found["batch_seqs"]).all()
    assert (np.abs(batch / 1024 - 1) <= SLACK).all()
    assert len(batch)


def test_tensor_parallelism_divides_heads_and_stays_within_a_node():
    found = candidates(SHAPE, devices=64, devices_per_node=8, batch_seqs=1024.0)
    assert {*found["tensor_parallel"]} == {1, 2, 4, 8}
    assert {*candidates(SHAPE, devices=64, devices_per_node=4, batch_seqs=1024.0)["tensor_parallel"]} == {1, 2, 4}
    grouped = {**SHAPE, "n_kv_heads": 2.0}
    assert {*candidates(grouped, devices=64, devices_per_node=8, batch_seqs=1024.0)["tensor_parallel"]} == {1, 2}


def test_stages_are_even_but_for_the_first_and_the_last():
    found = candidates({**SHAPE, "n_layers": 126.0}, devices=1024, devices_per_node=8, batch_seqs=4096.0)
    assert {*found["pipeline_parallel"]} == {1, 2, 4, 8, 16, 32, 64, 128} - {128}


def test_sharding_more_than_the_state_goes_without_a_pipeline():
    found = candidates(SHAPE, devices=64, devices_per_node=8, batch_seqs=1024.0)
    assert (found["zero_stage"][found["pipeline_parallel"] > 1] <= 1).all()
    assert (found["zero_stage"][found["data_parallel"] == 1] == 0).all()
    assert {*found["zero_stage"]} == {0, 1, 2, 3}


def test_nothing_splits_one_sequence_over_many():
    found = candidates({**SHAPE, "n_layers": 2.0}, devices=64, devices_per_node=8, batch_seqs=1.0)
    assert not len(found["batch_seqs"])
