"""A short metered run of the same model, as what it settles for a long one: throughput, and power of the boards."""

from __future__ import annotations

import msgspec

from hplaw.catalogue.catalogue import Catalogue
from hplaw.catalogue.listing import read_category
from hplaw.errors import ConflictingQuery
from hplaw.formatting import number
from hplaw.messages.energy import EnergyRequest
from hplaw.messages.metering import MeteredRun
from hplaw.messages.query import Query
from hplaw.messages.recommendation import AnswerWarning
from hplaw.messages.record import Scalar
from hplaw.recommendation.record import recommend
from hplaw.vocabulary.quantities import check_value, vocabulary


ALIKE = 0.01
"""Share by which two counts of parameters of one model may differ, as people round them."""

MEASURED = ("tokens_per_device_s", "measured_board_w")
"""The quantities that a probe settles."""


def with_probe(request: EnergyRequest, catalogue: Catalogue) -> tuple[EnergyRequest, list[AnswerWarning]]:
    """Return a request with what its probe settles, and what to know about that.

    Its size, its accelerator and its precision are taken where the request names none.

    **Raises:** `ConflictingQuery` for a probe of another size, accelerator or precision, and for one that does not say what
    it measured.
    """
    probe = request.probe
    if probe is None:
        return request, []
    n_params, hardware, rate = _told(probe)
    given: dict[str, Scalar] = dict(request.given)
    for name in MEASURED:
        if name in given:
            message = f"{name} is given and measured by the probe; give one of them"
            raise ConflictingQuery(message, field=f"given.{name}")
    _same_size(request, n_params, catalogue)
    _same("accelerator", "hardware", request.hardware, hardware, catalogue)
    precision = request.precision
    if probe.precision is not None:
        _same("precision", "precision", precision, probe.precision, catalogue)
        precision = [probe.precision]
    measured = {"tokens_per_device_s": rate}
    if probe.meter == "nvml" and probe.joules:
        measured["measured_board_w"] = probe.joules / probe.seconds / (probe.metered_devices or probe.devices or 1.0)
    for name, value in measured.items():
        if (wrong := check_value(vocabulary()[name], value)) is not None:
            message = f"by the probe, {wrong}"
            raise ConflictingQuery(message, field="probe")
    given |= measured
    sized = request.n_params is not None or request.model is not None
    asked = msgspec.structs.replace(
        request,
        n_params=request.n_params if sized else n_params,
        hardware=[hardware],
        precision=precision,
        devices=request.devices,
        given=given,
    )
    return asked, list(_warnings(request, probe))


def _told(probe: MeteredRun) -> tuple[float, str, float]:
    """Return the size, the accelerator and the throughput of a probe."""
    if probe.n_params is None or probe.hardware is None or probe.tokens_per_device_s is None:
        lacking = [
            option
            for option, value in (
                ("--params", probe.n_params),
                ("--hardware", probe.hardware),
                ("--tokens", probe.tokens),
                ("--devices", probe.devices),
            )
            if value is None
        ]
        message = f"the probe does not say what it measured; run hplaw meter with {', '.join(lacking) or '--tokens'}"
        raise ConflictingQuery(message, field="probe")
    return probe.n_params, probe.hardware, probe.tokens_per_device_s


def _same_size(request: EnergyRequest, n_params: float, catalogue: Catalogue) -> None:
    asked = request.n_params
    if asked is None and request.model is not None:
        found = recommend(Query(model=request.model, want=["n_params"]), catalogue).answers["n_params"].value
        asked = found if isinstance(found, float) else None
    if asked is not None and abs(asked / n_params - 1) > ALIKE:
        message = f"the probe is of {number(n_params)} parameters, and {number(asked)} are asked for; its throughput holds for its own size, so probe that model"
        raise ConflictingQuery(message, field="probe")


def _same(what: str, name: str, asked: list[str], probed: str, catalogue: Catalogue) -> None:
    own = read_category(catalogue, name, probed, field="probe")
    for word in asked:
        if read_category(catalogue, name, word, field=name) != own:
            message = f"the probe was measured with {what} {own}, and {word} is asked for; ask without the probe, or probe {word}"
            raise ConflictingQuery(message, field="probe")


def _warnings(request: EnergyRequest, probe: MeteredRun) -> list[AnswerWarning]:
    if request.devices is None or probe.devices is None or request.devices <= probe.devices:
        return []
    text = f"the probe ran on {number(probe.devices)} devices and {number(request.devices)} are asked for: communication between more of them is not in its throughput"
    return [AnswerWarning(code="probe-devices", text=text, quantity="tokens_per_device_s")]
