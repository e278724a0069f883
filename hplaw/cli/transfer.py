"""`hplaw transfer`: what rules make of hyperparameters tuned at one batch, at another."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from hplaw.cli.exit_status import FAILED, OK
from hplaw.cli.options import Json, LawFolders
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.reading import open_catalogue
from hplaw.formatting import number, with_unit
from hplaw.messages.record import encode
from hplaw.messages.transfer import Transfer, TransferRequest, TransferRule
from hplaw.vocabulary.reading import parse_pairs, read_number


Text = str | None

SHORT = {"peak_lr": "lr", "adam_epsilon": "epsilon", "weight_decay": "decay"}
"""Quantities by the words of the options."""


def transfer(
    *,
    lr: Annotated[str, Parameter(help="The learning rate that suits --batch.")],
    batch: Annotated[str, Parameter(help="Tokens, sequences or examples in a step, as you count them.")],
    to_batch: Annotated[str, Parameter(help="The batch to go to, in the same unit.")],
    optimizer: Annotated[str, Parameter(help="sgd, momentum, adam, adamw, ...")] = "adamw",
    beta1: Annotated[Text, Parameter(help="Of Adam at --batch; 0.9 when left out.")] = None,
    beta2: Annotated[Text, Parameter(help="Of Adam at --batch; 0.999 when left out.")] = None,
    epsilon: Annotated[Text, Parameter(help="Of Adam at --batch; 1e-8 when left out.")] = None,
    weight_decay: Annotated[Text, Parameter(help="At --batch; the one that goes with each rate is then given.")] = None,
    noise_scale: Annotated[Text, Parameter(help="The gradient noise scale, in the unit of --batch.")] = None,
    given: Annotated[
        list[str] | None,
        Parameter(
            consume_multiple=True,
            negative=(),
            help="What else is known: hessian_edge=10, hessian_noise=1e5, surge_batch_tokens=1M.",
        ),
    ] = None,
    laws: LawFolders = None,
    json: Json = False,
) -> int:
    """Say what each rule makes of hyperparameters at another batch, where rules agree, and what decides."""
    from hplaw.theory.batch_transfer import transfer as work_out

    known = {name: read_number(f"--given {name}", text) for name, text in parse_pairs(given, "--given").items()}
    for option, name, text in (
        ("--beta1", "base_beta1", beta1),
        ("--beta2", "base_beta2", beta2),
        ("--epsilon", "base_adam_epsilon", epsilon),
        ("--weight-decay", "base_weight_decay", weight_decay),
        ("--noise-scale", "noise_scale_tokens", noise_scale),
    ):
        if text is not None:
            known[name] = read_number(option, text)
    query = TransferRequest(
        peak_lr=read_number("--lr", lr),
        batch_tokens=read_number("--batch", batch),
        to_batch_tokens=read_number("--to-batch", to_batch),
        optimizer=optimizer,
        given=known,
    )
    found = work_out(query, open_catalogue(laws))
    if json:
        write_json(encode(found))
    else:
        write(_page(found))
    return OK if found.agreements else FAILED


def _page(found: Transfer) -> str:
    query = found.query
    page = Page()
    page.line(
        f"From a batch of {number(query.batch_tokens)} to {number(query.to_batch_tokens)}, {number(found.ratio)} times, "
        f"with {query.optimizer} and a rate of {number(query.peak_lr)}"
    )
    said = [rule for rule in found.rules if rule.values]
    if said:
        page.heading("What rules say")
        page.table([_row(rule) for rule in said], head=("rule", "rate", "goes as", "and"))
    page.heading("What decides")
    for sentence in found.decides:
        page.text(sentence)
    silent = [rule for rule in found.rules if not rule.values and not rule.lacks]
    told = [rule for rule in (*said, *silent) if rule.say]
    if told:
        page.heading("Where rules do not hold")
        for rule in told:
            page.text(f"{rule.law.partition('@')[0]}: {rule.say}")
    return str(page)


def _row(rule: TransferRule) -> tuple[str, str, str, str]:
    others = {**rule.values, **rule.follows}
    rate = others.pop("peak_lr", None)
    return (
        rule.law.partition("@")[0],
        "-" if rate is None else number(rate),
        "-" if rule.exponent is None else f"batch^{rule.exponent:.3g}",
        ", ".join(f"{SHORT.get(name, name)} {with_unit(value, '1')}" for name, value in others.items()) or "-",
    )
