"""Reading and checking law files: bytes -> typed tables -> names -> formulas -> a `Law`, or an error that says where."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from hplaw.errors import LawError, nearest, refuse
from hplaw.expression import Type, parse
from hplaw.expression.tree import Node
from hplaw.law.format import LawSpec, OutputSpec
from hplaw.law.formulas import one_formula, refuse_free
from hplaw.law.law import Law, arrays_beside, digest_of
from hplaw.law.priors import PRIORS, is_call
from hplaw.law.program import Meaning
from hplaw.law.rules import check_domain, check_effects, check_exact, check_fit, check_missing, check_parameters
from hplaw.law.scope import GRID_NAMES, Formula, Namespace, build_namespace, check_work
from hplaw.law.settled import spoken
from hplaw.messages.decode import find_fault
from hplaw.toml import decode_toml, read_toml


MAX_FILE = 1_000_000
"""Bytes that a law file may have."""

_ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\Z")
_NPZ = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\.npz\Z")


def read_law(path: Path | str, *, trusted: bool = False) -> Law:
    """Return the law that a file holds, its draws beside it included.

    **Arguments:**

    - `trusted`: the file is known to be right; its formulas are read when they are first asked for.

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
    try:
        return parse_law(text, path=path, arrays=arrays_beside(path), trusted=trusted)
    except LawError as error:
        raise error.within(file=str(path)) from None


def parse_law(text: bytes, *, path: Path | None = None, arrays: Path | None = None, trusted: bool = False) -> Law:
    """Return the law that the bytes of a file hold.

    **Arguments:**

    - `text`: the TOML.
    - `path`: where the file lies, to find what it names.
    - `arrays`: the npz with draws or a grid, if there is one.
    - `trusted`: the formulas are read when they are first asked for.

    **Raises:** `LawError` naming table and key.
    """
    spec = decode_spec(text)
    if spec.grid and path is not None:
        _check_head(spec)  # before the name of a file is trusted
        arrays = path.parent / spec.grid.values
    try:
        digest = digest_of(text, arrays)
    except OSError as error:
        message = f"{arrays.name if arrays else 'the file'} cannot be read: {error.strerror}"
        raise LawError(message) from None
    law = Law(spec, _meaning, text=text, digest=digest, path=path, arrays=arrays)
    if not trusted:
        law.meaning  # noqa: B018  what is wrong is to be said now
    return law


def _meaning(spec: LawSpec) -> Meaning:
    _check_head(spec)
    namespace = build_namespace(spec)
    outputs = {name: _output(namespace, name, item) for name, item in spec.output_specs().items()}
    optimum = _check_decision(spec, namespace)
    cases = tuple(
        (_condition(namespace, case.when, f"{number}.when"), case.status, case.say)
        for number, case in enumerate(spec.cases, 1)
    )
    check_missing(spec, namespace)
    check_parameters(spec, namespace)
    check_effects(spec, namespace)
    check_fit(spec, namespace)
    check_domain(spec, namespace)
    if spec.exact:
        check_exact(
            [
                *(("let", let.tree) for let in namespace.lets.values()),
                *(("outputs", formula.tree) for formula, _ in outputs.values()),
                *(("decision", formula.tree) for formula in optimum.values()),
                *(("cases", formula.tree) for formula, _, _ in cases),
                *(("inputs", tree) for tree in _stand_ins(spec)),
            ]
        )
    return Meaning(namespace, outputs, optimum, cases)


def decode_spec(text: bytes) -> LawSpec:
    """Return the tables of a law file, typed.

    **Raises:** `LawError` for what is no TOML, unknown keys and wrong types.
    """
    try:
        return decode_toml(text, LawSpec)
    except msgspec.ValidationError as error:
        problem, path = find_fault(str(error), read_toml(text), LawSpec)
        path = re.sub(r"\[(\d+)\]", lambda found: f".{int(found[1]) + 1}", path)  # entries of lists count from one
        table, _, key = path.partition(".")
        raise LawError(problem[0].lower() + problem[1:], table=table, key=key) from None
    except RecursionError:
        message = "the tables nest too deep; a law file has a few levels"
        raise LawError(message) from None
    except ValueError as error:
        message = f"is not TOML: {error}"
        raise LawError(message) from None


def _check_head(spec: LawSpec) -> None:
    def fail(key: str, problem: str) -> None:
        refuse(problem, key=key)

    if not _ID.match(spec.id) or len(spec.id) > 80:
        fail(
            "id",
            f"'{spec.id[:80]}' is not kebab-case; use small letters, digits and single hyphens, as in step-law-2025",
        )
    if not 1 <= spec.version <= 1_000_000:
        fail("version", f"{spec.version} is not a version; count from 1")
    if not spec.examples:
        fail("examples", "a law has at least one worked example; add [[examples]] with given and expect")
    if not all(0 <= example.rtol <= 1 for example in spec.examples):
        fail("examples", "rtol is a relative tolerance from 0 to 1")
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
            or not min(weights) >= 0
            or not abs(sum(weights) - 1) <= 1e-6
        ):
            fail("mixture", "weights must be one per member, none negative, of sum 1")
    if spec.call is not None:
        from hplaw.law.procedures import registered

        if spec.call not in registered():
            fail("call", f"'{spec.call}' is not a registered procedure{nearest(spec.call, registered())}")
    if spec.grid and not _NPZ.match(spec.grid.values):
        fail("grid", "values must be the name of an npz file beside the law")
    if spec.grid and not set(spec.grid.axes) <= {item.quantity for item in spec.input_specs()}:
        fail("grid", "every axis of a map is an input of the law; name it in inputs")
    if spec.grid and spec.decision:
        fail("decision", "a map chooses nothing; leave this table out")


def _output(namespace: Namespace, name: str, item: OutputSpec) -> tuple[Formula, str | None]:
    quantity = namespace.quantities.get(name)
    if quantity is None:
        message = f"'{name}' is not a quantity{nearest(name, namespace.quantities)}; declare it in [quantities] if it is your own"
        refuse(message, table="outputs", key=name)
    if item.over is not None and item.over not in namespace.scope.indices:
        refuse(f"'{item.over}' is not an index of this law", table="outputs", key=name)
    found = namespace.formula(item.formula, table="outputs", key=name)
    refuse_free(found, (item.over,) if item.over else (), "outputs", name)
    need = Type.CATEGORY if quantity.categorical else Type.NUMBER
    if found.type is not need:
        refuse(f"{name} is {need.value}, the formula gives {found.type.value}", table="outputs", key=name)
    check_work(namespace, found, table="outputs", key=name)
    return found, item.over


def _stand_ins(spec: LawSpec) -> list[Node]:
    """Return the trees of defaults that are formulas, all of them checked before."""
    texts = [item.missing for item in spec.input_specs() if isinstance(item.missing, str)]
    return [parse(text) for text in texts if not is_call(text, PRIORS)]


def _condition(namespace: Namespace, text: str, key: str) -> Formula:
    """Return a case's condition, which is looked at before a map is."""
    found = one_formula(namespace, text, "cases", key, Type.TRUTH)
    if spoken(namespace, found.tree) & set(GRID_NAMES):
        refuse("a case comes before the map; say reject_below in [grid]", table="cases", key=key)
    return found


def _check_decision(spec: LawSpec, namespace: Namespace) -> dict[str, Formula]:
    decision = spec.decision
    if decision is None:
        return {}
    least = spec.output_specs().get(decision.minimise)
    if least is None or least.over or namespace.quantities[decision.minimise].categorical:
        message = f"'{decision.minimise}' is not an output of this law that is one number"
        refuse(message, table="decision", key="minimise")
    inputs = {i.quantity for i in spec.input_specs() if i.over is None and i.role is None}
    for name in decision.choose:
        if name not in inputs or namespace.quantities[name].categorical:
            refuse(f"'{name}' is not an input of this law that is a number", table="decision", key="choose")
    if not decision.choose or len(set(decision.choose)) < len(decision.choose):
        refuse("give one or more different inputs to choose", table="decision", key="choose")
    if decision.optimum and set(decision.optimum) != set(decision.choose):
        refuse("the closed form gives every chosen quantity, and no other", table="decision", key="optimum")
    optimum = {
        name: one_formula(namespace, text, "decision", f"optimum.{name}") for name, text in decision.optimum.items()
    }
    for name, formula in optimum.items():
        if chosen := sorted(spoken(namespace, formula.tree) & set(decision.choose)):
            message = f"the closed form uses '{chosen[0]}', which is yet to be chosen"
            refuse(message, table="decision", key=f"optimum.{name}")
    return optimum
