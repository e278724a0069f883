"""The documents are true: laws in them load and pass, commands and Python in README and docs print what is shown."""

import ast
import doctest
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import msgspec
import numpy as np
import pytest

from hplaw import load_catalogue, read_law
from hplaw.answer.check import check_law
from hplaw.evaluation.rates import SCHEDULES
from hplaw.law import parse_law
from hplaw.law.format import LawSpec
from hplaw.law.write import write_law
from hplaw.parametrization.factors import PARAMETRIZATIONS
from hplaw_experiments.data.load import SOURCES
from hplaw_experiments.models.layers import ACTIVATIONS
from hplaw_experiments.sweep.plan import LENGTHS, read_spec
from hplaw_experiments.sweep.schema import sweep_schema
from hplaw_experiments.sweep.space import count
from hplaw_experiments.sweep.space_toml import WORDS, read_space
from hplaw_experiments.sweep.walkers import next_trials
from hplaw_experiments.training.optim import OPTIMIZERS
from hplaw_experiments.trial import SweepSpec, Trial, Walker
from tests.conftest import Service
from tests.vocabulary.released_models import RELEASED


ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
SWEEPS = ROOT / "docs" / "sweeps.md"
LAW_FORMAT = ROOT / "docs" / "law-format.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
LINKED = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
README_LINES = 200

SERVICE = "http://127.0.0.1:8000"
"""The address that documents give for a service."""


class Block(NamedTuple):
    """A fenced block: the words after the fence, its lines, and where it begins."""

    kind: str
    text: str
    line: int


def blocks(file: Path, kind: str) -> list[Block]:
    """Return the fenced blocks of a document of one kind."""
    fenced = re.compile(r"^```([^\n]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    text = file.read_text(encoding="utf-8")
    return [
        Block(found[1], found[2], text[: found.start()].count("\n") + 1)
        for found in fenced.finditer(text)
        if found[1] == kind
    ]


def named(found: list[Block]) -> list[Any]:
    return [pytest.param(block.text, id=f"line {block.line}") for block in found]


# The law format


@pytest.mark.parametrize("text", named(blocks(LAW_FORMAT, "toml law")))
def test_laws_in_the_format_load_and_pass(text: str, tmp_path: Path) -> None:
    spec = tomllib.loads(text)
    file = tmp_path / f"{spec['id']}.toml"
    file.write_text(text, encoding="utf-8")
    if "grid" in spec:
        safe = np.array([[1.0, 1.0], [0.5, 0.5]])[:, :, None]
        axes = {"peak_lr": np.array([1e-3, 3e-3]), "batch_tokens": np.array([1e5, 1e6])}
        probabilities = np.concatenate([safe, 1 - safe], axis=2)
        np.savez(tmp_path / spec["grid"]["values"], **axes, probabilities=probabilities)
    law = read_law(file)
    assert check_law(law, load_catalogue()) == []


@pytest.mark.parametrize("text", named(blocks(LAW_FORMAT, "toml part")))
def test_parts_in_the_format_make_laws_that_load(text: str) -> None:
    smallest = tomllib.loads(blocks(LAW_FORMAT, "toml law")[0].text)
    spec = msgspec.convert({**smallest, **tomllib.loads(text)}, LawSpec)
    law = parse_law(write_law(spec).encode())
    assert law.spec == spec


def test_every_law_in_the_format_is_marked() -> None:
    assert not blocks(LAW_FORMAT, "toml")


def test_the_format_names_every_key() -> None:
    """A key that is added to the format is explained, too."""
    text = LAW_FORMAT.read_text(encoding="utf-8")
    words = set(re.findall(r"\w+", text))
    missing: set[str] = set()
    pending: list[Any] = [LawSpec]
    seen: set[Any] = set()
    while pending:
        kind = pending.pop()
        if kind in seen:
            continue
        seen.add(kind)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            for field in msgspec.structs.fields(kind):
                missing |= {field.name} - words
                pending.append(field.type)
        else:
            pending += getattr(kind, "__args__", ())
    assert not missing


# Sweep files


@pytest.mark.parametrize("text", named(blocks(SWEEPS, "toml sweep")))
def test_sweeps_in_the_page_are_planned_and_fit_the_schema(text: str, tmp_path: Path, shell: Any) -> None:
    spec = tomllib.loads(text)
    assert not list(jsonschema.Draft7Validator(sweep_schema()).iter_errors(spec))
    (tmp_path / "sweep.toml").write_text(text, encoding="utf-8")
    said = shell("hplaw sweep plan sweep.toml --no-probe")
    trials = next_trials(read_spec(tmp_path / "sweep.toml"), {})
    assert said.startswith(f"{spec['name']}: {len(trials)} trials, 0 of them done\n")


@pytest.mark.slow
@pytest.mark.parametrize("text", named(blocks(SWEEPS, "toml sweep")[1:]))
def test_small_sweeps_in_the_page_run(text: str, tmp_path: Path, shell: Any) -> None:
    (tmp_path / "sweep.toml").write_text(text, encoding="utf-8")
    said = shell("hplaw sweep run sweep.toml")
    assert "  optimum  loss " in said
    assert "next: hplaw sweep export sweep.toml --runs runs --to " in said


def test_the_page_of_sweeps_names_every_key_and_says_its_counts() -> None:
    text = SWEEPS.read_text(encoding="utf-8")
    words = set(re.findall(r"\w+", text))
    kinds = (SweepSpec, Walker, Trial)
    assert not {name for kind in kinds for name in kind.__struct_fields__} - words - {"seed"}
    assert not {*LENGTHS, *WORDS, *SOURCES, *OPTIMIZERS, *ACTIVATIONS, *SCHEDULES, *PARAMETRIZATIONS} - words
    (block,) = (block for block in blocks(SWEEPS, "toml sweep") if "[[space.optimizer]]" in block.text)
    assert count(read_space(tomllib.loads(block.text)["space"])) == 28


# README and pages


@pytest.fixture
def shell(tmp_path: Path, service: Service) -> Any:
    """Return a function that runs a line of a document as a shell would."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HPLAW_")}
    environ |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "COLUMNS": "100",
        "XDG_DATA_HOME": str(tmp_path),
        "no_proxy": "*",
    }

    def run(line: str) -> str:
        done = subprocess.run(
            ["bash", "-c", line.replace(SERVICE, service.url)],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        return done.stdout + done.stderr

    return run


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block with the output that is shown below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        last = next(i for i, line in enumerate(lines) if not line.endswith("\\\n"))
        yield "".join(lines[: last + 1]), "".join(lines[last + 1 :])


NUMBER = re.compile(r"(?<![\w.@=-])(\d+\.\d+(?:e-?\d+)?(?![\d.]|$)|\d+(?:e-?\d+|(?=[kMB]\b)))")
"""A rounded number in a text: not a count, nor part of a name, nor one that dots cut short."""

CLOSE = 0.03
"""By what share a rounded number may differ: a law that is fitted anew has other last digits."""


def shown(want: str, got: str) -> bool:
    """Return whether `got` is what a document shows: dots leave out text, rounded numbers are close, spaces do not count."""
    numbers: list[float] = []

    def literal(text: str) -> str:
        pieces = NUMBER.split(text)
        numbers.extend(map(float, pieces[1::2]))
        escaped = [re.escape(piece) for piece in pieces[::2]]
        return r"(\d+(?:\.\d+)?(?:e-?\d+)?)".join(escaped)

    want, got = (re.sub(" +", " ", text) for text in (want, got))
    parts = re.split(r"^ *\.\.\.\n|\.\.\.", want, flags=re.MULTILINE)
    found = re.fullmatch(".*?".join(map(literal, parts)), got, re.DOTALL)
    if found is None:
        return False
    return np.allclose(numbers, [float(number) for number in found.groups()], rtol=CLOSE, atol=0)


TINY = """\
name = "tiny"
model = { family = "mlp", width = 32 }
data = { source = "digits" }
training = { batch_tokens = 64 }
space = { tokens = [20000, 40000], peak_lr = { log_grid = [1e-3, 1e-1, 5] } }
"""
"""The sweep that the README runs, which is there before its commands are."""

LLAMA = """\
{"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
 "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": false}
"""
"""The config.json of Llama 3.1 8B, which the pages have beside them."""

TRAINS, FETCHES = "$ hplaw sweep run", "$ hplaw data fetch"
"""What blocks hold that train, and that download: they have tests of their own."""


def in_pages(*, having: str = "", lacking: tuple[str, ...] = ()) -> list[Any]:
    """Return the console blocks of all pages, each with the page and the line where it begins."""
    return [
        pytest.param(block.text, id=f"{page.name} line {block.line}")
        for page in PAGES
        for block in blocks(page, "console")
        if having in block.text and not any(word in block.text for word in lacking)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("text", in_pages(having=TRAINS))
def test_sweeps_in_the_pages_print_what_is_shown(text: str, shell: Any, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY, encoding="utf-8")
    for command, want in commands(text):
        got = shell(command)
        assert shown(want, got), f"$ {command}{got}"


@pytest.mark.slow
@pytest.mark.parametrize("text", in_pages(having=FETCHES))
def test_fits_in_the_pages_print_what_is_shown(text: str, shell: Any, tmp_path: Path, data: Path) -> None:
    """The runs are those of HPLAW_DATA, in place of a download; `data fetch` itself is not run."""
    lines = (data / "chinchilla_runs.csv").read_text(encoding="utf-8")
    lines = lines.replace("n_params,tokens,", "n_params_with_embedding,tokens,", 1)
    (tmp_path / "chinchilla.csv").write_text(lines, encoding="utf-8")
    for command, want in commands(text):
        if not f"$ {command}".startswith(FETCHES):
            got = shell(command)
            assert shown(want, got), f"$ {command}{got}"


def test_pages_train_and_fit() -> None:
    """The blocks with tests of their own are found."""
    assert in_pages(having=TRAINS)
    assert in_pages(having=FETCHES)


@pytest.mark.parametrize("text", in_pages(lacking=(TRAINS, FETCHES)))
def test_commands_in_the_pages_print_what_is_shown(text: str, shell: Any, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(LLAMA, encoding="utf-8")
    for name in ("deepseek-v3", "llama-3-70b"):
        (tmp_path / f"{name}.json").write_text(json.dumps(RELEASED[name].config), encoding="utf-8")
    if "$ curl" in text and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    for command, want in commands(text):
        got = shell(command)
        assert shown(want, got), f"$ {command}{got}"


def in_sentences(page: Path) -> set[str]:
    """Return the options in a page's inline code, as `--params` or `hplaw energy --price`."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return {word for code in re.findall(r"`([^`]+)`", text) for word in re.findall(r"(?<![\w-])--[a-z][a-z-]*", code)}


def declared(file: Path) -> set[str]:
    """Return the options that a module can take: names of parameters and fields, and those written out."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.arg(arg=name) | ast.AnnAssign(target=ast.Name(id=name)):
                found.add("--" + name.replace("_", "-"))
            case ast.Constant(value=str(text)):
                found.update(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))
            case _:
                pass
    return found


def test_options_in_sentences_are_options_of_a_command() -> None:
    """An option that is renamed is renamed in the pages, too; --small is one of a shell script."""
    sources = [*(ROOT / "hplaw" / "cli").rglob("*.py"), ROOT / "benchmarks" / "__main__.py"]
    names = set().union(*map(declared, sources)) | {"--small"}
    assert not {word: page.name for page in PAGES for word in in_sentences(page) if word not in names}


def targets(file: Path) -> set[str]:
    return set(re.findall(r"\bmake ([a-z][a-z-]+)(?= |`|$)", "\n".join(code_of(file)), flags=re.MULTILINE))


def code_of(file: Path) -> list[str]:
    """Return inline code and code blocks of a page."""
    text = file.read_text(encoding="utf-8")
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [*fenced, *re.findall(r"`([^`\n]+)`", text), *re.findall(r"^ {4}(make .*)$", text, flags=re.MULTILINE)]


def test_targets_of_make_exist() -> None:
    rules = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert targets(README) >= {"install", "serve", "test"}
    assert not {name: file.name for file in LINKED for name in targets(file) if name not in rules}


def test_extras_of_the_install_lines_exist() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named_extras = set(re.findall(r'"\.\[(\w+)\]"', README.read_text(encoding="utf-8")))
    assert named_extras
    assert named_extras <= set(declared)


def test_the_readme_is_short_and_links_every_page() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) < README_LINES
    assert not [page.name for page in PAGES[1:] if f"(docs/{page.name})" not in text]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_python_in_the_pages_prints_what_is_shown(
    page: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    globs: dict[str, Any] = {}
    for block in blocks(page, "python"):
        text = block.text.replace(SERVICE, service.url)
        test = doctest.DocTestParser().get_doctest(text, globs, page.name, None, block.line)
        report: list[str] = []
        runner.run(test, out=report.append, clear_globs=False)
        globs.update(test.globs)
        assert not runner.failures, "".join(report)


def test_python_is_shown() -> None:
    assert blocks(README, "python")


@pytest.mark.parametrize("script", ["law_table.py", "limits.py", "recipe_spread.py", "rooms.py"])
def test_what_tools_write_is_up_to_date(script: str) -> None:
    """The tables of laws and of a power limit, the covariance between recipes in the surfaces, the picture of the rooms."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / script), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", LINKED, ids=lambda file: file.name)
def test_links_between_documents_lead_somewhere(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", text) + re.findall(r'src="([^":]+)"', text)
    assert not [link for link in links if not (file.parent / link).exists()]
