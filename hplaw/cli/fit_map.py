"""`hplaw fit` of a map: class probabilities learned from cells whose class is known."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hplaw.cli.exit_status import OK


if TYPE_CHECKING:
    from hplaw.law import Law


def fit_map(law: Law, data: Path, maps: Mapping[str, str], where: str, to: Path) -> int:
    """Learn a map from a table of cells, and write it with its scores on cells held out."""
    from hplaw.fit.check.learned_map import learn
    from hplaw.fit.data.cells import read_cells
    from hplaw.fit.output.law_folder import check_folder
    from hplaw.fit.output.map_folder import write_learned
    from hplaw.runs.table import sha256_of

    check_folder(to)
    grid = law.spec.grid
    assert grid is not None
    table = read_cells(data, law, maps=maps, where=where)
    found = learn(table, reject=grid.reject_below, told=lambda words: print(words, file=sys.stderr, flush=True))
    named = [f"--map {shlex.quote(f'{name}={text}')}" for name, text in maps.items()]
    asked = [f"--where {shlex.quote(where)}"] if where else []
    command = " ".join([f"hplaw fit {law.id} --data {data.name}", *named, *asked, f"--to {to.name}"])
    written = write_learned(to, law.spec, found, data=data.name, sha256=sha256_of(data), command=command)
    print(f"wrote {to}: {written.address}, {len(table.cells)} cells, {found.choice.mean.name}")
    for name, value in found.scores().items():
        print(f"  {name.replace('_', ' ')}: {value:.4g}")
    print(f"next: hplaw prune-advice --laws {to.parent} --map {law.id} --density ... --epochs ...")
    return OK
