"""Query -> Recommendation: the planner's choice of laws, their answers, and everything that makes them trustworthy."""

from __future__ import annotations

import functools as ft
import hashlib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import msgspec

from hplaw import rows
from hplaw.answer.estimate import estimate_of
from hplaw.answer.one_law import Answer
from hplaw.catalogue.catalogue import Catalogue
from hplaw.errors import HplawError
from hplaw.evaluation.domain import Distance
from hplaw.evaluation.point import standing
from hplaw.law import Law
from hplaw.law.derived import derived
from hplaw.messages.law import Citation
from hplaw.messages.query import Query
from hplaw.messages.recommendation import Alternative, Estimate, Recommendation, Step
from hplaw.messages.record import encode, to_builtins
from hplaw.narrowing import is_tuple
from hplaw.recommendation.budget import settle_many
from hplaw.recommendation.derivation import Derivation, derive
from hplaw.recommendation.elasticity import elasticities
from hplaw.recommendation.ignored import ignored
from hplaw.recommendation.nearest import nearest
from hplaw.recommendation.parallel import ALSO, lay_out
from hplaw.recommendation.question import OPTIMIZER, Choice, understand
from hplaw.recommendation.route import COHERENT
from hplaw.recommendation.sense import sensible
from hplaw.recommendation.warnings import warnings_of
from hplaw.vocabulary.names import folded


UTILIZATION = "utilization"
"""The share of the peak that a law of hours counts on."""


def recommend(query: Query, catalogue: Catalogue) -> Recommendation:
    """Return the answer to a query, with its derivation, alternatives, warnings and sources.

    **Arguments:**

    - `query`: what is known and wanted.
    - `catalogue`: the laws to ask.

    **Raises:** `QueryError` for a question that cannot be asked; `LawNotFound` for a law that is not there. A quantity
    that cannot be had is no error: its value is null, with the reason.

    >>> from hplaw.catalogue.catalogue import load_catalogue
    >>> answer = recommend(Query(n_params=1e9, tokens=1e11, laws=["step-law-2025"]), load_catalogue())
    >>> round(answer.answers["peak_lr"].value, 6)
    0.001632
    """
    query = _named_by_default(query)
    (question,) = settle_many([understand(query, catalogue)], catalogue)
    if isinstance(question, HplawError):
        raise question
    found = derive(question, catalogue)
    slopes = elasticities(question, found)
    answers = {name: _estimate(name, found, slopes) for name in question.want if question.asked or found.offered(name)}
    used = found.used
    laid = lay_out(query, question.known, answers, catalogue, level=ft.partial(_utilization, found))
    beside = [catalogue.get(address) for address in laid.laws]
    # the cost of missing the best is that of settings answered together
    whole = [law for law in used if all(found.source.get(n) is law or n in question.known for n in COHERENT)]
    regrets = [regret for law in whole if (regret := found.answers[law].regret) is not None]
    return Recommendation(
        query=query_record(query),
        recipe=question.known["recipe"],
        answers=answers,
        ignored={name: why for name, why in ignored(found, used).items() if not (laid.layout and name in ALSO)},
        nearest=nearest(question.known),
        layout=laid.layout,
        warnings=[*warnings_of(found, used), *laid.warnings],
        predicted_regret=regrets[0] if regrets else None,
        predicted_regret_reason=None if regrets else "no law used here predicts the loss around its optimum",
        citations=[citation(law) for law in (*used, *beside)],
        id=identity(query, [*found.asked, *beside]),
    )


def _utilization(found: Derivation) -> float | None:
    """Return the share of the peak that the law of the hours counts on, so that a layout and the hours agree."""
    law = found.source.get("accelerator_hours")
    if law is None or UTILIZATION not in law.outputs:
        return None
    value = found.ask_again(law, UTILIZATION).values.get(UTILIZATION)
    return value if isinstance(value, float) else None


def _named_by_default(query: Query) -> Query:
    """Return a query that names the default optimizer as one that names none: msgspec omits what is the default
    itself, not what equals it, as a word that was read does."""
    if query.optimizer is OPTIMIZER or folded(str(query.optimizer)) != OPTIMIZER:
        return query
    return msgspec.structs.replace(query, optimizer=OPTIMIZER)


def query_record(query: Query) -> dict[str, Any]:
    """Return a query as it is shown: what was given, and the optimizer assumed."""
    return {**to_builtins(query), "optimizer": query.optimizer}


@derived
def citation(law: Law) -> Citation:
    """Return the source of a law, made once."""
    return law.citation()


def identity(query: Query, asked: Sequence[Law]) -> str:
    """Return the sha256 of a query and of the digests of all laws evaluated, as hex."""
    laws = " ".join(sorted(law.address for law in asked))
    return hashlib.sha256(encode(query) + laws.encode()).hexdigest()


def _estimate(name: str, found: Derivation, slopes: Mapping[str, Mapping[str, float]]) -> Estimate:
    answer, choice = found.answer_of(name), found.question.choice
    if answer is None:
        return Estimate(value=None, reason=found.reasons.get(name, f"no law here gives {name}"), unit=found.unit(name))
    if choice is not None and answer is choice.answer:
        return _chosen(name, choice, found)
    estimate = estimate_of(
        answer,
        name,
        derivation=[step(found.answers[other], quantities) for other, quantities in found.path(name)],
        elasticities=dict(slopes.get(name, {})),
        alternatives=[_alternative(other, value, found.away[other]) for other, value in found.others(name)],
    )
    return sensible([estimate], found.known)[0] if name == "loss" else estimate


def _chosen(name: str, choice: Choice, found: Derivation) -> Estimate:
    """Return what a budget or a target chose, with the laws that it was chosen by as its derivation."""
    steps = dict(one for decider in choice.behind for one in found.path(decider))
    derivation = [step(found.answers[law], quantities) for law, quantities in steps.items()]
    estimate = estimate_of(choice.answer, name, derivation=derivation)
    return estimate if estimate.low is not None else msgspec.structs.replace(estimate, reason=choice.reason)


def step(answer: Answer, quantities: Sequence[str]) -> Step:
    """Return one step of a derivation: what a law was evaluated with and what it gave of `quantities`."""
    law = answer.law
    formula, tex, constants = _shown(law, tuple(quantities))
    return Step(
        law=law.address,
        formula=formula,
        latex=tex,
        constants=constants,
        inputs={
            name: plain(value)
            for name, value in answer.at.items()
            # neither tables nor what a schedule has at each step
            if value is not None and not isinstance(value, tuple) and not rows.is_column(value)
        },
        outputs={name: plain(answer.values.get(name)) for name in quantities},
    )


@derived
def _shown(law: Law, quantities: tuple[str, ...]) -> tuple[str, str, dict[str, Any]]:
    """Return the formulas behind quantities as text and LaTeX, lets below what uses them, and their constants."""
    formulas = law.formulas()
    names = [name for name in quantities if name in formulas]
    lets = law.lets_behind(names)
    text = "; ".join(f"{name} = {law.text_of(name)}" for name in (*names, *lets))
    spoken = {word for name in (*names, *lets) for word in law.words_of(name)}
    values = standing(law)
    constants = {
        name: [plain(entry) for entry in value] if is_tuple(value := values[name]) else plain(value)
        for name in (*law.spec.parameters, *law.spec.constants)
        if name in spoken
    }
    return text, r" \quad ".join(law.latex[name] for name in (*names, *lets)), constants


def plain(value: object) -> Any:
    """Return a value as JSON has it: fractions as floats."""
    return float(value) if type(value) is Fraction else value


def _alternative(law: Law, value: object, away: Distance) -> Alternative:
    return Alternative(
        law=law.address,
        value=plain(value),
        outside_efolds=round(away.total, 4) if away.efolds else 0.0,
        outside=[name for name, _ in away.differs] if away.differs else [],
    )
