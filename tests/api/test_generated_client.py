"""A client made from the description by a program of others: every module imports, and its calls are answered."""

import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from hplaw.messages.decode import decode
from hplaw.messages.energy import EnergyReply, Frontier
from hplaw.messages.law import LawRecord
from hplaw.messages.recommendation import BatchReply, Recommendation
from hplaw.messages.record import to_builtins
from hplaw.messages.theory import Theory
from hplaw.messages.transfer import Transfer


pytestmark = pytest.mark.slow

NOT_IN_THE_CLIENT = ("/v1/laws/{address}/bibtex",)
"""Paths of which the generator omits the reply, as it knows no BibTeX."""

MOST_FILES = 250
"""Python files that the client may have; unions of objects that are nearly the same made 873."""


@pytest.fixture(scope="module")
def folder(service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the generated client."""
    reason = "openapi-python-client is not installed; it is in the group dev of pyproject.toml"
    pytest.importorskip("openapi_python_client", reason=reason)
    folder = tmp_path_factory.mktemp("client")
    config = folder / "config.json"
    config.write_text(json.dumps({"post_hooks": []}))
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--url", f"{service.url}/schema/openapi.json"]
    done = subprocess.run(
        [*command, "--config", str(config), "--output-path", str(folder / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    report = done.stdout + done.stderr
    assert done.returncode == 0, report
    parts = [line for line in report.splitlines() if "parsing" in line or "Unable to process" in line]
    assert all(any(path in line for path in NOT_IN_THE_CLIENT) for line in parts), report
    return folder / "out"


@pytest.fixture
def load(folder: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that imports a module of the client."""
    monkeypatch.syspath_prepend(str(folder))

    def load(name: str = "") -> ModuleType:
        return importlib.import_module(f"hplaw_client.{name}" if name else "hplaw_client")

    return load


@pytest.fixture
def ask(service, load):
    """Return a function that calls an operation and gives its answer as a dictionary."""

    def ask(operation: str, **arguments):
        with load().Client(base_url=service.url, raise_on_unexpected_status=True) as client:
            found = load(f"api.{operation}").sync_detailed(client=client, **arguments)
        assert found.status_code == 200, found.content
        assert found.parsed is not None
        return found.parsed.to_dict(), found.content

    return ask


def agree(answer, record: type) -> bool:
    """Return whether what the client read is what the service sent, and that is a record."""
    parsed, sent = answer
    return parsed == to_builtins(decode(sent, record))


def test_every_module_of_the_client_imports(folder, load):
    package = load()
    names = [module.name for module in pkgutil.walk_packages(package.__path__, "hplaw_client.")]
    for name in names:
        importlib.import_module(name)
    assert {"hplaw_client.api.energy.energy", "hplaw_client.api.energy.frontier"} <= set(names)
    assert len(list(folder.rglob("*.py"))) < MOST_FILES


def test_no_record_is_dropped(http, load):
    models = load("models")
    described = http.get("/schema/openapi.json").json()["components"]["schemas"]
    objects = {name for name, schema in described.items() if schema.get("type") == "object"}
    assert {"Theory", "Rule", "LawRecord", "EnergyRequest", "FrontierRequest"} <= objects
    assert not {name for name in objects if not hasattr(models, name)}


def test_questions_are_answered(load, ask):
    models = load("models")
    bounds = models.Limits(batch_tokens=models.Bounds(high=4e6))
    given = models.Given(weight_decay=0.1)
    query = models.Query(n_params=7e9, tokens=1.4e12, given=given, bounds=bounds, want=[models.Quantity.PEAK_LR])
    assert agree(ask("recommendations.recommend", body=query), Recommendation)
    model = models.QueryConfig.from_dict({"model_type": "llama", "hidden_size": 768, "num_hidden_layers": 12})
    assert agree(ask("recommendations.recommend", body=models.Query(tokens=1e10, model=model)), Recommendation)
    by_address = {"n_params": 7e9, "tokens": 1.4e12, "days": 14, "given": ["seq_len=4096"], "bound": ["peak_lr=..1e-3"]}
    assert agree(ask("recommendations.recommend_by_address", **by_address), Recommendation)
    rows = models.BatchRequest(queries=[models.Row(n_params=1e9 * k, tokens=1e11) for k in (1, 2)])
    assert agree(ask("recommendations.recommend_many", body=rows), BatchReply)


def test_energy_is_answered(load, ask):
    models = load("models")
    h100, bf16, fp8 = models.HardwareName.H100_SXM, models.PrecisionName.BF16, models.PrecisionName.FP8
    request = models.EnergyRequest(n_params=7e9, tokens=1e12, hardware=[h100], precision=[bf16, fp8])
    assert agree(ask("energy.energy", body=request), EnergyReply)
    for budget in ({"energy_kwh": 1e4}, {"cost": 1e5, "price_per_hour": 2.0}, {"duration_s": 1e6, "devices": 64}):
        request = models.FrontierRequest(hardware=h100, precision=bf16, **budget)
        assert agree(ask("energy.frontier", body=request), Frontier)


def test_theory_and_laws_are_answered(load, ask):
    models = load("models")
    assert agree(ask("laws.read_theory", quantity=models.Quantity.PEAK_LR), Theory)
    assert agree(ask("laws.read_law", address="step-law-2025"), LawRecord)
    request = models.TransferRequest(peak_lr=3e-4, batch_tokens=256, to_batch_tokens=2048)
    assert agree(ask("theory.transfer", body=request), Transfer)
