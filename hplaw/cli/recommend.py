"""`hplaw recommend`: its options."""

from __future__ import annotations

from typing import Annotated

from hplaw.cli.options import All, Explain, Json, LawFolders, one, several
from hplaw.cli.query_options import Asked, answer
from hplaw.cli.render import SECTIONS


def recommend(
    *,
    params: Annotated[str | None, one("Parameters without embedding, all experts counted: 7B.")] = None,
    tokens: Annotated[str | None, one("Training tokens: 1.4T.")] = None,
    active_params: Annotated[str | None, one("Parameters without embedding that one token uses.")] = None,
    experts: Annotated[str | None, one("Routed experts in one layer of a mixture of experts: 64.")] = None,
    experts_active: Annotated[str | None, one("Routed experts that one token uses: 4.")] = None,
    granularity: Annotated[
        str | None, one("How finely experts are cut, 2 d_model / d_expert: 8; by the experts of a token by default.")
    ] = None,
    batch_tokens: Annotated[str | None, one("Tokens in one step, if that is settled: 4M.")] = None,
    target_loss: Annotated[str | None, one("Loss to reach, in nat/token: chooses size or data.")] = None,
    flops: Annotated[str | None, one("Training compute, the budget that size and data are chosen for: 1e24.")] = None,
    optimizer: Annotated[str | None, one("Update rule; adamw by default.")] = None,
    precision: Annotated[str | None, one("Number format of the matrix products: bf16.")] = None,
    hardware: Annotated[str | None, one("Accelerator, by name.")] = None,
    devices: Annotated[str | None, one("Number of accelerators.")] = None,
    days: Annotated[
        str | None,
        one("Days that they are used for: with the accelerator, the budget that size and data are chosen for."),
    ] = None,
    country: Annotated[str | None, one("Whose electricity is used, two letters: US.")] = None,
    recipe: Annotated[
        str | None, one("The recipe that you train with, by name: `hplaw recipes` lists them; any by default.")
    ] = None,
    width: Annotated[str | None, one("Width of the model that a rate tuned at another width is for.")] = None,
    scheme: Annotated[str | None, one("How init and rates go with the width: standard, mup, ntk, mean_field.")] = None,
    tuned_base: Annotated[
        str | None,
        one("A rate that you tuned, and where: batch=256,lr=1e-3 or width=256,lr=3e-3; the answer starts from it."),
    ] = None,
    unique_tokens: Annotated[str | None, one("Different training tokens, where some are repeated: 10B.")] = None,
    epochs: Annotated[str | None, one("Times that the different tokens are seen.")] = None,
    serve_tokens: Annotated[
        str | None, one("Tokens that the model will serve: budgets and targets then count serving, too.")
    ] = None,
    serve_precision: Annotated[str | None, one("Number format of the weights that are served: int4.")] = None,
    minimize: Annotated[
        str | None, one("What training and serving take a minimum of, for a target loss: flop, joules, money.")
    ] = None,
    effort: Annotated[
        str | None, one("How well the run is tuned: vendor, as makers publish; typical, the default; first-try.")
    ] = None,
    price: Annotated[str | None, one("What one accelerator costs in an hour: adds the cost.")] = None,
    pue: Annotated[str | None, one("Energy of the machine room over that of its computers: 1.1.")] = None,
    schedule: Annotated[
        str | None, one("Shape of the learning rate over the run: constant, cosine, linear, wsd, inverse_sqrt, uba.")
    ] = None,
    task: Annotated[str | None, one("What is trained; language, the only one that laws cover, by default.")] = None,
    finetune: Annotated[
        str | None, one("Fine-tune the base model of --model: lora, or full for all its weights.")
    ] = None,
    lora_rank: Annotated[str | None, one("Rank of the adapters of --finetune lora; 32 by default.")] = None,
    compare: Annotated[
        str | None, one("A quantity and its values, to see the answers side by side: precision=bf16,fp8,fp4.")
    ] = None,
    model: Annotated[str | None, one("The model's config.json, as Hugging Face writes it.")] = None,
    given: Annotated[list[str] | None, several("Any other quantity that is settled: weight_decay=0.1.")] = None,
    bound: Annotated[
        list[str] | None, several("Limits for a quantity to choose: batch_tokens=1M..4M; either side may be empty.")
    ] = None,
    want: Annotated[list[str] | None, several("Quantities to answer; the usual ones by default.")] = None,
    law: Annotated[list[str] | None, several("Laws to prefer, by id.")] = None,
    laws: LawFolders = None,
    from_: Annotated[
        str | None,
        one("A table of questions, one a row: CSV, parquet or JSON lines; - reads CSV from standard input.", "--from"),
    ] = None,
    to: Annotated[str | None, one("Where the answered table goes; - writes CSV to standard output.")] = None,
    explain: Explain = False,
    show: Annotated[list[str] | None, several(SECTIONS.help)] = None,
    all: All = False,
    json: Json = False,
) -> int:
    """Recommend hyperparameters and predict the loss: first what to set, then what to expect, then warnings.

    Numbers take the suffixes k, M, B and T.
    """
    return answer(
        Asked(
            params=params,
            tokens=tokens,
            active_params=active_params,
            experts=experts,
            experts_active=experts_active,
            granularity=granularity,
            batch_tokens=batch_tokens,
            target_loss=target_loss,
            flops=flops,
            optimizer=optimizer,
            precision=precision,
            hardware=hardware,
            devices=devices,
            days=days,
            country=country,
            recipe=recipe,
            width=width,
            scheme=scheme,
            tuned_base=tuned_base,
            unique_tokens=unique_tokens,
            epochs=epochs,
            serve_tokens=serve_tokens,
            serve_precision=serve_precision,
            minimize=minimize,
            effort=effort,
            price=price,
            pue=pue,
            schedule=schedule,
            task=task,
            finetune=finetune,
            lora_rank=lora_rank,
            compare=compare,
            model=model,
            given=given or (),
            bound=bound or (),
            want=want or (),
            law=law or (),
            laws=laws or (),
            source=from_,
            target=to,
            json=json,
            explain=explain,
            show=show or (),
            all=all,
        )
    )
