"""Uncertainty as scenarios: draws of a law's parameters, of the effects of a new group, and of its discrepancy.

Draws come from `posterior.npz` beside a fitted law, or from the covariance that a paper published. Standard normals
are fixed, antithetic and of exact unit covariance, so that the same question has the same answer everywhere and
means and variances carry no sampling error.
"""

from __future__ import annotations

import functools as ft
import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from hplaw.errors import LawError
from hplaw.expression.backends import numpy_backend
from hplaw.law.derived import derived
from hplaw.law.format import EffectSpec
from hplaw.law.law import Law, numpy_environment
from hplaw.law.priors import HYPERPRIORS, is_call
from hplaw.law.program import Environment
from hplaw.narrowing import is_tuple
from hplaw.posterior.arrays import read_arrays
from hplaw.posterior.priors import prior_centre


DRAWS = 256
"""Scenarios of a law whose uncertainty is published as a covariance; a fitted law has as many as its file."""

Array = NDArray[np.float64]


class Scenarios(msgspec.Struct, frozen=True, kw_only=True):
    """What may be true of a law, one entry per scenario.

    - `size`: number of scenarios, 1 where the law has no uncertainty.
    - `parameters`: arrays `[scenario]` by name, tuples of them for indexed parameters; `point` the best single values.
    - `effects`: arrays of the effects of a new group of the law's own recipe; `transfer` those of another recipe.
    - `discrepancy`: logarithmic shifts `[scenario]` by quantity inside the domain.
    - `fitted`: whether the draws are a posterior rather than a published covariance.
    - `rows`: rows of standard normals that all this took.
    """

    size: int
    point: Mapping[str, Any]
    parameters: Mapping[str, Any]
    effects: Mapping[str, Array]
    transfer: Mapping[str, Array]
    zeros: Mapping[str, float]
    discrepancy: Mapping[str, Array]
    fitted: bool
    rows: int

    @property
    def uncertain(self) -> bool:
        """Return whether anything but the point is known to be possible."""
        return self.size > 1

    def values(self, *, transfer: bool = False) -> dict[str, Any]:
        """Return the names of one law with an array per uncertain name; with `transfer`, those of another recipe."""
        return {**self.zeros, **self.parameters, **self.effects, **(self.transfer if transfer else {})}


@ft.lru_cache(maxsize=64)
def standard_normals(rows: int, size: int = DRAWS, stream: int = 0) -> Array:
    """Return fixed standard normals `[row, scenario]`: in pairs of opposite sign, of unit covariance exactly.

    More rows of the same size and stream begin with the same ones, so that each use takes the rows after the last.

    >>> z = standard_normals(2)
    >>> bool(np.allclose(z @ z.T / z.shape[1], np.eye(2)))
    True
    """
    half = np.random.default_rng(2503_04715 + stream).standard_normal((rows, (size + 1) // 2))
    z = np.asarray(np.concatenate([half, -half], axis=1)[:, :size], dtype=np.float64)
    if rows < half.shape[1] and size % 2 == 0:
        z = np.asarray(np.linalg.solve(np.linalg.cholesky(z @ z.T / size), z), dtype=np.float64)
    # the last digits are those of the machine's linear algebra: without them it is the same everywhere
    z = z.round(12)
    z.setflags(write=False)
    return z


_TAIL_STREAM = 2
"""Added to the stream of normals for those that stretch others, so that the two know nothing of each other."""


@ft.lru_cache(maxsize=64)
def stretches(freedom: int, member: int, size: int = DRAWS, stream: int = 0) -> Array:
    """Return fixed factors `[scenario]` that make normals Student's t of so many degrees of freedom.

    The root of freedom over a sum of that many squared normals. A pair of normals of opposite sign is stretched alike.

    **Arguments:**

    - `member`: which of several independent ones.

    >>> found = stretches(4, 0)
    >>> bool(0.9 < np.median(found) < 1.3), bool(found.max() > 2)
    (True, True)
    """
    rows = slice(member * freedom, (member + 1) * freedom)
    z = standard_normals((member + 1) * freedom, size, stream + _TAIL_STREAM)[rows]
    found = np.sqrt(freedom / np.square(z).sum(axis=0))
    found.setflags(write=False)
    return found


@derived
def scenarios(law: Law) -> Scenarios:
    """Return the scenarios of a law, computed once.

    **Raises:** `LawError` where its draws do not fit its parameters.
    """
    point, draws, fitted = _parameters(law)
    groups = {name: effect for name, effect in law.spec.effects.items() if effect.predict != "zero"}
    discrepancy = law.spec.predict.discrepancy
    size = DRAWS
    if fitted:
        size = len(next(array for array in _flat(draws)))
    elif not draws and not groups and discrepancy is None:
        size = 1
    everything: dict[str, Any] = {**point, **draws}
    zeros = {name: 0.0 for effect in law.spec.effects.values() for name in effect.of}
    needed = sum(len(effect.of) for effect in groups.values()) + (len(discrepancy.of) if discrepancy else 0)
    used = 0 if fitted else _published_rows(law)
    z = standard_normals(used + needed, size, _stream(fitted=fitted))[used:]
    effects: dict[str, Array] = {}
    transfer: dict[str, Array] = {}
    row, tails = 0, 0
    for name, effect in groups.items():
        shifts = _effect(law, name, effect, everything, z[row : row + len(effect.of)])
        if effect.tail is not None:
            stretch = stretches(effect.tail, tails, size, _stream(fitted=fitted))
            shifts = {of: shift * stretch for of, shift in shifts.items()}
            tails += 1
        (transfer if effect.predict == "transfer" else effects).update(shifts)
        row += len(effect.of)
    strays = {}
    if discrepancy:
        strays = dict(zip(discrepancy.of, factor(np.asarray(discrepancy.covariance)) @ z[row:], strict=True))
    return Scenarios(
        size=size,
        point={**zeros, **point},
        parameters=everything,
        effects=effects,
        transfer=transfer,
        zeros=zeros,
        discrepancy=strays,
        fitted=fitted,
        rows=used + needed,
    )


def _stream(*, fitted: bool) -> int:
    """Return the stream of normals that goes with a law's draws: a fit may have made its own from the first."""
    return 1 if fitted else 0


def input_normals(law: Law, count: int) -> Array:
    """Return fixed standard normals for uncertain inputs, `[input, scenario]`, apart from those of everything else."""
    drawn = scenarios(law)
    size = drawn.size if drawn.uncertain else DRAWS
    return standard_normals(drawn.rows + count, size, _stream(fitted=drawn.fitted))[drawn.rows :]


def _flat(draws: Mapping[str, Any]) -> list[Array]:
    return [array for value in draws.values() for array in (value if is_tuple(value) else (value,))]


def _parameters(law: Law) -> tuple[dict[str, Any], dict[str, Any], bool]:
    """Return point values, draws by name, and whether the draws are a posterior's."""
    arrays = read_arrays(law) if law.spec.grid is None else {}
    if arrays:
        draws = _fitted_draws(law, arrays)
        point = {
            name: tuple(map(_median, value)) if is_tuple(value) else _median(value) for name, value in draws.items()
        }
        return point, draws, True
    point = {name: _point(law, name) for name in law.spec.parameters}
    return point, _published_draws(law, point), False


def _median(draws: Array) -> float:
    """Return the median of draws, as `np.median` would, which loads masked arrays to look for some."""
    ordered, middle = np.sort(draws), len(draws) // 2
    return float((ordered[-1 - middle] + ordered[middle]) / 2)


def _fitted_draws(law: Law, arrays: Mapping[str, Array]) -> dict[str, Any]:
    sizes = {len(array) if array.ndim else 0 for array in arrays.values()}
    missing = [name for name in law.spec.parameters if name not in arrays]
    if missing or len(sizes) != 1 or min(sizes) < 2:
        what = f"'{missing[0]}' has no draws" if missing else "arrays of different length, or shorter than 2 draws"
        message = f"{law.arrays.name if law.arrays else 'posterior'}: {what}; every parameter has one row per draw"
        raise LawError(message, file=str(law.path or ""))
    draws: dict[str, Any] = {}
    for name, array in arrays.items():
        parameter = law.spec.parameters.get(name)
        over = parameter.over if parameter else None
        shape = (len(law.namespace.scope.indices[over]),) if over else ()
        if parameter and array.shape[1:] != shape:
            message = f"{law.arrays.name if law.arrays else 'posterior'}: draws of '{name}' have shape {array.shape}; the law wants (draws{', ' + str(shape[0]) if shape else ''})"
            raise LawError(message, file=str(law.path or ""))
        draws[name] = tuple(np.ascontiguousarray(column) for column in array.T) if over else array
    return draws


def _point(law: Law, name: str) -> Any:
    parameter = law.spec.parameters[name]
    if parameter.value is not None:
        return tuple(parameter.value) if isinstance(parameter.value, list) else parameter.value
    assert parameter.prior is not None
    if parameter.over is None:
        return prior_centre(law, parameter.prior)
    return tuple(
        prior_centre(law, parameter.prior, {parameter.over: i})
        for i in range(len(law.namespace.scope.indices[parameter.over]))
    )


def _single_deviations(law: Law) -> dict[str, float | list[float]]:
    """Return the standard deviations of parameters that no covariance uses."""
    correlated = {name for block in law.spec.covariance for name in block.of}
    return {n: p.sd for n, p in law.spec.parameters.items() if p.sd is not None and n not in correlated}


def _published_rows(law: Law) -> int:
    """Return how many standard normals the published uncertainty of a law takes."""
    return sum(len(block.of) for block in law.spec.covariance) + sum(
        len(sd) if isinstance(sd, list) else 1 for sd in _single_deviations(law).values()
    )


def _published_draws(law: Law, point: Mapping[str, Any]) -> dict[str, Any]:
    """Return draws from the covariances and standard deviations that a law states."""
    blocks = [(block.of, np.asarray(block.matrix)) for block in law.spec.covariance]
    single = _single_deviations(law)
    rows = _published_rows(law)
    if not rows:
        return {}
    z = standard_normals(rows)
    row, draws = 0, dict[str, Any]()
    for names, matrix in blocks:
        shifts = factor(matrix) @ z[row : row + len(names)]
        draws.update({name: point[name] + shift for name, shift in zip(names, shifts, strict=True)})
        row += len(names)
    for name, sd in single.items():
        if isinstance(sd, list):
            draws[name] = tuple(p + s * z[row + i] for i, (p, s) in enumerate(zip(point[name], sd, strict=True)))
            row += len(sd)
        else:
            draws[name] = point[name] + sd * z[row]
            row += 1
    return draws


def factor(matrix: Array) -> Array:
    """Return F with F F' = matrix, for matrices that rounding has made slightly indefinite too.

    >>> factor(np.array([[4.0]])) ** 2
    array([[4.]])
    """
    values, vectors = np.linalg.eigh(matrix / 2 + matrix.T / 2)
    return vectors * np.sqrt(np.clip(values, 0, None))


def _effect(law: Law, group: str, effect: EffectSpec, values: Mapping[str, object], z: Array) -> dict[str, Array]:
    """Return the shifts of a new member of a group, by name."""
    if effect.covariance is not None:
        return dict(zip(effect.of, factor(np.asarray(effect.covariance)) @ z, strict=True))
    scale, rho = _scales(law, group, effect, numpy_environment(law, values))
    shifts = _correlate(rho, z)
    with np.errstate(over="ignore"):
        found = {
            name: np.broadcast_to(scale[name] * shift, shift.shape)
            for name, shift in zip(effect.of, shifts, strict=True)
        }
    for name, shift in found.items():
        if not np.isfinite(shift).all():
            message = f"the scale of {name} is beyond all numbers; give a smaller one"
            raise LawError(message, table="effects", key=group)
    return found


def _scales(law: Law, group: str, effect: EffectSpec, environment: Environment) -> tuple[dict[str, Any], Any]:
    """Return the standard deviations of a group's effects by name, and their correlation."""
    rho: Any = 0.0
    if effect.correlation is not None:
        rho = _hyperparameter(law, effect.correlation, f"{group}_correlation", environment)
    return {n: _hyperparameter(law, effect.scale[n], f"{n}_scale", environment) for n in effect.of}, rho


def group_covariance(law: Law, group: str, environment: Environment) -> dict[tuple[str, str], Any]:
    """Return the covariance of one group's effects by pair of names, at the parameters in an environment."""
    effect = law.spec.effects[group]
    if effect.covariance is not None:
        rows = zip(effect.of, effect.covariance, strict=True)
        return {(a, b): value for a, row in rows for b, value in zip(effect.of, row, strict=True)}
    scale, rho = _scales(law, group, effect, environment)
    return {(a, b): scale[a] * scale[b] * (1.0 if a == b else rho) for a in effect.of for b in effect.of}


def effect_covariance(law: Law) -> dict[tuple[str, str], Any]:
    """Return the covariance of the effects of a new group by pair of names, a number or one per scenario each.

    Effects of different groups are independent; those that are not integrated are omitted. One with a tail has no
    covariance that says all of it: the laws that are integrated in closed form have none.
    """
    found: dict[tuple[str, str], Any] = {}
    environment = numpy_environment(law, scenarios(law).parameters)
    for group, effect in law.spec.effects.items():
        if effect.predict == "integrate":
            found |= group_covariance(law, group, environment)
    return found


def _correlate(rho: Any, z: Array) -> list[Array]:
    """Return rows of unit variance and pairwise correlation `rho` (a number or one per scenario)."""
    if len(z) == 2:
        return [z[0], rho * z[0] + np.sqrt(np.clip(1 - np.square(rho), 0, None)) * z[1]]
    if not np.any(rho):
        return list(z)
    common = np.sqrt(np.clip(rho, 0, None))
    own = np.sqrt(1 - np.square(common))
    mean = z.mean(axis=0) * math.sqrt(len(z))
    return [common * mean + own * row for row in z]


def _hyperparameter(law: Law, text: str, name: str, environment: Environment) -> Any:
    """Return an effect's scale or correlation: a formula of parameters, a fitted array of that name, or the center of its prior.

    **Raises:** `LawError` where the formula has no value at the parameters.
    """
    if is_call(text, HYPERPRIORS):
        return environment[name] if name in environment else prior_centre(law, text)
    with np.errstate(all="ignore"):
        found = law.function(text, numpy_backend(), table="effects", key=name)(environment)
    if not np.isfinite(found).all():
        message = f"'{text}' has no finite value at the parameters of the law; fix one or the other"
        raise LawError(message, table="effects", key=name)
    return found
