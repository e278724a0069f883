"""From a `Query` to known quantities: fields checked, shapes turned into quantities, what is omitted is filled in."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from hplaw import rows
from hplaw.answer.one_law import Answer, combined
from hplaw.catalogue.catalogue import Catalogue
from hplaw.catalogue.listing import find_quantity, known_quantities, read_category
from hplaw.errors import ConflictingQuery, QueryError
from hplaw.evaluation.domain import UNKNOWN
from hplaw.formatting import number
from hplaw.messages.query import Query
from hplaw.messages.recommendation import AnswerWarning
from hplaw.recommendation.counted import REFERENCE_SCHEDULE, SCHEDULE, discounts
from hplaw.recommendation.covered import refuse_task
from hplaw.recommendation.experts import experts_want, is_routed, refuse_experts
from hplaw.recommendation.finetuning import FINETUNE, add_base, finetune_want
from hplaw.recommendation.sense import refuse_nonsense
from hplaw.recommendation.shaped import add_model, count_budget, counted_want, flop_of
from hplaw.vocabulary.names import meant_quantity
from hplaw.vocabulary.quantities import Quantity, check_value, vocabulary


FIELDS = tuple(name for name in Query.__struct_fields__ if name not in ("model", "given", "bounds", "want", "laws"))
"""Quantities that are fields of a query; all others go into `given`."""

_fields = operator.attrgetter(*FIELDS)

DEFAULT_WANT = ("peak_lr", "batch_tokens", "weight_decay", "warmup_tokens", "loss", "steps", "compute_flop")
"""What is answered when nothing is asked for by name, as far as laws are available."""


SPENT = ("compute_flop", "training_flop", "accelerator_hours", "energy_kwh", "energy_j", "cost")
"""Quantities that are a budget where they are given: how much may be spent of what a law then counts."""

AIMS = (*(frozenset({name}) for name in SPENT), frozenset({"devices", "duration_s"}), frozenset({"target_loss"}))
"""What chooses size and data where they are not settled."""

AIMED = frozenset[str]().union(*AIMS)
"""The quantities of budgets and targets."""


ENERGY_WANT = ("accelerator_hours", "energy_j", "energy_kwh")
"""What is also answered where an accelerator is named; with `devices` also the time, with a country the carbon, with a
price the cost."""


def default_want(known: Mapping[str, object], *, repeated: bool = False) -> tuple[str, ...]:
    """Return what is answered when nothing is asked for: size and data first, where a budget or a target is given in their place.

    **Arguments:**

    - `repeated`: whether tokens are seen more than once, so that the epochs are of interest.

    >>> default_want({"compute_flop": 1e21})[:2]
    ('n_params', 'tokens')
    """
    energy = tuple(_energy_want(known)) if "hardware" in known else ()
    if FINETUNE in known:
        return (*finetune_want(known), *(energy if "tokens" in known else ()))
    wanted = (*DEFAULT_WANT[:-1], flop_of(known), *energy)
    shaped = SCHEDULE if known.get("schedule", REFERENCE_SCHEDULE) != REFERENCE_SCHEDULE else ()
    wanted = (*wanted, *experts_want(known), *shaped, *(REPEATED_WANT if repeated else ()), *_served_want(known))
    wanted = (*counted_want(known), *wanted)
    if known.get("optimizer") in BESIDE_ADAMW:
        wanted = (RATE, ADAM_RATE, *wanted[1:])
    open_sizes = tuple(name for name in ("n_params", "tokens") if name not in known)
    if open_sizes and any(name in known for name in TUNED_RATES):
        return (RATE,)
    if open_sizes and any(aim <= known.keys() for aim in AIMS):
        return (*open_sizes, *wanted)
    return wanted


def _energy_want(known: Mapping[str, object]) -> Iterator[str]:
    yield from ENERGY_WANT
    if "devices" in known:
        yield "duration_s"
    if "country" in known or "carbon_g_per_kwh" in known:
        yield "carbon_kg"
    if PRICE in known:
        yield "cost"


PRICE = "price_per_hour"
"""What an accelerator costs."""


REPEATED_WANT = ("epochs", "effective_tokens")
"""What is also answered where tokens are seen more than once."""


LIFETIME_WANT = ("lifetime_hours", "lifetime_energy_j")
"""What is also answered where an accelerator is named and the model is served."""


def _served_want(known: Mapping[str, object]) -> Iterator[str]:
    if known.get("serve_precision") is not None:
        yield "serve_loss"
    if "serve_tokens" in known:
        yield "lifetime_flop"
        yield from LIFETIME_WANT if "hardware" in known else ()
        yield from ("lifetime_cost",) if "hardware" in known and PRICE in known else ()


RATE, ADAM_RATE = "peak_lr", "adam_lr"
"""The rate that is asked for, and that of the weights which AdamW updates beside an optimizer of matrices."""

TUNED_RATES = ("base_peak_lr", ADAM_RATE)
"""Rates that the asker tuned, at another batch or width or with AdamW: the answer starts from them."""

BESIDE_ADAMW = ("muon",)
"""Optimizers of matrices alone, by which AdamW has a rate of its own."""


OPTIMIZER = Query().optimizer
"""The optimizer of a query that names none."""


REFERENCE = ("reference_loss", "reference_n_params", "reference_tokens")
"""What says which loss a recipe reached, and where: all of it or nothing."""


class Choice(msgspec.Struct, frozen=True):
    """Size and data chosen for a budget or a target: as an answer of the law whose loss or price decided, and the
    quantities that were looked at for it; `reason` says why there is no interval where there is none."""

    answer: Answer
    behind: tuple[str, ...]
    reason: str


class Question(msgspec.Struct, frozen=True, gc=False):
    """A query understood.

    - `known`: numbers and categories by quantity; `given` the names that the user gave, `shape` those of a model's shape.
    - `bounds`: limits of quantities to choose.
    - `filled`: quantities that follow from others by default, with the one they follow.
    - `stand_in`: a count of parameters that another is used as, since the shape is unknown, and the share it may be off by.
    - `warnings`: what was assumed.
    - `choice`: what of `known` was chosen, for it is wanted all the same.

    Questions that are asked together are one, whose numbers are columns; see `stacked`.
    """

    known: dict[str, Any]
    given: tuple[str, ...]
    shape: frozenset[str]
    want: tuple[str, ...]
    prefer: tuple[str, ...]
    bounds: dict[str, tuple[Any, Any]]
    filled: tuple[tuple[str, str], ...]
    stand_in: tuple[str, Any] | None
    warnings: tuple[AnswerWarning, ...]
    asked: bool
    choice: Choice | None = None

    @property
    def needed(self) -> tuple[str, ...]:
        """Return what is to be derived: what is wanted, and what a choice was made by."""
        return self.want if self.choice is None else tuple(dict.fromkeys((*self.want, *self.choice.behind)))

    @property
    def discounted(self) -> tuple[str, ...]:
        """Return the quantities that say what of size and data counts for the loss."""
        return discounts(self.known, [name for name, _ in self.filled])


def signature(question: Question) -> Any:
    """Return what questions must share to be asked together: all but their numbers."""
    words = tuple([value for value in question.known.values() if isinstance(value, str)])
    sides = tuple((name, low is None, high is None) for name, (low, high) in question.bounds.items())
    return (
        tuple(question.known),
        words,
        question.given,
        question.shape,
        question.want,
        question.prefer,
        sides,
        question.stand_in and question.stand_in[0],
        tuple(warning.code for warning in question.warnings),
        question.choice and _alike(question.choice),
    )


def stacked(questions: Sequence[Question]) -> Question:
    """Return questions of one signature as one, with a row for each; one question stays as it is."""
    first = questions[0]
    known = {name: rows.stack([question.known[name] for question in questions]) for name in first.known}
    sides = {name: zip(*(question.bounds[name] for question in questions), strict=True) for name in first.bounds}
    shares = rows.stack([question.stand_in and question.stand_in[1] for question in questions])
    return msgspec.structs.replace(
        first,
        known=known,
        bounds={name: (rows.stack(low), rows.stack(high)) for name, (low, high) in sides.items()},
        stand_in=first.stand_in and (first.stand_in[0], shares),
        choice=_stacked_choice([question.choice for question in questions]),
    )


def _alike(choice: Choice) -> Any:
    answer = choice.answer
    parts = (answer.values, answer.spreads, answer.transfers, answer.plateaus)
    return choice.behind, answer.law.address, tuple(map(tuple, parts))


def _stacked_choice(choices: Sequence[Choice | None]) -> Choice | None:
    """Return choices that are `_alike` as one, with a row for each."""
    answers = [choice.answer for choice in choices if choice is not None]
    first = choices[0]
    return None if first is None else msgspec.structs.replace(first, answer=combined(answers, rows.stack))


def understand(query: Query, catalogue: Catalogue) -> Question:
    """Return what a query knows and wants.

    **Raises:** `QueryError` naming the field: unknown quantities, values out of bounds, one quantity given twice.
    """
    quantities = vocabulary()
    known: dict[str, Any] = {
        name: _checked(quantities[name], value, name, catalogue)
        for name, value in zip(FIELDS, _fields(query), strict=True)
        if value is not None
    }
    defaults: set[str] = {"optimizer"} if known.get("optimizer") == OPTIMIZER else set()
    words = known_quantities(catalogue)
    for name, value in query.given.items():
        quantity = find_quantity(words, name, field="given", told="given: ")
        if name in known and name not in defaults:
            message = f"{name} is given twice, as a field and in given; give it once"
            raise ConflictingQuery(message, field=name)
        if name == "loss":
            message = "loss cannot be given, as it is an outcome; name the loss to reach target_loss"
            raise QueryError(message, field="given.loss")
        known[name] = _checked(quantity, value, f"given.{name}", catalogue)
        defaults.discard(name)
    if "recipe" not in known:
        known["recipe"] = UNKNOWN
        defaults.add("recipe")
    warnings: list[AnswerWarning] = []
    lacking = [name for name in REFERENCE if name not in known]
    if 0 < len(lacking) < len(REFERENCE):
        message = f"{', '.join(name for name in REFERENCE if name in known)} needs {' and '.join(lacking)}; give loss, size and data of a run of your own, or none of them"
        raise ConflictingQuery(message, field=f"given.{lacking[0]}")
    _own_format(known, catalogue, warnings)
    refuse_task(known)
    before = frozenset(known)
    if query.model is not None:
        add_model(query.model, known, warnings)
    shape = frozenset(known) - before
    count_budget(known)
    given = tuple(name for name in known if name not in defaults)
    warnings += add_base(query.model, known, spent=AIMS)
    stand_in = _stand_in(known)
    filled = _fill(known)
    bounds = _bounds(query, words, known, catalogue)
    refuse_nonsense(known)
    refuse_experts(known)
    repeated = "effective_tokens" in discounts(known, [name for name, _ in filled])
    want = tuple(dict.fromkeys(query.want)) or default_want(known, repeated=repeated)
    return Question(
        known,
        given,
        shape,
        tuple(name for name in want if name not in given),
        tuple(dict.fromkeys(query.laws)),
        bounds,
        (*filled, *stand_in[1]),
        stand_in[0],
        tuple(warnings),
        bool(query.want) or want == (RATE,),
    )


def resized(question: Question, sizes: Mapping[str, Any], *, without: Sequence[str] = ()) -> Question:
    """Return a question of another size and other data, and without some of what it knows."""
    known = {name: value for name, value in question.known.items() if name not in without} | dict(sizes)
    stand_in, follows = _stand_in(known)
    filled = dict.fromkeys((*question.filled, *_fill(known), *follows))
    return msgspec.structs.replace(question, known=known, filled=tuple(filled), stand_in=stand_in or question.stand_in)


def _checked(quantity: Quantity, value: object, field: str, catalogue: Catalogue) -> Any:
    low, high = quantity.low, quantity.high
    if type(value) is float and low is not None and high is not None and low < value < high and not quantity.whole:
        return value  # most are such
    if quantity.categorical:
        value = read_category(catalogue, quantity.name, value, field=field)
    problem = check_value(quantity, value)
    if problem:
        raise QueryError(problem, field=field)
    return float(value) if isinstance(value, int) else value


OWN_FORMATS: Mapping[str, tuple[str, ...]] = {"fp8": ("mxfp8",), "fp4": ("nvfp4", "mxfp4")}
"""What an accelerator may have as its own format of eight or four bits."""


def _own_format(known: dict[str, Any], catalogue: Catalogue, warnings: list[AnswerWarning]) -> None:
    """Read fp8 and fp4 as the format of that width that the accelerator has of its own."""
    named, table = known.get("precision", ""), catalogue.find("accelerators")
    if named not in OWN_FORMATS or "hardware" not in known or table is None:
        return
    peaks: Mapping[str, Any] = table.spec.tables.get("peak", {})
    has = peaks.get(known["hardware"], {})
    own = next((name for name in OWN_FORMATS[named] if name in has), None)
    if own is not None:
        known["precision"] = own
        text = f"{named} is taken as {own}, which {known['hardware']} has for it"
        warnings.append(AnswerWarning(code="own-format", text=text, quantity="precision"))


def _add_epochs(known: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Add the tokens that follow from epochs, of all or of the different ones; yield what follows from what.

    **Raises:** `ConflictingQuery` where all three are given and do not agree.
    """
    epochs, tokens, unique = (known.get(name) for name in ("epochs", "tokens", "unique_tokens"))
    if epochs is None:
        return
    if tokens is None and unique is not None:
        known["tokens"] = _from_epochs("tokens", unique * epochs)
        yield "tokens", "unique_tokens"
    elif tokens is not None and unique is None:
        known["unique_tokens"] = _from_epochs("unique_tokens", tokens / epochs)
        yield "unique_tokens", "tokens"
    elif tokens is not None and unique is not None and not math.isclose(tokens, unique * epochs, rel_tol=ROUNDED):
        message = f"tokens={number(tokens)} are not epochs={epochs:g} times unique_tokens={number(unique)}; give two of the three"
        raise ConflictingQuery(message, field="epochs")


def _from_epochs(name: str, value: float) -> float:
    problem = check_value(vocabulary()[name], value)
    if problem:
        message = f"by the epochs, {problem}"
        raise ConflictingQuery(message, field="epochs")
    return value


ROUNDED = 0.01
"""Share by which numbers that people rounded may differ."""


def _fill(known: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Add what follows when nothing else is said: a dense model uses all its parameters, no token is repeated."""
    filled: list[tuple[str, str]] = [*_add_epochs(known)]
    n, active = known.get("n_params"), known.get("n_active_params")
    if is_routed(known):
        known.setdefault("architecture", "moe")
    elif active is None and n is not None:
        known["n_active_params"] = active = n
        filled.append(("n_active_params", "n_params"))
    if n is not None and active is not None:
        if active > n:
            message = f"n_active_params={active:g} is above n_params={n:g}; active parameters are some of all"
            raise ConflictingQuery(message, field="n_active_params")
        known.setdefault("architecture", "dense" if active == n else "moe")
    if "tokens" in known and "unique_tokens" not in known:
        known["unique_tokens"] = known["tokens"]  # no token is repeated
        filled.append(("unique_tokens", "tokens"))
    if "serve_precision" in known and "serve_method" not in known:
        known["serve_method"] = "ptq"
        filled.append(("serve_method", "serve_precision"))
    return tuple(filled)


LARGEST_VOCABULARY = 262_144
"""Tokens in the largest vocabulary in wide use (Gemma's), to bound what embeddings may add."""

ASPECT = 128
"""Width over depth of a usual transformer (GPT-3 175B: 12288 / 96), to guess a width from a count of parameters."""


def embedding_share(n: float) -> float:
    """Return the largest share that embedding and unembedding plausibly add to `n` parameters: 2 V d / n.

    The width d is that of a usual shape, n = 12 d^3 / 128.

    >>> round(embedding_share(7e9), 2)
    0.32
    """
    width = (n * ASPECT / 12) ** (1 / 3)
    return 2 * LARGEST_VOCABULARY * width / n


def _stand_in(known: dict[str, Any]) -> tuple[tuple[str, float] | None, tuple[tuple[str, str], ...]]:
    """Let one count of parameters be used as the other where the shape is not known."""
    for name, other in (("n_params_with_embedding", "n_params"), ("n_params", "n_params_with_embedding")):
        if name not in known and other in known and not {"vocab_size", "d_model"} <= known.keys():
            known[name] = known[other]
            return (name, embedding_share(known[other])), ((name, other),)
    return None, ()


def _bounds(
    query: Query, words: Mapping[str, Quantity], known: Mapping[str, object], catalogue: Catalogue
) -> dict[str, tuple[float | None, float | None]]:
    found: dict[str, tuple[float | None, float | None]] = {}
    for name, limit in query.bounds.items():
        field = f"bounds.{name}"
        quantity = words.get(name)
        if quantity is None or quantity.categorical:
            message = f"bounds: '{name[:80]}' is not a quantity that is a number{meant_quantity(name[:80], words)}"
            raise QueryError(message, field=field)
        if name in known:
            message = f"{name} is given and bounded; give one or the other"
            raise ConflictingQuery(message, field=field)
        for side in (limit.low, limit.high):
            if side is not None:
                _checked(quantity, side, field, catalogue)
        if limit.low is not None and limit.high is not None and limit.low > limit.high:
            message = (
                f"{name} is bounded from {limit.low:g} to {limit.high:g}, which leaves nothing; give the lower first"
            )
            raise ConflictingQuery(message, field=field)
        found[name] = (limit.low, limit.high)
    return found
