"""Search spaces: counted, listed, placed and rewritten as values."""

import itertools as it
import math

import pytest
from hypothesis import given, strategies as st

from hplaw.errors import QueryError
from hplaw_experiments.sweep.space import (
    Grid,
    Node,
    Range,
    Record,
    case,
    choice,
    count,
    dimensions,
    enumerate_points,
    grid,
    log_grid,
    nodes,
    permutation,
    place,
    replace,
    rewrite,
    subset,
    take,
)
from hplaw_experiments.sweep.space_toml import read_space, write_space


def test_sizes_multiply() -> None:
    space = Record({"a": choice(1, 2, 3), "b": subset(2, "wxyz"), "c": permutation(7, 8, 9)})
    assert count(space) == 108
    points = [tuple(p.items()) for p in enumerate_points(space)]
    assert len(set(points)) == 108


leaves = st.one_of(
    st.integers(1, 4).map(lambda n: grid(0, 1, n)),
    st.integers(1, 4).map(lambda n: log_grid(0.1, 10, n)),
    st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True).map(lambda o: choice(*o)),
    st.integers(0, 3).map(lambda k: subset(k, "abc")),
    st.just(permutation(1, 2, 3)),
)


def field(name: str) -> st.SearchStrategy[Node]:
    values = st.sampled_from(["s", "t"])
    cases = st.tuples(values, leaves).map(lambda p: case(p[0], **{f"{name}_inner": p[1]}))
    return st.one_of(leaves, cases)


spaces = st.fixed_dictionaries({"x": field("x")}, optional={"y": field("y")}).map(Record)


@given(spaces)
def test_listing_agrees_with_counting(space: Record) -> None:
    points = [tuple(sorted(p.items())) for p in enumerate_points(space)]
    assert len(points) == count(space)
    assert len(set(points)) == len(points)


@given(spaces, st.lists(st.floats(0, 1, exclude_max=True), min_size=8, max_size=8))
def test_a_placed_point_is_one_of_the_listed(space: Record, at: list[float]) -> None:
    assert dimensions(space) <= 8
    assert place(space, at) in list(enumerate_points(space))


@given(spaces)
def test_toml_reads_back(space: Record) -> None:
    assert read_space(write_space(space)) == space


@given(spaces)
def test_rewriting_by_nothing_changes_nothing(space: Record) -> None:
    assert rewrite(space, lambda path, node: node) == space


def test_a_program_rewrites_a_space() -> None:
    space = Record({"o": choice("sgd", case("adamw", beta2=grid(0.9, 0.99, 2)))})

    def finer(path: tuple[str, ...], node: Node) -> Node:
        return Grid(node.low, node.high, 5) if isinstance(node, Grid) else node

    assert count(rewrite(space, finer)) == 6
    assert any(path == ("o", "1", "beta2") for path, _ in nodes(space))
    assert count(replace(space, {"width": choice(1, 2)})) == 6


def test_a_case_without_value_sets_fields_together() -> None:
    space = read_space({"size": [{"with": {"width": w, "n_layers": w // 16}} for w in (32, 64)], "seed": [1, 2]})
    assert next(enumerate_points(space)) == {"width": 32, "n_layers": 2, "seed": 1}
    assert count(space) == 4


def test_permutations_come_in_order() -> None:
    space = Record({"p": permutation(*"abc")})
    assert [p["p"] for p in enumerate_points(space)] == list(it.permutations("abc"))


def test_a_range_is_endless_and_cannot_be_listed() -> None:
    space = Record({"x": Range(1.0, 100.0, log=True)})
    assert count(space) == math.inf
    assert place(space, [0.5])["x"] == pytest.approx(10)
    with pytest.raises(QueryError, match="cannot be listed"):
        take(space, 0)


@pytest.mark.parametrize(
    "table",
    [
        {"x": []},
        {"x": {"log_gird": [1, 2, 3]}},
        {"x": {"log_grid": [0, 2, 3]}},
        {"x": {"grid": [0, 2]}},
        {"x": {"subset": 5, "of": [1, 2]}},
        {"x": {"choice": [1], "more": 2}},
        {"x": {"grid": ["a", "b", 2]}},
        {"x": [{"value": 1, "with": {"y": 2}}], "y": 3},
    ],
)
def test_what_is_no_node_is_named(table: dict[str, object]) -> None:
    with pytest.raises(QueryError, match="x"):
        read_space(table)
