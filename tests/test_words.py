"""What users and developers read is short technical English, in American spelling: no word of the list below in any of it.

The list has words that readers stumble over, each with what to write in its place. Names stay as they are: code in
backquotes, identifiers, ids of laws. Words of our own that the field does not know are explained in docs/glossary.md.
"""

import io
import re
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hplaw.cli import main
from hplaw.cli.app import COMMANDS


ROOT = Path(__file__).resolve().parent.parent

WORDS = {
    r"anew": "again",
    r"mend(s|ed|ing)?": "fix",
    r"stands|stood|stand in|stand-ins?|stand for": "is; default; represent",
    r"besides": "also",
    r"(?<!at )least(?!\s+squares)": "minimum, lowest, smallest",
    r"greatest": "maximum, largest",
    r"its kin|kin to": "related",
    r"foret(ell|ells|elling|old)": "predict",
    r"told|untold": "given, reported",
    r"(tell|tells) \S+ apart": "distinguish",
    r"made-up": "synthetic",
    r"left\s+out|leav(es|ing)\s+(\w+\s+)?out": "omitted, held out, by default",
    r"best settings?": "tuned optima, optimum",
    r"shelf|shelves": "shipped laws",
    r"(nine times|\w+) in ten|one time in two": "90% interval; 50% interval",
    r"(thousand|million) (million|thousand)s?": "billion",
    r"says? nothing": "does not cover",
    r"speaks?\s+(of|here)": "use, cover, apply",
    r"unsure|how sure": "uncertain; with what uncertainty",
    r"(laws?|rules?)\s+(is|are|was|were)\s+asked": "evaluated",
    r"(the|a|each|one|every|another|other) (laws?|rules?)\s+(say|says|said)(?! (that|so|how|where))": "give",
    r"(percent|share) of change for one percent more": "elasticity",
    r"a plateau belongs to": "(nothing)",
    r"accelerator has not": "unsupported",
    r"missed by a factor": "median error",
    r"[\d`] e-folds outside": "13x above",
    r"(was|were) seen (in|on|with)": "fitted on",
    r"(is|are|only) recalled|constants recalled|recalled, not read": "not verified against the paper",
    r"one's own": "your own",
    r"nought|aught|folk|hither|thence|forthwith": "a modern word",
}
"""What readers stumble over, as patterns of whole words, and what to write."""

IZE = (
    "parametr|parameter|optim(?!ism|ist)|minim|maxim|normal|initial|regular|general|summar|recogn|quant|discret|vector|"
    "serial|standard|token|factor|linear|random|penal|util|organ|character|categor|stabil|synchron|visual|real(?!is)"
)
"""Stems of words that end in -ize here."""

BRITISH = (
    rf"\w*({IZE})is(e|es|ed|er|ers|ing|ation|ations)",
    r"\w*(behaviour|colour|neighbour|favour|honour|labour)\w*",
    r"centres?|centred|centring|licences?|artefacts?|judgements?|grey|defences?|spelt",
    r"(un)?(modell|labell|cancell|travell|signall)(ed|ing)|analys(e|ed|ing)",
)
"""Spellings of the other side of the ocean."""

LISTED = [re.compile(rf"(?<![\w./@`-])(?:{word})(?![\w`-]|\.\w|\()", re.IGNORECASE) for word in (*WORDS, *BRITISH)]

CODE = re.compile(r"``?[^`\n]+``?|\{[^{}\n]*\}|https?://\S+|\]\([^)]*\)|least squares|\bleast_\w+|>>> .*")
"""What is no prose inside a text: code, placeholders, addresses."""

NAMES = re.compile(r"[\w.]+(-[\w.]+)*")
"""A whole string that is a name: no blank in it."""


def found_in(text: str) -> list[str]:
    """Return the listed words in a text, each with some letters around it."""
    prose = CODE.sub(lambda code: "`" * len(code[0]), text)
    return [prose[max(0, hit.start() - 30) : hit.end() + 30] for word in LISTED for hit in word.finditer(prose)]


def pages() -> list[Path]:
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    return sorted([*files, *(ROOT / "fitted_laws").rglob("card.md"), *(ROOT / "experiments" / "laws").rglob("card.md")])


def named(files: list[Path]) -> list[Any]:
    return [pytest.param(file, id=str(file.relative_to(ROOT))) for file in files]


def test_the_list_finds_what_it_is_for() -> None:
    assert found_in("it is fitted anew by the least loss, and the law says 0.1")
    assert found_in("The parametrisation was optimised with a greater behaviour")
    assert not found_in("at least two runs by least squares; `minimise = loss`, the parametrization's optimum")


@pytest.mark.parametrize("page", named(pages()))
def test_pages_and_cards(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not found_in(re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


PROSE_KEYS = {"title", "notes", "meaning", "say", "says", "where", "no_rule", "computed", "accepted_with"}
"""Keys of TOML files whose text is read by people."""


def prose_of(table: Any, key: str = "") -> Iterator[str]:
    """Yield the texts of a TOML file that people read; titles of other people's works are theirs."""
    match table:
        case dict():
            ours = table.get("authors", "hplaw contributors") == "hplaw contributors"
            for name, value in table.items():
                if ours or name != "title":
                    yield from prose_of(value, name)
        case list():
            for item in table:
                yield from prose_of(item, key)
        case str() if key in PROSE_KEYS:
            yield table
        case _:
            pass


def toml_files() -> list[Path]:
    return sorted(
        file for folder in ("fitted_laws", "experiments", "hplaw") for file in (ROOT / folder).rglob("*.toml")
    )


def test_laws_and_other_tables() -> None:
    found: dict[str, list[str]] = {}
    for file in toml_files():
        text = file.read_text(encoding="utf-8")
        comments = re.findall(r"^#.*$", text, flags=re.MULTILINE)
        hits = [hit for prose in (*prose_of(tomllib.loads(text)), *comments) for hit in found_in(prose)]
        if hits:
            found[str(file.relative_to(ROOT))] = hits
    assert not found


def strings(file: Path) -> Iterator[tuple[int, str]]:
    """Yield the comments and the strings of a module that are prose, docstrings among them, with their lines."""
    with file.open(encoding="utf-8") as source:
        for token in tokenize.generate_tokens(io.StringIO(source.read()).readline):
            if token.type == tokenize.COMMENT or (
                token.type == tokenize.STRING and NAMES.fullmatch(token.string.strip("rbf\"'")) is None
            ):
                yield token.start[0], token.string


@pytest.mark.parametrize("folder", ["hplaw", "api", "experiments", "fitted_laws", "tools", "benchmarks"])
def test_strings_docstrings_and_comments(folder: str) -> None:
    found: list[str] = []
    for file in sorted((ROOT / folder).rglob("*.py")):
        for line, text in strings(file):
            found += [f"{file.relative_to(ROOT)}:{line}: {hit}" for hit in found_in(text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("file", named(sorted((ROOT / "api").rglob("static/*.*"))))
def test_the_page_of_the_service(file: Path) -> None:
    assert not found_in(file.read_text(encoding="utf-8"))


def test_pictures() -> None:
    found: dict[str, list[str]] = {}
    for file in sorted([*(ROOT / "docs").glob("*.svg"), *(ROOT / "fitted_laws").rglob("*.svg")]):
        words = re.findall(r"<text[^>]*>([^<]*)", file.read_text(encoding="utf-8"))
        hits = [hit for label in words for hit in found_in(label)]
        if hits:
            found[str(file.relative_to(ROOT))] = hits
    assert not found


@pytest.mark.parametrize("command", ["", *sorted(command[0] for command in COMMANDS)])
def test_help_of_commands(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main([*command.split(), "--help"]) == 0
    assert not found_in(capsys.readouterr().out)


def descriptions(node: Any) -> Iterator[str]:
    """Yield what an OpenAPI document says to people."""
    match node:
        case dict():
            for name, value in node.items():
                if name in ("description", "summary", "title") and isinstance(value, str):
                    yield value
                else:
                    yield from descriptions(value)
        case list():
            for item in node:
                yield from descriptions(item)
        case _:
            pass


def test_openapi(service: Any) -> None:
    import httpx2

    document = httpx2.get(f"{service.url}/schema/openapi.json", trust_env=False).json()
    texts = list(descriptions(document))
    assert len(texts) > 100
    assert not [hit for text in texts for hit in found_in(text)]
