"""The rules of a law file's tables: parameters, covariances, effects, fit, domain, exactness."""

from __future__ import annotations

import re
from collections.abc import Mapping

from hplaw.errors import LawError, nearest
from hplaw.expression import Kind, Symbol, parse
from hplaw.expression.functions import FUNCTIONS
from hplaw.expression.tree import Call, walk
from hplaw.law.format import LawSpec
from hplaw.law.formulas import check_call, one_formula, prior_or_formula
from hplaw.law.priors import CORRELATIONS, LIKELIHOODS, PRIORS
from hplaw.law.scope import Formula, Namespace, index_symbol
from hplaw.narrow import is_list


_EXACT_FUNCTIONS = frozenset(("where", "min", "max", "clip", "abs", "floor"))


def _numbers(value: object) -> list[float]:
    if is_list(value):
        return [float(v) for v in value]
    return [float(value)] if isinstance(value, int | float) else []


def check_parameters(spec: LawSpec, namespace: Namespace) -> None:
    """Refuse parameters without value and prior, of the wrong length, and covariances of nothing."""
    for name, parameter in spec.parameters.items():
        if parameter.value is None and parameter.prior is None:
            message = "a parameter has a value, a prior, or both"
            raise LawError(message, table="parameters", key=name)
        size = len(namespace.scope.indices[parameter.over]) if parameter.over else None
        for what, value in (("value", parameter.value), ("sd", parameter.sd)):
            if value is None:
                continue
            if isinstance(value, list) != (size is not None) or (
                isinstance(value, list) and len(value) != size
            ):
                message = f"{what} must be {f'a list of {size}' if size else 'one number'}"
                raise LawError(message, table="parameters", key=name)
            if any(abs(v) == float("inf") or v != v for v in _numbers(value)) or (
                what == "sd" and min(_numbers(value)) < 0
            ):
                message = f"{what} must be finite{', and not negative' if what == 'sd' else ''}"
                raise LawError(message, table="parameters", key=name)
        if parameter.prior is not None:
            over = {parameter.over: index_symbol(parameter.over)} if parameter.over else {}
            check_call(namespace, parameter.prior, PRIORS, "parameters", name, over=over)
    seen: set[str] = set()
    for block in spec.covariance:
        scalars = [
            n
            for n in block.of
            if n in spec.parameters
            and spec.parameters[n].over is None
            and spec.parameters[n].value is not None
        ]
        if scalars != block.of or seen & set(block.of) or len(set(block.of)) < len(block.of):
            message = "of names parameters with one value each, each once"
            raise LawError(message, table="covariance")
        seen |= set(block.of)
        check_covariance(block.matrix, len(block.of), "covariance")


def check_covariance(matrix: list[list[float]], size: int, table: str) -> None:
    """Refuse what is not a covariance of `size` names: square, symmetric, no negative variance along any direction."""
    good = len(matrix) == size and all(len(row) == size for row in matrix)
    good = good and all(abs(v) < float("inf") for row in matrix for v in row)
    good = good and all(
        abs(matrix[i][j] - matrix[j][i]) <= 1e-9 * (abs(matrix[i][i]) + abs(matrix[j][j]))
        for i in range(size)
        for j in range(i)
    )
    if not good or not _semidefinite(matrix):
        message = f"a covariance of {size} names is {size} x {size}, symmetric and not negative in any direction"
        raise LawError(message, table=table)


def _semidefinite(matrix: list[list[float]]) -> bool:
    """Return whether a Cholesky factor exists, up to rounding of published digits."""
    size = len(matrix)
    lower = [[0.0] * size for _ in range(size)]
    for i in range(size):
        for j in range(i + 1):
            rest = matrix[i][j] - sum(lower[i][k] * lower[j][k] for k in range(j))
            if i == j:
                if rest < -1e-6 * max(abs(matrix[i][i]), 1e-300):
                    return False
                lower[i][i] = max(rest, 0.0) ** 0.5
            elif lower[j][j] > 0:
                lower[i][j] = rest / lower[j][j]
    return True


def check_effects(spec: LawSpec, namespace: Namespace) -> None:
    """Refuse effects without scale or covariance, and a discrepancy of what the law does not give."""
    for group, effect in spec.effects.items():

        def fail(problem: str, group: str = group) -> None:
            raise LawError(problem, table="effects", key=group)

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
            prior_or_formula(namespace, text, PRIORS, f"effects.{group}", f"scale.{name}")
        if effect.correlation is not None:
            prior_or_formula(
                namespace, effect.correlation, CORRELATIONS, f"effects.{group}", "correlation"
            )
            if len(effect.of) < 2:
                fail("one effect alone has no correlation")
    discrepancy = spec.predict.discrepancy
    if discrepancy is not None:
        known = {*spec.outputs, *(spec.decision.choose if spec.decision else ())}
        if not set(discrepancy.of) <= known or len(set(discrepancy.of)) < len(discrepancy.of):
            message = (
                f"of names outputs or chosen quantities of this law: {', '.join(sorted(known))}"
            )
            raise LawError(message, table="predict.discrepancy", key="of")
        check_covariance(discrepancy.covariance, len(discrepancy.of), "predict.discrepancy")
        growth(namespace, discrepancy.grows)


def growth(namespace: Namespace, text: str) -> Formula:
    """Return the formula by which a discrepancy grows with `outside`, the e-folds outside the domain."""
    return one_formula(
        namespace, text, "predict.discrepancy", "grows", extra={"outside": Symbol(Kind.INPUT)}
    )


def check_fit(spec: LawSpec, namespace: Namespace) -> None:
    """Refuse likelihoods and factors that do not speak of the law's own outputs and names."""
    fit = spec.fit
    if fit is None:
        return
    noise = {"scale": Symbol(Kind.INPUT)}
    words = [(fit.observed, fit.likelihood, fit.scale, "", "fit")] if fit.observed else []
    words += [
        (item.observed, item.likelihood, item.scale, item.when, "fit.likelihoods")
        for item in fit.likelihoods
    ]
    for observed, likelihood, scale, when, table in words:
        if observed not in spec.outputs:
            message = f"'{observed}' is not an output of this law"
            raise LawError(message, table=table, key="observed")
        check_call(namespace, likelihood, LIKELIHOODS, table, "likelihood", over=noise)
        if scale:
            one_formula(namespace, scale, table, "scale")
        if when:
            _row_condition(namespace, spec, when, table, "when")
    for factor in fit.factors:
        check_call(namespace, factor.density, PRIORS, "fit.factors", "density")
        one_formula(namespace, factor.of, "fit.factors", "of")
    if fit.keep:
        _row_condition(namespace, spec, fit.keep, "fit", "keep")


GROUPINGS = ("min_by", "max_by", "mean_by", "count_by")
"""Functions over the rows of an effect's group, in `keep` and in nothing else."""


def _row_condition(namespace: Namespace, spec: LawSpec, text: str, table: str, key: str) -> None:
    """Check a condition on rows of a table: the law's formulas plus its outputs as columns and grouping functions."""
    try:
        parse(re.sub(rf"\b({'|'.join(GROUPINGS)})\s*\(", "max(", text))
    except LawError as error:
        raise error.within(table=table, key=key) from None


def check_domain(spec: LawSpec, namespace: Namespace) -> None:
    """Refuse ranges that are none, and names for numbers."""
    for name, seen in spec.domain.items():
        quantity = namespace.quantities.get(name)
        if quantity is None:
            message = f"'{name}' is not a quantity{nearest(name, namespace.quantities)}"
            raise LawError(message, table="domain", key=name)
        if quantity.categorical:
            if not seen or not all(isinstance(word, str) for word in seen):
                message = f"{name} is a category: give a list of names"
                raise LawError(message, table="domain", key=name)
            continue
        numbers = [float(v) for v in seen if not isinstance(v, str)]
        if (
            len(seen) != 2
            or len(numbers) != 2
            or not numbers[0] <= numbers[1]
            or max(map(abs, numbers)) == float("inf")
        ):
            message = f"{name} is a number: give [low, high], finite"
            raise LawError(message, table="domain", key=name)


def check_exact(namespace: Namespace, outputs: Mapping[str, tuple[Formula, str | None]]) -> None:
    """Refuse functions that have no rational value."""
    for formula in [*namespace.lets.values(), *(formula for formula, _ in outputs.values())]:
        for node in walk(formula.tree):
            name = node.function if isinstance(node, Call) else ""
            if name in FUNCTIONS and name not in _EXACT_FUNCTIONS:
                message = f"{name} has no exact value; an exact law has + - * / ** min max clip abs floor where and comparisons"
                raise LawError(message, table="outputs")
