"""The batch and power limit of minimum energy, from probes: the optimum of a known truth, the front, and what is refused."""

from itertools import pairwise
from typing import Any

import pytest

import hplaw
from hplaw.answer.answer import answer
from hplaw.energy.device import device_energy, pareto
from hplaw.errors import QueryError
from hplaw.messages.device import DeviceEnergy, DeviceEnergyRequest, DevicePoint, Probe
from tests.helpers import is_one_sentence, shipped


SMALL: dict[str, Any] = {
    "batch_samples": 16.0,
    "power_limit_w": 300.0,
    "energy_per_sample_j": 0.925,
    "time_per_sample_s": 0.00384,
}
LARGE: dict[str, Any] = {
    "batch_samples": 256.0,
    "power_limit_w": 300.0,
    "energy_per_sample_j": 0.706,
    "time_per_sample_s": 0.003,
}
CAPPED: dict[str, Any] = {
    "batch_samples": 256.0,
    "power_limit_w": 125.0,
    "energy_per_sample_j": 0.946,
    "time_per_sample_s": 0.00753,
}


def ask(*probes: dict[str, Any], **fields: Any) -> DeviceEnergy:
    request = DeviceEnergyRequest(probes=[Probe(**item) for item in probes], **fields)
    return device_energy(request, shipped())


def truth(batch: float, limit: float) -> tuple[float, float]:
    """Return energy and time of a sample that the law itself says of a GPU with these three probes."""
    known = {
        f"probe_{role}_{short}": item[name]
        for role, item in (("small", SMALL), ("large", LARGE))
        for short, name in (("samples", "batch_samples"), ("j", "energy_per_sample_j"), ("s", "time_per_sample_s"))
    }
    known |= {"probe_power_limit_w": 300.0, "probe_capped_w": 125.0, "probe_capped_j": 0.946, "probe_capped_s": 0.00753}
    values = answer(shipped().get("device-energy"), {**known, "batch_samples": batch, "power_limit_w": limit}).values
    return values["energy_per_sample_j"], values["time_per_sample_s"]


def test_the_optimum_is_the_one_of_the_law_asked_point_by_point() -> None:
    batches, limits = [16.0, 64.0, 256.0], [float(w) for w in range(125, 301, 25)]
    found = ask(SMALL, LARGE, CAPPED, batches=batches, limits=limits)
    table = {(b, w): truth(b, w) for b in batches for w in limits}
    least = min(table, key=lambda place: table[place][0])
    fastest = min(table, key=lambda place: table[place][1])
    assert (found.least_energy.batch_samples, found.least_energy.power_limit_w) == least
    assert (found.fastest.batch_samples, found.fastest.power_limit_w) == fastest
    assert found.considered == len(table)
    assert found.least_energy.energy_per_sample_j == pytest.approx(table[least][0], rel=1e-9)
    assert found.least_energy.time_per_sample_s == pytest.approx(table[least][1], rel=1e-9)


def test_the_law_gives_its_probes_back() -> None:
    """The first two as they were, whatever limit they ran under; the third as far as it is believed against other GPUs."""
    for probe, within in ((SMALL, 0.02), (LARGE, 0.02), (CAPPED, 0.15)):
        energy, time = truth(probe["batch_samples"], probe["power_limit_w"])
        assert energy == pytest.approx(probe["energy_per_sample_j"], rel=within)
        assert time == pytest.approx(probe["time_per_sample_s"], rel=within)


@pytest.mark.parametrize("third", [125.0, 150.0])
def test_probes_made_of_a_known_truth_give_its_optimum_back(third: float) -> None:
    """The law, asked from probes that it predicted itself, finds a setting within a percent of the truth's minimum energy."""

    def probe(batch: float, limit: float) -> dict[str, Any]:
        energy, time = truth(batch, limit)
        return {
            "batch_samples": batch,
            "power_limit_w": limit,
            "energy_per_sample_j": energy,
            "time_per_sample_s": time,
        }

    found = ask(probe(16, 300), probe(256, 300), probe(256, third))
    least = min(truth(256, float(w))[0] for w in range(125, 301, 5))
    chosen, _ = truth(found.least_energy.batch_samples, found.least_energy.power_limit_w)
    assert chosen <= 1.01 * least
    assert least < 0.9 * truth(256, 300)[0]  # there is something to be found


def test_nothing_on_the_front_is_beaten_and_everything_beside_it_is() -> None:
    batches = [16.0, 32.0, 128.0, 256.0, 512.0]
    found = ask(SMALL, LARGE, CAPPED, batches=batches)
    assert found.front[0] == found.fastest
    assert found.front[-1] == found.least_energy
    for a, b in pairwise(found.front):
        assert a.time_per_sample_s < b.time_per_sample_s
        assert a.energy_per_sample_j > b.energy_per_sample_j
    on = {(item.batch_samples, item.power_limit_w) for item in found.front}
    for batch in batches:
        for limit in range(125, 301, 5):
            if (batch, limit) not in on:
                energy, time = truth(batch, float(limit))
                assert any(
                    p.energy_per_sample_j <= energy * (1 + 1e-9) and p.time_per_sample_s <= time * (1 + 1e-9)
                    for p in found.front
                )


def test_of_settings_alike_one_stays() -> None:
    item = ask(SMALL, LARGE, CAPPED).default
    assert pareto([item, item]) == [item]


def test_a_limit_that_binds_nowhere_is_not_lowered() -> None:
    idle = [{**item, "energy_per_sample_j": item["time_per_sample_s"] * 60} for item in (SMALL, LARGE)]
    found = ask(*idle, {**idle[1], "power_limit_w": 125.0})
    assert found.least_energy == found.fastest == found.default
    assert found.front == [found.default]


def test_the_saving_is_against_the_default_and_has_an_interval() -> None:
    found = ask(SMALL, LARGE, CAPPED)
    default, best = found.default, found.least_energy
    assert (default.batch_samples, default.power_limit_w) == (256.0, 300.0)
    assert (default.saving, default.saving_low, default.longer_high) == (0.0, None, None)
    assert best.saving == pytest.approx(1 - best.energy_per_sample_j / default.energy_per_sample_j, abs=0.01)
    assert best.saving_low is not None
    assert best.saving_high is not None
    assert best.saving_low < best.saving < best.saving_high
    smaller = ask(SMALL, LARGE, CAPPED, batch_samples=16.0)
    assert smaller.least_energy.energy_per_sample_j == best.energy_per_sample_j
    assert smaller.least_energy.saving > best.saving


def test_a_default_that_was_not_measured_makes_savings_less_sure() -> None:
    def width(batch: float) -> float:
        limits = [185.0]
        best = ask(SMALL, LARGE, CAPPED, batch_samples=batch, limits=limits).least_energy
        assert best.saving_low is not None
        assert best.saving_high is not None
        return (best.saving_high - best.saving_low) / (1 - best.saving)

    assert width(255.0) > 1.2 * width(256.0)


def test_what_lies_beyond_the_probes_is_warned_of() -> None:
    assert not ask(SMALL, LARGE, CAPPED).warnings
    (above,) = ask(SMALL, LARGE, CAPPED, batches=[1024.0]).warnings
    assert above.code == "extrapolates"
    (low,) = ask(SMALL, LARGE, CAPPED, limits=[10.0, 200.0]).warnings
    assert low.code == "left-out"
    assert "10 W" in low.text


@pytest.mark.parametrize(
    ("probes", "fields", "says"),
    [
        ([SMALL, LARGE], {}, "2 probes under the maximum limit, 300 W, and 0 under lower ones"),
        ([LARGE, CAPPED], {}, "1 probes under the maximum limit"),
        ([SMALL, LARGE, CAPPED, CAPPED], {}, "2 under lower ones"),
        ([LARGE, LARGE, CAPPED], {}, "both probes under 300 W have batch_samples=256"),
        ([SMALL, LARGE, {**CAPPED, "batch_samples": 16.0}], {}, "give it the large batch"),
        ([SMALL, LARGE, CAPPED], {"limits": [500.0]}, "a limit of 500 W is above 300 W"),
        (
            [{**item, "power_limit_w": item["power_limit_w"] / 10} for item in (SMALL, LARGE, CAPPED)],
            {},
            "does not cover batch_samples=256 under 30 W",
        ),
    ],
)
def test_wrong_probes_are_one_sentence(probes: list[dict[str, Any]], fields: dict[str, Any], says: str) -> None:
    with pytest.raises(QueryError, match=says) as caught:
        ask(*probes, **fields)
    assert is_one_sentence(caught.value)


def test_the_call_in_python_reads_plain_values() -> None:
    found = hplaw.device_energy(probes=[SMALL, LARGE, CAPPED])
    assert isinstance(found.least_energy, DevicePoint)
    with pytest.raises(QueryError, match="time_per_sample_s"):
        hplaw.device_energy(probes=[{"batch_samples": 3, "power_limit_w": 300, "energy_per_sample_j": 1}])
