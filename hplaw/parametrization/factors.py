"""Parametrizations: what a layer's init, rate, decay and epsilon become in a wider or deeper model, by the law of each.

All factors are relative to a base model that was tuned: m is the width over the base width, depth the number of
residual blocks over the base's. At m = depth = 1 every factor is 1.0 exactly, so that all parametrizations are one.
A layer computes `multiplier * w x`; its weights start with the base's standard deviation times `init` and learn with the
base's rate times `rate`. Weight decay is the coupled one of PyTorch's AdamW: what shrinks a weight is rate times decay.

The tables are laws of theory, `parametrization-mup` and so on, with their sources.
"""

from __future__ import annotations

import functools as ft
from collections.abc import Mapping
from typing import Any, Literal, get_args

import msgspec

from hplaw.answer.answer import plain_outputs
from hplaw.errors import QueryError, nearest
from hplaw.law import Law
from hplaw.law.shipped import theory_law


LayerKind = Literal["input", "embedding", "hidden", "output", "vector", "block_vector"]
"""What a parameter is: reads features of finite number; looks tokens up; from width to width; from width to finitely many
outputs; a bias or gain; a bias or gain inside a residual block."""

KINDS: tuple[LayerKind, ...] = get_args(LayerKind)

PARAMETRIZATIONS = ("standard", "ntk", "mean_field", "mup", "depth_mup", "completep", "u_mup")
"""The parametrizations shipped; the law of each is `parametrization-NAME`, with hyphens."""

OPTIMIZERS = ("sgd", "momentum", "adam", "adamw", "muon")
"""Optimizers whose updates the laws know."""

_ALIASES = {"sp": "standard", "ntp": "ntk", "mfp": "mean_field"}
"""Other names that papers use."""


class LayerRule(msgspec.Struct, frozen=True, kw_only=True):
    """The factors of one layer over those of the base model's.

    - `init`: of the standard deviation of the initial weights.
    - `multiplier`: of what the layer outputs.
    - `rate`, `decay`, `epsilon`: of learning rate, weight decay and Adam's epsilon.
    """

    init: float = 1.0
    multiplier: float = 1.0
    rate: float = 1.0
    decay: float = 1.0
    epsilon: float = 1.0


def find_parametrization(name: str) -> Law:
    """Return the law of a parametrization by its name, with hyphens or underscores.

    **Raises:** `QueryError` for a name that is not known.

    >>> find_parametrization("mean-field").id
    'parametrization-mean-field'
    """
    known = name.lower().replace("-", "_")
    known = _ALIASES.get(known, known)
    if known not in PARAMETRIZATIONS:
        message = f"'{name[:80]}' is no parametrization{nearest(known[:80], PARAMETRIZATIONS)}; give one of {', '.join(PARAMETRIZATIONS)}"
        raise QueryError(message, field="parametrization")
    return theory_law(f"parametrization-{known.replace('_', '-')}")


@ft.lru_cache(maxsize=64)
def factors(
    parametrization: str,
    optimizer: str,
    *,
    width: float = 1.0,
    depth: float = 1.0,
    fan_out: float | None = None,
    head: float = 1.0,
) -> Mapping[str, Any]:
    """Return all that the law of a parametrization gives at a size, tables by kind of layer.

    **Arguments:**

    - `width`: m, a layer's fan-in over the base's; for input, embedding and vectors the fan-out.
    - `depth`: residual blocks over the base's.
    - `fan_out`: of a hidden layer that is not scaled alike at both ends, its fan-out over the base's.
    - `head`: width of an attention head over the base's.

    **Raises:** `QueryError` for a name that is not known, a ratio that is not positive and finite, or an optimizer
    that the table does not know.

    >>> factors("completep", "adamw", width=4.0, depth=4.0)["epsilon_factor"]["hidden"]
    0.0625
    """
    given: dict[str, Any] = {
        "width_multiplier": width,
        "depth_multiplier": depth,
        "head_multiplier": head,
        "optimizer": optimizer,
    }
    if fan_out is not None:
        given["fan_out_multiplier"] = fan_out
    law = find_parametrization(parametrization)
    status, found = plain_outputs(law, given)
    if status == "refused":
        message = f"optimizer='{optimizer}' has no place in {law.id}; give one of {', '.join(OPTIMIZERS)}"
        raise QueryError(message, field="optimizer")
    return found


def layer_rule(
    kind: LayerKind,
    *,
    parametrization: str,
    optimizer: str,
    width: float = 1.0,
    depth: float = 1.0,
    fan_out: float | None = None,
) -> LayerRule:
    """Return the factors of one layer; the arguments are those of `factors`.

    >>> layer_rule("hidden", parametrization="mup", optimizer="adam", width=8.0)
    LayerRule(init=0.353553390593..., multiplier=1.0, rate=0.125, decay=8.0, epsilon=1.0)
    """
    found = factors(parametrization, optimizer, width=width, depth=depth, fan_out=fan_out)
    return LayerRule(
        init=found["init_factor"][kind],
        multiplier=found["forward_factor"][kind],
        rate=found["lr_factor"][kind],
        decay=found["decay_factor"][kind],
        epsilon=found["epsilon_factor"][kind],
    )


def branch_factor(parametrization: str, *, depth: float) -> float:
    """Return the factor of each residual branch in a model `depth` times as deep as the base.

    >>> branch_factor("completep", depth=4.0)
    0.25
    """
    return factors(parametrization, "adamw", depth=depth)["branch_factor"]


def attention_factor(parametrization: str, *, head: float) -> float:
    """Return the factor of attention's logits, beside 1 / sqrt(d_head), where heads are `head` times as wide.

    >>> attention_factor("mup", head=4.0)
    0.5
    """
    return factors(parametrization, "adamw", head=head)["attention_factor"]
