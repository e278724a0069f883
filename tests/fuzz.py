"""Random formulas and random law files, run through the reader: nothing but hplaw's own errors may come out.

`python -m tests.fuzz formulas|laws --seed 1 --count 1000` prints a report as JSON; tests/law/test_fuzz.py reads it.
"""

import argparse
import datetime as dt
import json
import math
import random
import re
import signal
import sys
import time
import tomllib
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hplaw.answer.answer import answer
from hplaw.answer.check import check_law
from hplaw.answer.evaluate_law import evaluate
from hplaw.catalogue.catalogue import load_catalogue
from hplaw.errors import HplawError, LawError
from hplaw.expression import Undefined
from hplaw.law import Law, parse_law, read_law
from hplaw.law.program import unroll
from hplaw.law.rules import check_exact
from hplaw.law.scope import check_work


FIXTURES = Path(__file__).parent / "law" / "fixtures"
SLOW = 1.0
"""Seconds of processor time that one input may take."""
OURS = {"hplaw", "hplaw_laws", "numpy", "msgspec", "cython_runtime"}
"""Packages that reading and evaluating a law may load, beside the standard library."""


def all_laws() -> list[Law]:
    return [*load_catalogue(environ={}).laws, *map(read_law, sorted(FIXTURES.glob("*.toml")))]


# Formulas

_TOKEN = re.compile(r"\d+\.?\d*(?:[eE][+-]?\d+)?|\w+|\*\*|[<>=]=|\S|\s+")
_GLUE = [
    "+",
    "-",
    "*",
    "/",
    "**",
    "<",
    "<=",
    ">",
    ">=",
    "==",
    "and",
    "or",
    "not",
    "(",
    ")",
    "[",
    "]",
    ",",
    ".",
    "=",
    "!",
    "'",
    '"',
    "\\",
    "%",
    "@",
    ":",
    "#",
    "{",
    "}",
    "lambda",
    "__import__",
    "\x00",
    "\n",
    "é",
    "∑",
    "٣",
]
_CALLS = [
    "where(",
    "min(",
    "max(",
    "clip(",
    "log(",
    "exp(",
    "expm1(",
    "log1p(",
    "expm2(",
    "sqrt(",
    "abs(",
    "floor(",
    "sin(",
    "cos(",
    "tanh(",
    "sigmoid(",
    "erf(",
    "interp(",
    "sum(",
    "prod(",
    "pi",
    "eval(",
    "x.y",
    "print(",
]
_NUMBERS = [
    "0",
    "1",
    "2",
    "-1",
    "0.5",
    "1e308",
    "1e-320",
    "1e999",
    "1e-999999999",
    "1e99999999999",
    "64",
    "1/0",
    "00",
    "1.",
    ".5",
    "1.5.2",
    "9" * 400,
    "0x10",
    "1_0",
    "1e",
    "4096",
    "710",
    "inf",
    "nan",
    "1j",
]


class Formulas:
    """Formulas of real laws, broken in many ways, and words thrown together."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.homes: list[tuple[Law, list[str], list[str]]] = []
        for law in all_laws():
            texts = [*law.formulas().values(), *law.spec.let.values()]
            texts += [case.when for case in law.spec.cases]
            names = [*law.namespace.scope.symbols, *law.namespace.scope.categories]
            self.homes.append((law, texts, names))
        self.texts = [text for _, texts, _ in self.homes for text in texts]

    def word(self, names: Sequence[str]) -> str:
        kind = self.rng.random()
        if kind < 0.4 and names:
            return self.rng.choice(names)
        return self.rng.choice(_GLUE if kind < 0.75 else _CALLS if kind < 0.88 else _NUMBERS)

    def text(self, texts: Sequence[str], names: Sequence[str]) -> str:
        rng = self.rng
        if rng.random() < 0.3 or not texts:
            return " ".join(self.word(names) for _ in range(rng.randint(1, 25)))
        words = _TOKEN.findall(rng.choice(texts))
        for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
            if not words:
                break
            i, j = sorted((rng.randrange(len(words)), rng.randrange(len(words))))
            match rng.randrange(9):
                case 0:
                    del words[i]
                case 1:
                    words.insert(i, self.word(names))
                case 2:
                    words[i] = self.word(names)
                case 3:
                    words[i], words[j] = words[j], words[i]
                case 4:
                    words[j:j] = words[i : i + 12] * rng.choice([1, 1, 2, 50])
                case 5:
                    words[i:j] = _TOKEN.findall(rng.choice(self.texts))
                case 6:
                    words[i:j] = [rng.choice(_CALLS), *words[i:j], ")"]
                case 7:
                    spot = rng.randrange(len(words[i]) + 1)
                    words[i] = (
                        words[i][:spot]
                        + chr(rng.choice([rng.randrange(32, 127), rng.randrange(0x3000)]))
                        + words[i][spot:]
                    )
                case _:
                    words[i:j] = ["("] * (n := rng.choice([1, 5, 70, 3000])) + words[i:j] + [")"] * n
        return "".join(words)

    def value(self, law: Law, name: str) -> Any:
        """Return a value for an input, plain or at the edge of floats."""
        quantity, item = law.quantity(name), law.inputs[name]
        if quantity.categorical:
            words = quantity.categories or tuple(law.namespace.scope.categories) or ("unknown",)
            return self.rng.choice(words)
        number = self.rng.choice([0.0, 1.0, -1.0, 0.5, 1e9, 1e12, 1e-300, 1e300, 3.7])
        one = law.arithmetic.number(repr(number))
        if item.over in law.namespace.scope.steps:
            return np.full(3, one)  # a schedule of three steps
        return (one,) * len(law.namespace.scope.indices[item.over]) if item.over else one

    def once(self) -> None:
        law, texts, names = self.rng.choice(self.homes)
        text = self.text(texts, names)
        try:
            formula = law.namespace.formula(text, table="let", key="fuzz")
            check_work(law.namespace, formula, table="let", key="fuzz")
            if law.exact:
                check_exact([("let", formula.tree)])
        except LawError:
            return
        backend = law.arithmetic
        run = unroll(law.namespace, formula, backend, formula.free)
        effects = {name: backend.number("0.1") for e in law.spec.effects.values() for name in e.of}
        parameters = {
            name: (backend.number("0.7"),) * len(law.namespace.scope.indices[p.over])
            if p.over
            else backend.number("0.7")
            for name, p in law.spec.parameters.items()
        }
        inputs = {name: self.value(law, name) for name in law.inputs}
        # what a map says at a point, which a law of kind grid has beside its inputs
        grid = law.spec.grid
        said = {} if grid is None else {"most_likely": grid.classes[0], "probability": backend.number("0.5")}
        try:
            # as in an answer: what overflows among the steps of a schedule is said where it is looked at
            with np.errstate(all="ignore"):
                run(law.point.environment({**parameters, **effects, **inputs, **said}))
        except Undefined:
            return

    def describe(self, state: Any) -> str:
        self.rng.setstate(state)
        law, texts, names = self.rng.choice(self.homes)
        return f"{law.id}: {self.text(texts, names)[:300]!r}"


# Law files

_ODD: list[Any] = [
    0,
    1,
    -1,
    2,
    3,
    10,
    63,
    64,
    65,
    10**9,
    10**30,
    10**400,
    0.0,
    -0.0,
    0.5,
    1e308,
    1e-320,
    math.inf,
    -math.inf,
    math.nan,
    "",
    "x",
    "1/2",
    "1e999999999",
    "normal(0, 1)",
    "fixed(1)",
    "lkj(2)",
    "normal(0)",
    "n_params",
    "tokens",
    "loss",
    "log(0)",
    "1/0",
    "exp(1e9)",
    "sum(ridge, 1)",
    "../x.npz",
    "a\x00b",
    "é",
    "a" * 5000,
    "(" * 200,
    [],
    {},
    [1],
    [1, 2],
    [1.0, "x"],
    [[1.0]],
    [[1, 2], [2, 1]],
    ["n_params"],
    {"a": 1},
    {"value": 1},
    {"value": [1]},
    {"quantity": "tokens"},
    {"x": [1, 2], "y": [1, 2]},
    {"over": "ridge", "values": [1, 2, 3]},
    True,
    False,
    dt.datetime(2020, 1, 1),
    dt.date(2020, 1, 1),
    dt.time(1),
    "refused",
    "theory",
    "grid",
    "mixture",
    "procedure",
    "target",
    "transfer",
]


def toml(value: Any) -> str:
    """Return any value that TOML knows on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return json.dumps(value).replace("\x7f", "\\u007f")
        case dict():
            return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case _:
            return value.isoformat()


def slots(value: Any) -> list[tuple[Any, Any]]:
    """Return every place in nested tables and lists, as container and key."""
    found: list[tuple[Any, Any]] = []
    stack = [value]
    while stack:
        top = stack.pop()
        keys = list(top) if isinstance(top, dict) else list(range(len(top)))
        for key in keys:
            found.append((top, key))
            if isinstance(top[key], dict | list):
                stack.append(top[key])
    return found


class Laws:
    """Real law files with bytes, lines, values and keys changed."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.files = [law.text for law in all_laws()]
        self.lines = [line for text in self.files for line in text.splitlines()]
        self.places = [(top, key) for text in self.files for top, key in slots(tomllib.loads(text.decode()))]

    def bytes_changed(self, text: bytes) -> bytes:
        found, rng = bytearray(text), self.rng
        for _ in range(rng.choice([1, 1, 2, 5, 20])):
            i = rng.randrange(len(found))
            match rng.randrange(4):
                case 0:
                    found[i] = rng.randrange(256)
                case 1:
                    del found[i : i + rng.choice([1, 1, 5, 50])]
                case 2:
                    found[i:i] = bytes(rng.choices(b"[]{}=\"'\n,.0123456789eE-+ abc", k=rng.choice([1, 1, 3])))
                case _:
                    found[i] = rng.choice(b"0123456789")
            if not found:
                break
        return bytes(found)

    def lines_changed(self, text: bytes) -> bytes:
        lines, rng = text.splitlines(), self.rng
        for _ in range(rng.choice([1, 1, 2, 4])):
            i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
            match rng.randrange(4):
                case 0 if len(lines) > 1:
                    del lines[i]
                case 1:
                    lines.insert(i, lines[j])
                case 2:
                    lines.insert(i, rng.choice(self.lines))
                case _:
                    lines[i], lines[j] = lines[j], lines[i]
        return b"\n".join(lines)

    def values_changed(self, text: bytes) -> bytes:
        whole, rng = tomllib.loads(text.decode()), self.rng
        for _ in range(rng.choice([1, 1, 1, 2, 4])):
            places = slots(whole)
            top, key = rng.choice(places)
            other_top, other_key = rng.choice(self.places)
            match rng.randrange(6):
                case 0:
                    del top[key]
                case 1 | 2:
                    top[key] = json_copy(rng.choice(_ODD))
                case 3:
                    top[key] = json_copy(other_top[other_key])
                case 4 if isinstance(top, dict) and isinstance(other_key, str):
                    top[other_key] = top[key] if rng.random() < 0.5 else top.pop(key)
                case _ if isinstance(top[key], str):
                    words = _TOKEN.findall(top[key]) or [""]
                    words[rng.randrange(len(words))] = rng.choice([*_GLUE, *_CALLS, *_NUMBERS, str(other_key)])
                    top[key] = "".join(words)
                case _ if isinstance(top[key], float | int) and abs(top[key]) < 1e300:
                    top[key] *= rng.choice([-1, 0, 2, 1e-3, 1e300])
                case _:
                    top[key] = [top[key]]
            if not whole:
                break
        return "\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in whole.items()).encode(
            "utf-8", "replace"
        )

    def text(self) -> bytes:
        change = self.rng.choice([self.bytes_changed, self.lines_changed, self.values_changed, self.values_changed])
        return change(self.rng.choice(self.files))

    def once(self) -> None:
        text = self.text()
        further = self.rng.random() < 0.3
        try:
            law = parse_law(text)
            check_law(law)
            if further:
                law.record()
                for example in law.spec.examples[:2]:
                    evaluate(law, example.given)
                    answer(law, dict.fromkeys(law.inputs, 1.0))
        except (HplawError, Undefined):
            return

    def describe(self, state: Any) -> str:
        self.rng.setstate(state)
        return self.text().decode("utf-8", "replace")


def json_copy(value: Any) -> Any:
    """Return a copy of nested tables and lists."""
    if isinstance(value, dict):
        return {key: json_copy(entry) for key, entry in value.items()}
    return [json_copy(entry) for entry in value] if isinstance(value, list) else value


# Running


class Hang(BaseException):
    """One input takes far too long."""


def run(kind: str, seed: int, count: int) -> dict[str, Any]:
    """Return what came of `count` random inputs: those that escaped, those that were slow, and what was loaded."""
    source = {"formulas": Formulas, "laws": Laws}[kind](random.Random(seed))
    before = set(sys.modules)
    escaped: list[dict[str, str]] = []
    slow: list[dict[str, Any]] = []
    signal.signal(signal.SIGALRM, _ring)
    seen: set[str] = set()
    slowest = 0.0
    for _ in range(count):
        state = source.rng.getstate()
        begin = time.process_time()
        signal.alarm(20)
        try:
            source.once()
        except (Exception, Hang) as error:
            after = source.rng.getstate()
            where = traceback.extract_tb(error.__traceback__)[-1]
            key = f"{type(error).__name__} at {Path(where.filename).name}:{where.lineno}"
            if key not in seen:
                seen.add(key)
                trace = "".join(traceback.format_exception(error)[-8:])
                escaped.append({"key": key, "trace": trace, "input": source.describe(state)})
                source.rng.setstate(after)
        signal.alarm(0)
        taken = time.process_time() - begin
        slowest = max(slowest, taken)
        if taken > SLOW and len(slow) < 5:
            after = source.rng.getstate()
            slow.append({"seconds": round(taken, 2), "input": source.describe(state)})
            source.rng.setstate(after)
    loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
    strange = sorted(n for n in loaded - OURS - sys.stdlib_module_names if not n.startswith("_cython"))
    return {"count": count, "escaped": escaped, "slow": slow, "slowest": round(slowest, 3), "loaded": strange}


def _ring(*_: object) -> None:
    raise Hang


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["formulas", "laws"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    asked = parser.parse_args(arguments)
    warnings.simplefilter("error")
    print(json.dumps(run(asked.kind, asked.seed, asked.count)))


if __name__ == "__main__":
    main()
