"""The law file as typed records: what the TOML of schema 1 may hold, unknown keys refused."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


Status = Literal["theory", "published", "calibrated"]
Checked = Literal["primary", "secondary", "derived", "recalled"]
CaseStatus = Literal["saturated", "out_of_validity", "undefined", "refused"]


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The base of all tables of a law file."""


class SourceSpec(Spec, frozen=True, kw_only=True):
    """Where a law comes from."""

    title: str
    authors: str = ""
    year: int | None = None
    arxiv: str | None = None
    doi: str | None = None
    url: str | None = None
    where: str = ""
    bibtex: str = ""


class InputSpec(Spec, frozen=True, kw_only=True):
    """An input with more to say than its name.

    `role = "target"` makes the law usable only when the user gives that target; `missing` is the default when the
    input is not known (a number, a category, a prior, or an expression over other inputs); `over` makes it a table.
    `known` is the quantity whose value it takes, where that has another name: one that the law gives, if it is not settled.
    `given` says that only what a question gives counts, not what other laws derive for it.
    Over the steps of a schedule, `of` says what is taken: `rate` is the learning rate of each step, `count` how many
    steps an entry has together. The schedule is that named by the input `schedule`, or by `schedule` here.
    """

    quantity: str
    known: str | None = None
    role: Literal["target"] | None = None
    missing: float | str | None = None
    over: str | None = None
    given: bool = False
    of: Literal["rate", "count"] | None = None
    schedule: str | None = None


class QuantitySpec(Spec, frozen=True, kw_only=True):
    """A quantity of the law's own, beside the vocabulary."""

    meaning: str
    unit: str = ""
    symbol: str = ""
    low: float | None = None
    high: float | None = None
    categories: list[str] = []


class ParameterSpec(Spec, frozen=True, kw_only=True):
    """A parameter: a value, a value with a standard deviation, or a prior; one per category with `over`."""

    value: float | list[float] | None = None
    sd: float | list[float] | None = None
    prior: str | None = None
    over: str | None = None


class CovarianceSpec(Spec, frozen=True, kw_only=True):
    """The covariance of parameters that are correlated."""

    of: list[str]
    matrix: list[list[float]]


class EffectSpec(Spec, frozen=True, kw_only=True):
    """What the members of a group share: zero-mean, correlated, drawn again for a new group.

    `tail` is degrees of freedom: members are then drawn from a multivariate Student's t with these scales, so that a
    strange member moves the others little. `when` says in a fit of which rows members are made.
    """

    by: list[str]
    when: str = ""
    of: list[str]
    scale: dict[str, str] = {}
    correlation: str | None = None
    covariance: list[list[float]] | None = None
    centred: bool = True
    tail: int | None = None
    predict: Literal["integrate", "zero", "transfer"] = "integrate"


class DiscrepancySpec(Spec, frozen=True, kw_only=True):
    """How far the truth deviates from the law: a covariance of logarithms, growing outside the domain."""

    of: list[str]
    covariance: list[list[float]]
    grows: str = "1"


class PredictSpec(Spec, frozen=True, kw_only=True):
    """What is added to intervals, never to values."""

    discrepancy: DiscrepancySpec | None = None


class OutputSpec(Spec, frozen=True, kw_only=True):
    """An output with one value per category of an index."""

    formula: str
    over: str | None = None


class CaseSpec(Spec, frozen=True, kw_only=True):
    """A condition, checked before the outputs, and what to say where it holds."""

    when: str
    status: CaseStatus
    say: str


class DecisionSpec(Spec, frozen=True, kw_only=True):
    """What a law recommends: the quantities chosen so that one is minimal, and the optimum in closed form if there is one."""

    minimise: str
    choose: list[str]
    optimum: dict[str, str] = {}


class FactorSpec(Spec, frozen=True, kw_only=True):
    """A density on an expression of parameters."""

    density: str
    of: str


class LikelihoodSpec(Spec, frozen=True, kw_only=True):
    """One observed quantity: when a row has it, and with what noise.

    `low` and `high` name quantities that bound what is observed. A row that gives a bound says that what was to be
    observed lies within: above `low`, below `high`, between both; its value then adds nothing.
    """

    observed: str
    likelihood: str
    scale: str = ""
    transform: Literal["log", "identity"] = "identity"
    when: str = ""
    low: str = ""
    high: str = ""


class PseudoSpec(Spec, frozen=True, kw_only=True):
    """A published law as data."""

    law: str
    at: str
    sd: dict[str, float]


class FitSpec(Spec, frozen=True, kw_only=True):
    """How a law is fitted to runs."""

    observed: str = ""
    transform: Literal["log", "identity"] = "identity"
    likelihood: str = ""
    scale: str = ""
    keep: str = ""
    factors: list[FactorSpec] = []
    likelihoods: list[LikelihoodSpec] = []
    pseudo: list[PseudoSpec] = []


class EvidenceSpec(Spec, frozen=True, kw_only=True):
    """What a fit rests on; written by `hplaw fit`."""

    runs: int = 0
    groups: int = 0
    data_sha256: str = ""
    data: str = ""
    code_version: str = ""
    hardware: str = ""
    sampler: str = ""
    fitted: str = ""
    r_hat: float | None = None
    ess: float | None = None
    divergences: int | None = None
    held_out: dict[str, float] = {}
    failed: list[str] = []
    accepted_with: list[str] = []


class GridSpec(Spec, frozen=True, kw_only=True):
    """A map of class probabilities over two or more quantities, interpolated."""

    axes: list[str]
    values: str
    classes: list[str]
    reject_below: float = 0.0
    error: str = ""


class MixtureSpec(Spec, frozen=True, kw_only=True):
    """A stack of laws with weights."""

    members: list[str]
    weights: list[float]


class ExampleSpec(Spec, frozen=True, kw_only=True):
    """A worked example: inputs, what comes out, how exactly, and the status where it is not plain."""

    given: dict[str, Any]
    expect: dict[str, Any] = {}
    rtol: float = 1e-9
    status: CaseStatus | None = None


class LawSpec(Spec, frozen=True, kw_only=True):
    """A whole law file."""

    schema: Literal[1]
    id: str
    version: int
    title: str
    status: Status
    checked: Checked
    source: SourceSpec
    kind: Literal["formula", "grid", "procedure", "mixture"] = "formula"
    exact: bool = False
    call: str | None = None
    notes: str = ""
    inputs: list[str | InputSpec] = []
    quantities: dict[str, QuantitySpec] = {}
    parameters: dict[str, ParameterSpec] = {}
    covariance: list[CovarianceSpec] = []
    constants: dict[str, float] = {}
    index: dict[str, int | list[str] | Literal["steps"]] = {}
    tables: dict[str, dict[str, Any]] = {}
    effects: dict[str, EffectSpec] = {}
    predict: PredictSpec = PredictSpec()
    let: dict[str, str] = {}
    outputs: dict[str, str | OutputSpec] = {}
    cases: list[CaseSpec] = []
    decision: DecisionSpec | None = None
    shape: str | None = None
    fit: FitSpec | None = None
    grid: GridSpec | None = None
    mixture: MixtureSpec | None = None
    domain: dict[str, list[float | str]] = {}
    evidence: EvidenceSpec | None = None
    examples: list[ExampleSpec] = []

    def input_specs(self) -> list[InputSpec]:
        """Return all inputs in their long form."""
        return [InputSpec(quantity=item) if isinstance(item, str) else item for item in self.inputs]

    def output_specs(self) -> dict[str, OutputSpec]:
        """Return all outputs in their long form."""
        return {
            name: OutputSpec(formula=item) if isinstance(item, str) else item for name, item in self.outputs.items()
        }
