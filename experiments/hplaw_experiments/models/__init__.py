"""Small models with a declared width, depth and base: MLP, residual network, decoder Transformer."""

from hplaw_experiments.models.build import build_model, flop, flop_per_token, n_params, scaling
from hplaw_experiments.models.convnet import ConvNet
from hplaw_experiments.models.layers import Scaling, Weight, cross_entropy, is_weight
from hplaw_experiments.models.mlp import MLP
from hplaw_experiments.models.transformer import Transformer


__all__ = [
    "MLP",
    "ConvNet",
    "Scaling",
    "Transformer",
    "Weight",
    "build_model",
    "cross_entropy",
    "flop",
    "flop_per_token",
    "is_weight",
    "n_params",
    "scaling",
]
