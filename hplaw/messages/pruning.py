"""The wire types of pruning: regimes over density and temperature, advice for one case or many, the choice between models."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from hplaw.messages.law import Citation
from hplaw.messages.recommendation import AnswerWarning
from hplaw.messages.record import Record


MAX_CASES = 10_000
"""Cases that one request may hold."""

PUBLISHED_MAP = "pruning-preresnet20-cifar10"
"""The map that answers where none is named."""

Share = Annotated[float, Meta(description="share of the weights that pruning keeps, above 0 and at most 1")]
Epochs = Annotated[float, Meta(description="epochs of the training before pruning, above 0")]
Connectivity = Annotated[float, Meta(description="linear mode connectivity of two retrainings, -1 to 1")]
Alike = Annotated[float, Meta(description="centered kernel alignment of two retrainings' outputs, 0 to 1")]
Retrains = Annotated[float, Meta(description="retrainings behind lmc and cka; two or more")]

LIMITS: dict[str, tuple[float, float]] = {
    "density": (0, 1),
    "epochs": (0, 1e9),
    "to_epochs": (0, 1e9),
    "lmc": (-1, 1),
    "cka": (0, 1),
    "retrains": (1, 1e9),
}
"""What the fields of a case may be; checked where the case is answered, so that one wrong row of many stops no other."""

POSITIVE = ("density", "epochs", "to_epochs")
"""Fields that may not be zero."""


class PruneCase(Record, frozen=True, kw_only=True, omit_defaults=True):
    """One model to prune: density and epochs, or what was measured of two retrainings, or both.

    - `to_epochs`: the epochs to compare with; those of lowest expected error in the direction advised by default.
    - `lmc`, `cka`: measured connectivity and similarity; they decide the regime where they are given.
    - `model`: a name; where cases have one, the reply says which model to prune.
    """

    density: Share | None = None
    epochs: Epochs | None = None
    to_epochs: Epochs | None = None
    lmc: Connectivity | None = None
    cka: Alike | None = None
    retrains: Retrains | None = None
    model: Annotated[str, Meta(max_length=200)] | None = None


class PruneRequest(Record, frozen=True, kw_only=True, omit_defaults=True):
    """One case by its fields, or many in `cases`; `map` is the id of a law of kind grid over density and epochs."""

    map: str = PUBLISHED_MAP
    density: Share | None = None
    epochs: Epochs | None = None
    to_epochs: Epochs | None = None
    lmc: Connectivity | None = None
    cka: Alike | None = None
    retrains: Retrains | None = None
    cases: list[PruneCase] = field(default_factory=list[PruneCase])


class ErrorChange(Record, frozen=True, kw_only=True):
    """Expected change of test error from one number of epochs to another at a density, with the 90% interval."""

    from_epochs: float
    to_epochs: float
    value: float
    low: float | None = None
    high: float | None = None
    law: str


class PruneAdvice(Record, frozen=True, kw_only=True):
    """Regime, probabilities, what to do, and what it is expected to change.

    - `regime`: I, II-A, II-B, or `uncertain` where no class is likely enough; the probabilities sum to 1 all the same.
    - `action`: hotter, cooler or keep; `means` says it in words.
    - `turn`: which way each temperature-like hyperparameter goes: lower, raise or keep.
    - `basis`: map, thresholds or measured, for thresholds on measured values beside a map's error.
    - `error_change`: null where no law of the error answers, with the reason in `reason`.
    """

    regime: str
    p_I: float
    p_IIA: float
    p_IIB: float
    action: str
    means: str
    turn: dict[str, str]
    basis: str
    law: str
    density: float | None = None
    epochs: float | None = None
    error_change: ErrorChange | None = None
    reason: str | None = None
    warnings: list[AnswerWarning] = []
    citations: list[Citation] = []


class PruneRow(Record, frozen=True, kw_only=True):
    """The answer to one of many cases; `error` says why there is none."""

    model: str | None = None
    advice: PruneAdvice | None = None
    error: str | None = None


class ModelChoice(Record, frozen=True, kw_only=True):
    """Which model to prune: of those that are connected, the one whose retrainings are most alike.

    - `rejected`: models whose connectivity is below the threshold `lmc_below`; `model` is null where all are.
    """

    model: str | None
    rejected: list[str]
    lmc_below: float
    say: str


class PruneReply(Record, frozen=True, kw_only=True):
    """Answers to many cases in their order, and which model to prune where they name models."""

    rows: list[PruneRow]
    choice: ModelChoice | None = None


class RegimeMap(Record, frozen=True, kw_only=True):
    """A map whole: `probabilities[density][epochs][class]` at the coordinates of `axes`, linear between them.

    - `reject_below`: probability of the likeliest class below which a regime is called uncertain.
    - `held_out`: scores on cells that the map was not learned from.
    """

    law: str
    title: str
    axes: dict[str, list[float]]
    classes: list[str]
    probabilities: list[list[list[float]]]
    reject_below: float
    error_law: str | None = None
    held_out: dict[str, float] = {}
    notes: str = ""
    citation: Citation
