"""What a sweep is, what one trial of it is, and what came of a trial: plain values, apart from who runs them.

A `Trial` has one value for each field, under the vocabulary's word where there is one. Its key is a hash of
the fields that matter, so that the same trial is never run twice, in whichever sweep it is.
A classifier's example counts as one token: `tokens` are examples seen, `batch_tokens` examples in a step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

import msgspec


Family = Literal["mlp", "convnet", "transformer"]
Precision = Literal["fp32", "tf32", "bf16", "fp16"]
Option = bool | int | float | str

KEY_VERSION = 1
"""Raised when the meaning of a field changes, so that older runs are not taken for newer ones."""


class Trial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One training run to be made.

    **Arguments:**

    - `family`, `width`, `n_layers`: the model; `width` is d_model of a Transformer, channels of the first
      stage of a ConvNet, the hidden width of an MLP; `n_layers` hidden layers or blocks.
    - `d_ff`, `n_heads`, `n_kv_heads`: of a Transformer; 0 leaves them to the family.
    - `seq_len`: tokens in one sequence; 1 for a classifier. A sweep of Transformers that does not give it takes 256,
      or the largest power of two below that divides all of its batches.
    - `tied_embedding`: input and output embedding are one matrix.
    - `activation`: of an MLP or ConvNet.
    - `parametrization`, `base_width`, `base_n_layers`: how init and rates go with width and depth; a base of
      0 is the trial's own size, where every parametrization is the standard one.
    - `data`, `data_options`, `data_seed`: the source by name, what it wants to know, the seed of its split
      and of what it makes up.
    - `tokens`, `batch_tokens`: training tokens, and tokens in one step; `steps(trial)` follows.
    - `optimizer`, `peak_lr`, `weight_decay`, `beta1`, `beta2`, `adam_epsilon`, `momentum`: as the vocabulary
      has them.
    - `gradient_clip`: largest global norm of a gradient, 0 for none.
    - `schedule`: the shape of the rate.
    - `schedule_law`: the id of a law that gives `learning_rate` from `step`, `total_steps` and `peak_lr`, in place of
      the schedule.
    - `warmup_fraction`: the share of the steps in which the rate rises.
    - `decay_fraction`: the share of the steps at the end in which it falls (wsd).
    - `final_lr_fraction`: the last rate over the peak.
    - `precision`: of the matrix products; sums and weights stay in fp32.
    - `seed`: of the initial weights and of the order of the data.
    - `forecast`: a hopeless trial may be stopped early by a forecast of its curve.
    - `curve_points`: at most so many points of the learning curve are kept; does not enter the key.
    """

    family: Family = "mlp"
    width: int = 64
    n_layers: int = 2
    d_ff: int = 0
    n_heads: int = 0
    n_kv_heads: int = 0
    seq_len: int = 1
    tied_embedding: bool = False
    activation: str = "relu"
    parametrization: str = "standard"
    base_width: int = 0
    base_n_layers: int = 0
    data: str = "digits"
    data_options: dict[str, Option] = {}
    data_seed: int = 0
    tokens: float
    batch_tokens: int
    optimizer: str = "adamw"
    peak_lr: float
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.95
    adam_epsilon: float = 1e-8
    momentum: float = 0.9
    gradient_clip: float = 0.0
    schedule: str = "cosine"
    schedule_law: str = ""
    warmup_fraction: float = 0.05
    decay_fraction: float = 0.2
    final_lr_fraction: float = 0.0
    precision: Precision = "fp32"
    seed: int = 0
    forecast: bool = False
    curve_points: int = 64


NOT_IN_KEY = frozenset({"curve_points"})
"""Fields that change what is kept of a run, not what happens in it."""

TRACED = frozenset(
    {
        "tokens",
        "peak_lr",
        "weight_decay",
        "beta1",
        "beta2",
        "adam_epsilon",
        "momentum",
        "gradient_clip",
        "warmup_fraction",
        "decay_fraction",
        "final_lr_fraction",
        "seed",
    }
)
"""Fields that may differ within one pack: they are values of the compiled program, not part of it."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came of one trial.

    **Arguments:**

    - `loss`: smoothed loss at the end, nat/token, on held-out data where the source holds some out; None
      where the trial diverged.
    - `train_loss`: smoothed training loss at the end, nat/token; None where the trial diverged.
    - `diverged`, `diverged_step`: whether the loss ceased to be finite (or left all bounds), and when.
    - `steps_done`: optimizer steps made; fewer than asked where the trial diverged or was stopped.
    - `stopped_early`: ended by a forecast, which `forecast_loss` (nat/token) says.
    - `seconds`: time of the trial without compilation, s; of a pack's time its share by compute.
    - `pack_width`: trials that ran together; `shared` says that time and energy are shares of a pack's.
    - `energy_j`, `energy_basis`: joules metered and by what (`nvml_counter`, `nvml_power`, `rapl`, `none`).
    - `curve_steps`, `curve_losses`: the thinned training curve: step counted from zero, nat/token.
    - `n_params`, `training_flop`: parameters without embedding, and the trial's compute.
    """

    loss: float | None
    train_loss: float | None = None
    diverged: bool = False
    diverged_step: int | None = None
    steps_done: int
    stopped_early: bool = False
    forecast_loss: float | None = None
    seconds: float
    pack_width: int = 1
    shared: bool = False
    energy_j: float | None = None
    energy_basis: str = "none"
    curve_steps: tuple[int, ...] = ()
    curve_losses: tuple[float, ...] = ()
    n_params: float | None = None
    training_flop: float | None = None


class Seen(msgspec.Struct, frozen=True):
    """What is seen of a trial while it trains.

    **Arguments:**

    - `trial`: which one.
    - `share`: of its steps that is done, from 0 to 1.
    - `loss`: training loss so far, smoothed, nat/token; None before there is one, and where it diverged.
    - `diverged`: whether the loss ceased to be finite.
    """

    trial: Trial
    share: float
    loss: float | None = None
    diverged: bool = False


@runtime_checkable
class Progress(Protocol):
    """What a trainer tells while it trains: the share of a pack's steps that is done, from 0 to 1.

    Called with 0 when all is compiled and the device is idle, just before the first step, and with 1 when the
    device has finished and been waited for: who meters a pack takes its window from this. `seen` are the trials that
    got on since the last call; a trainer may leave it out.
    """

    def __call__(self, share: float, seen: Sequence[Seen] = (), /) -> object: ...


class Walker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a space is walked: which of its points are run, and in which order.

    **Arguments:**

    - `kind`: `grid` runs all points, `random` and `sobol` so many of them; `halving` runs all at a share of the
      tokens, then the better ones for longer, until the full budget.
    - `points`: how many, where it is not all of them; `halving` draws them at random.
    - `seed`: of the draw.
    - `eta`: of `halving`: the better share `1 / eta` goes on, with `eta` times the tokens.
    - `least`: of `halving`: share of the tokens in the first round, at least.
    """

    kind: Literal["grid", "random", "sobol", "halving"] = "grid"
    points: int = 0
    seed: int = 0
    eta: int = 3
    least: float = 0.1


class SweepSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sweep: what all its trials share, the space they are taken from, and how it is walked.

    **Arguments:**

    - `schema`: version of the file's format.
    - `name`: of the sweep; a column of its runs, nothing is parsed from it.
    - `model`, `data`, `training`: fields of `Trial` that are the same for all. In place of `tokens` may
      stand `steps` or `tokens_per_param`.
    - `space`: fields of `Trial` that vary, in the language of `hplaw_experiments.sweep.space`.
    - `seeds`: each point is run with each of them.
    - `walker`: which points of the space are run.
    - `metered`: packs of one, so that time and energy are a trial's own.
    """

    schema: int = 1
    name: str
    model: dict[str, Any] = {}
    data: dict[str, Any] = {}
    training: dict[str, Any] = {}
    space: dict[str, Any] = {}
    seeds: tuple[int, ...] = (0,)
    walker: Walker = msgspec.field(default_factory=Walker)
    metered: bool = False


def steps(trial: Trial) -> int:
    """Return the optimizer steps of a trial: its tokens over the tokens of a step, one at least.

    >>> steps(Trial(tokens=1000, batch_tokens=64, peak_lr=1e-3))
    16
    """
    return max(1, round(trial.tokens / trial.batch_tokens))


def key(trial: Trial) -> str:
    """Return the hash (sha256, hex) of the fields of a trial that matter.

    The same for equal numbers (1 and 1.0), and for fields left at their defaults or written out.

    >>> a = Trial(tokens=1000, batch_tokens=64, peak_lr=1e-3)
    >>> key(a) == key(msgspec.structs.replace(a, tokens=1000.0)), key(a) == key(msgspec.structs.replace(a, seed=1))
    (True, False)
    """
    kept = {k: v for k, v in _plain(trial).items() if k not in NOT_IN_KEY}
    return _hash({"key_version": KEY_VERSION, **kept})


def shape_key(trial: Trial) -> str:
    """Return the hash (sha256, hex) of what trials of one compiled program must share: all but `TRACED`.

    >>> a = Trial(tokens=1000, batch_tokens=64, peak_lr=1e-3)
    >>> shape_key(a) == shape_key(msgspec.structs.replace(a, peak_lr=1.0, seed=3))
    True
    """
    return _hash({k: v for k, v in _plain(trial).items() if k not in TRACED})


def _plain(trial: Trial) -> dict[str, Any]:
    fields = msgspec.structs.asdict(trial)
    fields["data_options"] = {k: _number(v) for k, v in sorted(trial.data_options.items())}
    return {name: _number(value) for name, value in fields.items()}


def _number(value: Any) -> Any:
    """Return a whole number as an int, whichever way it was written."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _hash(fields: dict[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(fields, order="deterministic")).hexdigest()
