"""A page of plain text for a terminal: headings, aligned columns, wrapped lines, bold only where it is seen.

Kept free of any library, because starting one would cost more than the answer.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence


NARROWEST, WIDEST = 40, 120
"""Columns of text within which a page is set, whatever the terminal says."""

GAP = 2
"""Spaces between two columns."""

SQUEEZED = 30
"""Columns below which the last cell of a row is set on a line of its own."""


def width() -> int:
    """Return the columns to set a page in: those of the terminal, or of COLUMNS, within reason."""
    return min(max(shutil.get_terminal_size(fallback=(80, 24)).columns, NARROWEST), WIDEST)


def coloured() -> bool:
    """Return whether standard output shows bold: a terminal that is not dumb, and NO_COLOR not set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Page:
    """Lines of text, gathered and then written at once."""

    def __init__(self, columns: int | None = None, *, bold: bool | None = None) -> None:
        self.columns = width() if columns is None else columns
        self.bold = coloured() if bold is None else bold
        self.lines: list[str] = []

    def heading(self, text: str) -> None:
        """Add a heading, with an empty line before it unless it is the first."""
        if self.lines:
            self.lines.append("")
        self.lines.append(f"\x1b[1m{text}\x1b[0m" if self.bold else text)

    def line(self, text: str = "") -> None:
        """Add a line as it is."""
        self.lines.append(text.rstrip())

    def text(self, text: str, *, indent: int = 2, hang: int = 2, most: int | None = None) -> None:
        """Add text wrapped to the page; further lines are set in by `hang` more, and those above `most` cut off."""
        self.lines += wrap(text, self.columns, indent=indent, hang=hang, most=most)

    def table(
        self,
        rows: Iterable[Sequence[str]],
        *,
        head: Sequence[str] = (),
        like: Iterable[Sequence[str]] = (),
        indent: int = 2,
    ) -> None:
        """Add aligned columns, aligned with those `like` them; the last wraps, or moves below."""
        self.lines += table(rows, self.columns, head=head, like=like, indent=indent)

    def fits(self, rows: Iterable[Sequence[str]], *, indent: int = 2) -> bool:
        """Return whether rows of cells stand side by side on the page."""
        widths = _widths([tuple(row) for row in rows])
        return indent + sum(widths) + GAP * (len(widths) - 1) <= self.columns

    def __str__(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)


def wrap(text: str, columns: int, *, indent: int = 0, hang: int = 2, most: int | None = None) -> list[str]:
    """Return `text` in at most `most` lines of at most `columns`; long words, such as addresses, stay whole.

    >>> wrap("a long line", 8, indent=1, hang=1)
    [' a long', '  line']
    """
    return textwrap.wrap(
        text,
        width=columns,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hang),
        break_long_words=False,
        break_on_hyphens=False,
        max_lines=most,
        placeholder=" ...",
    )


def table(
    rows: Iterable[Sequence[str]],
    columns: int,
    *,
    head: Sequence[str] = (),
    like: Iterable[Sequence[str]] = (),
    indent: int = 0,
) -> list[str]:
    """Return rows of cells as aligned lines of at most `columns` where the cells allow it.

    The last column wraps in the room that is left for it; where that is little, it goes below.

    **Arguments:**

    - `rows`: the cells, as many in each row.
    - `columns`: the width of the page.
    - `head`: the names of the columns.
    - `like`: the rows of another table, to be aligned with where that fits.
    - `indent`: spaces before each line.

    >>> table([("loss", "2.1"), ("tokens", "7B")], 40, head=("what", "value"))
    ['what    value', 'loss    2.1', 'tokens  7B']
    """
    body = [tuple(row) for row in rows]
    if not body:
        return []
    shown = [tuple(head), *body] if head else body
    widths = _widths(shown)
    common = _widths([*shown, *(tuple(row) for row in like)])
    if indent + sum(common) + GAP * (len(common) - 1) <= columns:
        widths = common
    left = indent + sum(size + GAP for size in widths[:-1])
    room = columns - left
    lines: list[str] = []
    for row in shown:
        start = "".join(cell.ljust(size + GAP) for cell, size in zip(row, widths[:-1], strict=False))
        below = len(row[-1]) > room and (room < SQUEEZED or " " not in row[-1])
        last = [] if below else wrap(row[-1], room, hang=0)
        lines.append((" " * indent + start + (last[0] if last else "")).rstrip())
        lines += [" " * left + part for part in last[1:]]
        if below:
            lines += wrap(row[-1], columns, indent=indent + 2 * GAP, hang=0)
    return lines


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]


def write(text: str) -> None:
    """Write text to standard output; a character that the terminal cannot show becomes a question mark."""
    try:
        sys.stdout.write(text)
    except UnicodeEncodeError:
        encoding = sys.stdout.encoding or "ascii"
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))


def write_json(body: bytes) -> None:
    """Write one JSON document and a newline to standard output, as the bytes they are."""
    sys.stdout.flush()
    sys.stdout.buffer.write(body + b"\n")
    sys.stdout.buffer.flush()
