"""Draws beside a law: what npz files are read, what they do to answers, and which are refused."""

import io
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hplaw.answer.answer import answer
from hplaw.answer.check import check_law
from hplaw.answer.estimate import estimate_of
from hplaw.catalogue.catalogue import load_catalogue
from hplaw.errors import LawError
from hplaw.law import Law, parse_law, read_law
from hplaw.posterior.scenarios import DRAWS, scenarios, standard_normals
from tests.helpers import is_one_sentence, law_text, problems_in, write_arrays


TEXT = law_text(
    '[index]\nk = ["a", "b"]\n[parameters]\nc = { prior = "normal(0, 1)", value = 9 }\nw = { prior = "normal(0, 1)", over = "k" }\n[outputs]\nsteps = "exp(c) * tokens ** 0.5 * batch_tokens + 0 * sum(k, w)"',
    status="calibrated",
    examples=f"[[examples]]\ngiven = {{ tokens = 4, batch_tokens = 1 }}\nexpect = {{ steps = {2 * math.exp(2)} }}",
)
rng = np.random.default_rng(0)
C = 2 + 0.1 * np.concatenate([z := rng.standard_normal(100), -z, [0.0]])
W = rng.standard_normal((201, 2))


def law_with(folder: Path, **arrays: object) -> Law:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "law.toml").write_text(TEXT)
    write_arrays(folder / "posterior.npz", **arrays)
    return read_law(folder)


def test_draws_give_the_median_and_its_interval(tmp_path: Path) -> None:
    law = law_with(tmp_path, c=C, w=W)
    assert check_law(law) == []
    found = estimate_of(answer(law, {"tokens": 4.0, "batch_tokens": 1.0}), "steps")
    assert found.value == pytest.approx(2 * math.exp(2), rel=1e-12)
    for level, quantile in (("low", 0.05), ("low50", 0.25), ("high50", 0.75), ("high", 0.95)):
        assert getattr(found, level) == pytest.approx(2 * np.exp(np.quantile(C, quantile)), rel=1e-9)
    drawn = scenarios(law)
    assert drawn.fitted
    assert drawn.size == 201
    assert [len(part) for part in drawn.parameters["w"]] == [201, 201]


def test_draws_lie_beside_a_file_of_any_name(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(TEXT)
    write_arrays(tmp_path / "mine.npz", c=C, w=W)
    law = read_law(tmp_path / "mine.toml")
    assert law.arrays == tmp_path / "mine.npz"
    assert check_law(law) == []


def test_the_digest_changes_with_the_draws(tmp_path: Path) -> None:
    one = law_with(tmp_path / "one", c=C, w=W)
    same = law_with(tmp_path / "same", c=C, w=W)
    other = law_with(tmp_path / "other", c=C + 1e-12, w=W)
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "law.toml").write_text(TEXT)
    bare = read_law(tmp_path / "bare")
    assert one.digest == same.digest
    assert len({one.digest, other.digest, bare.digest}) == 3
    assert {law.id for law in (one, other, bare)} == {"test-law"}


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"c": C}, "'w' has no draws"),
        ({"c": C, "w": W[:, :1]}, "draws of 'w' have shape (201, 1); the law wants (draws, 2)"),
        ({"c": C[:, None], "w": W}, "draws of 'c' have shape (201, 1); the law wants (draws)"),
        ({"c": C[:-1], "w": W}, "arrays of different length"),
        ({"c": C[:1], "w": W[:1]}, "shorter than 2 draws"),
        ({"c": C[:0], "w": W[:0]}, "shorter than 2 draws"),
        ({"c": np.float64(1.0), "w": W}, "arrays of different length"),
        ({"c": C.astype(np.float32), "w": W}, "c must be finite float64, not float32"),
        ({"c": np.arange(201), "w": W}, "c must be finite float64, not int64"),
        ({"c": np.where(np.arange(201) == 7, np.nan, C), "w": W}, "c must be finite float64"),
        ({"c": np.where(np.arange(201) == 7, np.inf, C), "w": W}, "c must be finite float64"),
        ({"c": C.astype(complex), "w": W}, "c must be finite float64"),
        ({"c": np.array(["x"] * 201), "w": W}, "c must be finite float64"),
    ],
)
def test_wrong_draws_are_refused_and_named(tmp_path: Path, arrays: dict, says: str) -> None:
    law = law_with(tmp_path / "laws" / "x", **arrays)
    with pytest.raises(LawError) as caught:
        scenarios(law)
    assert says in str(caught.value)
    assert "posterior.npz" in str(caught.value)
    catalogue = load_catalogue([tmp_path / "laws"], environ={})
    (problem,) = problems_in(catalogue, tmp_path)
    assert says in str(problem)
    assert is_one_sentence(problem)
    assert "test-law" not in [found.id for found in catalogue.laws]


class Trap:
    """An object that leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return Path.write_text, (self.mark, "it ran")


def test_a_pickle_is_never_read(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    arrays = np.empty(201, dtype=object)
    arrays[:] = Trap(mark)
    law = law_with(tmp_path / "law", c=arrays, w=W)
    with pytest.raises(LawError, match="cannot be read as arrays"):
        scenarios(law)
    assert not mark.exists()


@pytest.mark.parametrize("how", ["torn", "empty", "text", "not npy", "one array", "too large", "folder"])
def test_a_torn_file_is_refused(tmp_path: Path, how: str) -> None:
    (tmp_path / "law.toml").write_text(TEXT)
    path = write_arrays(tmp_path / "posterior.npz", c=C, w=W)
    whole = path.read_bytes()
    match how:
        case "torn":
            path.write_bytes(whole[: len(whole) // 2])
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("c = 1")
        case "not npy":
            inside = io.BytesIO()
            with zipfile.ZipFile(inside, "w") as archive:
                archive.writestr("c.npy", b"nonsense")
            path.write_bytes(inside.getvalue())
        case "one array":
            np.save(path.with_suffix(".npy"), C)
            path.with_suffix(".npy").rename(path)
        case "too large":
            inside = io.BytesIO()
            header = {"descr": "<f8", "fortran_order": False, "shape": (10**13,)}
            with zipfile.ZipFile(inside, "w") as archive, archive.open("c.npy", "w") as member:
                np.lib.format.write_array_header_1_0(member, header)
            path.write_bytes(inside.getvalue())
        case _:
            path.unlink()
            path.mkdir()
    if how == "folder":  # no file of draws then
        assert read_law(tmp_path).arrays is None
        return
    law = read_law(tmp_path)
    with pytest.raises(LawError) as caught:
        scenarios(law)
    assert "posterior.npz" in str(caught.value)
    assert is_one_sentence(caught.value)


def test_a_torn_file_is_a_problem_of_the_catalogue_and_no_other_law_suffers(tmp_path: Path) -> None:
    law_with(tmp_path / "bad", c=C, w=W)
    path = tmp_path / "bad" / "posterior.npz"
    path.write_bytes(path.read_bytes()[:300])
    catalogue = load_catalogue([tmp_path], environ={})
    assert len(problems_in(catalogue, tmp_path)) == 1
    assert catalogue.get("step-law-2025").id == "step-law-2025"


# Standard normals


def test_normals_are_antithetic_of_unit_covariance_and_always_the_same() -> None:
    z = standard_normals(9)
    assert z.shape == (9, DRAWS)
    np.testing.assert_allclose(z @ z.T / DRAWS, np.eye(9), atol=1e-12)
    np.testing.assert_allclose(z.mean(axis=1), 0, atol=1e-15)
    np.testing.assert_array_equal(z[:, : DRAWS // 2], -z[:, DRAWS // 2 :])
    standard_normals.cache_clear()
    np.testing.assert_array_equal(standard_normals(9), z)
    with pytest.raises(ValueError, match="read-only"):
        z[0, 0] = 1


def test_more_normals_begin_with_the_same_ones() -> None:
    np.testing.assert_allclose(standard_normals(12)[:5], standard_normals(5), atol=1e-12)
    assert np.abs(standard_normals(5) - standard_normals(5, stream=1)).max() > 0.1


def test_a_scale_of_an_effect_without_a_value_is_refused() -> None:
    body = (
        '[parameters]\na = { value = 1.0, sd = 0.1 }\n[effects.run]\nby = ["recipe"]\nof = ["shift"]\n'
        'scale = { shift = "1 / (a - a)" }\n[outputs]\nsteps = "a * exp(shift) * tokens / batch_tokens"'
    )
    with pytest.raises(LawError, match="no finite value at the parameters"):
        scenarios(parse_law(law_text(body).encode()))
