"""Many small minimizations at once: problems whose answers are known."""

import numpy as np
import pytest

from hplaw.decide.minimise import minimise


NOWHERE = np.array([[-50.0], [-50.0]])


@pytest.mark.parametrize("tilt", [0.0, 0.5, 0.99])
def test_quadratics_of_any_tilt_are_solved_together(tilt: float) -> None:
    rng = np.random.default_rng(0)
    centres = rng.uniform(-5, 5, (2, 40))
    matrix = np.array([[1.0, tilt], [tilt, 1.0]])

    def bowl(x: np.ndarray) -> np.ndarray:
        u = x - centres
        return 3.0 + np.einsum("pin,ij,pjn->pn", u, matrix, u)

    found = minimise(bowl, np.zeros((2, 40)), NOWHERE, -NOWHERE)
    np.testing.assert_allclose(found.x, centres, atol=1e-5)
    np.testing.assert_allclose(found.value, 3.0, atol=1e-9)
    assert found.settled.all()


def test_a_linex_bowl_is_solved_from_both_sides() -> None:
    def bowl(x: np.ndarray) -> np.ndarray:
        u = 2 * x[:, 0]
        return np.exp(u) - 1 - u

    start = np.array([[-6.0, -1.0, 0.5, 3.0, 6.0]])
    found = minimise(bowl, start, np.array([[-20.0]]), np.array([[20.0]]))
    np.testing.assert_allclose(found.x, 0, atol=1e-4)


def test_bounds_hold_and_nothing_outside_is_asked() -> None:
    low, high = np.array([[1.0], [-3.0]]), np.array([[2.0], [-1.0]])

    def bowl(x: np.ndarray) -> np.ndarray:
        assert (x >= low - 1e-12).all()
        assert (x <= high + 1e-12).all()
        return x[:, 0] ** 2 + (x[:, 1] - 1) ** 2 + x[:, 0] * x[:, 1]

    found = minimise(bowl, np.array([[9.0], [9.0]]), low, high)
    np.testing.assert_allclose(found.x[:, 0], [1.0, -1.0], atol=1e-9)


def test_a_banana_is_solved() -> None:
    def banana(x: np.ndarray) -> np.ndarray:
        return (1 - x[:, 0]) ** 2 + 10 * (x[:, 1] - x[:, 0] ** 2) ** 2

    found = minimise(banana, np.array([[-1.0], [1.0]]), NOWHERE, -NOWHERE)
    np.testing.assert_allclose(found.x[:, 0], [1.0, 1.0], atol=1e-3)


def test_infinite_and_missing_values_are_walked_around() -> None:
    def partial(x: np.ndarray) -> np.ndarray:
        u = x[:, 0]
        return np.where(u > 1.5, np.inf, np.where(u < -3, np.nan, (u - 1) ** 2))

    found = minimise(partial, np.array([[-1.0, 0.0, 1.4]]), np.array([[-9.0]]), np.array([[9.0]]))
    np.testing.assert_allclose(found.x, 1.0, atol=1e-4)


def test_three_quantities_and_a_meeting_bound() -> None:
    low, high = np.array([[-5.0], [2.0], [-5.0]]), np.array([[5.0], [2.0], [5.0]])

    def bowl(x: np.ndarray) -> np.ndarray:
        return (x[:, 0] - x[:, 1]) ** 2 + (x[:, 2] + x[:, 1]) ** 2 + 0.1 * x[:, 0] ** 2

    found = minimise(bowl, np.zeros((3, 1)), low, high)
    np.testing.assert_allclose(found.x[:, 0], [2 / 1.1, 2.0, -2.0], atol=1e-5)
