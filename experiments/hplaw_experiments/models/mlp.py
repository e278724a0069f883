"""A multilayer perceptron without biases: features, `n_layers` hidden layers, classes."""

from __future__ import annotations

import numpy as np

import equinox as eqx
from jaxtyping import Array, Float

from hplaw_experiments.models.layers import ACTIVATIONS, Scaling, Weight, linear
from hplaw_experiments.models.precision import Policy


class MLP(eqx.Module):
    """Weights of an MLP: the layer that reads, those between, the one that outputs."""

    first: Weight
    hidden: tuple[Weight, ...]
    last: Weight
    activation: str = eqx.field(static=True)

    def __init__(
        self,
        scaling: Scaling,
        *,
        n_inputs: int,
        n_outputs: int,
        width: int,
        n_layers: int,
        activation: str = "relu",
        rng: np.random.Generator,
    ) -> None:
        self.first = scaling.matrix("input", (n_inputs, width), fan_in=n_inputs, rng=rng)
        self.hidden = tuple(scaling.matrix("hidden", (width, width), fan_in=width, rng=rng) for _ in range(1, n_layers))
        self.last = scaling.matrix("output", (width, n_outputs), fan_in=width, rng=rng)
        self.activation = activation

    def activations(self, x: Float[Array, "batch features"], policy: Policy) -> dict[str, Float[Array, "batch _"]]:
        """Return what every layer outputs, by its name, the logits last."""
        act = ACTIVATIONS[self.activation]
        found = {}
        for i, weight in enumerate((self.first, *self.hidden), start=1):
            x = act(linear(x, weight, policy))
            found[f"hidden {i}"] = x
        found["output"] = linear(x, self.last, policy)
        return found

    def __call__(self, x: Float[Array, "batch features"], policy: Policy) -> Float[Array, "batch classes"]:
        """Return the logits."""
        return self.activations(x, policy)["output"]


def mlp_params(*, n_inputs: int, n_outputs: int, width: int, n_layers: int) -> int:
    """Return the weights of an MLP, all of them.

    >>> mlp_params(n_inputs=64, n_outputs=10, width=128, n_layers=2)
    25856
    """
    return width * (n_inputs + (n_layers - 1) * width + n_outputs)
