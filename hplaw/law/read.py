"""Reading and checking law files: bytes -> typed tables -> names -> formulas -> a `Law`, or an error that says where."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from hplaw.errors import LawError, nearest
from hplaw.expression import Kind, Symbol, Type
from hplaw.expression.functions import FUNCTIONS
from hplaw.expression.tree import Call, walk
from hplaw.law.format import LawSpec, OutputSpec
from hplaw.law.law import Law
from hplaw.law.priors import CORRELATIONS, LIKELIHOODS, PRIORS
from hplaw.law.scope import Formula, Namespace, build_namespace, check_work, index_symbol


MAX_FILE = 1_000_000
"""Bytes that a law file may have."""

_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\Z")
_EXACT_FUNCTIONS = frozenset(("where", "min", "max", "clip", "abs", "floor"))
ARRAYS = "posterior.npz"
"""The file of draws beside a law file."""


def read_law(path: Path | str) -> Law:
    """Return the law that a file holds, its draws beside it included.

    **Raises:** `LawError` naming file, table and key.
    """
    path = Path(path)
    if path.is_dir():
        path /= "law.toml"
    try:
        if path.stat().st_size > MAX_FILE:
            message = f"the file is larger than {MAX_FILE:,} bytes, the most that a law may have"
            raise LawError(message, file=str(path))
        text = path.read_bytes()
    except OSError as error:
        message = f"cannot be read: {error.strerror}; give the path of a law file"
        raise LawError(message, file=str(path)) from None
    arrays = path.parent / ARRAYS if path.name == "law.toml" else path.with_suffix(".npz")
    try:
        return parse_law(text, path=path, arrays=arrays if arrays.is_file() else None)
    except LawError as error:
        raise error.within(file=str(path)) from None


def parse_law(text: bytes, *, path: Path | None = None, arrays: Path | None = None) -> Law:
    """Return the law that the bytes of a file hold.

    **Arguments:**

    - `text`: the TOML.
    - `path`: where the file lies, to find what it names.
    - `arrays`: the npz with draws or a grid, if there is one.

    **Raises:** `LawError` naming table and key.
    """
    spec = decode_spec(text)
    _check_head(spec)
    namespace = build_namespace(spec)
    outputs = {name: _output(namespace, name, item) for name, item in spec.output_specs().items()}
    optimum = _check_decision(spec, namespace)
    cases = tuple(
        (
            _formula(namespace, case.when, "cases", f"{number}.when", Type.TRUTH),
            case.status,
            case.say,
        )
        for number, case in enumerate(spec.cases, 1)
    )
    _check_parameters(spec, namespace)
    _check_effects(spec, namespace)
    _check_fit(spec, namespace)
    _check_domain(spec, namespace)
    if spec.exact:
        _check_exact(namespace, outputs)
    if spec.grid and path is not None:
        arrays = path.parent / spec.grid.values
    digest = hashlib.sha256(text)
    if arrays is not None:
        try:
            digest.update(arrays.read_bytes())
        except OSError as error:
            message = f"{arrays.name} cannot be read: {error.strerror}"
            raise LawError(message) from None
    return Law(
        spec, namespace, text=text, digest=digest.hexdigest()[:12], path=path,
        outputs=outputs, optimum=optimum, cases=cases, arrays=arrays,
    )  # fmt: skip


def decode_spec(text: bytes) -> LawSpec:
    """Return the tables of a law file, typed.

    **Raises:** `LawError` for what is no TOML, unknown keys and wrong types.
    """
    try:
        return msgspec.toml.decode(text, type=LawSpec)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `")
        table, _, key = path.rstrip("`").removeprefix("$").lstrip(".").partition(".")
        raise LawError(problem[0].lower() + problem[1:], table=table, key=key) from None
    except RecursionError:
        message = "the tables nest too deep; a law file has a few levels"
        raise LawError(message) from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        message = f"is not TOML: {error}"
        raise LawError(message) from None


def _check_head(spec: LawSpec) -> None:
    def fail(key: str, problem: str) -> None:
        raise LawError(problem, key=key)

    if not _ID.match(spec.id) or len(spec.id) > 80:
        fail(
            "id",
            f"'{spec.id[:80]}' is not kebab-case; use small letters, digits and single hyphens, as in step-law-2025",
        )
    if not 1 <= spec.version <= 1_000_000:
        fail("version", f"{spec.version} is not a version; count from 1")
    if not spec.examples:
        fail(
            "examples",
            "a law has at least one worked example; add [[examples]] with given and expect",
        )
    if (spec.kind == "grid") != (spec.grid is not None):
        fail("grid", "kind = 'grid' and the table [grid] go together")
    if (spec.kind == "mixture") != (spec.mixture is not None):
        fail("mixture", "kind = 'mixture' and the table [mixture] go together")
    if (spec.kind == "procedure") != (spec.call is not None):
        fail("call", "kind = 'procedure' and the key call go together")
    if spec.kind in ("formula", "grid") and not spec.outputs:
        fail("outputs", "a law gives at least one quantity; add [outputs]")
    if spec.mixture:
        weights = spec.mixture.weights
        if (
            len(weights) != len(spec.mixture.members)
            or not weights
            or min(weights) < 0
            or abs(sum(weights) - 1) > 1e-6
        ):
            fail("mixture", "weights must be one per member, none negative, of sum 1")
    if spec.call is not None:
        from hplaw.procedures import registered

        if spec.call not in registered():
            fail(
                "call",
                f"'{spec.call}' is not a registered procedure{nearest(spec.call, registered())}",
            )
    if spec.grid and (
        Path(spec.grid.values).name != spec.grid.values or not spec.grid.values.endswith(".npz")
    ):
        fail("grid", "values must be the name of an npz file beside the law")


def _formula(namespace: Namespace, text: str, table: str, key: str, kind: Type | None = Type.NUMBER, *, extra: Mapping[str, Symbol] | None = None) -> Formula:  # fmt: skip
    """Return a checked formula of one value and of the kind wanted."""
    found = namespace.formula(text, table=table, key=key, extra=extra)
    if kind is not None and found.type is not kind:
        message = f"{kind.value} is needed here, not {found.type.value}"
        raise LawError(message, table=table, key=key)
    _closed(found, (), table, key)
    check_work(namespace, found, table=table, key=key)
    return found


def _closed(found: Formula, over: tuple[str, ...], table: str, key: str) -> None:
    stray = [index for index in found.free if index not in over]
    if stray:
        message = f"it speaks of every {stray[0]} at once; use sum({stray[0]}, ...), pick one with [...], or say over = '{stray[0]}'"
        raise LawError(message, table=table, key=key)


def _output(namespace: Namespace, name: str, item: OutputSpec) -> tuple[Formula, str | None]:
    quantity = namespace.quantities.get(name)
    if quantity is None:
        message = f"'{name}' is not a quantity{nearest(name, namespace.quantities)}; declare it in [quantities] if it is your own"
        raise LawError(message, table="outputs", key=name)
    if item.over is not None and item.over not in namespace.scope.indices:
        message = f"'{item.over}' is not an index of this law"
        raise LawError(message, table="outputs", key=name)
    found = namespace.formula(item.formula, table="outputs", key=name)
    _closed(found, (item.over,) if item.over else (), "outputs", name)
    need = Type.CATEGORY if quantity.categorical else Type.NUMBER
    if found.type is not need:
        message = f"{name} is {need.value}, the formula gives {found.type.value}"
        raise LawError(message, table="outputs", key=name)
    check_work(namespace, found, table="outputs", key=name)
    return found, item.over


def _check_decision(spec: LawSpec, namespace: Namespace) -> dict[str, Formula]:
    decision = spec.decision
    if decision is None:
        return {}
    if decision.minimise not in spec.outputs:
        message = f"'{decision.minimise}' is not an output of this law"
        raise LawError(message, table="decision", key="minimise")
    inputs = {item.quantity for item in spec.input_specs() if item.over is None}
    for name in decision.choose:
        if name not in inputs or namespace.quantities[name].categorical:
            message = f"'{name}' is not an input of this law that is a number"
            raise LawError(message, table="decision", key="choose")
    if not decision.choose or len(set(decision.choose)) < len(decision.choose):
        message = "give one or more different inputs to choose"
        raise LawError(message, table="decision", key="choose")
    if decision.optimum and set(decision.optimum) != set(decision.choose):
        message = "the closed form gives every chosen quantity, and no other"
        raise LawError(message, table="decision", key="optimum")
    return {
        name: _formula(namespace, text, "decision", f"optimum.{name}")
        for name, text in decision.optimum.items()
    }


def _numbers(value: object) -> list[float]:
    return (
        [float(v) for v in value]
        if isinstance(value, list)
        else [float(value)]
        if isinstance(value, int | float)
        else []
    )  # type: ignore[union-attr]


def _check_parameters(spec: LawSpec, namespace: Namespace) -> None:
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


def check_call(
    namespace: Namespace,
    text: str,
    functions: Mapping[str, int],
    table: str,
    key: str,
    *,
    over: Mapping[str, Symbol] | None = None,
) -> Call:
    """Return the tree of a prior or likelihood whose arguments are formulas of this law.

    **Raises:** `LawError` naming table and key.
    """
    from hplaw.expression.parse import parse_call
    from hplaw.expression.scope import infer

    scope = namespace.scope
    for name, symbol in (over or {}).items():
        scope = scope.with_symbol(name, symbol)
    try:
        call = parse_call(text, functions)
        for argument in call.arguments:
            kind, free = infer(argument, scope)
            if kind is not Type.NUMBER or free - set(over or {}):
                message = "its arguments are numbers, one value each"
                raise LawError(message)
    except LawError as error:
        raise error.within(table=table, key=key) from None
    return call


def _check_effects(spec: LawSpec, namespace: Namespace) -> None:
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
            _prior_or_formula(namespace, text, PRIORS, f"effects.{group}", f"scale.{name}")
        if effect.correlation is not None:
            _prior_or_formula(
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
    return _formula(
        namespace, text, "predict.discrepancy", "grows", extra={"outside": Symbol(Kind.INPUT)}
    )


def _prior_or_formula(
    namespace: Namespace, text: str, functions: Mapping[str, int], table: str, key: str
) -> None:
    if any(text.lstrip().startswith(f"{name}(") for name in functions):
        check_call(namespace, text, functions, table, key)
    else:
        _formula(namespace, text, table, key)


def _check_fit(spec: LawSpec, namespace: Namespace) -> None:
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
            _formula(namespace, scale, table, "scale")
        if when:
            _row_condition(namespace, spec, when, table, "when")
    for factor in fit.factors:
        check_call(namespace, factor.density, PRIORS, "fit.factors", "density")
        _formula(namespace, factor.of, "fit.factors", "of")
    if fit.keep:
        _row_condition(namespace, spec, fit.keep, "fit", "keep")


GROUPINGS = ("min_by", "max_by", "mean_by", "count_by")
"""Functions over the rows of an effect's group, in `keep` and in nothing else."""


def _row_condition(namespace: Namespace, spec: LawSpec, text: str, table: str, key: str) -> None:
    """Check a condition on rows of a table: the law's formulas plus its outputs as columns and grouping functions."""
    from hplaw.expression.parse import parse

    try:
        parse(re.sub(rf"\b({'|'.join(GROUPINGS)})\s*\(", "max(", text))
    except LawError as error:
        raise error.within(table=table, key=key) from None


def _check_domain(spec: LawSpec, namespace: Namespace) -> None:
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


def _check_exact(namespace: Namespace, outputs: Mapping[str, tuple[Formula, str | None]]) -> None:
    for formula in [*namespace.lets.values(), *(formula for formula, _ in outputs.values())]:
        for node in walk(formula.tree):
            name = node.function if isinstance(node, Call) else ""
            if name in FUNCTIONS and name not in _EXACT_FUNCTIONS:
                message = f"{name} has no exact value; an exact law has + - * / ** min max clip abs floor where and comparisons"
                raise LawError(message, table="outputs")
