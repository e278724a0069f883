"""A small residual network of the pre-activation kind: three stages, each of half the sides and twice the channels.

Norms go over all channels and places of an image (no running statistics, so that a step is a function of its batch).
"""

from __future__ import annotations

import numpy as np

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hplaw_experiments.models.layers import ACTIVATIONS, Scaling, Weight, linear, times
from hplaw_experiments.models.precision import Policy


STAGES = 3
"""Most stages; a network of fewer blocks has as many stages as blocks."""


class Norm(eqx.Module):
    """Gain and bias by channel behind a norm over the whole image."""

    gain: Weight
    bias: Weight

    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch h w c"]:
        """Return x with mean 0 and variance 1 in each image, then gain and bias."""
        centred = x - jnp.mean(x, axis=(1, 2, 3), keepdims=True)
        variance = jnp.mean(jnp.square(centred), axis=(1, 2, 3), keepdims=True)
        gain = jax.lax.broadcast_in_dim(self.gain.value, x.shape, (3,))
        bias = jax.lax.broadcast_in_dim(self.bias.value, x.shape, (3,))
        return centred * jax.lax.rsqrt(variance + 1e-5) * gain + bias


class Block(eqx.Module):
    """Norm, activation, convolution, twice; beside it the identity, or a convolution of one place where the shape changes."""

    norms: tuple[Norm, Norm]
    convs: tuple[Weight, Weight]
    skip: Weight | None
    stride: int = eqx.field(static=True)


class ConvNet(eqx.Module):
    """Weights of a convolutional network."""

    stem: Weight
    blocks: tuple[Block, ...]
    norm: Norm
    last: Weight
    activation: str = eqx.field(static=True)
    branch: float = eqx.field(static=True)

    def __init__(
        self,
        scaling: Scaling,
        *,
        channels: int,
        n_outputs: int,
        width: int,
        n_layers: int,
        activation: str = "relu",
        rng: np.random.Generator,
    ) -> None:

        def conv(kind, size, c_in, c_out):
            fan_in = size * size * c_in
            return scaling.matrix(kind, (size, size, c_in, c_out), fan_in=fan_in, rng=rng)

        def norm(kind, c):
            return Norm(scaling.constant(kind, (c,), 1.0), scaling.constant(kind, (c,), 0.0))

        self.stem = conv("input", 3, channels, width)
        blocks = []
        for c_in, c_out, stride in plan(width, n_layers):
            convs = (conv("hidden", 3, c_in, c_out), conv("hidden", 3, c_out, c_out))
            skip = None if stride == 1 else conv("hidden", 1, c_in, c_out)
            norms = (norm("block_vector", c_in), norm("block_vector", c_out))
            blocks.append(Block(norms, convs, skip, stride))
        self.blocks = tuple(blocks)
        top = plan(width, n_layers)[-1][1]
        self.norm = norm("vector", top)
        self.last = scaling.matrix("output", (top, n_outputs), fan_in=top, rng=rng)
        self.activation = activation
        self.branch = scaling.branch

    def activations(
        self, x: Float[Array, "batch h w channels"], policy: Policy
    ) -> dict[str, Float[Array, "batch ..."]]:
        """Return what the stem, every block and the readout output, by name, the logits last."""
        act = ACTIVATIONS[self.activation]
        x = convolve(x, self.stem, 1, policy)
        found = {"stem": x}
        for i, block in enumerate(self.blocks, start=1):
            y = act(block.norms[0](x))
            beside = x if block.skip is None else convolve(y, block.skip, block.stride, policy)
            y = convolve(y, block.convs[0], block.stride, policy)
            y = convolve(act(block.norms[1](y)), block.convs[1], 1, policy)
            x = beside + times(y, self.branch)
            found[f"block {i}"] = x
        pooled = jnp.mean(act(self.norm(x)), axis=(1, 2))
        found["output"] = linear(pooled, self.last, policy)
        return found

    def __call__(self, x: Float[Array, "batch h w channels"], policy: Policy) -> Float[Array, "batch classes"]:
        """Return the logits."""
        return self.activations(x, policy)["output"]


def convolve(
    x: Float[Array, "batch h w c_in"], weight: Weight, stride: int, policy: Policy
) -> Float[Array, "batch h2 w2 c_out"]:
    """Return the convolution in fp32, padded so that only the stride shrinks the image.

    Done as one product of patches with the weights: several times faster than XLA's own convolution on a CPU, and in a
    pack it stays a batched product where the other becomes a convolution of many groups.
    """
    size, _, c_in, c_out = weight.value.shape
    _, h, w, _ = x.shape
    low = (size - 1) // 2
    padded = jnp.pad(x, ((0, 0), (low, size - 1 - low), (low, size - 1 - low), (0, 0)))
    shifted = [padded[:, i : i + h : stride, j : j + w : stride] for i in range(size) for j in range(size)]
    patches = jnp.concatenate(shifted, axis=-1)
    matrix = jnp.reshape(weight.value, (size * size * c_in, c_out))
    return linear(patches, Weight(matrix, weight.kind, weight.rule), policy)


def plan(width: int, n_layers: int) -> list[tuple[int, int, int]]:
    """Return channels in, channels out and stride of each block.

    >>> plan(16, 4)
    [(16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 64, 2)]
    """
    stages = min(STAGES, n_layers)
    counts = [n_layers // stages + (s < n_layers % stages) for s in range(stages)]
    blocks, c_in = [], width
    for stage, count in enumerate(counts):
        c_out = width * 2**stage
        for i in range(count):
            blocks.append((c_in, c_out, 2 if stage and not i else 1))
            c_in = c_out
    return blocks


def convnet_counts(*, side: int, channels: int, n_outputs: int, width: int, n_layers: int) -> tuple[int, int]:
    """Return parameters, and multiply-adds of one image's forward pass (norms omitted).

    >>> convnet_counts(side=8, channels=1, n_outputs=10, width=8, n_layers=3)
    (19704, 193344)
    """
    params = 9 * channels * width
    work = params * side * side
    for c_in, c_out, stride in plan(width, n_layers):
        side = -(-side // stride)
        weights = 9 * c_out * (c_in + c_out) + (c_in * c_out if stride > 1 else 0)
        params += weights + 2 * (c_in + c_out)
        work += weights * side * side
    params += 2 * c_out + c_out * n_outputs
    return params, work + c_out * n_outputs
