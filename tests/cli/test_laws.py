"""`hplaw laws`: what is listed, shown, checked, cited, compared and written."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from hplaw.catalogue.catalogue import load_catalogue
from hplaw.catalogue.listing import list_laws
from hplaw.messages.record import encode


SHIPPED = [law.id for law in load_catalogue().laws]


def new_law(run: Any, folder: Path, name: str = "my-law") -> Path:
    path = folder / f"{name}.toml"
    assert run("laws", "new", name, "--to", path).status == 0
    return path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_list_names_every_law(run: Any) -> None:
    done = run("laws", "list")
    assert (done.status, done.err) == (0, "")
    assert all(f"  {name}@" in done.out for name in SHIPPED)
    assert f"{len(SHIPPED)} laws" in done.out
    assert run("laws", "list", "--json").out.encode() == encode(list_laws(load_catalogue())) + b"\n"


def test_the_list_keeps_to_a_quantity(run: Any) -> None:
    found = json.loads(run("laws", "list", "--quantity", "batch_tokens", "--json").out)
    assert found
    assert all("batch_tokens" in line["outputs"] for line in found)


@pytest.mark.parametrize("law", SHIPPED)
def test_every_shipped_law_is_shown_and_cited(run: Any, law: str) -> None:
    shown = run("laws", "show", law)
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.startswith(f"{law}@")
    assert "Source" in shown.out
    cited = run("laws", "cite", law)
    assert (cited.status, cited.err) == (0, "")
    assert cited.out.startswith("@")
    assert cited.out.count("{") == cited.out.count("}")


def test_a_law_is_shown_by_id_version_address_and_file(run: Any, tmp_path: Path) -> None:
    address = load_catalogue().get("step-law-2025").address
    pages = {run("laws", "show", name).out for name in ("step-law-2025", "step-law-2025@1", address)}
    assert len(pages) == 1
    assert address in pages.pop()
    assert "my-law@1" in run("laws", "show", new_law(run, tmp_path)).out
    record = json.loads(run("laws", "show", "step-law-2025", "--json").out)
    assert record["summary"]["address"] == address


def test_all_shipped_laws_pass_the_check(run: Any) -> None:
    from importlib.resources import files

    done = run("laws", "check", str(files("hplaw_laws")))
    assert (done.status, done.out, done.err) == (0, f"{len(SHIPPED)} law files passed\n", "")


def test_a_new_law_passes_the_check_and_is_not_overwritten(run: Any, tmp_path: Path) -> None:
    path = new_law(run, tmp_path)
    assert run("laws", "check", path) == (0, "1 law file passed\n", "")
    printed = run("laws", "new", "my-law")
    assert printed.out == path.read_text()
    edit(path, "1e-3", "2e-3")
    again = run("laws", "new", "my-law", "--to", path)
    assert again.status == 1
    assert "is there already" in again.err
    assert "2e-3" in path.read_text()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('id = "my-law"', 'id = "My Law"', "id"),
        ("c * size", "c * sizes", "outputs.peak_lr"),
        ("c * size", "open(size)", "outputs.peak_lr"),
        ("c * size", "size.real", "outputs.peak_lr"),
        ("c * size", "'c'", "outputs.peak_lr"),
        ("expect = { peak_lr = 1e-3 }", "expect = { peak_lr = 2e-3 }", "examples"),
        ('status = "published"', 'status = "guessed"', "status"),
        ('data = "tokens / 1e11"', 'data = "size"\nsize2 = "size2"', "let.size2"),
        ("schema = 1", "schema = 1\nschema = 1", "line 3"),
        ("[domain]", "[domains]", "domains"),
    ],
)
def test_a_wrong_law_is_one_line_naming_file_table_and_key(
    run: Any, tmp_path: Path, old: str, new: str, says: str
) -> None:
    path = new_law(run, tmp_path)
    edit(path, old, new)
    done = run("laws", "check", path)
    assert (done.status, done.err) == (1, "hplaw: 1 of 1 law file failed\n")
    assert done.out.startswith(f"{path}: ")
    assert done.out.count("\n") == 1
    assert says in done.out


def test_a_check_goes_through_all_files(run: Any, tmp_path: Path) -> None:
    new_law(run, tmp_path, "good")
    edit(new_law(run, tmp_path, "bad"), "c * size", "c * sizes")
    done = run("laws", "check", tmp_path, tmp_path / "absent.toml")
    assert done.status == 1
    lines = done.out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"{tmp_path}/bad.toml: ")
    assert lines[1].startswith(f"{tmp_path}/absent.toml: ")
    assert done.err == "hplaw: 2 of 3 law files failed\n"


def test_a_folder_without_laws_is_no_success(run: Any, tmp_path: Path) -> None:
    done = run("laws", "check", tmp_path)
    assert (done.status, done.out) == (1, "")
    assert "no law file in this folder" in done.err


def test_the_difference_names_what_changed(run: Any, tmp_path: Path) -> None:
    old, new = new_law(run, tmp_path, "old"), new_law(run, tmp_path, "new")
    edit(new, 'id = "new" ', 'id = "old" ')
    edit(new, "c = { value = 1e-3 }", "c = { value = 2e-3, sd = 1e-4 }")
    edit(new, "c * size ** a", "c * size ** (2 * a)")
    edit(new, "n_params = [1e8, 1e10]\n", "")
    edit(new, "peak_lr = 1e-3", "peak_lr = 1e-3, batch_tokens = 1")
    done = run("laws", "diff", old, new)
    assert (done.status, done.err) == (0, "")
    for line in (
        "  c.value: 0.001 -> 0.002 (100 percent)",
        "  c.sd: nothing -> 0.0001",
        "  peak_lr: c * size ** a * data ** b -> c * size ** (2 * a) * data ** b",
        "  n_params: [100000000.0, 10000000000.0] -> nothing",
        "  [1].expect.batch_tokens: nothing -> 1",
    ):
        assert line in done.out.splitlines()
    headings = [line for line in done.out.splitlines()[2:] if line and line[0] != " "]
    assert headings == ["parameters", "outputs", "domain", "examples"]
    assert "the same, byte for byte" in run("laws", "diff", old, old).out


def test_only_a_comment_is_no_difference(run: Any, tmp_path: Path) -> None:
    old, new = new_law(run, tmp_path, "old"), new_law(run, tmp_path, "new")
    new.write_text(f"# another comment\n{old.read_text()}")
    assert "the same but for comments" in run("laws", "diff", old, new).out


def test_the_new_law_says_what_its_lines_are_for(run: Any) -> None:
    text = run("laws", "new", "some-law").out
    assert tomllib.loads(text)["id"] == "some-law"
    assert text.count("#") > 10
