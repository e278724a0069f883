"""Tables of runs: a crash-safe store, questions to it, imports. Needs the extra `fit`."""

from __future__ import annotations

from hplaw.runs.compact import Compacted, Verified, compact, verify
from hplaw.runs.importing import Imported, import_runs
from hplaw.runs.query import export, known, query, summary
from hplaw.runs.schema import columns, frame_of, make_row
from hplaw.runs.store import Problem, Runs, Store


__all__ = [
    "Compacted",
    "Imported",
    "Problem",
    "Runs",
    "Store",
    "Verified",
    "columns",
    "compact",
    "export",
    "frame_of",
    "import_runs",
    "known",
    "make_row",
    "query",
    "summary",
    "verify",
]
