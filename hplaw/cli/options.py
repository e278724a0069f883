"""The options that several subcommands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    bool,
    Parameter(
        name="--json",
        negative=(),
        show_default=False,
        help="Print JSON, as the service answers it.",
    ),
]
