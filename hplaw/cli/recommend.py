"""`hplaw recommend`: its options."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from hplaw.cli.asking import Asked, answer
from hplaw.cli.options import Json, LawFolders


def _one(help: str, name: str | None = None) -> Any:
    # a leading hyphen belongs to the value, so that -3 is refused as a number and not as an option
    return Parameter(name=name, allow_leading_hyphen=True, help=help)


def _several(help: str) -> Any:
    return Parameter(consume_multiple=True, negative=(), help=help)


def recommend(
    *,
    params: Annotated[str | None, _one("Parameters without embedding, all experts counted: 7B.")] = None,
    tokens: Annotated[str | None, _one("Training tokens: 1.4T.")] = None,
    active_params: Annotated[str | None, _one("Parameters without embedding that one token uses.")] = None,
    batch_tokens: Annotated[str | None, _one("Tokens in one step, if that is settled: 4M.")] = None,
    target_loss: Annotated[str | None, _one("Loss to reach, in nat/token.")] = None,
    optimizer: Annotated[str | None, _one("Update rule; adamw when left out.")] = None,
    precision: Annotated[str | None, _one("Number format of the matrix products: bf16.")] = None,
    hardware: Annotated[str | None, _one("Accelerator, by name.")] = None,
    devices: Annotated[str | None, _one("Number of accelerators.")] = None,
    days: Annotated[str | None, _one("Days that they are used for: with the accelerator, the budget that size and data are chosen for.")] = None,
    model: Annotated[str | None, _one("The model's config.json, as Hugging Face writes it.")] = None,
    given: Annotated[list[str] | None, _several("Any other quantity that is settled: weight_decay=0.1.")] = None,
    bound: Annotated[list[str] | None, _several("Limits for a quantity to choose: batch_tokens=1M..4M; either side may be empty.")] = None,
    want: Annotated[list[str] | None, _several("Quantities to answer; the usual ones when left out.")] = None,
    law: Annotated[list[str] | None, _several("Laws to prefer, by id.")] = None,
    laws: LawFolders = None,
    from_: Annotated[str | None, _one("A table of questions, one a row: CSV, parquet or JSON lines; - reads CSV from standard input.", "--from")] = None,
    to: Annotated[str | None, _one("Where the answered table goes; - writes CSV to standard output.")] = None,
    json: Json = False,
) -> int:  # fmt: skip
    """Answer what to train with, and what to expect: first what to set, then why, then how sure.

    Numbers take the suffixes k, M, B and T.
    """
    return answer(
        Asked(
            params=params,
            tokens=tokens,
            active_params=active_params,
            batch_tokens=batch_tokens,
            target_loss=target_loss,
            optimizer=optimizer,
            precision=precision,
            hardware=hardware,
            devices=devices,
            days=days,
            model=model,
            given=given or (),
            bound=bound or (),
            want=want or (),
            law=law or (),
            laws=laws or (),
            source=from_,
            target=to,
            json=json,
        )
    )
