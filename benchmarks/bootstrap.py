"""Bootstrap fits of the Chinchilla law: all at once in JAX, against a loop over scipy's BFGS as papers run it."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rows import row


BOOTSTRAPS = 4000
LOOP = 40
"""Fits of the loop that are timed; the rest is extrapolated."""
DELTA = 1e-3


def run() -> list[dict[str, Any]]:
    """Return seconds for 4000 bootstrap fits by either way, on the reconstructed Chinchilla runs."""
    import polars as pl

    from hplaw.catalogue.catalogue import load_catalogue
    from hplaw.fit.infer.huber import fit_huber

    folder = os.environ.get("HPLAW_DATA", "")
    file = Path(folder) / "chinchilla_runs.csv"
    if not folder or not file.is_file():
        return [row("omitted: HPLAW_DATA names no folder with chinchilla_runs.csv", 0.0, "")]
    runs = pl.read_csv(file, comment_prefix="#").filter(pl.col("loss") < 3.446995)
    frame = runs.rename({"n_params": "n_params_with_embedding"})
    law = load_catalogue().get("besiroglu-2024")
    began = time.perf_counter()
    fitted = fit_huber(law, frame, bootstrap=BOOTSTRAPS)
    whole = time.perf_counter() - began
    n, d, loss = (np.log(runs[name].to_numpy()) for name in ("n_params", "tokens", "loss"))
    start = np.array([fitted.best[name] for name in ("log_A", "log_B", "log_E", "alpha", "beta")])
    plain, exact = _loop(n, d, loss, start, gradient=False), _loop(n, d, loss, start, gradient=True)
    ours = fitted.seconds[1]
    times = plain * BOOTSTRAPS / ours
    return [
        row(f"{BOOTSTRAPS} bootstrap fits at once", ours, "s"),
        row("the same with compilation and the fit to all runs", whole, "s"),
        row(f"a loop over scipy's BFGS, from {LOOP} fits", plain * BOOTSTRAPS, "s"),
        row("that loop with its gradient by hand", exact * BOOTSTRAPS, "s"),
        row("at once over the loop", times, "times", least=20),
        row("at once over the loop with its gradient", exact * BOOTSTRAPS / ours, "times"),
    ]


def _loop(n: Any, d: Any, loss: Any, start: Any, *, gradient: bool) -> float:
    """Return seconds per fit of a loop over BFGS from the best constants, at scipy's own tolerance."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(0)
    spent = 0.0
    for _ in range(LOOP):
        rows = rng.integers(0, len(n), len(n))
        x, y, z = n[rows], d[rows], loss[rows]

        def objective(q: Any, x: Any = x, y: Any = y, z: Any = z) -> Any:
            a, b, e, alpha, beta = q
            parts = np.exp(a - alpha * x), np.exp(b - beta * y), np.exp(e)
            total = sum(parts)
            r = z - np.log(total)
            value = np.where(abs(r) < DELTA, 0.5 * r * r, DELTA * (abs(r) - 0.5 * DELTA)).sum()
            if not gradient:
                return value
            pull = -np.clip(r, -DELTA, DELTA) / total
            slope = [
                (pull * parts[0]).sum(),
                (pull * parts[1]).sum(),
                (pull * parts[2]).sum(),
                -(pull * parts[0] * x).sum(),
                -(pull * parts[1] * y).sum(),
            ]
            return value, np.array(slope)

        began = time.perf_counter()
        minimize(objective, start, jac=gradient, method="BFGS")
        spent += time.perf_counter() - began
    return spent / LOOP
