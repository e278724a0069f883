"""A small law with groups, and runs simulated from it."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from hplaw.law import Law
from hplaw.law.read import parse_law


TEXT = """
schema = 1
id = "toy"
version = 1
title = "A law small enough to fit in a second"
status = "calibrated"
checked = "derived"
inputs = ["n_params", "tokens"]

[source]
title = "nobody"

[parameters]
a = { prior = "normal(1, 0.5)", value = 1.0 }
b = { prior = "normal(0, 0.5)", value = -0.2 }
t = { prior = "lognormal(log(0.1), 0.5)", value = 0.1 }
s = { prior = "lognormal(log(0.03), 0.5)", value = 0.03 }

[effects.cell]
by = ["n_params"]
of = ["shift"]
scale = { shift = "t" }

[let]
place = "a + b * log(n_params / 1e9) + shift"

[outputs]
loss = "exp(place - 0.1 * log(tokens / 1e10))"

[fit]
observed = "loss"
transform = "log"
likelihood = "normal(scale)"
scale = "s"

[domain]
n_params = [1e8, 1e10]
tokens = [1e9, 1e11]

[[examples]]
given = { n_params = 1e9, tokens = 1e10 }
expect = { loss = 2.718281828459045 }
"""

TRUTH = {"a": 0.9, "b": -0.25, "t": 0.08, "s": 0.02}


def simulate(seed: int = 0, cells: int = 12, runs: int = 8, **truth: float) -> pl.DataFrame:
    """Return runs of the toy law."""
    p = TRUTH | truth
    rng = np.random.default_rng(seed)
    n = np.repeat(np.geomspace(1e8, 1e10, cells), runs)
    shift = np.repeat(rng.normal(0, p["t"], cells), runs)
    tokens = np.exp(rng.uniform(np.log(1e9), np.log(1e11), cells * runs))
    mean = p["a"] + p["b"] * np.log(n / 1e9) + shift - 0.1 * np.log(tokens / 1e10)
    return pl.DataFrame({"n_params": n, "tokens": tokens, "loss": np.exp(mean + p["s"] * rng.normal(size=len(n)))})


@pytest.fixture(scope="session")
def toy() -> Law:
    """Return the toy law."""
    return parse_law(TEXT.encode())


@pytest.fixture(scope="session")
def toy_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the toy law as a file."""
    file = tmp_path_factory.mktemp("toy") / "toy.toml"
    file.write_text(TEXT)
    return file


@pytest.fixture(scope="session")
def runs_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return simulated runs as a CSV with a comment and a column of another name."""
    file = tmp_path_factory.mktemp("runs") / "runs.csv"
    body = simulate().rename({"loss": "final"}).write_csv()
    file.write_text(f"# simulated\n{body}")
    return file


@pytest.fixture(scope="session")
def fitted(toy: Law):
    """Return the toy law fitted by its mode to simulated runs."""
    from hplaw.fit.infer.fitting import fit_law

    return fit_law(toy, simulate(), method="map", chains=2, draws=200)
