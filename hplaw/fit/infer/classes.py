"""Class probabilities over two quantities, learned from cells whose class is known: candidates, compared on what they did not see.

Cells lie on a grid. Every candidate predicts each inner value of the first axis from the others, and each block of
neighboring values of the second. The mean of the quarter with the lowest log loss over both is taken: with few values on an
axis the first place is luck, and a mean does better on a value that the choice did not see either.
"""

from __future__ import annotations

import functools as ft
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.svm import SVC

from hplaw.errors import DataError
from hplaw.fit.data.cells import Array, Cells, features


Mask = NDArray[np.bool_]

BINS = 5
"""Bins of equal mass behind the calibration error."""

BLOCK = 3
"""Neighboring values of the second axis that are held out together."""

SHARE = 4
"""One in how many candidates is chosen."""

FLOOR = 1e-3
"""Minimum probability of a class: no number of cells on this scale excludes one."""


@runtime_checkable
class Estimator(Protocol):
    """What scikit-learn's classifiers have in common."""

    def fit(self, X: Array, y: NDArray[Any]) -> Any:
        """Learn from features and classes."""
        ...

    def predict_proba(self, X: Array) -> Array:
        """Return the probability of each class `[row, class]`."""
        ...


class Candidate(msgspec.Struct, frozen=True):
    """A way to learn probabilities: its name, the scale of the second axis, and what makes an estimator.

    - `least`: cells of each class that it needs; where there are fewer it gives the classes' shares.
    """

    name: str
    scale: str
    make: Callable[[], Estimator]
    least: int = 1

    def learn(self, cells: Cells, rows: Mask) -> Callable[[Array, Array], Array]:
        """Return probabilities as a function of places, learned from some cells."""
        seen, counts = np.unique(cells.label[rows], return_counts=True)
        if len(seen) == 1 or counts.min() < self.least:
            shares = counts / counts.sum()
            return lambda first, second: _whole(np.tile(shares, (len(first), 1)), seen, len(cells.classes))
        estimator = self.make()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # kernels whose bounds are reached, classes with few members
            estimator.fit(cells.features(self.scale)[rows], cells.label[rows])

        def probabilities(first: Array, second: Array) -> Array:
            return _whole(estimator.predict_proba(features(first, second, self.scale)), seen, len(cells.classes))

        return probabilities


def _whole(found: Array, known: NDArray[np.intp], size: int) -> Array:
    whole = np.full((len(found), size), 0.0)
    whole[:, known] = found
    return floored(whole)


def floored(found: Array) -> Array:
    """Return probabilities of which none is below the floor."""
    return FLOOR + (1 - FLOOR * found.shape[1]) * found


class Nested:
    """One class against the others, then the others against one another: two questions with an order."""

    def __init__(self, make: Callable[[], Estimator]) -> None:
        self._make = make

    def fit(self, X: Array, y: NDArray[Any]) -> Nested:
        """Learn both questions; a question without two answers is settled by the one there is."""
        self.classes_ = np.unique(y)
        first = self.classes_[0]
        self._apart = self._make()
        self._apart.fit(X, y == first)
        rest = y != first
        self._others: Estimator | None = None
        if len(self.classes_) > 2:
            self._others = self._make()
            self._others.fit(X[rest], y[rest])
        return self

    def predict_proba(self, X: Array) -> Array:
        """Return the probability of each class."""
        apart = self._apart.predict_proba(X)[:, 1:]
        others = np.ones((len(X), 1)) if self._others is None else self._others.predict_proba(X)
        return np.concatenate([apart, (1 - apart) * others], axis=1)


def _logistic(degree: int, c: float) -> Estimator:
    terms = PolynomialFeatures(degree, include_bias=False)
    return make_pipeline(
        StandardScaler(), terms, StandardScaler(), LogisticRegression(C=c, max_iter=200, solver="newton-cholesky")
    )


def _nested(degree: int, c: float) -> Estimator:
    return Nested(lambda: _logistic(degree, c))


def _machine(c: float) -> Estimator:
    return make_pipeline(StandardScaler(), CalibratedClassifierCV(SVC(C=c, gamma=0.5), cv=3, ensemble=False))


def _process() -> Estimator:
    kernel = ConstantKernel(10.0, (1e-2, 1e4)) * RBF([1.0, 1.0], (0.1, 30.0))
    return make_pipeline(StandardScaler(), GaussianProcessClassifier(kernel, random_state=0))


def candidates() -> list[Candidate]:
    """Return the ways that are compared."""
    found: list[Candidate] = []
    for scale in ("plain", "log"):
        for degree, word in ((1, "linear"), (2, "quadratic")):
            for c in (1.0, 10.0, 100.0, 1000.0):
                found.append(Candidate(f"logistic, {word}, C={c:g}", scale, ft.partial(_logistic, degree, c)))
                found.append(Candidate(f"nested logistic, {word}, C={c:g}", scale, ft.partial(_nested, degree, c)))
        found += [
            Candidate(f"RBF SVM, calibrated, C={c:g}", scale, ft.partial(_machine, c), least=3) for c in (1.0, 10.0)
        ]
        found.append(Candidate("Gaussian process, RBF", scale, _process))
    return found


# What is held out


def inner_folds(cells: Cells, within: Mask | None = None) -> list[Mask]:
    """Return the cells of each inner value of the first axis.

    **Raises:** `DataError` where there are fewer than three values.
    """
    values = np.unique(cells.first if within is None else cells.first[within])
    if len(values) < 3:
        message = (
            f"{len(values)} values on the first axis are too few to leave an inner one out; give cells at three or more"
        )
        raise DataError(message)
    return [cells.first == value for value in values[1:-1]]


def block_folds(cells: Cells) -> list[Mask]:
    """Return the cells of each block of neighboring values of the second axis, its ends apart."""
    values = np.unique(cells.second)
    inner = values[1:-1]
    return [np.isin(cells.second, inner[i : i + BLOCK]) for i in range(0, len(inner), BLOCK)]


def held_out(candidate: Candidate, cells: Cells, folds: Sequence[Mask], within: Mask | None = None) -> Array:
    """Return the probabilities of cells `[cell, class]`, each predicted without its fold; NaN for cells in no fold.

    **Arguments:**

    - `within`: the cells that may be learned from; all by default.
    """
    found = np.full((len(cells), len(cells.classes)), np.nan)
    may = np.ones(len(cells), dtype=np.bool_) if within is None else within
    for fold in folds:
        out = fold & may
        if out.any() and (may & ~fold).any():
            found[out] = candidate.learn(cells, may & ~fold)(cells.first[out], cells.second[out])
    return found


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """How probabilities did on cells that they were not learned from.

    - `calibration`: mean distance of confidence and accuracy in bins of equal mass, of the likeliest class.
    - `answered`: share of cells that are not rejected; `accuracy_answered` the accuracy there.
    """

    cells: int
    accuracy: float
    brier: float
    log_loss: float
    calibration: float
    answered: float
    accuracy_answered: float


class Bin(msgspec.Struct, frozen=True):
    """One bin of a reliability plot: mean probability of the likeliest class, how often it was right, and the cells."""

    confidence: float
    accuracy: float
    cells: int


def score(found: Array, cells: Cells, rows: Mask, *, reject: float) -> Scores:
    """Return the scores of probabilities at some cells."""
    p, truth = found[rows], cells.onehot()[rows]
    right = truth[np.arange(len(p)), p.argmax(axis=1)]
    told = p.max(axis=1) >= reject
    bins = reliability(found, cells, rows)
    return Scores(
        cells=len(p),
        accuracy=float(right.mean()),
        brier=float(np.square(p - truth).sum(axis=1).mean()),
        log_loss=float(-np.log(p[truth == 1]).mean()),
        calibration=sum(b.cells * abs(b.confidence - b.accuracy) for b in bins) / len(p),
        answered=float(told.mean()),
        accuracy_answered=float(right[told].mean()) if told.any() else float("nan"),
    )


def reliability(found: Array, cells: Cells, rows: Mask) -> list[Bin]:
    """Return confidence and accuracy in bins of equal mass."""
    p = found[rows]
    sure, right = p.max(axis=1), p.argmax(axis=1) == cells.label[rows]
    parts = np.array_split(np.argsort(sure, kind="stable"), BINS)
    return [Bin(float(sure[part].mean()), float(right[part].mean()), len(part)) for part in parts if len(part)]


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate, or the mean of those chosen, on both kinds of folds: probabilities held out, and their scores.

    - `loss`: the mean of the two log losses, by which candidates are chosen.
    """

    name: str
    scale: str
    inner: Scores
    blocks: Scores
    p_inner: Array
    p_blocks: Array

    @property
    def loss(self) -> float:
        """Return what candidates are chosen by."""
        return (self.inner.log_loss + self.blocks.log_loss) / 2


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What was chosen of which candidates.

    - `mean`: the mean of the `chosen`, on what was held out; `compared` all candidates, the best first.
    """

    chosen: list[Candidate]
    mean: Compared
    compared: list[Compared]

    def learn(self, cells: Cells, rows: Mask) -> Callable[[Array, Array], Array]:
        """Return the mean of the chosen as a function of places, learned from some cells."""
        parts = [candidate.learn(cells, rows) for candidate in self.chosen]
        return lambda first, second: np.asarray(np.mean([part(first, second) for part in parts], axis=0))


def choose(cells: Cells, tried: Sequence[Candidate], *, reject: float) -> Choice:
    """Return the candidates with the lowest log loss on what was held out, and how all did."""
    folds = (inner_folds(cells), block_folds(cells))
    found = [
        (
            candidate,
            _scored(candidate.name, candidate.scale, [held_out(candidate, cells, f) for f in folds], cells, reject),
        )
        for candidate in tried
    ]
    found.sort(key=lambda item: item[1].loss)
    best = found[: _count(tried)]
    inner = np.mean([item.p_inner for _, item in best], axis=0)
    blocks = np.mean([item.p_blocks for _, item in best], axis=0)
    mean = _scored(f"mean of the best {len(best)}", _common([c.scale for c, _ in best]), [inner, blocks], cells, reject)
    return Choice(chosen=[candidate for candidate, _ in best], mean=mean, compared=[item for _, item in found])


def _count(tried: Sequence[Candidate]) -> int:
    return max(len(tried) // SHARE, 1)


def _common(words: Sequence[str]) -> str:
    return max(words, key=words.count)


def _scored(name: str, scale: str, found: Sequence[Array], cells: Cells, reject: float) -> Compared:
    inner, blocks = (score(p, cells, _told(p), reject=reject) for p in found)
    return Compared(name=name, scale=scale, inner=inner, blocks=blocks, p_inner=found[0], p_blocks=found[1])


def _told(found: Array) -> Mask:
    return ~np.isnan(found[:, 0])


def chosen_within(cells: Cells, tried: Sequence[Candidate]) -> Array:
    """Return the probabilities of inner cells `[cell, class]`, the candidates chosen without the fold that they predict.

    Each inner value of the first axis is predicted by those that do best on the cells of the other values.
    """
    found = np.full((len(cells), len(cells.classes)), np.nan)
    for fold in inner_folds(cells):
        within = ~fold
        ranked = sorted(tried, key=lambda item: float(np.mean(list(_losses(item, cells, within)))))
        parts = [best.learn(cells, within)(cells.first[fold], cells.second[fold]) for best in ranked[: _count(tried)]]
        found[fold] = np.mean(parts, axis=0)
    return found


def _losses(candidate: Candidate, cells: Cells, within: Mask) -> Iterator[float]:
    inner = inner_folds(cells, within) if len(np.unique(cells.first[within])) > 2 else []
    for folds in (inner, block_folds(cells)):
        if folds:
            p = held_out(candidate, cells, folds, within)
            rows = _told(p)
            yield float(-np.log(p[rows, cells.label[rows]]).mean())
