"""The cards of the works that hplaw started from: all 49, in our own words, with laws that exist."""

import os
import re
from pathlib import Path

import pytest

from hplaw.catalogue.listing import known_quantities
from hplaw.cli.app import COMMANDS
from hplaw.errors import QueryError
from hplaw.theory.works import kin_of, speaking_of, work, works
from tests.helpers import is_one_sentence, shipped


LITERATURE = Path(os.environ.get("HPLAW_DATA", "/nowhere")).parent / "literature.txt"


def test_each_of_the_49_works_has_one_card():
    cards = works()
    assert len(cards) == 49
    assert len({card.id for card in cards}) == 49
    assert len({card.title for card in cards}) == 49
    for card in cards:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", card.id)
        assert work(card.id) is card


@pytest.mark.skipif(not LITERATURE.is_file(), reason="the list of works is not here")
def test_the_cards_are_those_of_the_list_in_words_of_our_own():
    blocks = [b.strip() for b in LITERATURE.read_text().split("\n\n")[1:] if b.strip()]
    abstracts = dict(zip(blocks[::2], blocks[1::2], strict=True))
    assert {card.title for card in works()} == set(abstracts)
    for card in works():
        words, theirs = card.says.lower().split(), " ".join(abstracts[card.title].lower().split())
        runs = [" ".join(words[i : i + 7]) for i in range(len(words) - 6)]
        assert not [run for run in runs if run in theirs], card.id


@pytest.mark.parametrize("card", works(), ids=lambda card: card.id)
def test_a_card_names_laws_and_commands_that_exist_or_says_why_there_are_none(card):
    assert card.says.endswith(".")
    assert card.about
    for name in card.laws:
        assert shipped().get(name).id == name
    known = {words for words, *_ in COMMANDS}
    for command in card.commands:
        assert command.removeprefix("hplaw ") in known
    assert bool(card.no_rule) != bool(card.laws or card.commands)
    assert not card.no_rule or (card.no_rule.endswith(".") and len(card.no_rule) > 40)


def test_a_law_from_one_of_the_works_is_on_its_card():
    titles = {card.title.casefold(): card for card in works()}
    for law in shipped().laws:
        card = titles.get(law.spec.source.title.casefold())
        if card is not None:
            assert law.id in card.laws, card.id


def test_kin_are_quantities_of_the_shelf():
    words = known_quantities(shipped())
    for name in ("peak_lr", "batch_tokens", "weight_decay", "loss", "compute_flop"):
        kin = kin_of(name)
        assert kin
        assert set(kin) <= set(words)
        assert all(name in kin_of(other) for other in kin)
    assert kin_of("no-such-word") == ()


def test_works_are_found_by_what_they_speak_of():
    assert "step-law" in {card.id for card in speaking_of("peak_lr")}
    assert "budget-aware-schedule" in {card.id for card in speaking_of("learning_rate")}
    assert speaking_of("no-such-word") == []


def test_an_unknown_work_is_refused_with_the_nearest_name():
    with pytest.raises(QueryError, match="step-law") as caught:
        work("step-lw")
    assert is_one_sentence(str(caught.value))
