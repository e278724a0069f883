"""Effects as a fit sees them: which rows share a member, and how the members are drawn."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import Array
from jax.typing import ArrayLike

from hplaw.expression.backends import Backend
from hplaw.expression.compile import Function, compile_expression
from hplaw.fit.data.runs import condition, group_columns, group_ids
from hplaw.fit.model.centring import centre_of
from hplaw.fit.model.priors import Prior
from hplaw.fit.model.typed_jax import asarray, cholesky, eye, zeros
from hplaw.law import Law
from hplaw.law.format import EffectSpec
from hplaw.law.priors import HYPERPRIORS, is_call
from hplaw.law.program import Environment
from hplaw.posterior.scenarios import factor


_ONE_HOT = 64
"""Members up to which rows are looked up by a matrix product, which is faster than gathering on a processor."""


class Hyper(msgspec.Struct, frozen=True):
    """A scale or correlation: a prior of its own, or a formula of parameters."""

    name: str
    prior: Prior | None
    formula: Function | None

    def sample(self, environment: Environment) -> ArrayLike:
        """Return its value; that of a prior becomes a site and a name of the environment."""
        if self.prior is None:
            assert self.formula is not None
            return self.formula(environment)
        value = environment[self.name] = self.prior.sample(self.name, environment)
        return value


class Effect:
    """One effect whose members the rows distinguish.

    - `ids`: each row's member, -1 where it has none; `members` one row per member with the columns that tell it.
    - `centred`: whether members are drawn around their center, which suits members that many rows tell of, or as
      standard normals times their scale, which suits those that few do. The density is the same.
    """

    def __init__(self, law: Law, name: str, frame: pl.DataFrame, backend: Backend, *, centred: bool = True) -> None:
        self.name: str = name
        self.spec: EffectSpec = law.spec.effects[name]
        self.centred: bool = centred and self.spec.centred and self.spec.covariance is None
        self.columns = group_columns(law, name, frame)
        here = np.ones(len(frame), dtype=bool)
        if self.spec.when:
            here = condition(frame, law, self.spec.when, table="effects", key=name)
        ids, self.members = group_ids(frame.filter(pl.Series(here)), self.columns)
        self.ids: NDArray[np.int64] = np.full(len(frame), -1, dtype=np.int64)
        self.ids[here] = ids
        self.size = max(len(self.members), 1)
        self.width = len(self.spec.of)
        self.scales = [
            _hyper(law, self.spec.scale[of], f"{of}_scale", backend)
            for of in self.spec.of
            if self.spec.covariance is None
        ]
        self.correlation: Hyper | None = None
        self.concentration: Prior | None = None
        text = self.spec.correlation
        if text is not None and self.width > 2 and is_call(text, ("lkj",)):
            self.concentration = Prior(law, text, f"{name}_correlation", None, backend)
        elif text is not None:
            self.correlation = _hyper(law, text, f"{name}_correlation", backend)

        self.centres = [
            [compile_expression(term, law.namespace.scope, backend) for term in centre_of(law, of, self.columns)]
            for of in self.spec.of
            if self.centred
        ]
        self.known = {
            column: asarray(self.members[column].to_numpy())
            for column in self.columns
            if column in law.inputs and not law.quantity(column).categorical
        }
        self.others = {of: 0.0 for effect in law.spec.effects.values() for of in effect.of}

    @property
    def active(self) -> bool:
        """Return whether the rows can tell anything of this effect; others are held at zero."""
        return self.spec.predict != "transfer" and bool(self.columns) and self.size > 1

    def root(self, environment: Environment) -> Array:
        """Return a factor of the members' covariance, drawing what it depends on."""
        if self.spec.covariance is not None:
            return asarray(factor(np.asarray(self.spec.covariance)))
        scales = jnp.stack([asarray(s.sample(environment), dtype=float) for s in self.scales])
        if self.concentration is not None:
            (concentration,) = self.concentration.arguments(environment)
            lower = numpyro.sample(f"{self.name}_cholesky", dist.LKJCholesky(self.width, concentration))
            return scales[:, None] * lower
        if self.correlation is None:
            return jnp.diag(scales)
        rho = asarray(self.correlation.sample(environment), dtype=float)
        matrix = rho + (1.0 - rho) * eye(self.width)
        if self.width == 2:
            other = jnp.sqrt(1.0 - rho**2)
            return scales[:, None] * jnp.stack([jnp.stack([1.0, 0.0 * rho]), jnp.stack([rho, other])])
        return scales[:, None] * cholesky(matrix)

    def sample(self, environment: Environment) -> Array:
        """Return the members' values `[member, name]`."""
        root = self.root(environment)
        shape = (self.size, self.width)
        if self.centred:
            centre = self.centre(environment)
            site = f"{self.name}_place"
            if self.spec.tail is not None:
                members = dist.MultivariateStudentT(self.spec.tail, centre, root)
                placed = numpyro.sample(site, members.to_event(1))
            elif self.width == 1:
                placed = numpyro.sample(site, dist.Normal(centre, root[0, 0]).to_event(2))
            else:
                members = dist.MultivariateNormal(centre, scale_tril=root)
                placed = numpyro.sample(site, members.to_event(1))
            return numpyro.deterministic(self.name, placed - centre)
        if self.spec.tail is not None:
            members = dist.MultivariateStudentT(self.spec.tail, zeros(shape), eye(self.width))
            raw = numpyro.sample(f"{self.name}_raw", members.to_event(1))
        else:
            raw = numpyro.sample(f"{self.name}_raw", dist.Normal(0.0, 1.0).expand(shape).to_event(2))
        return numpyro.deterministic(self.name, raw @ root.T)

    def centre(self, environment: Environment) -> Array:
        """Return what the members are drawn around `[member, name]`."""
        here = Environment({**environment, **self.others, **self.known}, environment.lets)
        columns = [
            sum((jnp.broadcast_to(asarray(term(here), dtype=float), (self.size,)) for term in terms), zeros(self.size))
            for terms in self.centres
        ]
        return jnp.stack(columns, axis=1)

    def rows(self, members: Array, where: NDArray[np.int64]) -> dict[str, Array]:
        """Return the effect's names at some rows."""
        ids = self.ids[where][:, None]
        if self.size <= _ONE_HOT:
            found = asarray((ids == np.arange(self.size)).astype(np.float64)) @ members
        else:
            found = jnp.where(asarray(ids < 0), 0.0, members[ids[:, 0]])
        return {name: found[:, i] for i, name in enumerate(self.spec.of)}


def _hyper(law: Law, text: str, name: str, backend: Backend) -> Hyper:
    if is_call(text, HYPERPRIORS):
        return Hyper(name, Prior(law, text, name, None, backend), None)
    formula = law.namespace.formula(text, table="effects", key=name)
    return Hyper(name, None, compile_expression(formula.tree, law.namespace.scope, backend))
