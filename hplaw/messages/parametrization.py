"""The wire types of parametrizations: what `hplaw parametrize` and POST /v1/parametrize take and answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from hplaw.messages.law import Citation
from hplaw.messages.record import Record


Decay = Literal["coupled", "independent"]
"""What a weight decay means: multiplied by the learning rate in each step, as in PyTorch's AdamW, or not."""

MuonScale = Literal["original", "match_rms_adamw"]
"""The factor on Muon's update of an A x B array, as torch.optim.Muon names it: sqrt(max(1, A / B)), or 0.2 sqrt(max(A, B))."""

Size = Annotated[float, Meta(gt=0, le=1e9)]
_Base = Annotated[float, Meta(gt=0, le=1e6)]
_Config = Annotated[dict[str, Any], Meta(description="a model's config.json as Hugging Face has them")]


class ParametrizeRequest(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Which parametrization, at which size over which base, and what the base model was tuned to.

    Sizes: `width` and `base_width`, `depth` and `base_depth` in blocks, `d_head` and `base_d_head`; or `config`, a
    config.json, with `base_config` or `base_width`. Values of the base, `peak_lr` and so on, are optional: with them
    the answer has values beside factors.

    With the optimizer muon, `muon_scale` says on which scale its rates are, and `from_optimizer` adamw that `peak_lr` was
    tuned with AdamW: the rate of each matrix then follows from its shape.
    """

    scheme: str = "mup"
    optimizer: str = "adamw"
    from_optimizer: str | None = None
    muon_scale: MuonScale = "original"
    width: Size | None = None
    base_width: Size | None = None
    depth: Size | None = None
    base_depth: Size | None = None
    d_head: Size | None = None
    base_d_head: Size | None = None
    decay: Decay = "coupled"
    alignment: Annotated[float, Meta(ge=0.5, le=1)] | None = None
    peak_lr: _Base | None = None
    init_std: _Base | None = None
    weight_decay: Annotated[float, Meta(ge=0, le=1e6)] | None = None
    adam_epsilon: _Base | None = None
    config: _Config | None = None
    base_config: _Config | None = None


class LayerRow(Record, frozen=True, kw_only=True):
    """One kind of layer: factors over the base model's, and values where the base's were given."""

    kind: str
    init: float
    multiplier: float
    rate: float
    decay: float
    epsilon: float
    init_std: float | None = None
    peak_lr: float | None = None
    weight_decay: float | None = None
    adam_epsilon: float | None = None


class WeightRow(Record, frozen=True, kw_only=True):
    """The weights of one name, a star for the number of a block or expert: how many, their shape, and their row.

    A readout that is `tied_to` the embedding has the embedding's init, rate, decay and epsilon, and its own multiplier.
    """

    name: str
    count: int
    shape: list[int]
    row: LayerRow
    tied_to: str | None = None


class LayerTable(Record, frozen=True, kw_only=True):
    """A parametrization at a size.

    - `from_optimizer`, `muon_scale`: whose rate the factors are over, and the scale of Muon's rates; null where neither plays a part.
    - `convention`: what the weight decay means, in words.
    - `regime`: unstable, trivial, kernel or feature: what an infinitely wide network does by the exponents.
    - `branch_factor`, `attention_factor`: of residual branches, and of attention's logits beside 1 / sqrt(d_head).
    """

    scheme: str
    title: str
    law: str
    optimizer: str
    from_optimizer: str | None = None
    muon_scale: MuonScale | None = None
    width_multiplier: float
    depth_multiplier: float
    head_multiplier: float
    decay: Decay
    convention: str
    regime: str | None
    branch_factor: float
    attention_factor: float
    layers: list[LayerRow]
    weights: list[WeightRow] = field(default_factory=list[WeightRow])
    citation: Citation


class AbcRequest(Record, frozen=True, kw_only=True, omit_defaults=True):
    """Exponents in width of multiplier, initial deviation and rate by role (input, hidden, output): numbers or fractions.

    One number for `c` is the rate of all roles. `hidden_layers` counts the matrices from hidden to hidden layer.
    """

    a: dict[str, float | str]
    b: dict[str, float | str]
    c: dict[str, float | str] | float | str = 0.0
    optimizer: Literal["sgd", "adam"] = "sgd"
    hidden_layers: Annotated[float, Meta(ge=0, le=10_000)] = 1
    alignment: Annotated[float, Meta(ge=0.5, le=1)] = 1.0


class AbcReply(Record, frozen=True, kw_only=True):
    """The regime of an abc-parametrization, r as a fraction, and the exponents of the largest rates.

    - `say`: the regime in words.
    - `law`: which law says so.
    """

    regime: str
    r: str
    say: str
    largest_rates: dict[str, str]
    law: str
