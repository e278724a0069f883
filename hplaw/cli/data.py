"""`hplaw data`: the public runs that shipped laws were fitted to, and tables of others made into the rows of a fit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from hplaw.cli.exit_status import OK
from hplaw.cli.extras import needing
from hplaw.cli.options import LawFolders
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.reading import open_catalogue
from hplaw.errors import DataError, QueryError
from hplaw.formatting import plural


UNKNOWN = "not known before it is fetched, which prints it"
"""What is said of files whose checksum nobody has published."""


def list_data(
    *, json: Annotated[bool, Parameter(name="--json", negative=(), show_default=False, help="Print JSON.")] = False
) -> int:
    """List the sets of runs: what was measured, where it lies, under what license."""
    sets: Any = _library().DATA_SETS
    if json:
        import msgspec

        records = [
            {
                "name": item.name,
                "what": item.what,
                "origin": item.origin,
                "licence": item.licence,
                "cite": item.cite,
                "where": item.where,
                "files": [{"url": f.url, "sha256": f.sha256} for f in item.files],
            }
            for item in sets
        ]
        write_json(msgspec.json.encode(records))
        return OK
    page = Page()
    for item in sets:
        page.heading(item.name)
        page.text(item.what)
        rows = [("origin", item.origin), ("licence", item.licence), ("cite", item.cite)]
        rows += [("sha256", sha256) for sha256 in dict.fromkeys(f.sha256 or UNKNOWN for f in item.files)]
        if item.where:
            rows.append(("where", item.where))
        page.table(rows)
    page.line()
    page.line(f"{plural(len(sets), 'data set')}; `hplaw data fetch NAME` downloads one")
    write(str(page))
    return OK


def fetch_data(
    name: Annotated[str, Parameter(name="NAME", help="The set, as `hplaw data list` names it.")],
    /,
    *,
    to: Annotated[Path, Parameter(help="The folder for the table and the original files.")] = Path(),
) -> int:
    """Download a set from its origin and write it as a table that `hplaw fit` reads."""
    library = _library()
    fetched = library.fetch(library.find_data_set(name), to, progress=sys.stderr.isatty())
    page = Page()
    page.line(f"{plural(fetched.rows, 'run')} in {fetched.table}")
    rows = [
        (str(path), f"sha256 {digest}" + ("" if known else " (not known before)"))
        for path, digest, known in fetched.files
    ]
    rows += [("origin", fetched.data_set.origin), ("licence", fetched.data_set.licence)]
    rows.append(("cite", fetched.data_set.cite))
    if fetched.data_set.where:
        rows.append(("where", fetched.data_set.where))
    page.table(rows)
    write(str(page))
    return OK


def make_rows(
    name: Annotated[
        str,
        Parameter(
            name="NAME",
            help="The law that the rows are for: training-energy, device-energy, recipe or weight-decay-warmup.",
        ),
    ],
    file: Annotated[
        Path,
        Parameter(
            name="FILE",
            help="The table, CSV with # comments or parquet: what trainings took, as developers report it; for device-energy trainings of one GPU, metered over batch and power limit; for recipe and weight-decay-warmup the folder of the sweeps. Columns and tables that it lacks are named.",
        ),
    ],
    /,
    *,
    to: Annotated[Path, Parameter(help="The file of the rows, .csv; overwritten if it exists.")],
    laws: LawFolders = None,
) -> int:
    """Make a table of published or metered trainings into the rows that a law of time or energy is fitted to."""
    if to.suffix.lower() != ".csv":
        message = f"--to {to}: the rows are written as CSV; give a name that ends with .csv"
        raise QueryError(message, field="to")
    if to.exists() and file.exists() and to.samefile(file):
        message = f"--to {to} is the table itself; give another file for its rows"
        raise QueryError(message, field="to")
    library = _library()
    from hplaw.fit.data import law_rows
    from hplaw.runs.table import sha256_of

    rows = law_rows.make_rows(name, file, open_catalogue(laws))
    try:
        library.write_table(rows, to)
    except OSError as error:
        message = f"--to {to}: {error.strerror or error}; give a file that can be written"
        raise DataError(message) from None
    page = Page()
    page.line(f"{plural(len(rows), 'row')} in {to}")
    page.table([("sha256", sha256_of(to)), ("next", f"hplaw fit {name} --data {to} --to FOLDER")])
    write(str(page))
    return OK


def _library() -> Any:
    """Return the module that knows the sets; it needs polars."""
    with needing("reading runs", "fit"):
        from hplaw.fit.data import public_sets as data_sets
    return data_sets
