"""The wire types of a transfer: hyperparameters tuned at one batch, and what rules give for them at another."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from hplaw.messages.parametrization import MuonScale
from hplaw.messages.record import Record


Batch = Annotated[
    float, Meta(gt=0, le=1e15, description="tokens, sequences or examples in one step, the same unit throughout")
]


class TransferRequest(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A learning rate that suits one batch, and the batch to go to.

    `given` has what else is known, by quantity: `base_beta1`, `base_beta2`, `base_adam_epsilon`, `base_weight_decay`, and
    what decides between rules: `noise_scale_tokens`, `surge_batch_tokens`, `hessian_edge`, `hessian_noise`.

    With `from_optimizer` adamw and `optimizer` muon, `peak_lr` was tuned with AdamW: Muon's rate on the scale `muon_scale` is
    taken from it for a matrix of `given` `fan_out` rows and `fan_in` columns, or of `d_model` by itself. Then both batches may be
    omitted.
    """

    peak_lr: Annotated[float, Meta(gt=0, le=1e6, description="learning rate that suits `batch_tokens`")]
    batch_tokens: Batch | None = None
    to_batch_tokens: Batch | None = None
    optimizer: str = "adamw"
    from_optimizer: str | None = None
    muon_scale: MuonScale = "original"
    given: dict[str, float] = field(default_factory=dict[str, float])


Ends = Annotated[list[float], Meta(min_length=2, max_length=2)]
"""Lower and upper end of an interval; a list, as generators of clients know no tuples."""


class TransferRule(Record, frozen=True, kw_only=True):
    """What one rule gives.

    - `status`: that of the law at this point; `other-optimizer` where it is not for the one given, `lacks-input` where
      `lacks` names what would have to be given.
    - `values`: what it gives at the new batch, by quantity; `exponent` the power of the batch that its rate amounts to.
    - `intervals`: the 90% interval of what a measured law gives, by quantity; a rule of theory has none.
    - `follows`: what else goes with this rate by rules that take it, weight decay first.
    - `assumes`: what it rests on; `say` the words of the case that applies.
    """

    law: str
    title: str
    checked: str
    status: str
    values: dict[str, float] = field(default_factory=dict[str, float])
    intervals: dict[str, Ends] = field(default_factory=dict[str, Ends])
    exponent: float | None = None
    follows: dict[str, float] = field(default_factory=dict[str, float])
    assumes: str = ""
    say: str | None = None
    lacks: list[str] = field(default_factory=list[str])


class Conversion(Record, frozen=True, kw_only=True):
    """A rate of AdamW as one of Muon, at the batch where it was tuned.

    - `ratio`: Muon's rate over AdamW's; a weight decay is divided by it.
    - `fan_out`, `fan_in`: rows and columns of the matrix.
    """

    law: str
    from_optimizer: str
    muon_scale: MuonScale
    fan_out: float
    fan_in: float
    ratio: float
    peak_lr: float


class Agreement(Record, frozen=True, kw_only=True):
    """Rules whose rates lie within a tenth of one another, and that rate's minimum and maximum."""

    low: float
    high: float
    laws: list[str]


class Transfer(Record, frozen=True, kw_only=True):
    """What each rule gives for hyperparameters at another batch, where rules agree, and what decides between them.

    `ratio` is the new batch over the old one; `agreements` go from the minimum rate to the maximum. `conversion` is what a rate of
    another optimizer became first: the rules then start from it.
    """

    query: TransferRequest
    ratio: float
    rules: list[TransferRule]
    agreements: list[Agreement]
    decides: list[str]
    conversion: Conversion | None = None
