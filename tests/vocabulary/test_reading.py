"""Text as values: what numbers, pairs and limits look like, and what is refused."""

import pytest

from hplaw.errors import ConflictingQuery, MalformedQuery
from hplaw.vocabulary.reading import parse_pairs, parse_value, read_limits, read_number, separator_of


@pytest.mark.parametrize("text", ["1M", "..", "", "1M..4X", "a..b"])
def test_limits_that_are_none_name_the_quantity(text):
    with pytest.raises(MalformedQuery, match="--bound batch_tokens") as caught:
        read_limits("--bound", "batch_tokens", text)
    assert caught.value.field == "batch_tokens"


def test_either_limit_may_be_left_out():
    assert read_limits("bound", "tokens", "1B..") == (1e9, None)
    assert read_limits("bound", "tokens", " .. 2B ") == (None, 2e9)


def test_a_pair_needs_both_sides_and_a_name_is_given_once():
    for pair in ("tokens", "tokens=", "=1", ""):
        with pytest.raises(MalformedQuery, match="name=value"):
            parse_pairs([pair], "given")
    with pytest.raises(ConflictingQuery, match="given tokens is given twice"):
        parse_pairs(["tokens=1", "tokens=2"], "given")


def test_a_number_that_is_none_names_the_option_and_the_field():
    with pytest.raises(MalformedQuery, match="--params") as caught:
        read_number("--params", "7X")
    assert caught.value.field == "--params"
    with pytest.raises(MalformedQuery) as caught:
        read_number("--params", "7X", field="n_params")
    assert caught.value.field == "n_params"


def test_a_quantity_outside_the_vocabulary_is_a_number_where_it_reads_as_one():
    assert parse_value("own_quantity", "7k") == 7000.0
    assert parse_value("own_quantity", "seven") == "seven"
    with pytest.raises(MalformedQuery, match="tokens='seven'"):
        parse_value("tokens", "seven")


@pytest.mark.parametrize(
    ("header", "separator"),
    [("a,b", ","), ("a;b", ";"), ("a\tb", "\t"), ("a", ","), ("", ","), ("a,\tb", ","), ('"a,b,c";d', ";")],
)
def test_a_header_says_what_parts_it(header, separator):
    assert separator_of(header) == separator


def test_limits_take_suffixes_in_either_case_and_commas():
    assert read_limits("bound", "tokens", "1b..2,000,000,000") == (1e9, 2e9)
