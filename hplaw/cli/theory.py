"""`hplaw theory`: what rules say of a quantity, where they differ, and the card of each work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

from cyclopts import Parameter

from hplaw.cli.exit_status import OK
from hplaw.cli.options import Json, LawFolders
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.reading import open_catalogue
from hplaw.cli.render import law_name
from hplaw.errors import QueryError
from hplaw.formatting import number, plural
from hplaw.messages.record import encode
from hplaw.messages.theory import Dependence, Rule, Theory, Work


SHOWN = 12
"""Rules of other quantities that a page shows; --json has all."""


def theory(
    quantity: Annotated[
        str | None, Parameter(name="QUANTITY", help="A quantity; all that rules speak of when left out.")
    ] = None,
    /,
    *,
    works: Annotated[
        bool,
        Parameter(
            negative=(),
            show_default=False,
            help="A line for each work of the literature, or for those that speak of QUANTITY.",
        ),
    ] = False,
    work: Annotated[str | None, Parameter(help="The card of one work, by its id.")] = None,
    laws: LawFolders = None,
    json: Json = False,
) -> int:
    """Say what every rule says of a quantity: direction and exponent, assumptions, agreement and conflict."""
    from hplaw.theory.rules import theory as look_up, theory_lines

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
            write(_page(found))
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
    page.line(f"{plural(len(lines), 'quantity')}; `hplaw theory QUANTITY` says what rules say of one")
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
        message = f"no work speaks of {str(quantity)[:80]}; `hplaw theory --works` lists all, with what they are about"
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


def _page(found: Theory) -> str:
    page = Page()
    page.heading(found.quantity)
    page.text(found.meaning)
    _rules(page, found.rules)
    _comparisons(page, found)
    for title, rules in (("Rules of its kin", found.kin), ("What it moves", found.affects)):
        if rules:
            page.heading(title)
        for rule in rules[:SHOWN]:
            page.text(f"{law_name(rule.law)}: {rule.gives} {_moves(rule.by)}")
    more = max(0, len(found.kin) - SHOWN) + max(0, len(found.affects) - SHOWN)
    if more:
        page.line(f"  and {plural(more, 'other')}, shown by --json")
    if found.works:
        page.heading("Works that speak of it")
        page.text(", ".join(card.id for card in found.works), hang=0)
    if not (found.rules or found.kin or found.affects or found.works):
        page.text("no rule speaks of it")
    return str(page)


def _rules(page: Page, rules: Sequence[Rule]) -> None:
    if rules:
        page.heading("Rules that give it")
    for rule in rules:
        page.text(f"{law_name(rule.law)} ({rule.status}, {rule.checked}): {_moves(rule.by)}")
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
    """Return how an output goes with its inputs, those that do not move it left out."""
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
        page.heading("Agreement and conflict")
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
