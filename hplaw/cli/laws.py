"""`hplaw laws list`, `show`, `check` and `cite`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Parameter

from hplaw.cli.details import UNVERIFIED, source
from hplaw.cli.exit_status import FAILED, OK
from hplaw.cli.options import Json, LawFolders
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.reading import open_catalogue
from hplaw.errors import DataError, LawError, QueryError
from hplaw.formatting import number, plural
from hplaw.messages.law import LawRecord, LawSummary
from hplaw.messages.record import encode


if TYPE_CHECKING:
    from hplaw.catalogue.catalogue import Catalogue
    from hplaw.law import Law


LAW_FILE = "law.toml"
"""The name of the law file in a folder of its own."""


def list_laws(
    *,
    quantity: Annotated[str | None, Parameter(help="Only laws that give this quantity.")] = None,
    status: Annotated[str | None, Parameter(help="calibrated, published or theory.")] = None,
    laws: LawFolders = None,
    json: Json = False,
) -> int:
    """List the laws found, those of the first folder first."""
    from hplaw.catalogue import listing

    summaries = listing.list_laws(open_catalogue(laws), quantity=quantity, status=status)
    if json:
        write_json(encode(summaries))
        return OK
    page = Page()
    for name, group in _by_status(summaries):
        page.heading(name)
        for line in group:
            page.text(f"{line.id}@{line.version}: {', '.join(line.outputs) or line.kind}")
            page.text(line.title, indent=4)
            for remark in _remarks(line):
                page.text(remark, indent=4)
    page.line()
    page.line(f"{plural(len(summaries), 'law')}; `hplaw laws show ID` shows one whole")
    write(str(page))
    return OK


def show(
    law: Annotated[str, Parameter(name="ID", help="A law by its id, address, or file.")],
    /,
    *,
    laws: LawFolders = None,
    json: Json = False,
) -> int:
    """Show one law: formulas, parameters, domain, examples, source and notes."""
    from hplaw.catalogue.listing import law_record

    catalogue = open_catalogue(laws)
    found = find_law(law, catalogue)
    record = law_record(catalogue, found)
    if json:
        write_json(encode(record))
    else:
        write(_page(record, found))
    return OK


def check(
    *files: Annotated[Path, Parameter(name="FILE", help="Law files, or folders of them.")], laws: LawFolders = None
) -> int:
    """Check law files: format, names, formulas, and every example."""
    from hplaw.answer.check import check_law
    from hplaw.law import read_law

    catalogue = open_catalogue(laws)
    if not files:
        message = "nothing to check; give law files or folders, for example `hplaw laws check my-law.toml`"
        raise QueryError(message, field="files")
    checked = failed = 0
    for path in _law_files(files):
        checked += 1
        try:
            problems = [_at(path, text) for text in check_law(read_law(path), catalogue)]
        except LawError as error:
            problems = [error.text]
        failed += bool(problems)
        for problem in problems:
            print(problem)
    if failed:
        print(f"hplaw: {failed:,} of {plural(checked, 'law file')} failed", file=sys.stderr)
        return FAILED
    print(f"{plural(checked, 'law file')} passed")
    return OK


def cite(
    law: Annotated[str, Parameter(name="ID", help="A law by its id, address, or file.")], /, *, laws: LawFolders = None
) -> int:
    """Print the BibTeX entry of a law's source."""
    write(find_law(law, open_catalogue(laws)).citation().bibtex.strip() + "\n")
    return OK


def find_law(name: str, catalogue: Catalogue) -> Law:
    """Return the law in a file, or the one of that address.

    **Raises:** `LawNotFound` offering the nearest name, `LawError` for a file that cannot be read.
    """
    path = Path(name)
    if path.suffix == ".toml" or (path / LAW_FILE).is_file():
        from hplaw.law import read_law

        return read_law(path)
    return catalogue.get(name)


def _by_status(summaries: Sequence[LawSummary]) -> Iterator[tuple[str, list[LawSummary]]]:
    for status in ("calibrated", "published", "theory"):
        group = [line for line in summaries if line.status == status]
        if group:
            yield status, group


def _remarks(line: LawSummary) -> Iterator[str]:
    if line.checked == "recalled":
        yield UNVERIFIED
    if line.shadows:
        yield f"from {line.shelf or 'a file'}, hides {line.shadows}"


def _law_files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(path.rglob("*.toml"))
        if not found:
            message = f"{path}: no law file in this folder; a law file ends in .toml"
            raise DataError(message)
        yield from found


def _at(path: Path, text: str) -> str:
    return text if text.startswith(str(path)) else f"{path}: {text}"


def _page(record: LawRecord, law: Law) -> str:
    page = Page()
    line = record.summary
    page.heading(f"{line.id}@{line.version}")
    page.text(line.title)
    page.text(f"{line.status} {line.kind}, constants {line.checked}, address {line.address}")
    if law.path is not None:
        page.text(f"in {law.path}")
    for remark in _remarks(line):
        page.text(remark)
    page.heading("Takes and gives")
    page.text(f"from {', '.join(line.inputs) or 'nothing'}")
    page.text(f"to {', '.join(line.outputs) or 'nothing'}")
    if record.formulas:
        page.heading("Formulas")
        for name, formula in record.formulas.items():
            page.text(f"{name} = {formula}", hang=4)
    parameters = list(_parameters(law))
    if parameters:
        page.heading("Parameters")
        page.table(parameters)
    if record.domain:
        page.heading("Domain")
        page.table([(name, _seen(values)) for name, values in record.domain.items()])
    if record.examples:
        page.heading("Examples")
        for example in record.examples:
            page.text(f"{_pairs(example['given'])} gives {_outcome(example)}")
    if record.evidence:
        page.heading("Evidence")
        page.table([(name, str(value)) for name, value in record.evidence.items()])
    page.heading("Source")
    page.text(source(record.citation))
    if record.notes:
        page.heading("Notes")
        for paragraph in record.notes.split("\n\n"):
            page.text(paragraph, hang=0)
    return str(page)


def _parameters(law: Law) -> Iterator[tuple[str, str]]:
    for name, parameter in law.spec.parameters.items():
        parts = [_value(parameter.value)] if parameter.value is not None else []
        if parameter.sd is not None:
            parts.append(f"sd {_value(parameter.sd)}")
        if parameter.prior:
            parts.append(f"prior {parameter.prior}")
        if parameter.over:
            parts.append(f"for each {parameter.over}")
        yield name, ", ".join(parts)


def _value(value: Any) -> str:
    match value:
        case list():
            return ", ".join(_value(item) for item in cast("list[Any]", value))
        case dict():
            return f"({_pairs(cast('dict[str, Any]', value))})"
        case int() | float():
            return number(value, digits=6)
        case _:
            return str(value)


def _seen(values: Sequence[Any]) -> str:
    if len(values) == 2 and all(isinstance(value, int | float) for value in values):
        return f"{number(values[0])} to {number(values[1])}"
    return ", ".join(str(value) for value in values)


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} = {_value(value)}" for name, value in values.items())


def _outcome(example: dict[str, Any]) -> str:
    parts = [example.get("status", ""), _pairs(example.get("expect", {}))]
    return ", ".join(part for part in parts if part)
