"""The sections behind the first screen of an answer: `--explain`, `--show SECTION`, `--all`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hplaw.cli.page import Page
from hplaw.errors import QueryError, nearest
from hplaw.vocabulary.reading import split_names


class Sections(msgspec.Struct, frozen=True):
    """The sections of a command's answer.

    - `names`: all of them, in the order in which they are shown.
    - `explained`: those that `--explain` adds.
    """

    names: tuple[str, ...]
    explained: tuple[str, ...]

    @property
    def help(self) -> str:
        """Return what `--show` takes."""
        return f"Add a section: {', '.join(self.names)}; may be repeated."

    def choose(self, *, explain: bool = False, show: Sequence[str] | None = None, all: bool = False) -> tuple[str, ...]:
        """Return the names of the sections to show.

        **Raises:** `QueryError` for a section that is not known, with the nearest name.

        >>> Sections(("intervals", "derivation", "sources"), ("derivation",)).choose(explain=True, show=["sources"])
        ('derivation', 'sources')
        """
        asked = [name.lower() for name in split_names(show)]
        for name in asked:
            if name not in self.names:
                near = nearest(name, self.names)
                message = f"--show {name[:40]}: unknown section{near}; give one of {', '.join(self.names)}"
                raise QueryError(message, field="show")
        chosen = {*asked, *(self.explained if explain else ())}
        return tuple(name for name in self.names if all or name in chosen)

    def say_more(self, page: Page, shown: Sequence[str]) -> None:
        """Add how to see the sections that are not shown."""
        left = [name for name in self.names if name not in shown]
        if not left:
            return
        behind = [name for name in self.explained if name in left]
        parts = [f"--explain ({', '.join(behind)})"] if behind else []
        others = [name for name in left if name not in behind]
        parts += [f"--show {', '.join(others)}"] if others else []
        page.line()
        page.text(f"More: {'; '.join([*parts, '--all'])}", indent=0)
