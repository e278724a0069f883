"""Finding laws: folders in order of precedence, the first law of an id shadowing the others.

Given folders come first, then those of the variable HPLAW_LAWS, then the user's own, then the shipped laws.
"""

from __future__ import annotations

import functools as ft
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import hplaw_laws
from hplaw.errors import LawError, LawNotFound, nearest
from hplaw.law import Law, read_law


SHELVES = ("calibrated", "published", "theory")
"""Folders of shipped laws."""

_SHIPPED = Path(str(hplaw_laws.__file__)).parent
"""Where they are."""


class Catalogue:
    """All laws found, immutable.

    - `laws`: those that can be asked, by id; `shadowed` the ones hidden behind another of the same id.
    - `problems`: files that could not be read, each an error naming file, table and key.
    - `folders`: where was looked, in order.
    """

    def __init__(
        self, found: Iterable[tuple[Law, str]], *, problems: Iterable[LawError] = (), folders: Iterable[Path] = ()
    ) -> None:
        visible: dict[str, Law] = {}
        shelves: dict[str, str] = {}
        shadowed: list[Law] = []
        for law, shelf in found:
            if law.id in visible:
                shadowed.append(law)
            else:
                visible[law.id], shelves[law.id] = law, shelf
        self.laws: Final = tuple(sorted(visible.values(), key=lambda law: law.id))
        self.shadowed: Final = tuple(shadowed)
        self.problems: Final = tuple(problems)
        self.folders: Final = tuple(folders)
        self._by_id: Final = visible
        self._shelves: Final = shelves
        self.derived: Final[dict[Any, Any]] = {}
        """What other rooms derive from these laws, each under keys of its own; it goes when they go."""
        self.routes: Final[dict[Any, Any]] = {}
        """Routes that the planner has found for these laws."""

    def get(self, address: str) -> Law:
        """Return the law of an id, of `id@version`, or of a whole address with its digest.

        **Raises:** `LawNotFound` with the nearest name.
        """
        name, _, rest = address.partition("@")
        version, _, digest = rest.partition("+")
        candidates = [law for law in (*self.laws, *self.shadowed) if law.id == name]
        for law in candidates:
            if (not version or str(law.version) == version) and (not digest or law.digest == digest):
                return law
        if candidates:
            message = (
                f"no law has the address '{address[:120]}'; there is {', '.join(law.address for law in candidates)}"
            )
            raise LawNotFound(message)
        message = f"no law is called '{name[:80]}'{nearest(name[:80], self._by_id)}"
        raise LawNotFound(message, lists="laws")

    def find(self, name: str) -> Law | None:
        """Return the visible law of an id, or None."""
        return self._by_id.get(name)

    def shelf(self, law: Law) -> str:
        """Return the name of the folder in which a visible law was found."""
        return self._shelves.get(law.id, "")

    def shadows(self, law: Law) -> str | None:
        """Return the address of the law that this one hides, if there is one."""
        return next((other.address for other in self.shadowed if other.id == law.id and other is not law), None)

    @ft.cached_property
    def givers(self) -> Mapping[str, tuple[Law, ...]]:
        """Return the laws that can be planned with, by the quantity they give."""
        found: dict[str, list[Law]] = {}
        for law in self.laws:
            if law.spec.kind != "procedure":
                for quantity in self.gives(law):
                    found.setdefault(quantity, []).append(law)
        return {quantity: tuple(laws) for quantity, laws in found.items()}

    def gives(self, law: Law) -> tuple[str, ...]:
        """Return the quantities that a law gives; those of a mixture are its members'."""
        first, *others = (member.gives for member in self.members(law))
        return tuple(name for name in first if all(name in other for other in others))

    def members(self, law: Law) -> list[Law]:
        """Return the laws that a mixture is made of; another law is its only member."""
        mixture = law.spec.mixture
        return [law] if mixture is None else [self.get(address) for address in mixture.members]


def load_catalogue(
    folders: Sequence[Path | str] = (),
    *,
    environ: Mapping[str, str] | None = None,
    hasty: bool = False,
    before: Catalogue | None = None,
) -> Catalogue:
    """Return all laws that can be found.

    **Arguments:**

    - `folders`: searched first.
    - `environ`: the environment; the process's own by default.
    - `hasty`: formulas and draws of shipped laws are read when they are asked for, not checked before.
    - `before`: laws of it whose files are as they were are taken over, with all that was derived from them.

    **Raises:** `LawNotFound` for a given folder that does not exist. A file that cannot be read is no error here but
    one of the catalogue's `problems`.

    >>> load_catalogue().get("step-law-2025").version
    1
    """
    places = list(search_path(folders, environ=os.environ if environ is None else environ))
    for given in folders:
        if not Path(given).is_dir():
            wrong = "is no folder" if Path(given).exists() else "does not exist"
            message = f"the law folder '{given}' {wrong}; give a folder of law files"
            raise LawNotFound(message)
    found: list[tuple[Law, str]] = []
    problems: list[LawError] = []
    read = {law.path: law for law in (*before.laws, *before.shadowed)} if before else {}
    for folder, shelf in places:
        for file in law_files(folder):
            try:
                kept = read.get(file)
                if kept is not None and kept.unchanged():
                    found.append((kept, shelf))
                    continue
                trusted = hasty and folder.is_relative_to(_SHIPPED)
                law = read_law(file, trusted=trusted)
                _refuse_failed(law)
                if law.arrays is not None and not trusted:
                    _check_arrays(law)
                found.append((law, shelf))
            except LawError as error:
                problems.append(error.within(file=str(file)))
    catalogue = Catalogue(found, problems=problems, folders=[folder for folder, _ in places])
    return _without_orphans(catalogue, found)


def _refuse_failed(law: Law) -> None:
    """Refuse a fit that failed its own checks and was not accepted all the same."""
    evidence = law.spec.evidence
    if evidence and evidence.failed and not evidence.accepted_with:
        message = (
            f"the fit failed its checks ({'; '.join(evidence.failed)}); fit again, or take it as it is with --accept"
        )
        raise LawError(message, table="evidence", key="failed")


def _check_arrays(law: Law) -> None:
    """Refuse draws or grids that do not fit their law."""
    if law.spec.grid is not None:
        from hplaw.evaluation.grid import read_grid

        read_grid(law)
    else:
        from hplaw.posterior.scenarios import scenarios

        scenarios(law)


def _without_orphans(catalogue: Catalogue, found: list[tuple[Law, str]]) -> Catalogue:
    """Return the catalogue without mixtures whose members are missing, each named as a problem."""
    problems = list(catalogue.problems)
    orphans: set[str] = set()
    for law, _ in found:
        if law.spec.mixture is None:
            continue
        try:
            if any(member.spec.kind in ("mixture", "procedure") for member in catalogue.members(law)):
                message = "a mixture is made of formulas and grids"
                raise LawError(message)
        except (LawNotFound, LawError) as error:
            orphans.add(law.address)
            problems.append(LawError(str(error), file=str(law.path or ""), table="mixture", key="members"))
    if not orphans:
        return catalogue
    kept = [(law, shelf) for law, shelf in found if law.address not in orphans]
    return Catalogue(kept, problems=problems, folders=catalogue.folders)


def search_path(folders: Sequence[Path | str], *, environ: Mapping[str, str]) -> Iterable[tuple[Path, str]]:
    """Yield folder and name of every place that is searched, in order."""
    for folder in (*folders, *filter(None, environ.get("HPLAW_LAWS", "").split(os.pathsep))):
        yield Path(folder), Path(folder).name
    yield user_folder(environ), "user"
    for shelf in SHELVES:
        yield _SHIPPED / shelf, shelf


def user_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of the user's own laws: `hplaw/laws` in the data folder of the system."""
    base = environ.get("XDG_DATA_HOME") or (Path(environ.get("HOME", "~")).expanduser() / ".local" / "share")
    return Path(base) / "hplaw" / "laws"


def law_files(folder: Path) -> list[Path]:
    """Return the law files of a folder in order: `*.toml` in it, and `law.toml` one level down.

    Names that begin with a dot are omitted: a law that is being written, or was when its writer was killed.
    """
    try:
        return sorted([*folder.glob("[!.]*.toml"), *folder.glob("[!.]*/law.toml")])
    except OSError:
        return []


def stamp(folders: Sequence[Path]) -> tuple[tuple[str, int, int], ...]:
    """Return a fingerprint of all law files and arrays in `folders`, to see cheaply that something changed."""
    seen: list[tuple[str, int, int]] = []
    for folder in folders:
        for pattern in ("[!.]*.toml", "[!.]*.npz", "[!.]*/law.toml", "[!.]*/*.npz"):
            for file in folder.glob(pattern):
                try:
                    state = file.stat()
                except OSError:
                    continue
                seen.append((str(file), state.st_mtime_ns, state.st_size))
    return tuple(sorted(seen))
