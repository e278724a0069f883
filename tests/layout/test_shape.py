"""The shape that layouts are worked out for: a model's own, or a usual one of its size."""

import pytest

from hplaw.errors import QueryError
from hplaw.layout.shape import shape_of, usual_shape
from tests.helpers import LLAMA_3_8B, MIXTRAL_8X7B, is_one_sentence, shipped


@pytest.mark.parametrize("n_params", [1e6, 3e7, 1e8, 4e8, 1e9, 3e9, 7e9, 1.3e10, 3.2e10, 7e10, 4e11, 1e13])
def test_a_usual_shape_has_about_the_parameters_that_it_is_for(n_params):
    shape = usual_shape(n_params)
    known = {name: value for name, value in shape.items() if name not in ("n_params", "n_params_with_embedding")}
    counted = (
        2 * known["d_model"] * 128 * (known["n_heads"] + known["n_kv_heads"]) + 3 * known["d_model"] * known["d_ff"]
    )
    near = 0.12 if n_params >= 5e7 else 0.8
    assert counted * known["n_layers"] == pytest.approx(n_params, rel=near)
    assert known["n_heads"] % known["n_kv_heads"] == 0


@pytest.mark.parametrize(("n_params", "layers", "width"), [(6.98e9, 32, 4096), (6.95e10, 80, 8192)])
def test_a_usual_shape_is_that_of_llama_3(n_params, layers, width):
    shape = usual_shape(n_params)
    assert (shape["n_layers"], shape["d_model"], shape["d_ff"]) == (layers, width, 3.5 * width)


def test_a_config_has_its_own_shape_and_counts():
    shape, assumed = shape_of(LLAMA_3_8B, None, shipped())
    assert (shape["n_params"], shape["n_params_with_embedding"]) == (6979588096, 8030261248)
    assert "seq_len" not in shape
    assert assumed == []


@pytest.mark.parametrize(
    ("model", "n_params", "field", "says"),
    [
        (None, None, "n_params", "give the size"),
        (MIXTRAL_8X7B, None, "model", "mixture of experts"),
        ({"model_type": "resnet"}, None, "model", "no transformer"),
        ({"d_model": 4096, "n_heads": 32, "d_ff": 11008}, None, "model", "n_layers is not given"),
    ],
)
def test_what_has_no_layout_says_so(model, n_params, field, says):
    with pytest.raises(QueryError) as caught:
        shape_of(model, n_params, shipped())
    assert caught.value.field == field
    assert says in str(caught.value)
    assert is_one_sentence(str(caught.value))


def test_a_shape_without_a_vocabulary_assumes_one():
    shape, assumed = shape_of({"n_layers": 32, "d_model": 4096, "n_heads": 32, "d_ff": 11008}, 7e9, shipped())
    assert shape["vocab_size"] == 128256
    assert shape["n_params"] == 7e9
    assert assumed == ["a vocabulary of 128,256 tokens"]
