"""A recommendation as a page for people: one screen, and the sections that were asked for behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from hplaw.cli import details
from hplaw.cli.details import law_name, law_only
from hplaw.cli.page import Page
from hplaw.cli.scope import covers
from hplaw.cli.sections import Sections
from hplaw.evaluation.domain import UNKNOWN
from hplaw.formatting import add_unit, number, numbers
from hplaw.messages.recommendation import AnswerWarning, Estimate, Recommendation
from hplaw.narrowing import is_list


SETTINGS = (
    "n_params",
    "tokens",
    "peak_lr",
    "adam_lr",
    "learning_rate",
    "batch_tokens",
    "batch_seqs",
    "lora_rank",
    "lora_alpha",
    "min_lora_rank",
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
"""The quantities that a user sets, in the order in which they are shown; all others are to be expected."""

COUNTED = ("n_params", "n_active_params", "n_params_with_embedding", "n_active_params_with_embedding", "flop_per_token")
"""The quantities that are counted from a model's shape, in the order in which they are shown."""

SECTIONS = Sections(
    ("alternatives", "nearest", "elasticities", "intervals", "derivation", "sources"),
    explained=("derivation", "sources"),
)
"""What is behind the first screen."""

LEADING = ("incomplete-config",)
"""Warnings that come first, as they are why quantities have no value."""

LINES = 2
"""Lines that a warning may take; the rest of a longer one is in the JSON."""

DIGITS = 3
"""Significant digits of the first screen."""

HEAD = ("", "value", "90% interval", "law")


def render(
    answer: Recommendation,
    columns: int | None = None,
    *,
    bold: bool | None = None,
    shown: Sequence[str] = (),
    example: str | None = None,
) -> str:
    """Return the page of a recommendation, set in `columns` (those of the terminal by default).

    **Arguments:**

    - `shown`: the sections to add to the first screen.
    - `example`: a line on what the run would take on an accelerator that nobody named.
    """
    page = Page(columns, bold=bold)
    page.text(f"For {question(answer.query)}", indent=0)
    if answer.ignored:
        page.text(f"Ignored: {'; '.join(ignored_texts(answer.ignored))}", indent=0)
    ordered = _in_order(answer)
    told = {name: estimate for name, estimate in ordered.items() if estimate.value is not None}
    counted = [name for name in COUNTED if name in told] if answer.query.get("model") else []
    settings = [name for name in told if name in SETTINGS and name not in counted]
    expected = [name for name in told if name not in (*SETTINGS, *counted)]
    add_estimates(page, told, {"Model": counted, "Set": settings, "Expect": expected})
    if (text := covers(told)) is not None:
        page.text(text)
    if any(estimate.low is not None for estimate in told.values()):
        whose = "any recipe" if answer.recipe == UNKNOWN else f"the recipe {answer.recipe}"
        marked = "; * for the law's recipe only" if any(law_only(name, told) for name in told) else ""
        page.text(f"Intervals are for {whose}{marked}.")
    if answer.predicted_regret is not None:
        page.text(f"Expected loss is {number(100 * answer.predicted_regret, digits=2)}% above the optimum.")
    if answer.nearest:
        page.text(f"Published nearby: {details.training(answer.nearest[0])}.")
    if answer.layout is not None:
        page.heading("Layout")
        page.text(details.layout_line(answer.layout))
    if example is not None:
        page.line()
        page.text(f"Example: {example}", indent=0)
    leading = [warning for warning in answer.warnings if warning.code in LEADING]
    others = [warning for warning in answer.warnings if warning.code not in LEADING]
    add_warnings(page, [*warning_texts(leading), *without_value(ordered), *warning_texts(others)])
    for name in shown:
        add_section(page, name, answer, ordered)
    SECTIONS.say_more(page, shown)
    return str(page)


def settings_first(names: Iterable[str]) -> list[str]:
    """Return quantities in the order in which they are shown: what is to set, then what is to be expected.

    >>> settings_first(["loss", "batch_tokens", "peak_lr"])
    ['peak_lr', 'batch_tokens', 'loss']
    """
    rank = {name: place for place, name in enumerate(SETTINGS)}
    return sorted(names, key=lambda name: rank.get(name, len(rank)))


def add_section(page: Page, name: str, answer: Recommendation, estimates: Mapping[str, Estimate]) -> None:
    """Add one of `SECTIONS`.

    **Arguments:**

    - `estimates`: those of the answer, in the order in which they are shown.
    """
    if name == "sources":
        details.add_sources(page, answer.citations)
        page.line(f"  id of this answer: {answer.id}")
    elif name == "nearest":
        details.add_nearest(page, answer.nearest)
    else:
        ADDERS[name](page, estimates)


def _in_order(answer: Recommendation) -> dict[str, Estimate]:
    """Return the answers, what is to set first; the same energy in joule only where it was evaluated for."""
    names = settings_first(answer.answers)
    twice = "energy_kwh" in answer.answers and "energy_j" not in answer.query.get("want", ())
    return {name: answer.answers[name] for name in names if not (twice and name == "energy_j")}


def ignored_texts(ignored: Mapping[str, str]) -> Iterator[str]:
    """Yield the reasons why something given changes nothing; what no law takes is said at once.

    >>> list(ignored_texts({name: f"no law used here depends on {name}" for name in ("seq_len", "beta2")}))
    ['seq_len, beta2 (no law used here depends on them)']
    """
    plain = [name for name, reason in ignored.items() if reason.endswith(f" depends on {name}")]
    if plain:
        yield f"{', '.join(plain)} (no law used here depends on {'it' if len(plain) == 1 else 'them'})"
    for name, reason in ignored.items():
        if name not in plain:
            yield f"{name} ({reason.replace(f' changes with {name}', ' changes with it')})"


def add_estimates(
    page: Page, answers: Mapping[str, Estimate], groups: Mapping[str, Sequence[str]], *, laws: bool = True
) -> None:
    """Add tables of estimates, each with its heading, all aligned.

    `laws` puts the law in the last column, or below a page too narrow for that.
    """
    rows = {name: _row(name, estimate, marked=law_only(name, answers)) for name, estimate in answers.items()}
    head: Sequence[str] = HEAD
    beside = laws and page.fits([head, *rows.values()])
    shown = rows if beside else {name: row[:-1] for name, row in rows.items()}
    head = head if beside else head[:-1]
    for title, names in groups.items():
        if names:
            page.heading(title)
            page.table([shown[name] for name in names], head=head, like=shown.values())
            head = ()
    if rows and laws and not beside:
        page.text(f"By {', '.join(dict.fromkeys(row[-1] for row in rows.values()))}.")


def _row(name: str, estimate: Estimate, *, marked: bool) -> tuple[str, str, str, str]:
    """Return a quantity, its value, the interval that concerns the user, and the law."""
    value, law = estimate.value, law_name(estimate.law)
    low, high = estimate.low, estimate.high
    if value is None or isinstance(value, str):
        return name, value or "-", "-", law
    ends = [] if low is None or high is None else [low, high]
    text, *sides = numbers([value, *ends], unit=estimate.unit, digits=DIGITS)
    wide = f"{' to '.join(sides)}{' *' if marked else ''}" if sides else "-"
    return name, add_unit(text, estimate.unit), wide, law


def add_warnings(page: Page, texts: Iterable[str]) -> None:
    """Add what to know before using the answer, each once and in brief."""
    found = list(dict.fromkeys(texts))
    if found:
        page.heading("Warnings")
    for text in found:
        page.text(text, most=LINES)


def warning_texts(warnings: Iterable[AnswerWarning]) -> Iterator[str]:
    """Yield the words of warnings; a law that was passed over for several quantities is named once."""
    passed: set[str | None] = set()
    for warning in warnings:
        if warning.code == "passed-over":
            if warning.law in passed:
                continue
            passed.add(warning.law)
        yield warning.text


def texts_by_case(cases: Sequence[tuple[str, Iterable[str]]], *, between: str = ", ") -> Iterator[str]:
    """Yield the texts of several cases, each once, with the cases before it where it does not hold for all.

    >>> list(texts_by_case([("bf16", ["a", "b"]), ("fp8", ["a"])]))
    ['a', 'bf16: b']
    """
    said: dict[str, list[str]] = {}
    for case, texts in cases:
        for text in texts:
            said.setdefault(text, []).append(case)
    for text, names in said.items():
        yield text if len(names) == len(cases) else f"{between.join(names)}: {text}"


def without_value(answers: Mapping[str, Estimate]) -> list[str]:
    """Return a sentence for each reason why quantities have no value."""
    found: dict[str, list[str]] = {}
    for name, estimate in answers.items():
        if estimate.value is None:
            found.setdefault(estimate.reason or "no law gives it", []).append(name)
    return [
        reason if reason.startswith(f"{names[0]} needs") else f"no {', '.join(names)}: {reason}"
        for reason, names in found.items()
    ]


ADDERS: Mapping[str, Callable[[Page, Mapping[str, Estimate]], None]] = {
    "alternatives": details.add_alternatives,
    "elasticities": details.add_elasticities,
    "intervals": details.add_intervals,
    "derivation": details.add_derivation,
}
"""What adds a section that estimates fill."""


def question(query: Mapping[str, Any]) -> str:
    """Return what was evaluated, in one line.

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


def _plain(value: object) -> str:
    if is_list(value):
        return ", ".join(_plain(item) for item in value)
    return number(value) if isinstance(value, int | float) else str(value)
