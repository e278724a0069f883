"""`hplaw transfer`: what rules give for hyperparameters tuned at one batch, at another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter

from hplaw.cli.exit_status import FAILED, OK
from hplaw.cli.options import All, Explain, Json, LawFolders, several
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.parametrize import SCALES
from hplaw.cli.reading import open_catalogue, read_muon_scale
from hplaw.cli.render import add_warnings
from hplaw.cli.sections import Sections
from hplaw.formatting import number, with_unit
from hplaw.messages.record import encode
from hplaw.messages.transfer import Conversion, Transfer, TransferRequest, TransferRule
from hplaw.vocabulary.reading import parse_pairs, read_number


Text = str | None

SHORT = {"peak_lr": "lr", "adam_epsilon": "epsilon", "weight_decay": "decay"}
"""Quantities by the words of the options."""

SECTIONS = Sections(("assumptions", "inputs", "excluded"), explained=("assumptions",))
"""What is behind the first screen."""


def transfer(
    *,
    lr: Annotated[str, Parameter(help="The learning rate that suits --batch.")],
    batch: Annotated[Text, Parameter(help="Tokens, sequences or examples in a step, as you count them.")] = None,
    to_batch: Annotated[Text, Parameter(help="The batch to go to, in the same unit.")] = None,
    optimizer: Annotated[str, Parameter(help="sgd, momentum, adam, adamw, ...")] = "adamw",
    from_optimizer: Annotated[
        Text,
        Parameter(
            help="adamw: --lr was tuned with AdamW, and --optimizer is muon; needs --given d_model=4096, or fan_out and fan_in."
        ),
    ] = None,
    muon_scale: Annotated[
        str, Parameter(help="original or match_rms_adamw: the scale of Muon's rates, as torch.optim.Muon has it.")
    ] = "original",
    beta1: Annotated[Text, Parameter(help="Of Adam at --batch; 0.9 by default.")] = None,
    beta2: Annotated[Text, Parameter(help="Of Adam at --batch; 0.999 by default.")] = None,
    epsilon: Annotated[Text, Parameter(help="Of Adam at --batch; 1e-8 by default.")] = None,
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
    explain: Explain = False,
    show: Annotated[list[str] | None, several(SECTIONS.help)] = None,
    all: All = False,
    json: Json = False,
) -> int:
    """Show what each rule gives for hyperparameters at another batch size; --show adds assumptions."""
    from hplaw.theory.batch_transfer import transfer as work_out

    shown = SECTIONS.choose(explain=explain, show=show, all=all)
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
        batch_tokens=None if batch is None else read_number("--batch", batch),
        to_batch_tokens=None if to_batch is None else read_number("--to-batch", to_batch),
        optimizer=optimizer,
        from_optimizer=from_optimizer,
        muon_scale=read_muon_scale(muon_scale),
        given=known,
    )
    found = work_out(query, open_catalogue(laws))
    if json:
        write_json(encode(found))
    else:
        write(_page(found, shown))
    return OK if found.agreements or found.conversion else FAILED


def _page(found: Transfer, shown: Sequence[str]) -> str:
    query = found.query
    page = Page()
    batches = ""
    if query.batch_tokens is not None and query.to_batch_tokens is not None:
        batches = f"batch {number(query.batch_tokens)} to {number(query.to_batch_tokens)} ({number(found.ratio)}x), "
    before = f"{query.from_optimizer} to " if found.conversion else ""
    page.text(f"For {batches}optimizer {before}{query.optimizer}, peak_lr {number(query.peak_lr)}", indent=0)
    if found.conversion is not None:
        _add_conversion(page, found.conversion)
    if query.batch_tokens is None:
        return str(page)
    rules = [rule for rule in found.rules if rule.values]
    if rules:
        page.heading("Set, by each rule")
        page.table([_row(rule) for rule in rules], head=("rule", "rate", "90% interval", "goes as", "and"))
    page.text(found.decides[0])
    add_warnings(page, [f"{_name(rule)}: {rule.say}" for rule in rules if rule.say])
    for name in shown:
        _add_section(page, name, found)
    SECTIONS.say_more(page, shown)
    return str(page)


def _add_conversion(page: Page, found: Conversion) -> None:
    page.heading("Muon's rate")
    page.table(
        [
            (
                f"{number(found.fan_out)} x {number(found.fan_in)}",
                number(found.peak_lr, digits=4),
                f"{number(found.ratio, digits=4)}x",
            )
        ],
        head=("matrix", "rate", f"over {found.from_optimizer}'s"),
    )
    page.text(f"For {SCALES[found.muon_scale]}, by {_name(found)}.")
    page.text("Divide a weight decay by the same factor, as rate times decay is what shrinks weights.")
    page.text(
        f"Embeddings, unembedding and gains keep {found.from_optimizer}'s rate. By layer: hplaw parametrize --config."
    )


def _add_section(page: Page, name: str, found: Transfer) -> None:
    match name:
        case "assumptions":
            page.heading("Assumptions")
            lines = [f"{_name(rule)}: {rule.assumes}" for rule in found.rules if rule.values and rule.assumes]
        case "inputs":
            page.heading("Rules that need more inputs")
            lines = [f"{_name(rule)}: give {', '.join(rule.lacks)}" for rule in found.rules if rule.lacks]
        case _:
            page.heading("Rules that do not apply")
            lines = [f"{_name(rule)}: {rule.say}" for rule in found.rules if not rule.values and not rule.lacks]
    for line in lines or ["none"]:
        page.text(line)


def _name(rule: TransferRule | Conversion) -> str:
    return rule.law.partition("@")[0]


def _row(rule: TransferRule) -> tuple[str, str, str, str, str]:
    others = {**rule.values, **rule.follows}
    rate = others.pop("peak_lr", None)
    interval = rule.intervals.get("peak_lr")
    return (
        _name(rule),
        "-" if rate is None else number(rate),
        "-" if interval is None else " to ".join(map(number, interval)),
        "-" if rule.exponent is None else f"batch^{rule.exponent:.3g}",
        ", ".join(f"{SHORT.get(name, name)} {with_unit(value, '1')}" for name, value in others.items()) or "-",
    )
