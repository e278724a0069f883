"""Parametrisations as tables over layer kinds: what a layer's init, rate, decay and epsilon become in a wider or deeper model.

All factors are relative to a base model that was tuned: m is the width over the base width, depth the number of
residual blocks over the base's. At m = depth = 1 every factor is 1.0 exactly, so that all parametrisations are one.
A layer computes `multiplier * w x`; its weights start with the base's standard deviation times `init` and learn with the
base's rate times `rate`. Weight decay is the coupled one of PyTorch's AdamW: what shrinks a weight is rate times decay.

**Source:** Tensor Programs IV (2011.14522) for the kernel and mean-field scalings, V (2203.03466, table 8 and the `mup`
package) for muP, VI (2310.02244) for depth-muP, 2505.01618 for CompleteP, 2407.17465 and the `unit_scaling` package for
u-muP, 2407.05872 for Adam's exponents in the kernel and mean-field scalings (full alignment).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, get_args

import msgspec

from hplaw.errors import QueryError, nearest


LayerKind = Literal["input", "embedding", "hidden", "output", "vector", "block_vector"]
"""What a parameter is: reads features of finite number; looks tokens up; from width to width; from width to finitely many
outputs; a bias or gain; a bias or gain inside a residual block."""

Rule = Literal["sgd", "adam", "muon"]

KINDS: tuple[LayerKind, ...] = get_args(LayerKind)

_RULES: Mapping[str, Rule] = {
    "sgd": "sgd", "momentum": "sgd", "adam": "adam", "adamw": "adam", "muon": "muon",
}  # fmt: skip
"""How an optimizer's update goes with its gradient: in proportion, by sign, or as an orthogonal matrix."""


class LayerRule(msgspec.Struct, frozen=True, kw_only=True):
    """The factors of one layer over those of the base model's.

    - `init`: of the standard deviation of the initial weights.
    - `multiplier`: of what the layer puts out.
    - `rate`, `decay`, `epsilon`: of learning rate, weight decay and Adam's epsilon.
    """

    init: float = 1.0
    multiplier: float = 1.0
    rate: float = 1.0
    decay: float = 1.0
    epsilon: float = 1.0


class Exponents(msgspec.Struct, frozen=True):
    """How one layer goes with width n: multiplier n^-a, initial deviation n^-b, rate n^-c for SGD and for Adam."""

    a: float
    b: float
    sgd: float
    adam: float


class Parametrization(msgspec.Struct, frozen=True, kw_only=True):
    """One parametrisation: exponents by kind of layer, and what depth does.

    - `width`: exponents; `vector` stands for `block_vector` too, and `input` for `embedding` unless that is named.
    - `alpha`: a residual branch is multiplied by depth^-alpha.
    - `depth_adam`, `depth_sgd`: the rate within blocks goes with depth to this power.
    - `head`: attention's logits go with the width of a head to this power, beside 1 / sqrt(d_head).
    - `epsilon`: whether Adam's epsilon follows the size of the gradient.
    - `timescale`: whether rate times decay is held over depth as it is over width.
    """

    title: str
    width: Mapping[str, Exponents]
    alpha: float = 0.0
    depth_adam: float = 0.0
    depth_sgd: float = 0.0
    head: float = 0.0
    epsilon: bool = False
    timescale: bool = False


_NOTHING = Exponents(0.0, 0.0, 0.0, 0.0)

_MUP = {
    "input": Exponents(0.0, 0.0, -1.0, 0.0),
    "hidden": Exponents(0.0, 0.5, 0.0, 1.0),
    "output": Exponents(1.0, 0.0, -1.0, 0.0),
    "vector": Exponents(0.0, 0.0, -1.0, 0.0),
}

PARAMETRIZATIONS: Mapping[str, Parametrization] = {
    "standard": Parametrization(
        title="standard: initial weights by fan-in, one learning rate",
        width={
            "input": _NOTHING,
            "hidden": Exponents(0.0, 0.5, 0.0, 0.0),
            "output": Exponents(0.0, 0.5, 0.0, 0.0),
            "vector": _NOTHING,
        },
    ),
    "ntk": Parametrization(
        title="neural tangent kernel: features stand still as the width grows",
        width={
            "input": _NOTHING,
            "hidden": Exponents(0.5, 0.0, 0.0, 0.5),
            "output": Exponents(0.5, 0.0, 0.0, 0.5),
            "vector": _NOTHING,
        },
    ),
    "mean_field": Parametrization(
        title="mean field: the readout averages over the width",
        width={
            "input": Exponents(0.0, 0.0, -1.0, 0.0),
            "hidden": Exponents(0.5, 0.0, -1.0, 0.5),
            "output": Exponents(1.0, 0.0, -1.0, 0.0),
            "vector": Exponents(0.0, 0.0, -1.0, 0.0),
        },
    ),
    "mup": Parametrization(title="maximal update", width=_MUP, head=-0.5),
    "depth_mup": Parametrization(
        title="maximal update, residual branches by 1 / sqrt(depth)",
        width=_MUP,
        alpha=0.5,
        depth_adam=-0.5,
        head=-0.5,
        epsilon=True,
    ),
    "completep": Parametrization(
        title="maximal update, residual branches by 1 / depth: every layer learns features",
        width=_MUP,
        alpha=1.0,
        depth_sgd=1.0,
        head=-0.5,
        epsilon=True,
    ),
    "u_mup": Parametrization(
        title="unit-scaled maximal update: weights of unit variance, scales in the multipliers",
        width={
            "input": Exponents(0.0, 0.0, -1.0, 0.0),
            "embedding": Exponents(0.0, 0.0, -1.0, 0.5),
            "hidden": Exponents(0.5, 0.0, -1.0, 0.5),
            "output": Exponents(1.0, 0.0, -1.0, 0.0),
            "vector": Exponents(0.0, 0.0, -1.0, 0.0),
        },
        alpha=0.5,
        depth_adam=-0.5,
        head=-0.5,
        timescale=True,
    ),
}
"""The tables by name. CompleteP's rate for SGD in depth is derived: one power of depth makes good for its 1 / depth."""


def find_parametrization(name: str) -> Parametrization:
    """Return a parametrisation by its name.

    **Raises:** `QueryError` for a name that is not known.

    >>> find_parametrization("mup").title
    'maximal update'
    """
    found = PARAMETRIZATIONS.get(name)
    if found is None:
        known = ", ".join(PARAMETRIZATIONS)
        message = f"'{name[:80]}' is no parametrization{nearest(name, PARAMETRIZATIONS)}; give one of {known}"
        raise QueryError(message, field="parametrization")
    return found


def update_rule(optimizer: str) -> Rule:
    """Return how an optimizer's update goes with its gradient.

    **Raises:** `QueryError` where the tables do not know the optimizer.

    >>> update_rule("adamw")
    'adam'
    """
    rule = _RULES.get(optimizer)
    if rule is None:
        message = f"'{optimizer[:80]}' is not in the tables{nearest(optimizer, _RULES)}; give one of {', '.join(_RULES)}"
        raise QueryError(message, field="optimizer")
    return rule


def layer_rule(
    kind: LayerKind,
    *,
    parametrization: str,
    optimizer: str,
    width: float = 1.0,
    depth: float = 1.0,
    fan_out: float | None = None,
) -> LayerRule:
    """Return the factors of one layer: n^-b, n^-a, n^-c and so on, by the table.

    **Arguments:**

    - `width`: m, the layer's fan-in over the base's; for input, embedding and vectors the fan-out.
    - `depth`: residual blocks over the base's.
    - `fan_out`: for a hidden layer that is not scaled alike at both ends, its fan-out over the base's.

    >>> layer_rule("hidden", parametrization="mup", optimizer="adam", width=8.0)
    LayerRule(init=0.353553390593..., multiplier=1.0, rate=0.125, decay=8.0, epsilon=1.0)
    """
    table, rule = find_parametrization(parametrization), update_rule(optimizer)
    at = _exponents(table, kind)
    inside = kind in {"hidden", "block_vector"}
    if rule == "sgd":
        c, deeper = at.sgd, table.depth_sgd
    elif rule == "muon" and kind == "hidden":
        c, deeper = (0.0 if parametrization == "standard" else -at.a), table.depth_adam
    else:
        c, deeper = at.adam, table.depth_adam
    by_width = width**-c
    if rule == "sgd" and kind == "hidden" and fan_out is not None and table.head:
        by_width *= fan_out / width
    by_depth = depth**deeper if inside else 1.0
    held = by_width * (by_depth if rule == "sgd" or table.timescale else 1.0)
    epsilon = 1.0
    if table.epsilon and rule != "sgd":
        epsilon = width**-1.0 * (depth**-table.alpha if inside else 1.0)
    return LayerRule(
        init=width**-at.b,
        multiplier=width**-at.a,
        rate=by_width * by_depth,
        decay=1.0 / held,
        epsilon=epsilon,
    )


def branch_factor(parametrization: str, *, depth: float) -> float:
    """Return the factor of each residual branch, depth^-alpha, in a model `depth` times as deep as the base.

    >>> branch_factor("completep", depth=4.0)
    0.25
    """
    return depth ** -find_parametrization(parametrization).alpha


def attention_factor(parametrization: str, *, head: float) -> float:
    """Return the factor of attention's logits, beside 1 / sqrt(d_head), where heads are `head` times as wide.

    >>> attention_factor("mup", head=4.0)
    0.5
    """
    return head ** find_parametrization(parametrization).head


def layer_rules(
    parametrization: str, optimizer: str, *, width: float = 1.0, depth: float = 1.0
) -> dict[LayerKind, LayerRule]:
    """Return the whole table of a parametrisation for one optimizer.

    >>> layer_rules("standard", "sgd", width=4.0)["output"].init
    0.5
    """
    return {
        kind: layer_rule(
            kind, parametrization=parametrization, optimizer=optimizer, width=width, depth=depth
        )
        for kind in KINDS
    }


def unit_rate(
    kind: LayerKind, rule: Rule, *, fan_in: float, fan_out: float = 1.0, depth: float = 1.0
) -> float:
    """Return u-muP's factor of the rate as `unit_scaling` has it: of the sizes themselves, not of a base's.

    For SGD it is meant for gradients that leave out the layer's multiplier, as that package makes them; `layer_rule`
    is for plain gradients. Give `depth` (layers) for what lies on a residual branch.

    >>> round(unit_rate("hidden", "adam", fan_in=1024, depth=8), 7)
    0.0110485
    """
    if kind == "output":
        scale = 1.0
    elif kind in {"vector", "block_vector"}:
        scale = fan_out if rule == "sgd" else 1.0
    elif rule == "sgd":
        scale = math.sqrt(fan_in)
    else:
        scale = (fan_out if kind == "embedding" else fan_in) ** -0.5
    return scale * depth**-0.5


def residual_coefficients(
    n_branches: int, *, residual: float = 1.0, attention: float = 1.0
) -> tuple[float, ...]:
    """Return u-muP's tau of each residual branch, attention and feed-forward in turn.

    tau_i = alpha / sqrt(L / 2 + n_attention alpha_attention^2 + n_mlp alpha_mlp^2), over the branches before it.

    **Arguments:**

    - `n_branches`: L, two for each block.
    - `residual`, `attention`: u-muP's residual multiplier, and the ratio of attention's to the feed-forward's.

    >>> [round(tau, 7) for tau in residual_coefficients(4)]
    [0.7071068, 0.5773503, 0.5, 0.4472136]
    """
    mlp = residual * math.sqrt(2.0 / (1.0 + attention**2))
    alphas = (attention * mlp, mlp)
    return tuple(
        alphas[i % 2]
        / math.sqrt(n_branches / 2 + (i + 1) // 2 * alphas[0] ** 2 + i // 2 * alphas[1] ** 2)
        for i in range(n_branches)
    )


def _exponents(table: Parametrization, kind: LayerKind) -> Exponents:
    found = table.width.get(kind)
    if found is None:
        found = table.width["vector" if kind == "block_vector" else "input"]
    return found
