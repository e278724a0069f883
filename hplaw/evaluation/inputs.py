"""The inputs of a law: how each is found among what is known, the default of it, and how given values are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from hplaw.errors import ConflictingQuery, QueryError, nearest
from hplaw.expression.backends import Backend, exact_number
from hplaw.expression.compile import Function
from hplaw.expression.tree import Item, walk
from hplaw.law.derived import derived
from hplaw.law.law import Law
from hplaw.law.priors import PRIORS, is_call
from hplaw.law.program import Environment
from hplaw.narrowing import is_table, is_tuple
from hplaw.posterior.priors import prior_centre
from hplaw.vocabulary.names import by_fold, spelled
from hplaw.vocabulary.quantities import check_value


class Input(msgspec.Struct, frozen=True):
    """How one input of a law is found among what is known.

    - `known`: the name to look for (`target_loss` for a loss in the role of a target).
    - `default`: the value that is used when it is not known; None where nothing does, or it follows from the others.
    - `follows`: whether a formula over the other inputs is the default.
    - `prior`: the text of a default that is a prior.
    - `of`: what of a schedule's steps it is, an array with an entry for each of them.
    """

    name: str
    known: str
    default: Any
    follows: bool
    prior: str | None
    over: tuple[str, ...]
    categorical: bool
    of: str | None = None

    @property
    def required(self) -> bool:
        """Return whether the law cannot do without it."""
        return self.default is None and not self.follows and self.of is None


@derived
def inputs(law: Law) -> tuple[Input, ...]:
    """Return a law's inputs, ready to be bound.

    **Raises:** `LawError` for a default that is neither value, category, prior nor formula.
    """
    found: list[Input] = []
    for name, item in law.inputs.items():
        quantity, missing = law.quantity(name), item.missing
        default: Any = None
        follows = False
        prior = None
        if isinstance(missing, str) and not quantity.categorical:
            if is_call(missing, PRIORS):
                prior, default = missing, prior_centre(law, missing)
            else:
                follows = True
                stand_in(law, name, law.arithmetic)
        elif missing is not None:
            default = missing if quantity.categorical else own_number(law, missing)
        over = law.namespace.scope.indices[item.over] if item.over else ()
        known = f"target_{name}" if item.role == "target" else item.known or name
        found.append(Input(name, known, default, follows, prior, over, quantity.categorical, item.of))
    return tuple(found)


def own_number(law: Law, value: Any) -> Any:
    """Return a number as the law's own arithmetic wants it; exact laws read decimals and fractions as written."""
    if not law.exact:
        return float(value)
    return exact_number(value if isinstance(value, str) else repr(value))


@derived
def stand_in(law: Law, name: str, backend: Backend) -> Function:
    """Return the function of the formula that is the default of an input."""
    return law.function(str(law.inputs[name].missing), backend, table="inputs", key=name)


def bind(law: Law, known: Mapping[str, object], environment: Environment) -> None:
    """Put a law's inputs into an environment of its own arithmetic.

    **Arguments:**

    - `known`: numbers and categories by quantity, or tuples over an index.

    **Raises:** what `found_inputs` and `follow` raise.
    """
    values, late = found_inputs(law, known)
    environment.update(values)
    follow(law, late, environment, law.arithmetic)


def found_inputs(law: Law, known: Mapping[str, object]) -> tuple[dict[str, Any], list[Input]]:
    """Return the values of a law's inputs by name, and the inputs that follow from them.

    **Raises:** `QueryError` naming the input that is not known.
    """
    values: dict[str, Any] = {}
    late: list[Input] = []
    exact = law.exact
    for item in inputs(law):
        value = known.get(item.known)
        if item.of is not None:
            continue
        if value is not None:
            values[item.name] = (
                value if type(value) is float and item.over == () and not exact else _own(law, item, value)
            )
        elif item.default is not None:
            values[item.name] = (item.default,) * len(item.over) if item.over else item.default
        elif item.follows:
            late.append(item)
        else:
            message = f"{law.id} needs {item.known}; give it"
            raise ConflictingQuery(message, field=item.known)
    return values, late


def follow(law: Law, late: Sequence[Input], environment: Environment, backend: Backend) -> None:
    """Put the inputs that follow from the others into an environment that has these.

    **Raises:** `Undefined` where a default has no value.
    """
    for item in late:
        value = stand_in(law, item.name, backend)(environment)
        environment[item.name] = (value,) * len(item.over) if item.over else value


def _own(law: Law, item: Input, value: object) -> Any:
    """Return a known value in the law's own arithmetic.

    **Raises:** `QueryError` where one value is known and the law needs a table of them.
    """
    if is_tuple(value) != (item.over != ()):
        message = f"{law.id} needs {item.known} for each of {', '.join(item.over)}; ask it with evaluate"
        raise ConflictingQuery(message, field=item.known)
    return exact_number(repr(value)) if law.exact and isinstance(value, float) else value


def read_given(law: Law, given: Mapping[str, object]) -> dict[str, Any]:
    """Return `given` as a law's inputs: fractions for an exact law, tuples for an input over an index.

    **Raises:** `QueryError` naming the field at fault.
    """
    names = {item.known: item for item in inputs(law)} | {item.name: item for item in inputs(law)}
    found: dict[str, Any] = {}
    for name, value in given.items():
        item = names.get(name)
        if item is None:
            message = (
                f"'{name}' is not an input of {law.id}; it takes {', '.join(law.inputs)}{nearest(name, law.inputs)}"
            )
            raise ConflictingQuery(message, field=name)
        if item.of is not None:
            message = f"{name} is taken from the schedule; give schedule and its settings"
            raise ConflictingQuery(message, field=name)
        if item.over != () and is_table(value):
            if set(value) != set(item.over):
                message = f"{name} needs one value for each of {', '.join(item.over)}"
                raise ConflictingQuery(message, field=name)
            found[item.known] = tuple(_read(law, item, value[word]) for word in item.over)
        elif item.over or isinstance(value, Mapping):
            table = f"a table: give one value for each of {', '.join(item.over)}"
            message = f"{name} is {table if item.over else 'one value, not a table'}"
            raise ConflictingQuery(message, field=name)
        else:
            found[item.known] = _read(law, item, value)
    return found


@derived
def categories_of(law: Law, name: str) -> tuple[str, ...]:
    """Return the names that a law has for a category among its inputs: in its vocabulary, its domain, and the tables
    and indices that its formulas look up by it."""
    found: list[str] = list(law.quantity(name).categories)
    if law.quantity(name).categorical:
        found += map(str, law.spec.domain.get(name, ()))
    found += law.namespace.scope.indices.get(name, ())
    lets = law.namespace.lets.values()
    formulas = [*lets, *law.optimum.values(), *(formula for formula, _ in law.outputs.values())]
    formulas += [condition for condition, *_ in law.cases]
    for formula in formulas:
        for node in walk(formula.tree):
            if isinstance(node, Item) and is_table(table := law.namespace.tables.get(node.name)):
                places = [place for place, key in enumerate(node.keys) if key.name == name]
                found += (word for place in places for word in _keys_at(table, place))
    return tuple(dict.fromkeys(found))


def _keys_at(table: Any, depth: int) -> Iterator[str]:
    """Yield the keys of a table of tables at a depth."""
    if depth:
        for entry in table.values():
            yield from _keys_at(entry, depth - 1)
    else:
        yield from table


@derived
def _spellings(law: Law, name: str) -> Mapping[str, str]:
    return by_fold(categories_of(law, name))


def _read(law: Law, item: Input, value: object) -> Any:
    if item.categorical and isinstance(value, str):
        words = _spellings(law, item.name)
        value = spelled(item.name, value, words)
        if law.quantity(item.name).closed and words and value not in words:
            message = f"{item.name}='{value[:80]}' is not known to {law.id}{nearest(value[:80], words.values())}"
            raise QueryError(message, field=item.name)
    number = isinstance(value, str | int | float) and not isinstance(value, bool)
    if law.exact and not item.categorical and number:
        try:
            exact = exact_number(value if isinstance(value, str) else repr(value))
            value, check = exact, float(exact)
        except (ValueError, OverflowError):
            message = f"{item.name}={value!r:.60} is not a number or a fraction such as 1/2"
            raise QueryError(message, field=item.name) from None
    else:
        check = value
    problem = check_value(law.quantity(item.name), check)
    if problem:
        raise QueryError(problem, field=item.name)
    return float(value) if isinstance(value, int) else value
