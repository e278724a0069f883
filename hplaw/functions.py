"""The shortest ways to ask: one call for one answer, with the laws that this process finds."""

from __future__ import annotations

import functools as ft
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from hplaw.catalogue.catalogue import Catalogue, load_catalogue
from hplaw.client import LocalClient
from hplaw.client.calls import compare_body, query_body, to_json
from hplaw.messages.compare import AnswerComparison, CompareRequest
from hplaw.messages.decode import decode
from hplaw.messages.device import DeviceEnergy, DeviceEnergyRequest
from hplaw.messages.layout import LayoutRequest
from hplaw.messages.layouts import LayoutReply
from hplaw.messages.parametrization import AbcReply, AbcRequest, LayerTable, ParametrizeRequest
from hplaw.messages.pareto import Pareto, ParetoRequest
from hplaw.messages.pruning import PruneAdvice, PruneReply, PruneRequest
from hplaw.messages.query import Query
from hplaw.messages.recommendation import Evaluation, Recommendation
from hplaw.messages.schedule import ScheduleCompareRequest, ScheduleComparison, ScheduleCurve, ScheduleRequest
from hplaw.messages.transfer import Transfer, TransferRequest


@ft.lru_cache(maxsize=8)
def _catalogue(folders: tuple[str, ...]) -> Catalogue:
    return load_catalogue(folders)


def recommend(query: Query | None = None, /, *, folders: Iterable[str | Path] = (), **fields: object) -> Recommendation:
    """Return what to set and what to expect for a run.

    **Arguments:**

    - `query`: a `Query`; or its fields by name (`n_params`, `tokens`, `batch_tokens`, `given`, `want`, `laws`, ...).
    - `folders`: folders of law files searched before all others.

    **Raises:** `QueryError` naming the field at fault; `LawNotFound`.

    >>> round(recommend(n_params=1e9, tokens=1e11, laws=["step-law-2025"]).answers["peak_lr"].value, 6)
    0.001632
    """
    from hplaw.recommendation.record import recommend as answer

    return answer(decode(query_body(query, fields), Query), _catalogue(tuple(map(str, folders))))


def compare(
    values: Mapping[str, Sequence[float | str]],
    query: Query | None = None,
    /,
    *,
    folders: Iterable[str | Path] = (),
    **fields: object,
) -> AnswerComparison:
    """Return the answers to one question for several values of a quantity, and which value is best for what.

    **Arguments:**

    - `values`: the quantity with its values.
    - `query`: a `Query`; or its fields by name.
    - `folders`: folders of law files searched before all others.

    **Raises:** `QueryError` naming the field at fault; what is wrong with one value alone is its `error`.

    >>> compare({"precision": ["bf16", "fp4"]}, n_params=1e9, tokens=1e11, want=["loss"]).best
    {'loss': 'bf16'}
    """
    from hplaw.recommendation.compare import compare as answer

    asked = decode(compare_body(values, query, fields), CompareRequest)
    return answer(asked, _catalogue(tuple(map(str, folders))))


def evaluate(address: str, given: Mapping[str, object], *, folders: Iterable[str | Path] = ()) -> Evaluation:
    """Return what one law gives at one point.

    **Arguments:**

    - `address`: `id`, `id@version` or `id@version+digest`.
    - `given`: values by input; a table by category for an input over an index.

    **Raises:** `LawNotFound`; `QueryError` naming the input at fault.

    >>> evaluate("compute-6nd", {"n_active_params": 1e9, "tokens": 2e10}).outputs["compute_flop"].value
    1.2e+20
    """
    from hplaw.answer.evaluate_law import evaluate as answer

    catalogue = _catalogue(tuple(map(str, folders)))
    return answer(catalogue.get(address), given, catalogue)


def parametrize(**fields: object) -> LayerTable:
    """Return what init, multiplier, rate, weight decay and epsilon become in a wider or deeper model.

    **Arguments:** the fields of a `ParametrizeRequest`: `scheme`, `optimizer`, `width` and `base_width`, `depth` and
    `base_depth`, or a `config` for each of its weights by name.

    **Raises:** `QueryError` naming the field at fault.

    >>> parametrize(scheme="mup", optimizer="adam", width=2048, base_width=256, peak_lr=1e-3).layers[2].peak_lr
    0.000125
    """
    from hplaw.parametrization.layer_table import parametrize as work_out

    return work_out(decode(to_json(fields), ParametrizeRequest))


def classify(**fields: object) -> AbcReply:
    """Return what an infinitely wide network does under an abc-parametrization, in exact fractions.

    **Arguments:** the fields of an `AbcRequest`: `a`, `b`, `c` by role, `optimizer`, `hidden_layers`.

    **Raises:** `QueryError` naming the field at fault.

    >>> a, b = {"input": 0, "hidden": "1/2", "output": "1/2"}, {"input": 0, "hidden": 0, "output": 0}
    >>> classify(a=a, b=b).regime
    'kernel'
    """
    from hplaw.parametrization.abc_regime import classify as work_out

    return work_out(decode(to_json(fields), AbcRequest))


def schedule(schedule: str, /, *, folders: Iterable[str | Path] = (), **fields: object) -> ScheduleCurve:
    """Return a schedule's curve and the area under it.

    **Arguments:** a schedule's name or a law's id, and the fields of a `ScheduleRequest`: `total_steps`, `peak_lr`,
    `given`, `points`.

    **Raises:** `QueryError` naming the field at fault.

    >>> schedule("cosine", total_steps=1000, given={"warmup_steps": 100}).area
    500.0
    """
    from hplaw.theory.schedules import schedule_curve

    asked = decode(to_json({"schedule": schedule, **fields}), ScheduleRequest)
    return schedule_curve(asked, _catalogue(tuple(map(str, folders))))


def compare_schedules(*, folders: Iterable[str | Path] = (), **fields: object) -> ScheduleComparison:
    """Return schedules by the loss predicted for the end of one run, and the best share of decay.

    **Arguments:** the fields of a `ScheduleCompareRequest`: `total_steps`, `peak_lr`, `n_params`, `schedules`, `given`, `law`.

    **Raises:** `QueryError` naming the field at fault; `LawNotFound`.

    >>> found = compare_schedules(total_steps=24e3, schedules=["cosine", "wsd", "constant"])
    >>> [each.schedule for each in found.schedules], round(found.decay.share, 2)
    (['wsd', 'cosine', 'constant'], 0.22)
    """
    from hplaw.theory.schedule_losses import compare_schedules as find_comparison

    asked = decode(to_json(fields), ScheduleCompareRequest)
    return find_comparison(asked, _catalogue(tuple(map(str, folders))))


def transfer(*, folders: Iterable[str | Path] = (), **fields: object) -> Transfer:
    """Return what each rule gives for a learning rate at another batch, where rules agree, and what decides.

    **Arguments:** the fields of a `TransferRequest`: `peak_lr`, `batch_tokens`, `to_batch_tokens`, `optimizer`, `given`.

    **Raises:** `QueryError` naming the field at fault.

    >>> found = transfer(peak_lr=3e-4, batch_tokens=256, to_batch_tokens=1024, optimizer="adam")
    >>> [round(agreement.low, 6) for agreement in found.agreements]
    [0.0006]
    """
    from hplaw.theory.batch_transfer import transfer as work_out

    return work_out(decode(to_json(fields), TransferRequest), _catalogue(tuple(map(str, folders))))


def pareto(*, folders: Iterable[str | Path] = (), **fields: object) -> Pareto:
    """Return the runs that none beats by less loss for the same budget, over sizes, accelerators and precisions.

    **Arguments:** the fields of a `ParetoRequest`: `hardware`, `precision`, `axis`, `low`, `high`, `points`, `prices`,
    `price_per_hour`, `devices`, `given`, `law`.

    - `folders`: folders of law files searched before all others.

    **Raises:** `QueryError` naming the field at fault.

    >>> found = pareto(hardware=["h100-sxm", "a100-sxm"], axis="energy_kwh", low=1e3, high=1e4, points=2)
    >>> [(point.hardware, point.budget) for point in found.front]
    [('h100-sxm', 1000.0), ('h100-sxm', 10000.0)]
    """
    from hplaw.energy.pareto import pareto as work_out

    return work_out(decode(to_json(fields), ParetoRequest), _catalogue(tuple(map(str, folders))))


def device_energy(*, folders: Iterable[str | Path] = (), **fields: object) -> DeviceEnergy:
    """Return which batch and power limit of a GPU take minimum energy a sample, and what joules cost in seconds.

    **Arguments:** the fields of a `DeviceEnergyRequest`: `probes`, `batch_samples`, `batches`, `limits`.

    **Raises:** `QueryError` naming the field at fault.

    >>> small = {"batch_samples": 16, "power_limit_w": 300, "energy_per_sample_j": 0.925, "time_per_sample_s": 0.00384}
    >>> large = {"batch_samples": 256, "power_limit_w": 300, "energy_per_sample_j": 0.706, "time_per_sample_s": 0.003}
    >>> capped = {"batch_samples": 256, "power_limit_w": 125, "energy_per_sample_j": 0.946, "time_per_sample_s": 0.00753}
    >>> found = device_energy(probes=[small, large, capped]).least_energy
    >>> found.batch_samples, found.power_limit_w, round(found.saving, 2)
    (256.0, 190.0, 0.17)
    """
    from hplaw.energy.device import device_energy as work_out

    return work_out(decode(to_json(fields), DeviceEnergyRequest), _catalogue(tuple(map(str, folders))))


def layouts(*, folders: Iterable[str | Path] = (), **fields: object) -> LayoutReply:
    """Return the parallel layouts that fit a model on so many accelerators, the fastest first.

    **Arguments:** the fields of a `LayoutRequest`: `n_params` or `model`, `devices`, `hardware`, `precision`, `optimizer`,
    `batch_tokens`, `seq_len`, `top`.

    **Raises:** `QueryError` naming the field at fault; where nothing fits, with what would help.

    >>> best = layouts(n_params=70e9, devices=64, hardware="h100-sxm").layouts[0]
    >>> best.tensor_parallel * best.pipeline_parallel * best.data_parallel
    64
    """
    from hplaw.layout.layouts import layouts as find_layouts

    return find_layouts(decode(to_json(fields), LayoutRequest), _catalogue(tuple(map(str, folders))))


def prune_advice(*, folders: Iterable[str | Path] = (), **fields: object) -> PruneAdvice | PruneReply:
    """Return the regime of a model to prune, and whether to train hotter or cooler before pruning it.

    **Arguments:** the fields of a `PruneRequest`: `density`, `epochs`, `to_epochs`, measured `lmc` and `cka`, `map`; or
    `cases`, many of them, each with a `model` where one is to be chosen.

    **Raises:** `QueryError` naming the field at fault.

    >>> prune_advice(density=0.05, epochs=150).action
    'hotter'
    """
    from hplaw.pruning.advice import prune_advice as work_out

    return work_out(decode(to_json(fields), PruneRequest), _catalogue(tuple(map(str, folders))))


def local(laws: Iterable[str | Path] = ()) -> LocalClient:
    """Return a client that answers in this process, with the methods of the one over HTTP.

    >>> local().law("step-law-2025").summary.status
    'published'
    """
    return LocalClient(laws)
