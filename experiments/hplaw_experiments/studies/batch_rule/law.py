"""The laws of the batch-rule study: for each optimizer, the rate at a new batch from a tuned one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from hplaw.fit.output.law_folder import SERVED, write_served
from hplaw.law import Law
from hplaw.law.format import EvidenceSpec, LawSpec
from hplaw.law.read import decode_spec
from hplaw_experiments.studies.batch_rule.analysis import Found
from hplaw_experiments.studies.batch_rule.rules import RULES


Array = NDArray[np.float64]

UNKNOWN_NOISE = 2.5
"""Standard deviation of the logarithm of the noise scale around two batches where nothing is known of it: a factor of 60
either way at 90%."""

DOMAIN = {"sgd": ["sgd"], "momentum": ["momentum"], "adam": ["adam", "adamw"]}
"""Optimizers that a law holds for, by the one that was trained."""

TITLES = {"sgd": "SGD", "momentum": "SGD with momentum", "adam": "Adam"}


def write_laws(found: Sequence[Found], runs: pl.DataFrame, to: Path, *, sha256: str) -> list[Law]:
    """Write a law folder for each optimizer, `to/batch-rule-OPTIMIZER`.

    **Arguments:**

    - `runs`: the table of runs, for the evidence.
    - `sha256`: of its file.
    """
    laws: list[Law] = []
    for optimizer in DOMAIN:
        mine = [each for each in found if each.series.optimizer == optimizer]
        if not mine:
            continue
        fixed = [each for each in mine if each.series.measure == "fixed examples"]
        draws = draws_of(fixed, spread=spread_of(found))
        spec = _spec(optimizer, fixed, draws, runs, sha256)
        laws.append(write_served(to / spec.id, spec, draws, _card(spec, fixed)))
    return laws


def spread_of(found: Sequence[Found]) -> float:
    """Return how far the exponent of one more model lies from the optimizer's: what the models here differ by.

    The root mean square, over optimizers and measures, of half the difference between two models' exponents, times the
    root of two; never below 0.05, as two models are few.
    """
    halves: list[float] = []
    for one in found:
        for other in found:
            same = (one.series.optimizer, one.series.measure) == (other.series.optimizer, other.series.measure)
            if same and one.series.family < other.series.family:
                halves.append(0.5 * (_exponent(one) - _exponent(other)))
    return max(0.05, float(np.sqrt(2 * np.mean(np.square(halves)))) if halves else 0.15)


def _exponent(found: Found) -> float:
    """Return the exponent below the noise scale, or that of all batches where few lie below."""
    below = found.rules.below
    return float(np.median(found.rules.whole.p[RULES.index("power")] if below is None else below))


def draws_of(found: Sequence[Found], *, spread: float, seed: int = 0) -> dict[str, Array]:
    """Return the draws of a law: a model at random, a rule by its weight, a draw of it, an exponent around it."""
    rng = np.random.default_rng(seed)
    parts: list[Array] = []
    size = SERVED // len(found) + 1
    for each in found:
        posterior = each.rules.whole
        rule, draw = posterior.chosen(rng, size)
        columns = [c[rule, draw] for c in (posterior.p, posterior.q, posterior.s, posterior.tau)]
        columns[2] = columns[2] - np.log(each.noise_scale)
        # two batches scatter apart from each other
        columns[3] = np.sqrt(2) * columns[3] * rng.standard_normal(size)
        parts.append(np.stack(columns, axis=1))
    power, bend, place, scatter = np.concatenate(parts)[rng.permutation(size * len(found))[:SERVED]].T
    return {
        "power": power + spread * rng.standard_normal(SERVED),
        "bend": bend,
        "place": place,
        "scatter": scatter,
        "unknown_noise": UNKNOWN_NOISE * rng.standard_normal(SERVED),
    }


def _spec(optimizer: str, found: Sequence[Found], draws: dict[str, Array], runs: pl.DataFrame, sha256: str) -> LawSpec:
    spec = decode_spec((files("hplaw_experiments") / "templates" / "batch-rule.toml").read_bytes())
    mine = runs.filter(pl.col("optimizer") == optimizer)
    predictions = [prediction for each in found for prediction in each.predictions]
    factors = [prediction.factor for prediction in predictions]
    batches = np.concatenate([each.tuning.batches for each in found])
    evidence = EvidenceSpec(
        runs=len(mine),
        groups=len(batches),
        data_sha256=sha256,
        data="the study batch-rule",
        code_version=f"hplaw {mine['code_version'][0]}",
        hardware=str(mine["hardware"][0]),
        sampler="NUTS: bowls and rules 4 x 500 draws, mixed by stacking weights",
        fitted=dt.datetime.now(dt.UTC).date().isoformat(),
        r_hat=max(max(each.rules.r_hat, each.tuning.r_hat) for each in found),
        divergences=sum(each.tuning.divergences for each in found),
        held_out={
            "rate_factor_median": float(np.median(factors)),
            "rate_covered": float(np.mean([prediction.covered for prediction in predictions])),
        },
    )
    span = [float(batches.min()), float(batches.max())]
    return msgspec.structs.replace(
        spec,
        id=f"batch-rule-{optimizer}",
        title=f"{TITLES[optimizer]}: {spec.title[0].lower()}{spec.title[1:]}",
        status="calibrated",
        parameters={
            name: msgspec.structs.replace(item, value=float(np.median(draws[name])))
            for name, item in spec.parameters.items()
        },
        domain={"batch_tokens": span, "base_batch_tokens": span, "optimizer": list(DOMAIN[optimizer])},
        evidence=evidence,
    )


def _card(spec: LawSpec, found: Sequence[Found]) -> str:
    assert spec.evidence is not None
    lines = [
        f"# {spec.title}",
        "",
        spec.notes.strip(),
        "",
        "## How it was made",
        "",
        "```",
        "hplaw study run batch-rule",
        "hplaw study report batch-rule --laws-to fitted_laws/hplaw_laws/calibrated",
        "```",
        "",
        f"{spec.evidence.runs} runs, {spec.evidence.groups} batch sizes; {spec.evidence.sampler}; R-hat {spec.evidence.r_hat:.3f}.",
        "",
        "| model | " + " | ".join(RULES) + " |",
        "|---|" + "---|" * len(RULES),
        *(
            f"| {each.series.family} | " + " | ".join(f"{weight:.2f}" for weight in each.rules.whole.weights) + " |"
            for each in found
        ),
        "",
        "Weights of the rules, by stacking over batches held out with all within a factor of 4.",
    ]
    return "\n".join(lines) + "\n"
