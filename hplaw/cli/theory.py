"""`hplaw theory`: what rules give for a quantity, where they differ, and the card of each work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

from cyclopts import Parameter

from hplaw.cli.details import UNVERIFIED, law_name
from hplaw.cli.exit_status import OK
from hplaw.cli.options import All, Explain, Json, LawFolders, several
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.reading import open_catalogue
from hplaw.cli.sections import Sections
from hplaw.errors import QueryError
from hplaw.formatting import number, plural
from hplaw.messages.record import encode
from hplaw.messages.theory import Comparison, Dependence, Rule, Theory, Work


SHOWN = 7
"""Rules on the first screen, those of measured laws first."""

MOST_INPUTS = 3
"""Inputs of a rule on the first screen."""

MOST_VERDICTS = 8
"""Inputs on the first screen by which rules are compared, those in conflict first."""

SECTIONS = Sections(("rules", "comparisons", "related", "affects", "works"), explained=("rules", "comparisons"))
"""What is behind the first screen."""


def theory(
    quantity: Annotated[
        str | None, Parameter(name="QUANTITY", help="A quantity; all that rules cover by default.")
    ] = None,
    /,
    *,
    works: Annotated[
        bool,
        Parameter(
            negative=(),
            show_default=False,
            help="A line for each work of the literature, or for those that cover QUANTITY.",
        ),
    ] = False,
    work: Annotated[str | None, Parameter(help="The card of one work, by its id.")] = None,
    laws: LawFolders = None,
    explain: Explain = False,
    show: Annotated[list[str] | None, several(SECTIONS.help)] = None,
    all: All = False,
    json: Json = False,
) -> int:
    """Show every rule for a quantity: exponents, agreement and conflict; --show adds assumptions."""
    from hplaw.theory.rules import theory as look_up, theory_lines

    shown = SECTIONS.choose(explain=explain, show=show, all=all)
    if work is not None:
        return _show_work(work, quantity, works=works, json=json)
    if works:
        return _show_works(quantity, json=json)
    catalogue = open_catalogue(laws)
    if quantity is not None:
        found = look_up(catalogue, quantity)
        if json:
            write_json(encode(found))
        else:
            write(_page(found, shown))
        return OK
    lines = theory_lines(catalogue)
    if json:
        write_json(encode(lines))
        return OK
    page = Page()
    page.table(
        [(line.quantity, str(line.given_by), str(line.taken_by), line.meaning) for line in lines],
        head=("quantity", "given by", "taken by", "meaning"),
    )
    page.line()
    page.line(f"{plural(len(lines), 'quantity')}; `hplaw theory QUANTITY` says what rules give for one")
    write(str(page))
    return OK


def _show_work(name: str, quantity: str | None, *, works: bool, json: bool) -> int:
    from hplaw.theory.works import work

    if quantity is not None or works:
        message = "--work shows one card; give neither a quantity nor --works with it"
        raise QueryError(message, field="work")
    card = work(name)
    if json:
        write_json(encode(card))
        return OK
    page = Page()
    page.heading(card.id)
    page.text(card.title)
    page.line()
    page.text(card.says, hang=0)
    page.line()
    rows = [("of", ", ".join(card.about))]
    rows += [("laws", ", ".join(card.laws))] if card.laws else []
    rows += [("commands", ", ".join(card.commands))] if card.commands else []
    rows += [("no rule to compute", card.no_rule)] if card.no_rule else []
    page.table(rows)
    write(str(page))
    return OK


def _show_works(quantity: str | None, *, json: bool) -> int:
    from hplaw.theory.works import speaking_of, works

    cards = works() if quantity is None else speaking_of(quantity)
    if not cards:
        message = f"no work covers {str(quantity)[:80]}; `hplaw theory --works` lists all, with what they are about"
        raise QueryError(message, field="quantity")
    if json:
        write_json(encode(cards))
        return OK
    page = Page()
    page.table([(card.id, _computed(card)) for card in cards], head=("work", "what is computed from it"))
    page.line()
    ruled = sum(not card.no_rule for card in cards)
    page.line(f"{plural(len(cards), 'work')}, {ruled} with something to compute; `hplaw theory --work ID` shows a card")
    write(str(page))
    return OK


def _computed(card: Work) -> str:
    return ", ".join((*card.laws, *card.commands)) or "no rule to compute"


def _page(found: Theory, shown: Sequence[str]) -> str:
    page = Page()
    page.text(f"{found.quantity}: {found.meaning}", indent=0)
    if not (found.rules or found.kin or found.affects or found.works):
        page.text("no rule covers it")
        return str(page)
    _brief(page, found.rules)
    if found.comparisons:
        page.heading("Agreement")
        first = sorted(found.comparisons, key=lambda comparison: comparison.agree)[:MOST_VERDICTS]
        page.table([_verdict(comparison) for comparison in first])
    for name in shown:
        _add_section(page, name, found)
    SECTIONS.say_more(page, shown)
    return str(page)


def _brief(page: Page, rules: Sequence[Rule]) -> None:
    """Add a line for each of the first rules: its exponents."""
    if not rules:
        return
    page.heading(f"Exponents by {plural(len(rules), 'rule')}")
    page.table([(law_name(rule.law), rule.status, _exponents(rule.by, MOST_INPUTS)) for rule in rules[:SHOWN]])
    if len(rules) > SHOWN:
        page.text(f"and {plural(len(rules) - SHOWN, 'other')}: --show rules")
    if any(not move.everywhere for rule in rules[:SHOWN] for move in rule.by if move.direction != "flat"):
        page.text("~: no power law; its slope at the examples of the law")


def _exponents(by: Iterable[Dependence], most: int | None = None) -> str:
    """Return how an output depends on its inputs, or with the first of them, in brief."""
    parts = [f"{_input(move)} {_slope(move)}" for move in by if move.direction != "flat"]
    return ", ".join(parts if most is None or len(parts) <= most else [*parts[:most], "..."]) or "constant"


def _input(move: Dependence) -> str:
    return f"{move.quantity} ({move.entry})" if move.entry else move.quantity


def _slope(move: Dependence) -> str:
    """Return an exponent of a power law, or a slope, or the range of those.

    >>> _slope(Dependence(quantity="tokens", low=0.3, high=0.307, direction="rises", everywhere=False))
    '~+0.3..+0.31'
    """
    ends = dict.fromkeys(f"{end:+.2g}" if end else "0" for end in (move.low, move.high))
    return f"{'' if move.everywhere else '~'}{'..'.join(ends)}"


def _verdict(comparison: Comparison) -> tuple[str, str]:
    sides = {
        "rises": comparison.rises,
        "falls": comparison.falls,
        "stays": comparison.flat,
        "either": comparison.either,
    }
    counts = ", ".join(f"{word} in {len(laws)}" for word, laws in sides.items() if laws)
    return comparison.by, f"{'agree' if comparison.agree else 'conflict'}: {counts}"


def _add_section(page: Page, name: str, found: Theory) -> None:
    match name:
        case "rules":
            _rules(page, found.rules)
        case "comparisons":
            _comparisons(page, found)
        case "related":
            _others(page, "Rules for related quantities", found.kin)
        case "affects":
            _others(page, "Quantities that depend on it", found.affects)
        case _:
            page.heading("Works")
            page.text(", ".join(card.id for card in found.works) or "none", hang=0)


def _others(page: Page, title: str, rules: Sequence[Rule]) -> None:
    page.heading(title)
    page.table([(law_name(rule.law), f"{rule.gives}: {_exponents(rule.by)}") for rule in rules])
    if not rules:
        page.text("none")


def _rules(page: Page, rules: Sequence[Rule]) -> None:
    if rules:
        page.heading("Rules")
    for rule in rules:
        checked = UNVERIFIED if rule.checked == "recalled" else rule.checked
        page.text(f"{law_name(rule.law)} ({rule.status}, {checked}): {_moves(rule.by)}")
        for line in _assumptions(rule):
            page.text(line, indent=4)


def _assumptions(rule: Rule) -> Iterator[str]:
    seen = ", ".join(f"{name} {_range(values)}" for name, values in rule.domain.items())
    parts = [part for part in (rule.batch, f"seen on {seen}" if seen else "") if part]
    if parts:
        yield "; ".join(parts)
    for limit in rule.limits:
        yield f"but: {limit}"


def _range(values: Sequence[Any]) -> str:
    if len(values) == 2 and all(isinstance(value, int | float) for value in values):
        return " to ".join(dict.fromkeys(number(value) for value in values))
    return ", ".join(map(str, values))


def _moves(by: Iterable[Dependence]) -> str:
    """Return how an output depends on its inputs, those that do not move it omitted."""
    by = list(by)
    parts = [
        f"{move.direction} with {move.quantity}{f' for {move.entry}' if move.entry else ''}, {exponent(move)}"
        for move in by
        if move.direction != "flat"
    ]
    return "; ".join(parts) or ("does not move" if by else "no exponent")


def exponent(move: Dependence) -> str:
    """Return an exponent in words: one of a power law, a slope at examples, or a range of those.

    >>> exponent(Dependence(quantity="tokens", low=0.307, high=0.307, direction="rises", everywhere=True))
    'exponent +0.307'
    """
    if move.everywhere:
        return f"exponent {move.low:+.3g}"
    if move.low == move.high:
        return f"slope {move.low:+.3g} at its examples"
    return f"slope {move.low:+.3g} to {move.high:+.3g} at its examples"


def _comparisons(page: Page, found: Theory) -> None:
    if found.comparisons:
        page.heading("Comparisons")
    for comparison in found.comparisons:
        sides = [
            f"{word}: {', '.join(law_name(law) for law in laws)}"
            for word, laws in (
                ("rises", comparison.rises),
                ("falls", comparison.falls),
                ("stays", comparison.flat),
                ("either", comparison.either),
            )
            if laws
        ]
        verdict = "agree" if comparison.agree else "conflict"
        page.text(f"with {comparison.by}, {verdict}; {'; '.join(sides)}")
        for part in filter(None, comparison.say.split("; ")):
            page.text(part, indent=4)
