"""The house rules that a program can hold: what an import weighs, how long a module is. Who imports whom is for lint."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

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
    "obstore",
    "optax",
    "pandas",
    "polars",
    "pynvml",
    "ray",
    "scipy",
    "sklearn",
    "statsmodels",
    "torch",
    "vl_convert",
}
SERVICE = {"litestar", "prometheus_client", "uvicorn"}
# What checks types as tests run.
CHECKERS = {"beartype", "jaxtyping"}


# Names of the tree


def modules() -> dict[str, Path]:
    """Return the files of our packages by their dotted names."""
    found = {}
    for package, folder in PACKAGES.items():
        for file in sorted(folder.rglob("*.py")):
            parts = [package, *file.relative_to(folder).with_suffix("").parts]
            found[".".join(p for p in parts if p != "__init__")] = file
    return found


def within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


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
    """Return the modules that a fresh Python holds after running the code."""
    report = "import sys; print(*sys.modules)"
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


def test_the_command_line_loads_nothing_heavy() -> None:
    """What only some commands need is imported as they run: fitting and training, and the libraries of these."""
    rooms = ("hplaw.fit", "hplaw.runs", "hplaw_api", "hplaw_experiments")
    light = [name for name in modules() if within(name, "hplaw") and not within(name, *rooms, "hplaw.__main__")]
    assert "hplaw.cli.sweep" in light
    loaded = loaded_after(f"import {', '.join(light)}")
    assert not loaded & (HEAVY | SERVICE | CHECKERS)
    assert not [name for name in loaded if within(name, *rooms)]


def test_the_service_loads_nothing_heavy() -> None:
    loaded = loaded_after("import hplaw_api; hplaw_api.create_app")
    assert not loaded & (HEAVY | CHECKERS)


# The files


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
    unwanted = {"equinox", "jax", "numpyro", "obstore", "optax", "pandas", "polars", "ray", "scikit-learn", "scipy"}
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
    assert changes()[0][0] == version


def changes() -> list[tuple[str, str]]:
    """Return the versions of the changelog, newest first, each with its date or `unreleased`."""
    text = (ROOT / "CHANGELOG.md").read_text()
    found = re.findall(r"^## (.*)$", text, re.MULTILINE)
    heads = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (unreleased|\d{4}-\d\d-\d\d)", head) for head in found]
    assert all(heads), found
    return [(head[1], head[2]) for head in heads if head]


def test_only_the_newest_version_is_unreleased_and_citations_know_its_date() -> None:
    (_, newest), *rest = changes()
    assert all(date != "unreleased" for _, date in rest)
    dates = re.findall(r"^date-released: (.+)$", (ROOT / "CITATION.cff").read_text(), flags=re.MULTILINE)
    assert dates == ([] if newest == "unreleased" else [newest])


def test_a_version_has_a_tag_when_it_is_released_and_not_before() -> None:
    try:
        done = subprocess.run(["git", "tag", "--list", "v*"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    tags = set(done.stdout.split())
    assert not {f"v{version}" for version, date in changes() if date == "unreleased"} & tags


def test_laws_keep_version_one_until_the_first_release() -> None:
    if changes() != [(changes()[0][0], "unreleased")]:
        pytest.skip("released: versions of laws change with the laws")
    laws = [*ROOT.glob("fitted_laws/hplaw_laws/**/*.toml"), *ROOT.glob("experiments/laws/*/law.toml")]
    assert laws
    assert {tomllib.loads(law.read_text())["version"] for law in laws} == {1}


def test_the_changelog_has_a_line_for_each_entry() -> None:
    lines = (ROOT / "CHANGELOG.md").read_text().split("## [", 1)[1].splitlines()[1:]
    entries = [line for line in lines if line and not line.startswith("#")]
    assert entries
    assert [line for line in entries if not line.startswith("- ") or len(line) > 120] == []
