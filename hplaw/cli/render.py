"""A recommendation as a page for people: what to set, what to expect, why, and how sure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import structs

from hplaw.cli.page import Page
from hplaw.formatting import add_unit, number, numbers, plural, with_unit
from hplaw.messages.law import Citation
from hplaw.messages.recommendation import Alternative, Estimate, Recommendation, Step
from hplaw.vocabulary.quantities import vocabulary


SETTINGS = (
    "n_params",
    "tokens",
    "peak_lr",
    "learning_rate",
    "batch_tokens",
    "batch_seqs",
    "weight_decay",
    "ema_timescale",
    "warmup_tokens",
    "warmup_steps",
    "final_lr",
    "beta1",
    "beta2",
    "adam_epsilon",
    "momentum",
    "schedule",
    "optimizer",
    "parametrization",
    "precision",
    "n_active_params",
)
"""The quantities that somebody sets, in the order in which they are shown; all others are to be expected."""

MOST_ALTERNATIVES = 5
"""Other laws shown for one quantity, the nearest to their domain first."""

MOST_AUTHORS = 3
"""Authors named in a source; of more, the first."""


def render(answer: Recommendation, columns: int | None = None, *, bold: bool | None = None) -> str:
    """Return the page of a recommendation, set in `columns` (those of the terminal when left out)."""
    page = Page(columns, bold=bold)
    page.text(f"For {question(answer.query)}", indent=0)
    rank = {name: place for place, name in enumerate(SETTINGS)}
    settings = sorted((name for name in answer.answers if name in rank), key=rank.__getitem__)
    expected = [name for name in answer.answers if name not in rank]
    ordered = {name: answer.answers[name] for name in (*settings, *expected)}
    rows = {name: _row(name, estimate) for name, estimate in ordered.items()}
    head = ("", "value", "90% interval", "law")
    for title, names in (("Set", settings), ("Expect", expected)):
        if names:
            page.heading(title)
            page.table([rows[name] for name in names], head=head, like=rows.values())
    _why(page, ordered)
    _how_sure(page, ordered, answer)
    _sources(page, answer.citations)
    page.line()
    page.line(f"id {answer.id}")
    return str(page)


def question(query: Mapping[str, Any]) -> str:
    """Return what was asked, in one line.

    >>> question({"n_params": 7e9, "tokens": 1.4e12, "optimizer": "adamw", "given": {"weight_decay": 0.1}})
    'n_params 7B, tokens 1.4T, optimizer adamw, weight_decay 0.1'
    """
    parts: list[str] = []
    for name, value in query.items():
        if name == "given":
            parts += [f"{key} {_plain(item)}" for key, item in value.items()]
        elif name == "bounds":
            for key, limits in value.items():
                low, high = (limits.get(side) for side in ("low", "high"))
                sides = ["" if side is None else _plain(side) for side in (low, high)]
                parts.append(f"{key} in {sides[0]}..{sides[1]}")
        elif name == "laws" and value:
            parts.append(f"by {', '.join(value)}")
        elif name == "model" and value:
            parts.append("the model's shape")
        elif name != "want" and value not in (None, [], {}):
            parts.append(f"{name} {_plain(value)}")
    return ", ".join(parts)


def law_name(address: str | None) -> str:
    """Return a law's address for people: id and version, without the digest.

    >>> law_name("step-law-2025@1+3fa9c2d41b7e")
    'step-law-2025@1'
    """
    return (address or "-").partition("+")[0]


def _plain(value: object) -> str:
    return number(value) if isinstance(value, int | float) else str(value)


def _row(name: str, estimate: Estimate) -> tuple[str, str, str, str]:
    value, low, high = estimate.value, estimate.low, estimate.high
    law = law_name(estimate.law)
    if value is None or isinstance(value, str):
        return name, value or "-", "-", law
    if low is None or high is None:
        return name, with_unit(value, estimate.unit), "-", law
    text, *ends = numbers([value, low, high], unit=estimate.unit)
    return name, add_unit(text, estimate.unit), " to ".join(ends), law


def _why(page: Page, answers: Mapping[str, Estimate]) -> None:
    steps = merged_steps(step for estimate in answers.values() for step in estimate.derivation)
    if steps:
        page.heading("Why")
    for step in steps:
        page.text(f"{law_name(step.law)}: {step.formula}")
        page.text(f"with {_values(step.inputs)}, gives {_values(step.outputs)}", indent=4)
    rows = [row for name, estimate in answers.items() for row in _alternatives(name, estimate)]
    if rows:
        page.line()
        page.text("What other laws say, and how far that is from what they were seen on")
        page.table(rows, indent=4)
    elastic = [
        (name, ", ".join(f"{key} {value:+.3g}" for key, value in slopes.items()))
        for name, estimate in answers.items()
        if (slopes := {key: value for key, value in estimate.elasticities.items() if value})
    ]
    if elastic:
        page.line()
        page.line("  Percent of change for one percent more of")
        page.table(elastic, indent=4)


def merged_steps(steps: Iterable[Step]) -> list[Step]:
    """Return the steps of several derivations, those of one law at one point as one, in order."""
    found: dict[str, Step] = {}
    for step in steps:
        key = f"{step.law} {sorted(step.inputs.items())}"
        before = found.get(key)
        if before is None:
            found[key] = step
            continue
        formulas = dict.fromkeys((*before.formula.split("; "), *step.formula.split("; ")))
        outputs = {**before.outputs, **step.outputs}
        found[key] = structs.replace(before, formula="; ".join(formulas), outputs=outputs)
    return list(found.values())


def _values(values: Mapping[str, Any]) -> str:
    units = vocabulary()
    texts = (
        f"{name} = {with_unit(value, units[name].unit if name in units else '1', short=True)}"
        for name, value in values.items()
        if value is not None
    )
    return ", ".join(texts) or "nothing"


def _alternatives(name: str, estimate: Estimate) -> Iterator[tuple[str, str, str]]:
    values = (estimate.value, *(other.value for other in estimate.alternatives))
    plain = [value for value in values if isinstance(value, int | float)]
    written = dict(zip(plain, numbers(plain, unit=estimate.unit), strict=True))
    for place, other in enumerate(estimate.alternatives[:MOST_ALTERNATIVES]):
        value = other.value
        text = value if isinstance(value, str) else add_unit(written[value], estimate.unit)
        yield "" if place else name, text, f"{law_name(other.law)}, {_distance(other)}"
    more = len(estimate.alternatives) - MOST_ALTERNATIVES
    if more > 0:
        yield "", "", f"and {plural(more, 'other')}, shown by --json"


def _distance(other: Alternative) -> str:
    parts = [f"{other.outside_efolds:.2g} e-folds"] if other.outside_efolds > 0 else []
    return ", ".join([*parts, *(f"another {name}" for name in other.outside)]) or "inside"


def _how_sure(page: Page, answers: Mapping[str, Estimate], answer: Recommendation) -> None:
    page.heading("How sure")
    transferred = False
    for name, estimate in answers.items():
        sentences = _sentences(name, estimate)
        transferred = transferred or estimate.transfer_low is not None
        if sentences:
            page.text(f"{name}: {'; '.join(sentences)}.")
    if transferred:
        page.text("A handful of runs of your own recipe narrows the range for another recipe.")
    for reason, names in _reasons(answers).items():
        page.text(f"{', '.join(names)}: {reason.rstrip('.')}.")
    if answer.predicted_regret is not None:
        percent = number(100 * answer.predicted_regret, digits=2)
        page.text(f"This setting is expected to cost {percent} percent of loss over the best one.")
    elif answer.predicted_regret_reason:
        page.text(f"Cost over the best setting: {answer.predicted_regret_reason.rstrip('.')}.")
    if answer.warnings:
        page.line()
        lines = dict.fromkeys(f"{warning.code}: {warning.text}" for warning in answer.warnings)
        page.line(f"  {plural(len(lines), 'warning')}")
        for line in lines:
            page.text(line, indent=4)


def _sentences(name: str, estimate: Estimate) -> list[str]:
    if not isinstance(estimate.value, int | float):
        return []
    what = "the best value" if name in SETTINGS else "it"
    pairs = (
        (estimate.low, estimate.high, f"{what} lies in {{}} nine times in ten"),
        (estimate.low50, estimate.high50, "in {} one time in two"),
        (estimate.transfer_low, estimate.transfer_high, "under another recipe in {}"),
        (estimate.plateau_low, estimate.plateau_high, "{} costs at most 0.1 percent of loss"),
    )
    return [
        words.format(" to ".join(numbers([low, high], unit=estimate.unit)))
        for low, high, words in pairs
        if low is not None and high is not None
    ]


def _reasons(answers: Mapping[str, Estimate]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, estimate in answers.items():
        if estimate.reason:
            found.setdefault(estimate.reason, []).append(name)
    return found


def _sources(page: Page, citations: Iterable[Citation]) -> None:
    cited = list(citations)
    if cited:
        page.heading("Sources")
    for citation in cited:
        page.text(source(citation))


def source(citation: Citation) -> str:
    """Return a citation in one line: law, authors, year, title, where to find it, how far it was checked."""
    year = f" ({citation.year})" if citation.year else ""
    names = citation.authors.split(", ")
    authors = f"{names[0]} et al." if len(names) > MOST_AUTHORS else citation.authors
    who = f"{authors}{year}: " if authors else ""
    link = f"arXiv:{citation.arxiv}" if citation.arxiv else ""
    link = link or (f"doi:{citation.doi}" if citation.doi else "")
    checked = f"constants from {citation.checked} source" if citation.checked else ""
    checked = {"recalled": "constants recalled", "derived": "constants derived"}.get(citation.checked, checked)
    rest = ", ".join(part for part in (link, citation.where, checked) if part)
    return f"{law_name(citation.law)}: {who}{citation.title.rstrip('.')}. {rest}".strip()
