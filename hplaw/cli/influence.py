"""`hplaw influence` and `hplaw explain`: which runs decide an answer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from hplaw.cli.details import law_name
from hplaw.cli.exit_status import OK
from hplaw.cli.extras import needing
from hplaw.cli.options import Json, LawFolders
from hplaw.cli.page import Page, write, write_json
from hplaw.cli.reading import open_catalogue
from hplaw.errors import DataError, FitError, LawError, QueryError
from hplaw.formatting import number, plural
from hplaw.messages.record import encode
from hplaw.vocabulary.reading import parse_pairs, parse_value


SHOWN = 8
"""Deciders of an answer that a page shows; --json has all."""


def influence(
    folder: Annotated[Path, Parameter(name="FOLDER", help="The folder of a law fitted before.")],
    /,
    *,
    data: Annotated[Path, Parameter(help="The runs that it was fitted to: CSV or parquet.")],
    map_: Annotated[
        list[str] | None,
        Parameter(name="--map", negative=(), help="A quantity as a formula over the file's columns, as for the fit."),
    ] = None,
    where: Annotated[str, Parameter(help="Only rows for which this holds, as for the fit.")] = "",
    laws: LawFolders = None,
) -> int:
    """Compute how a fitted law moves with each group of its runs, and write that into its folder."""
    import msgspec

    from hplaw.answer.influence import FILE
    from hplaw.law import read_law

    if not (folder / "law.toml").is_file():
        message = f"{folder} holds no fitted law; give a folder that `hplaw fit` wrote"
        raise DataError(message)
    law = read_law(folder)
    if law.spec.fit is None or law.spec.evidence is None:
        message = f"{law.id} was not fitted to runs, so that none decide it; give a law with [fit] and [evidence]"
        raise LawError(message, file=str(folder))
    maps = parse_pairs(map_, "--map")
    with needing("an influence", "fit", error=FitError):
        from hplaw.fit.data.runs import read_runs
        from hplaw.fit.infer.fitting import fit_law
        from hplaw.fit.infer.influence import find_influence
        from hplaw.runs.table import sha256_of
    if not data.is_file():
        message = f"--data {data}: there is no such file; give a table of runs"
        raise DataError(message)
    if law.spec.evidence.data_sha256 and sha256_of(data) != law.spec.evidence.data_sha256:
        message = f"{data} is not the table that {law.id} was fitted to; give {law.spec.evidence.data}, or fit it again"
        raise DataError(message)
    runs = read_runs(data, law=law, maps=maps, where=where)
    fitted = fit_law(law, runs, method="map", catalogue=open_catalogue(laws))
    if len(fitted.kept) != law.spec.evidence.runs:
        message = f"{len(fitted.kept)} runs are left and {law.id} was fitted to {law.spec.evidence.runs}; give --map and --where as for the fit, which its card.md says"
        raise DataError(message)
    found = find_influence(fitted, law)
    (folder / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))
    print(
        f"wrote {folder / FILE}: {plural(len(found.groups), 'group')} of runs and {plural(len(found.priors), 'prior')}"
    )
    return OK


def explain(
    *,
    params: Annotated[str | None, Parameter(help="Parameters without embedding: 7B.")] = None,
    tokens: Annotated[str | None, Parameter(help="Training tokens: 1.4T.")] = None,
    given: Annotated[
        list[str] | None,
        Parameter(name="--given", negative=(), help="quantity=value, what else is known; may be repeated."),
    ] = None,
    want: Annotated[str, Parameter(help="The answer whose law is evaluated.")] = "peak_lr",
    law: Annotated[str | None, Parameter(help="The law to ask; the one that answers by default.")] = None,
    laws: LawFolders = None,
    json: Json = False,
) -> int:
    """Show which runs and priors decide a recommendation: how far it moves when each counts more."""
    from hplaw.answer.influence import deciders, read_influence
    from hplaw.messages.decode import decode
    from hplaw.messages.query import Query
    from hplaw.recommendation.record import recommend

    texts = {"n_params": params, "tokens": tokens, **parse_pairs(given, "--given")}
    known: dict[str, Any] = {name: parse_value(name, text) for name, text in texts.items() if text is not None}
    catalogue = open_catalogue(laws)
    common = {name: known[name] for name in ("n_params", "tokens") if name in known}
    rest = {name: value for name, value in known.items() if name not in common}
    preferred = [law] if law else []
    query = Query(**common, given=rest, want=[want], laws=preferred)
    answer = recommend(decode(encode(query), Query), catalogue)
    address = answer.answers[want].law
    if address is None:
        message = f"no law answers: {answer.answers[want].reason}"
        raise QueryError(message)
    found = catalogue.get(address)
    stored = read_influence(found)
    if stored is None:
        message = f"{law_name(address)} does not say which runs decide it; only fitted laws can, once `hplaw influence` has worked it out"
        raise QueryError(message, field="law")
    values = {name: float(e.value) for name, e in answer.answers.items() if isinstance(e.value, int | float)}
    decided = deciders(found, {**values, **known}, stored)
    if json:
        write_json(encode({"law": address, "decided_by": decided}))
        return OK
    page = Page()
    page.text(
        f"What decides the answers of {law_name(address)}: percent of change for ten percent more weight of", indent=0
    )
    for name, rows in decided.items():
        page.heading(name)
        page.table([(f"{10 * row.slope:+.2f}", _label(row)) for row in rows[:SHOWN]])
    write(str(page))
    return OK


def _label(row: Any) -> str:
    if row.prior:
        return f"the prior of {row.prior}"
    told = {
        name: value
        for name, value in row.known.items()
        if not (name == "n_active_params" and value == row.known.get("n_params"))
    }
    words = ", ".join(
        f"{name} {number(value) if isinstance(value, int | float) else value}" for name, value in told.items()
    )
    return f"{plural(row.runs, 'run')} of {words}"
