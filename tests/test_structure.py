"""The house rules that a program can hold: who imports whom, what an import weighs, how long a module is."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest


ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    "hplaw": ROOT / "hplaw",
    "hplaw_api": ROOT / "api" / "hplaw_api",
    "hplaw_experiments": ROOT / "experiments" / "hplaw_experiments",
    "hplaw_laws": ROOT / "fitted_laws" / "hplaw_laws",
}
LONGEST_MODULE = 600

# Third parties that cost seconds, or that only an extra brings.
HEAVY = {
    "altair",
    "equinox",
    "jax",
    "jaxlib",
    "numpyro",
    "optax",
    "pandas",
    "polars",
    "pynvml",
    "scipy",
    "sklearn",
    "torch",
    "vl_convert",
}
SERVICE = {"litestar", "prometheus_client", "uvicorn"}
# What checks types as tests run.
CHECKERS = {"beartype", "jaxtyping"}


# Names and imports of the tree


class Import(NamedTuple):
    """One module that a module imports, and whether merely loading the latter does it."""

    module: str
    line: int
    at_load: bool


def modules() -> dict[str, Path]:
    """Return the files of our packages by their dotted names."""
    found = {}
    for package, folder in PACKAGES.items():
        for file in sorted(folder.rglob("*.py")):
            parts = [package, *file.relative_to(folder).with_suffix("").parts]
            found[".".join(p for p in parts if p != "__init__")] = file
    return found


def is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING", "t.TYPE_CHECKING"}


def imports(name: str, file: Path) -> Iterator[Import]:
    """Yield what a module imports, the relative made absolute."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]

    def walk(node: ast.AST, at_load: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, at_load)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join(parents[: len(parents) - node.level + 1] + [base] * bool(base))
            for alias in node.names:
                yield Import(f"{base}.{alias.name}", node.lineno, at_load)
        elif isinstance(node, ast.If) and is_type_checking(node.test):
            for child in node.body:
                yield from walk(child, False)
            for child in node.orelse:
                yield from walk(child, at_load)
        else:
            lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                yield from walk(child, at_load and not lazy)

    yield from walk(ast.parse(file.read_text(encoding="utf-8")), True)


def within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def forbidden(name: str, what: Import) -> bool:
    """Return whether the layers forbid this import."""
    ours = within(what.module, *PACKAGES)
    third = what.module.partition(".")[0]
    upper = ("hplaw.fit", "hplaw.runs")
    outer = ("hplaw_api", "hplaw_experiments")
    if within(name, "hplaw.cli", "hplaw.__main__"):
        lazily = within(what.module, *upper, *outer) or third in HEAVY | SERVICE
        return lazily and what.at_load
    if within(name, *upper):
        return within(what.module, *outer, "hplaw.cli") or third in SERVICE
    if within(name, "hplaw"):
        return within(what.module, *upper, *outer, "hplaw.cli") or third in SERVICE or (third in HEAVY and what.at_load)
    if within(name, "hplaw_api"):
        return third in HEAVY or within(what.module, *upper, "hplaw_experiments", "hplaw.cli")
    if within(name, "hplaw_experiments"):
        return within(what.module, "hplaw_api", "hplaw.cli") or third in SERVICE
    return ours and not within(what.module, "hplaw_laws")


def test_layers_are_respected() -> None:
    broken = [
        f"{file.relative_to(ROOT)}:{what.line}: {name} imports {what.module}"
        for name, file in modules().items()
        for what in imports(name, file)
        if forbidden(name, what)
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    ("name", "source", "bad"),
    [
        ("hplaw.law", "import hplaw.fit", True),
        ("hplaw.law", "from . import fit", True),
        ("hplaw.law", "from .errors import LawError", False),
        ("hplaw.law", "def f():\n    from hplaw.runs import store", True),
        ("hplaw.cli.tables", "def f():\n    import polars as pl", False),
        ("hplaw.cli.tables", "import polars as pl", True),
        ("hplaw.cli.serve", "def f():\n    import hplaw_api", False),
        ("hplaw.cli.serve", "import hplaw_api", True),
        ("hplaw.fit.model.model", "import jax", False),
        ("hplaw_api.app", "def f():\n    import polars", True),
        ("hplaw_api.app", "from hplaw import recommend", False),
        ("hplaw_experiments.training.train", "import hplaw_api.app", True),
        ("hplaw_laws", "import hplaw", True),
    ],
)
def test_the_layer_test_sees(tmp_path: Path, name: str, source: str, bad: bool) -> None:
    file = tmp_path / "module.py"
    file.write_text(source)
    assert any(forbidden(name, what) for what in imports(name, file)) is bad


def test_modules_are_short() -> None:
    long = {}
    for file in tracked_files():
        if file.suffix == ".py":
            lines = len(file.read_text(encoding="utf-8").splitlines())
            if lines > LONGEST_MODULE:
                long[str(file.relative_to(ROOT))] = lines
    assert not long


# What a package exports


def public_names(file: Path) -> set[str]:
    """Return what a package's `__init__` defines, or takes from our own modules, without underscore."""
    names: set[str] = set()
    pending = list(ast.parse(file.read_text(encoding="utf-8")).body)
    for node in pending:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Assign():
                names |= {t.id for t in node.targets if isinstance(t, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.ImportFrom() if node.level or within(node.module or "", *PACKAGES):
                names |= {alias.asname or alias.name for alias in node.names}
            case ast.If():
                pending += node.body + node.orelse
            case _:
                pass
    return {name for name in names if not name.startswith("_")}


def listing_order(name: str) -> tuple[int, str]:
    """Return a key that sorts constants, then classes, then the rest, as ruff does."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


@pytest.mark.parametrize("name", [name for name, file in modules().items() if file.name == "__init__.py"])
def test_all_is_what_is_exported(name: str) -> None:
    module = importlib.import_module(name)
    listed = list(getattr(module, "__all__", ()))
    assert listed == sorted(set(listed), key=listing_order)
    missing = public_names(modules()[name]) - set(listed)
    assert not missing, f"{name} exports {sorted(missing)} without listing them in __all__"
    for export in listed:
        assert getattr(module, export) is not None


# What an import weighs


def loaded_after(code: str) -> set[str]:
    """Return the top-level modules that a fresh Python holds after running the code."""
    report = "import sys; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HPLAW_")}
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_import_loads_nothing_heavy() -> None:
    light = HEAVY | SERVICE | CHECKERS | {"cyclopts", "httpx", "httpx2", "hypothesis", "numpy", "rich"}
    assert not loaded_after("import hplaw") & light


def test_answering_loads_numpy_and_nothing_heavier() -> None:
    loaded = loaded_after("import hplaw; hplaw.recommend(n_params=7e9, tokens=1.4e12)")
    assert "numpy" in loaded
    assert not loaded & (HEAVY | SERVICE | CHECKERS | {"cyclopts", "httpx2"})


def test_the_client_loads_nothing_heavy() -> None:
    assert not loaded_after("import hplaw.client") & (HEAVY | SERVICE | CHECKERS)


def test_the_service_loads_nothing_heavy() -> None:
    loaded = loaded_after("import hplaw_api; hplaw_api.create_app")
    assert not loaded & (HEAVY | CHECKERS)


# What stands in the files


def tracked_files() -> list[Path]:
    """Return the files of the checkout that git knows or would take."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in done.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]


def test_only_ci_looks_beside_the_checkout() -> None:
    beside = "../" + "shared"
    found = {str(file.relative_to(ROOT)) for file in tracked_files() if beside.encode() in file.read_bytes()}
    assert found <= {".ci/run"}


def test_files_name_no_machine_and_no_registry() -> None:
    # Written apart, so that this file does not find itself.
    hosts = ["py" + "pi.org", "python" + "hosted", "npm" + "js", "anaconda" + ".org"]
    paths = ["/" + place + "/" for place in ("work", "root", "farm")]
    pattern = re.compile("|".join(re.escape(word) for word in [*hosts, *paths]))
    found = []
    for file in tracked_files():
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{file.relative_to(ROOT)}:{number}: {match[0]}"
            for number, line in enumerate(lines, 1)
            if (match := pattern.search(line))
        ]
    assert not found, "\n".join(found)


# The locks and the version


def pins(lock: str) -> dict[str, set[str]]:
    """Return the versions of every distribution in a lock; a universal lock may hold several."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "requirements" / lock).read_text().splitlines():
        if match := re.match(r"([a-z0-9][\w.-]*)==(\S+)", line):
            found.setdefault(match[1], set()).add(match[2])
    return found


@pytest.mark.parametrize("lock", ["serve.lock", "all.lock"])
def test_locks_have_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text()
    assert not re.search(r"https?:|index-url|find-links|@ file|--trusted", text)
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert entries
    bare = [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry]
    assert not bare


def test_serving_needs_nothing_heavy() -> None:
    unwanted = {"equinox", "jax", "numpyro", "optax", "pandas", "polars", "scikit-learn", "scipy"}
    assert not unwanted & set(pins("serve.lock"))


def test_no_lock_brings_cuda() -> None:
    unwanted = re.compile(r"torch|cuda|nvidia-(?!ml-py$)")
    assert not [name for name in pins("all.lock") if unwanted.search(name)]


def test_locks_agree() -> None:
    everything = pins("all.lock")
    assert pins("serve.lock") == {name: everything.get(name) for name in pins("serve.lock")}


def test_versions_agree() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^version: (.+)$", citation, flags=re.MULTILINE) == [version]
    newest = re.search(r"^## \[(\d\S*)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == version
