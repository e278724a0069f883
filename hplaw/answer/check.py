"""Running a law's worked examples: what `hplaw laws check` and the tests do."""

from __future__ import annotations

import sys
from fractions import Fraction

from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import HplawError
from hplaw.expression.backends import exact_number
from hplaw.law.format import ExampleSpec
from hplaw.law.law import Law
from hplaw.narrowing import is_table


def check_law(law: Law, catalogue: Catalogue | None = None) -> list[str]:
    """Return what is wrong with a law's examples, one sentence each, nothing when all hold.

    **Arguments:**

    - `catalogue`: where the members of a mixture are found.
    """
    from hplaw.expression import Undefined

    problems: list[str] = []
    for number, example in enumerate(law.spec.examples, 1):
        try:
            problems += [f"examples {number}: {problem}" for problem in _check(law, example, catalogue)]
        except (HplawError, Undefined) as error:
            problems.append(f"examples {number}: {error}")
    return problems


def _check(law: Law, example: ExampleSpec, catalogue: Catalogue | None) -> list[str]:
    from hplaw.answer.answer import plain_outputs

    if law.spec.kind == "procedure":
        return []
    status, found = plain_outputs(law, example.given, catalogue, want=list(example.expect))
    expected = example.status or "ok"
    problems = [] if status == expected else [f"the status is {status}, not {expected}"]
    for name, want in example.expect.items():
        have = found.get(name)
        if is_table(want):
            if not is_table(have):
                problems.append(f"{name} is not a table")
                continue
            problems += [
                f"{name}.{key} is {_show(have.get(key))}, not {entry}"
                for key, entry in want.items()
                if not _equal(have.get(key), entry, example.rtol, exact=law.exact)
            ]
        elif not _equal(have, want, example.rtol, exact=law.exact):
            problems.append(f"{name} is {_show(have)}, not {want}")
    return problems


def _show(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _equal(have: object, want: object, rtol: float, *, exact: bool) -> bool:
    if isinstance(have, str) or isinstance(want, bool) or not isinstance(have, float | Fraction):
        return isinstance(have, str) and have == want
    if exact and isinstance(want, str | int | float):
        try:
            return have == exact_number(want if isinstance(want, str) else repr(want))
        except ValueError:
            return False
    if not isinstance(want, int | float) or not abs(want) <= sys.float_info.max:
        return False
    return abs(have - want) <= rtol * max(abs(want), 1e-300)
