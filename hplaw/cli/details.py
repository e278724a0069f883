"""What is behind the first screen of estimates: intervals, other laws, elasticities, derivation, sources."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import structs

from hplaw.cli.formula import readable
from hplaw.cli.page import Page
from hplaw.formatting import add_unit, factor_of, number, numbers, times, with_unit
from hplaw.messages.law import Citation
from hplaw.messages.layout import Layout
from hplaw.messages.recipe import Training
from hplaw.messages.recommendation import Alternative, Estimate, Step
from hplaw.vocabulary.quantities import vocabulary


MOST_AUTHORS = 3
"""Authors named in a source; of more, the first."""

UNVERIFIED = "constants not verified against the paper"
"""What is said of constants that were recalled."""

Answers = Mapping[str, Estimate]


def law_name(address: str | None) -> str:
    """Return a law's address for people: id and version, without the digest.

    >>> law_name("step-law-2025@1+3fa9c2d41b7e")
    'step-law-2025@1'
    """
    return (address or "-").partition("+")[0]


def add_alternatives(page: Page, answers: Answers) -> None:
    """Add what other laws give, and how far outside their range they are evaluated."""
    page.heading("Alternatives")
    rows: list[tuple[str, str, str]] = []
    for name, estimate in answers.items():
        values = (estimate.value, *(other.value for other in estimate.alternatives))
        plain = [value for value in values if isinstance(value, int | float)]
        written = dict(zip(plain, numbers(plain, unit=estimate.unit), strict=True))
        for place, other in enumerate(estimate.alternatives):
            value = other.value
            text = value if isinstance(value, str) else add_unit(written[value], estimate.unit)
            rows.append(("" if place else name, text, f"{law_name(other.law)}, {_distance(other)}"))
    page.table(rows, head=("", "value", "law, and how far outside its range"))
    if not rows:
        page.text("no other law gives these quantities")


def _distance(other: Alternative) -> str:
    far = times(factor_of(other.outside_efolds))
    parts = [f"{far} outside"] if other.outside_efolds > 0 else []
    return ", ".join([*parts, *(f"another {name}" for name in other.outside)]) or "inside"


def training(item: Training) -> str:
    """Return what a published training used, in one line."""
    experts = f", {number(item.n_active_params)} active" if item.n_active_params < item.n_params else ""
    used = {"peak_lr": item.peak_lr, "batch_tokens": item.batch_tokens, "weight_decay": item.weight_decay}
    parts = [f"{name} {number(value)}" for name, value in used.items() if value is not None]
    parts += [word for word in (item.schedule, item.optimizer if item.optimizer != "adamw" else None) if word]
    return f"{item.name} ({number(item.n_params)}{experts}, {number(item.tokens)} tokens) {', '.join(parts)}"


def add_nearest(page: Page, nearest: Sequence[Training]) -> None:
    """Add the published trainings nearest in size, data and kind, with what they used and where that was read."""
    page.heading("Published trainings nearby")
    for item in nearest:
        page.text(f"{training(item)}. {item.source}", hang=4)
    if not nearest:
        page.text("none within a factor of 30 in size and data")


def add_elasticities(page: Page, answers: Answers) -> None:
    """Add by how many percent each answer changes for one percent more of each input."""
    page.heading("Elasticities")
    page.text("percent of change for 1% more of each input")
    rows = [
        (name, ", ".join(f"{key} {value:+.2g}" for key, value in slopes.items()))
        for name, estimate in answers.items()
        if (slopes := {key: value for key, value in estimate.elasticities.items() if value})
    ]
    page.table(rows)
    if not rows:
        page.text("none of these depends on a numeric input")


def law_only(name: str, answers: Answers) -> bool:
    """Return whether a quantity's interval is for the recipe of its law, where others of that law cover the user's own."""
    estimate = answers[name]
    return (
        estimate.low is not None
        and estimate.same_recipe_low is None
        and any(e.law == estimate.law and e.same_recipe_low is not None for e in answers.values())
    )


def add_intervals(page: Page, answers: Answers) -> None:
    """Add all intervals, and why a quantity has none."""
    page.heading("Intervals")
    page.table([row for name in answers for row in _intervals(name, answers)])
    for reason, names in _unsure(answers).items():
        page.text(f"{', '.join(names)}: {reason.rstrip('.')}")
    if any(estimate.low is not None for estimate in answers.values()):
        page.text("A few runs of your own recipe narrow its interval: hplaw calibrate --runs RUNS.csv")


def _intervals(name: str, answers: Answers) -> list[tuple[str, str, str]]:
    estimate = answers[name]
    whose = ", law's recipe" if law_only(name, answers) else ""
    pairs = (
        (estimate.low, estimate.high, f"90%{whose}"),
        (estimate.low50, estimate.high50, f"50%{whose}"),
        (estimate.same_recipe_low, estimate.same_recipe_high, "90%, law's recipe"),
        (estimate.plateau_low, estimate.plateau_high, "loss within 0.1% of the best"),
    )
    rows = [
        (what, " to ".join(numbers([low, high], unit=estimate.unit)))
        for low, high, what in pairs
        if low is not None and high is not None
    ]
    return [("" if place else name, *row) for place, row in enumerate(rows)]


def _unsure(answers: Answers) -> dict[str, list[str]]:
    """Return the names of quantities that have no interval, by the reason."""
    found: dict[str, list[str]] = {}
    for name, estimate in answers.items():
        if estimate.reason and estimate.value is not None and estimate.low is None:
            found.setdefault(estimate.reason, []).append(name)
    return found


def add_derivation(page: Page, answers: Answers) -> None:
    """Add the laws evaluated, in order: their formulas, what went in, what came out."""
    page.heading("Derivation")
    for step in merged_steps(step for estimate in answers.values() for step in estimate.derivation):
        page.text(law_name(step.law))
        page.text(f"given {_values(step.inputs)}", indent=4, hang=4)
        for formula in step.formula.split("; "):
            page.text(readable(formula), indent=4, hang=4)
        page.text(f"gives {_values(step.outputs)}", indent=4, hang=4)


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


def add_sources(page: Page, citations: Iterable[Citation]) -> None:
    """Add where the laws come from, and how far their constants were checked."""
    page.heading("Sources")
    for citation in citations:
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
    checked = {"recalled": UNVERIFIED, "derived": "constants derived"}.get(citation.checked, checked)
    rest = ", ".join(part for part in (link, citation.where, checked) if part)
    return f"{law_name(citation.law)}: {who}{citation.title.rstrip('.')}. {rest}".strip()


def layout_line(item: Layout) -> str:
    """Return a layout in one line."""
    again = "" if item.recomputation == "none" else f", {item.recomputation} recomputation"
    return (
        f"tp {item.tensor_parallel}, pp {item.pipeline_parallel}, dp {item.data_parallel}; micro {item.micro_batch_seqs} x "
        f"{item.accumulation}; ZeRO {item.zero_stage}{again}; {number(item.device_bytes / 1e9)} GB each; "
        f"{item.utilization:.0%} of peak ({100 * item.low:.0f}-{item.high:.0%})"
    )
