"""`hplaw parametrize` and `hplaw classify`: layers of a wider or deeper model, and what exponents do at infinite width."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from hplaw.cli.details import law_name, source
from hplaw.cli.exit_status import OK
from hplaw.cli.options import Json, one, several
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.reading import read_muon_scale, read_object
from hplaw.errors import QueryError
from hplaw.formatting import number
from hplaw.messages.parametrization import AbcRequest, LayerRow, LayerTable, MuonScale, ParametrizeRequest
from hplaw.messages.record import encode
from hplaw.vocabulary.reading import read_number


SCALES: Mapping[MuonScale, str] = {
    "original": "its original scale, sqrt(max(1, A / B)) of an A x B array",
    "match_rms_adamw": "the scale match_rms_adamw, 0.2 sqrt(max(A, B)) of an A x B array",
}
"""Muon's scales in words."""

_COLUMNS = ("init", "multiplier", "rate", "decay", "epsilon")
_HEADS = {"multiplier": "mult"}
_VALUES = {"init": "init_std", "rate": "peak_lr", "decay": "weight_decay", "epsilon": "adam_epsilon"}


def parametrize(
    *,
    scheme: Annotated[str, one("standard, ntk, mean-field, mup, depth-mup, completep or u-mup.")] = "mup",
    optimizer: Annotated[str, one("sgd, momentum, adam, adamw or muon.")] = "adamw",
    from_optimizer: Annotated[
        str | None, one("adamw: the learning rate was tuned with AdamW, and --optimizer is muon.")
    ] = None,
    muon_scale: Annotated[
        str, one("original or match_rms_adamw: the scale of Muon's rates, as torch.optim.Muon has it.")
    ] = "original",
    width: Annotated[str | None, one("The model's width.")] = None,
    base_width: Annotated[str | None, one("The width that was tuned.")] = None,
    depth: Annotated[str | None, one("The model's residual blocks.")] = None,
    base_depth: Annotated[str | None, one("The blocks of the model that was tuned.")] = None,
    d_head: Annotated[str | None, one("The width of an attention head.")] = None,
    base_d_head: Annotated[str | None, one("The width of a head of the model that was tuned.")] = None,
    lr: Annotated[str | None, one("The learning rate that was tuned, to show rates beside factors.")] = None,
    init_std: Annotated[str | None, one("The base's initial standard deviation; a config says it, too.")] = None,
    weight_decay: Annotated[str | None, one("The weight decay that was tuned.")] = None,
    epsilon: Annotated[str | None, one("The epsilon of Adam that was tuned.")] = None,
    decay: Annotated[
        str, one("coupled: multiplied by the rate in each step, as PyTorch's AdamW does; or independent.")
    ] = "coupled",
    alignment: Annotated[
        str | None,
        one(
            "Take the largest rates of each layer in place of the scheme's own: 1 where updates align with features, 0.5 where they do not."
        ),
    ] = None,
    config: Annotated[Path | None, one("A model's config.json: the table for each of its weights by name.")] = None,
    base_config: Annotated[Path | None, one("The config.json of the model that was tuned.")] = None,
    json: Json = False,
) -> int:
    """Compute init, multiplier, rate, weight decay and epsilon of layers in a wider or deeper model."""
    fields: dict[str, Any] = {"scheme": scheme, "optimizer": optimizer, "decay": decay}
    fields["muon_scale"] = read_muon_scale(muon_scale)
    if from_optimizer is not None:
        fields["from_optimizer"] = from_optimizer
    numbers = {
        "width": width,
        "base_width": base_width,
        "depth": depth,
        "base_depth": base_depth,
        "d_head": d_head,
        "base_d_head": base_d_head,
        "alignment": alignment,
    }
    fields |= {name: read_number(f"--{name.replace('_', '-')}", text) for name, text in numbers.items() if text}
    tuned = {
        "peak_lr": ("--lr", lr),
        "init_std": ("--init-std", init_std),
        "weight_decay": ("--weight-decay", weight_decay),
        "adam_epsilon": ("--epsilon", epsilon),
    }
    fields |= {name: read_number(option, text) for name, (option, text) in tuned.items() if text}
    for option, path in (("config", config), ("base_config", base_config)):
        if path is not None:
            fields[option] = read_object(f"--{option.replace('_', '-')}", path)
    from hplaw.client.calls import to_json
    from hplaw.messages.decode import decode
    from hplaw.parametrization.layer_table import parametrize as work_out

    table = work_out(decode(to_json(fields), ParametrizeRequest))
    if json:
        write_json(encode(table))
    else:
        write(_page(table))
    return OK


def _page(table: LayerTable) -> str:
    page = Page()
    ratios = [
        f"{number(ratio, digits=4)} times the base's {name}"
        for name, ratio in (
            ("width", table.width_multiplier),
            ("depth", table.depth_multiplier),
            ("heads", table.head_multiplier),
        )
        if ratio != 1 or name == "width"
    ]
    page.heading(f"{table.scheme} with {table.optimizer}, {', '.join(ratios)}")
    tied = {weight.name: weight.tied_to for weight in table.weights if weight.tied_to}
    rows = [(row.kind, row) for row in table.layers]
    if table.weights:
        rows = [(weight.name, weight.row) for weight in table.weights]
    shown = [c for c in _COLUMNS if not table.weights or any(_cell(r, c) != "x1" for _, r in rows)]
    page.table(
        [(name, *(_cell(row, column) for column in shown)) for name, row in rows],
        head=("", *(_HEADS.get(c, c) for c in shown)),
    )
    page.line()
    page.text("x: times what the base model has. A layer outputs mult times w x.")
    if table.from_optimizer is not None:
        page.text(
            f"The base's rate is {table.from_optimizer}'s; matrices have Muon's by their shape, by muon-from-adamw."
        )
    if table.muon_scale is not None:
        page.text(f"Muon's rates are for {SCALES[table.muon_scale]}.")
    if len(shown) < len(_COLUMNS):
        page.text(f"As in the base model: {', '.join(_HEADS.get(c, c) for c in _COLUMNS if c not in shown)}.")
    for name, embedding in tied.items():
        page.text(f"{name} is {embedding}, with a multiplier of its own.")
    page.text(f"Decay: {table.convention}.")
    if table.branch_factor != 1:
        page.text(f"Each residual branch: x{number(table.branch_factor, digits=4)}.")
    if table.attention_factor != 1:
        page.text(f"Attention's logits, beside 1 / sqrt(d_head): x{number(table.attention_factor, digits=4)}.")
    if table.regime is not None:
        page.text(f"At infinite width, by its exponents and full alignment: {table.regime}.")
    page.heading("Sources")
    page.text(source(table.citation))
    return str(page)


def _cell(row: LayerRow, column: str) -> str:
    value: float | None = getattr(row, _VALUES.get(column, ""), None)
    if value is not None:
        return number(value, digits=4)
    return f"x{number(getattr(row, column), digits=4)}"


def classify(
    *,
    a: Annotated[
        list[str],
        several("Exponents of the multipliers n^-a of input, hidden and output: -1/2,0,1/2 or hidden=0 and so on."),
    ],
    b: Annotated[list[str], several("Exponents of the initial deviations n^-b.")],
    c: Annotated[
        list[str] | None, several("Exponents of the rates n^-c; one for all roles, or three; 0 by default.")
    ] = None,
    optimizer: Annotated[str, one("sgd or adam.")] = "sgd",
    hidden_layers: Annotated[str, one("Weight matrices from hidden to hidden layer.")] = "1",
    alignment: Annotated[
        str, one("For the largest rates under adam: 1 where updates align with features, 0.5 where they do not.")
    ] = "1",
    json: Json = False,
) -> int:
    """Classify an infinitely wide network: unstable, trivial, kernel or feature learning, in exact fractions."""
    exponents: dict[str, Any] = {"a": _roles("a", a), "b": _roles("b", b)}
    same = len(c or [""]) == 1 and not any(mark in "".join(c or []) for mark in ",=")
    exponents["c"] = (c or ["0"])[0] if same else _roles("c", c or [])
    fields: dict[str, Any] = {
        **exponents,
        "optimizer": optimizer,
        "hidden_layers": read_number("--hidden-layers", hidden_layers),
        "alignment": read_number("--alignment", alignment),
    }
    from hplaw.client.calls import to_json
    from hplaw.messages.decode import decode
    from hplaw.parametrization.abc_regime import classify as work_out

    found = work_out(decode(to_json(fields), AbcRequest))
    if json:
        write_json(encode(found))
        return OK
    page = Page()
    page.heading(found.regime)
    page.text(f"r = {found.r}: {found.say}.")
    largest = ", ".join(f"{role} n^-({c})" for role, c in found.largest_rates.items())
    page.text(f"Largest rates: {largest}.")
    page.text(f"by {law_name(found.law)}")
    write(str(page))
    return OK


def _roles(name: str, words: Iterable[str]) -> dict[str, str]:
    """Return exponents by role, of three in a row or of `role=exponent`.

    >>> _roles("a", ["-1/2,0,1/2"])
    {'input': '-1/2', 'hidden': '0', 'output': '1/2'}
    """
    parts = [part.strip() for word in words for part in word.split(",") if part.strip()]
    if all("=" in part for part in parts):
        pairs = (part.partition("=") for part in parts)
        return {role.strip(): value.strip() for role, _, value in pairs}
    if len(parts) != 3 or any("=" in part for part in parts):
        message = f"--{name} {' '.join(words)}: give three exponents with commas between, for input, hidden and output"
        raise QueryError(message, field=name)
    return dict(zip(("input", "hidden", "output"), parts, strict=True))
