"""The card of a fitted law: what it was fitted to and how, how it did, and plots, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import numpy as np

from hplaw.fit.check.judge import Judgement, Left
from hplaw.fit.check.scores import read_scores
from hplaw.fit.data.smooth import MIN_RUNS
from hplaw.fit.infer.fitting import Fitted
from hplaw.fit.output.plots import draw_plots
from hplaw.formatting import plural
from hplaw.law import Law


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """The words of the command that made a fit."""

    law: str
    data: str
    maps: Mapping[str, str]
    where: str
    method: str
    seed: int
    draws: int

    def command(self, to: str) -> str:
        """Return the command line."""
        words = [f"hplaw fit {self.law}", f"--data {self.data}"]
        words += [f"--map {_quoted(f'{name}={text}')}" for name, text in self.maps.items()]
        words += [f"--where {_quoted(self.where)}"] if self.where else []
        words += [f"--method {self.method}"] if self.method != "nuts" else []
        words += [f"--draws {self.draws}"] if self.method == "nuts" else []
        words += [f"--seed {self.seed}"] if self.seed else []
        return " \\\n    ".join([*words, f"--to {to}"])


def _quoted(text: str) -> str:
    return text if text.replace("=", "").replace("_", "").isalnum() else '"' + text.replace('"', r"\"") + '"'


def write_card(law: Law, folder: Path, fitted: Fitted, judgement: Judgement, provenance: Provenance) -> str:
    """Return the card's text, its plots written into the folder."""
    plots = draw_plots(law, folder, fitted, judgement)
    return "\n".join(_lines(law, fitted, judgement, provenance, plots)).rstrip() + "\n"


def _lines(
    law: Law, fitted: Fitted, judgement: Judgement, provenance: Provenance, plots: list[tuple[str, str]]
) -> Iterator[str]:
    evidence = law.spec.evidence
    assert evidence is not None
    yield f"# {law.spec.title}"
    yield ""
    yield f"`{law.id}@{law.version}`, fitted {evidence.fitted} by {evidence.code_version}."
    if law.spec.notes.strip():
        yield ""
        yield law.spec.notes.strip()
    yield ""
    yield "## How it was fitted"
    yield ""
    yield "```"
    yield provenance.command(law.id)
    yield "```"
    yield ""
    keep = law.spec.fit.keep if law.spec.fit else ""
    counted = f"{evidence.runs} of {plural(len(fitted.runs), 'run')} in {plural(evidence.groups, 'group')}"
    yield f"{counted} satisfy `{keep}`." if keep else f"{counted}; all are used."
    yield f"Data: {evidence.data}, sha256 `{evidence.data_sha256}`."
    yield f"Sampler: {evidence.sampler}; {fitted.seconds:.0f} s on {evidence.hardware}."
    if evidence.r_hat is not None:
        yield f"R-hat {evidence.r_hat:.4f}, effective sample size {evidence.ess:.0f} at least, {evidence.divergences} divergences."
    yield ""
    yield "## How it did"
    yield ""
    if evidence.failed:
        yield "Checks that failed:"
        yield ""
        yield from (f"- {problem}" for problem in evidence.failed)
        yield ""
        yield ("Accepted all the same." if evidence.accepted_with else "Not accepted: the law is not served.")
    else:
        yield "All checks passed."
    yield ""
    yield "| score | value | verdict |"
    yield "|---|---|---|"
    observed = [item.quantity for item in fitted.density.model.likelihoods]
    yield from (f"| {s.words} | {s.value} | {s.verdict} |" for s in read_scores(evidence.held_out, observed))
    yield ""
    yield (
        "Replicates are data sets made by the fitted law: the real one is unlike them where nearly none or nearly all are above it."
        " Excess loss is that on a thin-plate spline through the held-out group's own runs."
    )
    if judgement.left:
        yield ""
        yield from _left_out(law, judgement)
    yield ""
    yield "## Parameters"
    yield ""
    yield "| parameter | prior | median | 90% interval |"
    yield "|---|---|---|---|"
    for name, array in fitted.parameters().items():
        item = law.spec.parameters.get(name)
        low, middle, high = np.quantile(array.reshape(len(array), -1), [0.05, 0.5, 0.95], axis=0)
        numbers = (", ".join(f"{v:.4g}" for v in row) for row in (middle, low, high))
        middle_text, low_text, high_text = numbers
        yield f"| {name} | {f'`{item.prior}`' if item and item.prior else ''} | {middle_text} | {low_text} to {high_text} |"
    for name, caption in plots:
        yield ""
        yield f"## {name.capitalize()}"
        yield ""
        yield caption
        yield ""
        yield f"![{name}](plots/{name}.svg)"


def _left_out(law: Law, judgement: Judgement) -> Iterator[str]:
    """Yield the table of groups held out."""
    optimum = bool(law.optimum)
    yield "| held out | runs | error, % | covered |" + (
        "".join(f" {n} law | measured |" for n in law.chosen) + " regret, % |" if optimum else ""
    )
    yield "|---|---|---|---|" + ("---|---|" * len(law.chosen) + "---|" if optimum else "")
    for item in judgement.left:
        line = f"| {item.name} | {item.runs} | {100 * item.error:.2f} | {item.covered:.2f} |"
        if optimum:
            for i in range(len(law.chosen)):
                there = item.predicted is not None
                line += f" {np.exp(item.predicted[i]):.3g} |" if there and item.predicted is not None else " |"
                line += _measured(item, i)
            line += f" {100 * item.regret:.3f} |" if item.regret is not None else " - |"
        yield line
    if optimum and any(item.measured is None for item in judgement.left):
        yield ""
        yield (
            f"(edge): the group's own runs put the optimum at the edge of their grid. -: the group has fewer than"
            f" {MIN_RUNS} runs, or no grid, and shows no optimum of its own."
        )


def _measured(item: Left, i: int) -> str:
    """Return the cell of a table with where a group's own runs put the optimum."""
    if item.measured is not None:
        return f" {np.exp(item.measured[i]):.3g} |"
    return " - |" if item.edge is None else f" {np.exp(item.edge[i]):.3g} (edge) |"
