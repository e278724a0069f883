"""From a trial to its model, and to what the model counts."""

from __future__ import annotations

import numpy as np

import equinox as eqx
import jax

from hplaw.errors import QueryError, nearest
from hplaw_experiments.data import Dimensions, dimensions
from hplaw_experiments.models.convnet import ConvNet, convnet_counts
from hplaw_experiments.models.layers import ACTIVATIONS, Scaling
from hplaw_experiments.models.mlp import MLP, mlp_params
from hplaw_experiments.models.transformer import Shape, Transformer, full_shape, transformer_params
from hplaw_experiments.trial import Trial, steps


def scaling(trial: Trial) -> Scaling:
    """Return the parametrization of a trial at its size; without a base, its own size is the base."""
    return Scaling(
        parametrization=trial.parametrization,
        optimizer=trial.optimizer,
        width=trial.width / (trial.base_width or trial.width),
        depth=trial.n_layers / (trial.base_n_layers or trial.n_layers),
    )


def shapes(trial: Trial) -> tuple[Shape, Shape]:
    """Return the shape of a trial's Transformer, and of its base."""
    shape = full_shape(
        width=trial.width, n_layers=trial.n_layers, d_ff=trial.d_ff, n_heads=trial.n_heads, n_kv_heads=trial.n_kv_heads
    )
    _check(shape)
    if not trial.base_width or trial.base_width == trial.width:
        return shape, shape
    d_ff = round(trial.d_ff * trial.base_width / trial.width)
    base = full_shape(
        width=trial.base_width, n_layers=trial.base_n_layers or trial.n_layers, d_ff=d_ff, n_heads=trial.n_heads
    )
    return shape, base


def _check(shape: Shape) -> None:
    if shape.d_model % shape.n_heads:
        message = (
            f"width={shape.d_model} is not a multiple of n_heads={shape.n_heads}; give heads that divide the width"
        )
        raise QueryError(message, field="n_heads")
    if shape.n_heads % shape.n_kv_heads:
        message = (
            f"n_heads={shape.n_heads} is not a multiple of n_kv_heads={shape.n_kv_heads}; give groups of equal size"
        )
        raise QueryError(message, field="n_kv_heads")


def build_model(trial: Trial, *, seed: int | None = None) -> eqx.Module:
    """Return the model of a trial with its initial weights, which the trial's seed or another one chooses.

    **Raises:** `QueryError` where family, shape and data do not go together.
    """
    rng = np.random.Generator(np.random.Philox(trial.seed if seed is None else seed))
    return jax.device_put(_model(trial, rng))


def _model(trial: Trial, rng: np.random.Generator) -> eqx.Module:
    size = _fitting(trial)
    if trial.family == "transformer":
        shape, base = shapes(trial)
        return Transformer(
            scaling(trial), shape=shape, base=base, vocab_size=size.outputs, tied=trial.tied_embedding, rng=rng
        )
    if trial.activation not in ACTIVATIONS:
        message = f"'{trial.activation}' is no activation{nearest(trial.activation, ACTIVATIONS)}; give one of {', '.join(ACTIVATIONS)}"
        raise QueryError(message, field="activation")
    common = {"n_outputs": size.outputs, "width": trial.width, "n_layers": trial.n_layers}
    if trial.family == "mlp":
        return MLP(scaling(trial), n_inputs=size.features, **common, activation=trial.activation, rng=rng)
    return ConvNet(scaling(trial), channels=1, **common, activation=trial.activation, rng=rng)


def n_params(trial: Trial) -> float:
    """Return the parameters of a trial's model, without embedding and unembedding of tokens.

    >>> n_params(Trial(width=128, tokens=64, batch_tokens=64, peak_lr=1e-3))
    25856.0
    """
    if trial.family == "transformer":
        return float(transformer_params(shapes(trial)[0]))
    size = _fitting(trial)
    if trial.family == "mlp":
        return float(
            mlp_params(n_inputs=size.features, n_outputs=size.outputs, width=trial.width, n_layers=trial.n_layers)
        )
    return float(_convnet(trial, size)[0])


def flop_per_token(trial: Trial) -> float:
    """Return the training FLOP of one token, or of one example of a classifier; 2 for a multiply-add, backward counted.

    6 n_params, with attention's 12 n_layers d_model seq_len for a Transformer; a convolution's weights count once for
    each place.

    >>> flop_per_token(Trial(width=128, tokens=64, batch_tokens=64, peak_lr=1e-3))
    155136.0
    """
    if trial.family == "transformer":
        return 6.0 * n_params(trial) + 12.0 * trial.n_layers * trial.width * trial.seq_len
    if trial.family == "mlp":
        return 6.0 * n_params(trial)
    return 6.0 * _convnet(trial, _fitting(trial))[1]


def flop(trial: Trial) -> float:
    """Return the training FLOP of a trial: FLOP of a token times the tokens of its steps.

    >>> flop(Trial(width=128, tokens=6400, batch_tokens=64, peak_lr=1e-3))
    992870400.0
    """
    return flop_per_token(trial) * steps(trial) * trial.batch_tokens


def _convnet(trial: Trial, size: Dimensions) -> tuple[int, int]:
    return convnet_counts(
        side=size.side, channels=1, n_outputs=size.outputs, width=trial.width, n_layers=trial.n_layers
    )


def _fitting(trial: Trial) -> Dimensions:
    """Return the sizes of a trial's data, which must be of the kind that its model reads."""
    size = dimensions(trial.data, trial.data_options)
    if size.language != (trial.family == "transformer"):
        kind = "text" if size.language else "examples with a class each"
        message = f"data '{trial.data}' gives {kind}, which a {trial.family} does not read"
        raise QueryError(message, field="data")
    if trial.family == "convnet" and not size.side:
        message = f"data '{trial.data}' has no images for a convnet; give digits"
        raise QueryError(message, field="data")
    return size
