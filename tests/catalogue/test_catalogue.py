"""Finding laws: the order of folders, shadows, broken files, and folders that vanish."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from hplaw.catalogue.catalogue import SHELVES, Catalogue, law_files, load_catalogue, stamp, user_folder
from hplaw.errors import LawError, LawNotFound
from hplaw.messages.query import Query
from hplaw.recommendation.record import recommend
from tests.helpers import catalogue_of, is_one_sentence, law_text, make_law, problems_in, shipped, write_arrays


def put(folder: Path, name: str = "test-law", title: str = "A law of the tests") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.toml"
    file.write_text(law_text(name=name).replace("A law of the tests", title))
    return file


def test_shipped_laws_are_found_on_their_shelves() -> None:
    catalogue = shipped()
    assert catalogue.problems == ()
    assert {catalogue.shelf(law) for law in catalogue.laws} <= set(SHELVES)
    assert catalogue.shelf(catalogue.get("step-law-2025")) == "published"
    assert catalogue.shelf(catalogue.get("compute-6nd")) == "theory"
    assert [law.id for law in catalogue.laws] == sorted(law.id for law in catalogue.laws)


def test_folders_are_searched_in_order_and_the_first_found_shadows(tmp_path: Path) -> None:
    environ = {
        "HPLAW_LAWS": os.pathsep.join([str(tmp_path / "c"), str(tmp_path / "d")]),
        "XDG_DATA_HOME": str(tmp_path),
    }
    places = [tmp_path / "a", tmp_path / "b", tmp_path / "c", tmp_path / "d", user_folder(environ)]
    for number, place in enumerate(places):
        put(place, "step-law-2025", title=f"number {number}")
    given = places[:2]
    for number, place in enumerate(places):
        catalogue = load_catalogue([p for p in given if p.exists()], environ=environ)
        law = catalogue.get("step-law-2025")
        assert law.spec.title == f"number {number}"
        assert len(catalogue.shadowed) == 5 - number
        shutil.rmtree(place)
    assert load_catalogue(environ=environ).shadowed == ()


def test_a_shadow_is_shown_and_can_be_asked_by_its_address(tmp_path: Path) -> None:
    put(tmp_path, "step-law-2025", title="mine")
    catalogue = load_catalogue([tmp_path], environ={})
    mine, original = catalogue.get("step-law-2025"), shipped().get("step-law-2025")
    assert catalogue.shadows(mine) == original.address
    assert catalogue.shelf(mine) == tmp_path.name
    assert catalogue.get(original.address).digest == original.digest
    asked = recommend(Query(n_params=1e9, tokens=1e11, want=["peak_lr"], laws=[original.address]), catalogue)
    assert asked.answers["peak_lr"].law == original.address
    used = recommend(Query(tokens=1e11, batch_tokens=1e6, want=["steps"], laws=["step-law-2025"]), catalogue)
    assert [w.code for w in used.warnings if w.law == mine.address] == ["shadows"]


def test_the_users_folder_follows_the_system(tmp_path: Path) -> None:
    assert user_folder({"XDG_DATA_HOME": str(tmp_path)}) == tmp_path / "hplaw" / "laws"
    assert user_folder({"HOME": str(tmp_path)}) == tmp_path / ".local" / "share" / "hplaw" / "laws"


@pytest.mark.parametrize("address", ["test-law", "test-law@1", "test-law@1+{digest}"])
def test_a_law_is_found_by_id_version_and_digest(address: str) -> None:
    law = make_law()
    assert catalogue_of(law).get(address.format(digest=law.digest)) is law


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("test-lw", "no law is called 'test-lw'; did you mean 'test-law'?"),
        ("", "no law is called ''"),
        ("TEST-LAW", "no law is called 'TEST-LAW'"),
        ("test-law@2", "no law has the address 'test-law@2'; there is test-law@1+"),
        ("test-law@1+000000000000", "no law has the address"),
        ("test-law@1+", ""),
        ("@1", "no law is called ''"),
        ("x" * 10_000, "no law is called 'xxx"),
        ("../../etc/passwd", "no law is called '../../etc/passwd'"),
    ],
)
def test_a_law_that_is_not_there_offers_the_nearest(address: str, says: str) -> None:
    catalogue = catalogue_of(make_law())
    if not says:
        assert catalogue.get(address)
        return
    with pytest.raises(LawNotFound) as caught:
        catalogue.get(address)
    assert says in str(caught.value)
    assert is_one_sentence(caught.value)
    assert isinstance(caught.value, LookupError)


def test_law_files_lie_in_a_folder_or_one_below(tmp_path: Path) -> None:
    put(tmp_path, "one")
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "law.toml").write_text(law_text(name="two"))
    (tmp_path / "two" / "other.toml").write_text("not a law")
    (tmp_path / "three" / "deep").mkdir(parents=True)
    (tmp_path / "three" / "deep" / "law.toml").write_text(law_text(name="three"))
    (tmp_path / "notes.txt").write_text("not a law")
    assert [f.name for f in law_files(tmp_path)] == ["one.toml", "law.toml"]
    catalogue = load_catalogue([tmp_path], environ={})
    assert problems_in(catalogue, tmp_path) == []
    assert {"one", "two"} <= {law.id for law in catalogue.laws}


def test_a_broken_file_is_named_and_the_others_serve(tmp_path: Path) -> None:
    put(tmp_path, "good")
    (tmp_path / "bad.toml").write_text(law_text('[outputs]\nsteps = "tokens +"', name="bad"))
    (tmp_path / "torn.toml").write_bytes(b"\xff\x00")
    (tmp_path / "folder.toml").mkdir()
    catalogue = load_catalogue([tmp_path], environ={})
    assert catalogue.get("good").id == "good"
    assert len(problems_in(catalogue, tmp_path)) == 3
    for name in ("bad.toml", "folder.toml", "torn.toml"):
        assert any(str(tmp_path / name) in str(p) for p in problems_in(catalogue, tmp_path))
    for problem in problems_in(catalogue, tmp_path):
        assert isinstance(problem, LawError)
        assert is_one_sentence(problem)


def test_a_folder_that_was_given_must_exist(tmp_path: Path) -> None:
    with pytest.raises(LawNotFound, match="does not exist; give a folder of law files"):
        load_catalogue([tmp_path / "absent"], environ={})
    with pytest.raises(LawNotFound, match="is no folder; give a folder of law files"):
        load_catalogue([put(tmp_path)], environ={})
    assert problems_in(load_catalogue(environ={"HPLAW_LAWS": str(tmp_path / "absent")}), tmp_path) == []


def test_a_folder_that_vanishes_takes_its_laws_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "laws"
    put(folder, "here")
    before = load_catalogue([folder], environ={})
    seen = stamp(before.folders)
    shutil.rmtree(folder)
    assert stamp(before.folders) != seen
    assert before.get("here").record().text
    after = load_catalogue(environ={"HPLAW_LAWS": str(folder)})
    assert [law.id for law in after.laws] == [law.id for law in shipped().laws]
    with pytest.raises(LawNotFound):
        after.get("here")


def test_a_law_that_vanishes_while_it_is_read_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = put(tmp_path, "gone")
    monkeypatch.setattr("hplaw.catalogue.catalogue.law_files", lambda folder: [file] if folder == tmp_path else [])
    file.unlink()
    (problem,) = problems_in(load_catalogue([tmp_path], environ={}), tmp_path)
    assert "gone.toml: cannot be read: No such file or directory" in str(problem)


def test_a_stamp_tells_a_change_of_laws_or_arrays(tmp_path: Path) -> None:
    file = put(tmp_path)
    seen = [stamp([tmp_path])]
    file.write_text(law_text() + "\n")
    seen.append(stamp([tmp_path]))
    (tmp_path / "test-law.npz").write_bytes(b"x")
    seen.append(stamp([tmp_path]))
    (tmp_path / "notes.txt").write_bytes(b"x")
    assert stamp([tmp_path]) == seen[-1]
    assert len(set(seen)) == 3
    assert stamp([tmp_path / "absent"]) == ()


def test_an_empty_catalogue_says_that_no_law_gives_a_quantity() -> None:
    empty = Catalogue([])
    found = recommend(Query(n_params=1e9, tokens=1e9, want=["peak_lr"]), empty)
    assert found.answers["peak_lr"].value is None
    assert found.answers["peak_lr"].reason == "no law here gives peak_lr"


def test_a_law_is_read_again_only_where_its_files_changed(tmp_path: Path) -> None:
    for name in ("kept", "changed"):
        (tmp_path / f"{name}.toml").write_text(law_text(name=name))
    first = load_catalogue([tmp_path], environ={})
    first.get("kept").derived["a room"] = "what it derived"
    (tmp_path / "changed.toml").write_text(law_text(name="changed", status="published"))
    second = load_catalogue([tmp_path], environ={}, before=first)
    assert second.get("kept") is first.get("kept")
    assert second.get("changed").spec.status == "published"
    assert second.get("changed").derived == {}
    write_arrays(tmp_path / "kept.npz", x=np.zeros(2))
    third = load_catalogue([tmp_path], environ={}, before=second)
    assert third.get("step-law-2025") is first.get("step-law-2025")
    assert third.get("kept").digest != first.get("kept").digest
