"""The options that several subcommands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter


LawFolders = Annotated[
    list[Path] | None,
    Parameter(
        name="--laws",
        negative=(),
        help="A folder of law files, searched before your own and the shipped ones; may be repeated.",
    ),
]

Json = Annotated[
    bool, Parameter(name="--json", negative=(), show_default=False, help="Print JSON, as the service answers it.")
]

Explain = Annotated[
    bool, Parameter(name="--explain", negative=(), show_default=False, help="Add how the answer follows, and sources.")
]

All = Annotated[bool, Parameter(name="--all", negative=(), show_default=False, help="Add all sections.")]


def one(help: str, name: str | None = None) -> Any:
    """Return an option with one value; a leading hyphen belongs to it, so that -3 is refused as a number and not as an option."""
    return Parameter(name=name, allow_leading_hyphen=True, help=help)


def several(help: str, name: str | None = None) -> Any:
    """Return an option with several values, behind it or each behind its own."""
    return Parameter(name=name, consume_multiple=True, negative=(), help=help)
