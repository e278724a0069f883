"""A law compiled for JAX is the law that is served: same values, under jit, with finite gradients, and over a batch."""

import math
from typing import Any

import numpy as np
import pytest

from hplaw.expression.backends import FLOATS, Backend, jax_backend, numpy_backend
from hplaw.law import Law
from hplaw.posterior.scenarios import scenarios
from tests.helpers import fixture_law, shipped


@pytest.fixture(scope="module")
def jax() -> Backend:
    return jax_backend()


def numeric(law: Law) -> bool:
    return not law.exact and law.spec.kind == "formula"


LAWS = [
    law
    for law in (
        *shipped().laws,
        *(fixture_law(n) for n in ("dense-surface", "expert-surface", "schedule-uba", "step-law")),
    )
    if numeric(law)
]


def inputs_of(law: Law) -> dict[str, Any] | None:
    """Return the inputs of a law's first example, chosen quantities filled in, or None where it has categories."""
    given = {**dict(law.spec.examples[0].given), **law.spec.examples[0].expect}
    found: dict[str, Any] = {}
    for name, item in law.inputs.items():
        value = given.get(f"target_{name}" if item.role else name, item.missing)
        if not isinstance(value, int | float):
            return None
        found[name] = float(value)
    return found


@pytest.mark.parametrize("law", [law for law in LAWS if inputs_of(law)], ids=lambda law: law.id)
def test_numpy_and_floats_give_the_same(law: Law) -> None:
    known = {**scenarios(law).point, **(inputs_of(law) or {})}
    single = law.program(FLOATS)
    columns = {name: np.full(3, value) if isinstance(value, float) else value for name, value in known.items()}
    array = law.program(numpy_backend())
    for name, (_, over) in law.outputs.items():
        if over or law.quantity(name).categorical:
            continue
        with np.errstate(all="ignore"):
            found = np.broadcast_to(array.outputs[name](array.environment(columns)), (3,))
        np.testing.assert_allclose(found, single.outputs[name](single.environment(known)), rtol=1e-11)


@pytest.mark.parametrize("name", ["dense-surface", "expert-surface"])
def test_a_surface_under_jit_gives_the_served_loss_and_finite_gradients(jax: Backend, name: str) -> None:
    import jax as jax_module
    import jax.numpy as jnp

    law = fixture_law(name)
    program = law.program(jax)
    point = {
        k: jnp.asarray(v) if isinstance(v, float) else tuple(map(jnp.asarray, v))
        for k, v in scenarios(law).point.items()
    }
    given = {"n_params": 4.3e8, "n_active_params": 4.3e8, "tokens": 2e10, "peak_lr": 4e-3, "batch_tokens": 2.6e5}
    inputs = {k: jnp.asarray(v) for k, v in given.items() if k in law.inputs}

    def loss(parameters: dict[str, Any]) -> Any:
        return program.outputs["loss"](program.environment({**parameters, **inputs}))

    value, slopes = jax_module.jit(jax_module.value_and_grad(loss))(point)
    assert float(value) == pytest.approx(2.3591606222915624, rel=1e-12)
    for leaf in jax_module.tree.leaves(slopes):
        assert math.isfinite(float(leaf))
    assert float(slopes["k"][0]) != 0


def test_a_surface_is_mapped_over_runs(jax: Backend) -> None:
    import jax.numpy as jnp

    law = fixture_law("dense-surface")
    program, served = law.program(jax), law.program(numpy_backend())
    rng = np.random.default_rng(0)
    runs = {
        "n_params": rng.uniform(2e8, 1e9, 50),
        "tokens": rng.uniform(4e9, 1e11, 50),
        "peak_lr": rng.uniform(1e-4, 1e-2, 50),
        "batch_tokens": rng.uniform(5e4, 4e6, 50),
    }
    point = scenarios(law).point
    found = program.outputs["loss"](program.environment({**point, **{k: jnp.asarray(v) for k, v in runs.items()}}))
    want = served.outputs["loss"](served.environment({**point, **runs}))
    np.testing.assert_allclose(np.asarray(found), want, rtol=1e-12)
