"""The rules of a law file's tables: parameters, covariances, effects, fit, domain, exactness."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from hplaw.errors import LawError, nearest, refuse
from hplaw.expression import Kind, Symbol, names_in, parse
from hplaw.expression.backends import exact_number
from hplaw.expression.functions import CONSTANTS, FUNCTIONS
from hplaw.expression.tree import Binary, Call, Name, Node, Number, Unary, walk
from hplaw.law.format import LawSpec, LikelihoodSpec
from hplaw.law.formulas import check_call, one_formula
from hplaw.law.likelihood import read_likelihood
from hplaw.law.priors import CORRELATIONS, PRIORS, is_call, wrong_prior
from hplaw.law.scope import GRID_NAMES, Formula, Namespace, index_symbol
from hplaw.law.settled import refuse_names, settled, spoken
from hplaw.narrowing import is_list
from hplaw.vocabulary.quantities import check_value


_EXACT_FUNCTIONS = frozenset(("where", "min", "max", "clip", "abs", "floor"))


def _numbers(value: object) -> list[float]:
    if is_list(value):
        return [float(v) for v in value]
    return [float(value)] if isinstance(value, int | float) else []


def check_parameters(spec: LawSpec, namespace: Namespace) -> None:
    """Refuse parameters without value and prior, of the wrong length, and covariances of nothing."""
    for name, parameter in spec.parameters.items():
        if parameter.value is None and parameter.prior is None:
            refuse("a parameter has a value, a prior, or both", table="parameters", key=name)
        size = len(namespace.scope.indices[parameter.over]) if parameter.over else None
        for what, value in (("value", parameter.value), ("sd", parameter.sd)):
            if value is None:
                continue
            if isinstance(value, list) != (size is not None) or (isinstance(value, list) and len(value) != size):
                refuse(f"{what} must be {f'a list of {size}' if size else 'one number'}", table="parameters", key=name)
            if any(abs(v) == float("inf") or v != v for v in _numbers(value)) or (
                what == "sd" and min(_numbers(value)) < 0
            ):
                message = f"{what} must be finite{', and not negative' if what == 'sd' else ''}"
                refuse(message, table="parameters", key=name)
        if parameter.prior is not None:
            free = parameter.value is not None
            _check_prior(spec, namespace, parameter.prior, PRIORS, "parameters", name, over=parameter.over, free=free)
    for name, constant in spec.constants.items():
        if not abs(constant) < float("inf"):
            refuse("must be finite", table="constants", key=name)
    seen: set[str] = set()
    for block in spec.covariance:
        scalars = [
            n
            for n in block.of
            if n in spec.parameters and spec.parameters[n].over is None and spec.parameters[n].value is not None
        ]
        if scalars != block.of or seen & set(block.of) or len(set(block.of)) < len(block.of):
            refuse("of names parameters with one value each, each once", table="covariance")
        seen |= set(block.of)
        check_covariance(block.matrix, len(block.of), "covariance")


_BEFORE = (Kind.INPUT, Kind.EFFECT)
"""What is not known yet when scales and priors are computed."""


def _check_prior(
    spec: LawSpec,
    namespace: Namespace,
    text: str,
    functions: Mapping[str, int],
    table: str,
    key: str,
    *,
    over: str | None = None,
    free: bool = False,
) -> None:
    """Check a prior and the values of its arguments; with `free` these may depend on parameters."""
    inside = {over: index_symbol(over)} if over else {}
    call = check_call(namespace, text, functions, table, key, over=inside)
    unknown = _BEFORE if free else (*_BEFORE, Kind.PARAMETER)
    why = "is not known when a prior is computed; use constants and tables"
    for argument in call.arguments:
        refuse_names(namespace, argument, unknown, why, over=over, table=table, key=key)
    symbols = namespace.scope.symbols
    names = {n for argument in call.arguments for n in spoken(namespace, argument)}
    if any(n in symbols and symbols[n].kind is Kind.PARAMETER for n in names):
        return
    for i in range(len(namespace.scope.indices[over]) if over else 1):
        at = {over: i} if over else {}
        values = [settled(namespace, spec.constants, argument, at, table=table, key=key) for argument in call.arguments]
        problem = wrong_prior(call.function, *values)
        if problem:
            refuse(problem, table=table, key=key)


def check_missing(spec: LawSpec, namespace: Namespace) -> None:
    """Refuse defaults for inputs that are neither value, category, prior nor a formula of inputs known by then."""
    late = {
        item.quantity
        for item in spec.input_specs()
        if isinstance(item.missing, str) and not namespace.quantities[item.quantity].categorical
    }
    for item in spec.input_specs():
        name, missing, quantity = item.quantity, item.missing, namespace.quantities[item.quantity]
        if missing is None:
            continue
        if not isinstance(missing, str) or quantity.categorical:
            problem = check_value(quantity, missing)
            if problem:
                refuse(problem, table="inputs", key=name)
        elif is_call(missing, PRIORS):
            _check_prior(spec, namespace, missing, PRIORS, "inputs", name)
        else:
            formula = one_formula(namespace, missing, "inputs", name)
            unknown = sorted(spoken(namespace, formula.tree) & {*late, *GRID_NAMES})
            if unknown:
                message = (
                    f"'{unknown[0]}' is not known by then; use inputs that come before and need no default of this kind"
                )
                refuse(message, table="inputs", key=name)
        late.discard(name)


MAX_COVARIANCE = 64
"""Names that one covariance may be of."""


def check_covariance(matrix: list[list[float]], size: int, table: str) -> None:
    """Refuse what is not a covariance of `size` names: square, symmetric, no negative variance along any direction."""
    if size > MAX_COVARIANCE:
        refuse(f"a covariance is of at most {MAX_COVARIANCE} names, {size} given", table=table)
    good = len(matrix) == size and all(len(row) == size for row in matrix)
    good = good and all(abs(v) < float("inf") for row in matrix for v in row)
    good = good and all(
        abs(matrix[i][j] - matrix[j][i]) <= 1e-9 * (abs(matrix[i][i]) + abs(matrix[j][j]))
        for i in range(size)
        for j in range(i)
    )
    if not good or not _semidefinite(matrix):
        message = f"a covariance of {size} names is {size} x {size}, symmetric and not negative in any direction"
        refuse(message, table=table)


_ROUNDING = 1e-6
"""By how much a correlation may be off, as published digits are."""


def _semidefinite(matrix: list[list[float]]) -> bool:
    """Return whether no direction has a negative variance: Cholesky's factor, largest pivot first, of the correlations."""
    deviations = [max(row[i], 0.0) ** 0.5 for i, row in enumerate(matrix)]
    rest: list[list[float]] = []
    for row, own in zip(matrix, deviations, strict=True):
        if own == 0 and any(row):
            return False
        pairs = zip(row, deviations, strict=True)
        rest.append([v / own / other if own and other else 0.0 for v, other in pairs])
    left = [i for i, deviation in enumerate(deviations) if deviation]
    while left:
        top = max(left, key=lambda i: rest[i][i])
        pivot = rest[top][top]
        if pivot <= _ROUNDING:
            return all(abs(rest[i][j]) <= 10 * _ROUNDING for i in left for j in left)
        left.remove(top)
        for i in left:
            for j in left:
                rest[i][j] -= rest[i][top] * rest[top][j] / pivot
    return True


MAX_TAIL = 100
"""Degrees of freedom from which a Student's t is a normal for all that a law can tell."""


def check_effects(spec: LawSpec, namespace: Namespace) -> None:
    """Refuse effects without scale or covariance, and a discrepancy of what the law does not give."""
    for group, effect in spec.effects.items():

        def fail(problem: str, group: str = group) -> None:
            refuse(problem, table="effects", key=group)

        unknown = [name for name in effect.by if name not in namespace.quantities]
        if unknown:
            fail(f"'{unknown[0]}' is not a quantity{nearest(unknown[0], namespace.quantities)}")
        if (effect.covariance is None) == (not effect.scale):
            fail("an effect has either scale (and correlation) or covariance")
        if effect.covariance is not None:
            check_covariance(effect.covariance, len(effect.of), f"effects.{group}")
        elif set(effect.scale) != set(effect.of):
            fail(f"scale has one entry for each of {', '.join(effect.of)}")
        for name, text in effect.scale.items():
            _hyperparameter(spec, namespace, text, PRIORS, f"effects.{group}", f"scale.{name}")
        if effect.tail is not None and not 0 < effect.tail <= MAX_TAIL:
            fail(f"tail is degrees of freedom, 1 to {MAX_TAIL}, not {effect.tail}; leave it out for a normal effect")
        if effect.correlation is not None:
            _hyperparameter(spec, namespace, effect.correlation, CORRELATIONS, f"effects.{group}", "correlation")
            if len(effect.of) < 2:
                fail("one effect alone has no correlation")
    discrepancy = spec.predict.discrepancy
    if discrepancy is not None:
        known = {*spec.outputs, *(spec.decision.choose if spec.decision else ())}
        if not set(discrepancy.of) <= known or len(set(discrepancy.of)) < len(discrepancy.of):
            message = f"of names outputs or chosen quantities of this law: {', '.join(sorted(known))}"
            refuse(message, table="predict.discrepancy", key="of")
        check_covariance(discrepancy.covariance, len(discrepancy.of), "predict.discrepancy")
        growth(namespace, discrepancy.grows)


def _hyperparameter(
    spec: LawSpec, namespace: Namespace, text: str, functions: Mapping[str, int], table: str, key: str
) -> None:
    """Check an effect's scale or correlation: a prior, or a formula of parameters."""
    if is_call(text, functions):
        _check_prior(spec, namespace, text, functions, table, key)
        return
    formula = one_formula(namespace, text, table, key)
    why = "is not known when effects are drawn; use parameters, constants and tables"
    refuse_names(namespace, formula.tree, _BEFORE, why, table=table, key=key)


def growth(namespace: Namespace, text: str) -> Formula:
    """Return the formula by which a discrepancy grows with `outside`, the e-folds outside the domain."""
    table, key = "predict.discrepancy", "grows"
    formula = one_formula(namespace, text, table, key, extra={"outside": Symbol(Kind.INPUT)})
    known = {n for n, s in namespace.scope.symbols.items() if s.kind is Kind.CONSTANT}
    unknown = sorted(set(names_in(formula.tree)) - known - {"outside", *CONSTANTS})
    if unknown:
        refuse(f"'{unknown[0]}' is not known here; use outside and constants", table=table, key=key)
    return formula


def check_fit(spec: LawSpec, namespace: Namespace) -> None:
    """Refuse likelihoods and factors that do not use the law's own outputs and names."""
    fit = spec.fit
    if fit is None:
        return
    words = [(fit.observed, fit.likelihood, fit.scale, "", "fit")] if fit.observed else []
    words += [(item.observed, item.likelihood, item.scale, item.when, "fit.likelihoods") for item in fit.likelihoods]
    for observed, likelihood, scale, when, table in words:
        if observed not in spec.outputs:
            refuse(f"'{observed}' is not an output of this law", table=table, key="observed")
        read_likelihood(namespace, spec.constants, likelihood, table=table)
        if scale:
            one_formula(namespace, scale, table, "scale")
        if when:
            _row_condition(namespace, spec, when, table, "when")
    for item in fit.likelihoods:
        _check_bounds(spec, namespace, item)
    for factor in fit.factors:
        check_call(namespace, factor.density, PRIORS, "fit.factors", "density")
        one_formula(namespace, factor.of, "fit.factors", "of")
    if fit.keep:
        _row_condition(namespace, spec, fit.keep, "fit", "keep")


def _check_bounds(spec: LawSpec, namespace: Namespace, item: LikelihoodSpec) -> None:
    """Refuse bounds that are no quantities, and of noise whose share within them has no closed form."""
    table = "fit.likelihoods"
    for key, name in (("low", item.low), ("high", item.high)):
        if name and (name not in namespace.quantities or namespace.quantities[name].categorical):
            message = f"'{name}' is not a quantity with a number{nearest(name, namespace.quantities)}"
            raise LawError(message, table=table, key=key)
    if item.low or item.high:
        noise = read_likelihood(namespace, spec.constants, item.likelihood, table=table)
        if not noise.bounded:
            message = f"{item.likelihood} has no bounds: they need normal(scale), or student_t(n, scale) with n even"
            raise LawError(message, table=table, key="likelihood")


GROUPINGS = ("min_by", "max_by", "mean_by", "count_by")
"""Functions over the rows of an effect's group, in `keep` and in nothing else."""


def _row_condition(namespace: Namespace, spec: LawSpec, text: str, table: str, key: str) -> None:
    """Check a condition on rows of a table: the law's formulas plus its outputs as columns and grouping functions.

    Quantities that the law does not take may be columns, and any word may be a category of one of them.
    """
    scope = namespace.scope
    try:
        tree = parse(re.sub(rf"\b({'|'.join(GROUPINGS)})\s*\(", "max(", text))
    except LawError as error:
        raise error.within(table=table, key=key) from None
    words = {
        part.name
        for node in walk(tree)
        if isinstance(node, Binary) and node.operator == "=="
        for part in (node.left, node.right)
        if isinstance(part, Name)
    }
    known = {*namespace.quantities, *scope.symbols, *spec.effects, *scope.categories, *CONSTANTS}
    unknown = sorted(set(names_in(tree)) - known - words)
    if unknown:
        message = f"'{unknown[0]}' is not a name of this law or a quantity{nearest(unknown[0], known)}"
        refuse(message, table=table, key=key)
    if not isinstance(tree, Binary | Unary) or tree.operator in ("+", "-", "*", "/", "**"):
        refuse("a condition is needed here, not a number", table=table, key=key)


def check_domain(spec: LawSpec, namespace: Namespace) -> None:
    """Refuse ranges that are none, and names for numbers."""
    for name, seen in spec.domain.items():
        quantity = namespace.quantities.get(name)
        if quantity is None:
            refuse(f"'{name}' is not a quantity{nearest(name, namespace.quantities)}", table="domain", key=name)
        if quantity.categorical:
            if not seen or not all(isinstance(word, str) for word in seen):
                refuse(f"{name} is a category: give a list of names", table="domain", key=name)
            continue
        numbers = [float(v) for v in seen if not isinstance(v, str)]
        if (
            len(seen) != 2
            or len(numbers) != 2
            or not numbers[0] <= numbers[1]
            or max(map(abs, numbers)) == float("inf")
        ):
            refuse(f"{name} is a number: give [low, high], finite", table="domain", key=name)


def check_exact(trees: Iterable[tuple[str, Node]]) -> None:
    """Refuse functions and numbers that have no rational value.

    **Arguments:**

    - `trees`: the table and the tree of every formula of the law.
    """
    for table, tree in trees:
        for node in walk(tree):
            name = node.function if isinstance(node, Call) else getattr(node, "name", "")
            if (name in FUNCTIONS and name not in _EXACT_FUNCTIONS) or name in CONSTANTS:
                message = f"{name} has no exact value; an exact law has + - * / ** min max clip abs floor where and comparisons"
                refuse(message, table=table)
            if isinstance(node, Number):
                try:
                    exact_number(node.text)
                except ValueError as error:
                    raise LawError(str(error), table=table) from None
