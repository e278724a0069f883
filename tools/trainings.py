"""Write the published trainings that answers are set beside: `trainings.json` of the shipped laws.

python tools/trainings.py                # from published_recipes.csv in the folder HPLAW_DATA

Facts with the place where each was read; wherever a count of active parameters is not stated, all are.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import msgspec
import polars as pl

from hplaw.messages.recipe import Training
from hplaw.recommendation.nearest import TRAININGS


ARXIV = re.compile(r"\b(\d{4}\.\d{5})\b")


def trainings(file: Path) -> list[Training]:
    """Return the trainings of the table, without those whose rate or data were not read, and without defaults of a code base."""
    frame = pl.read_csv(file, comment_prefix="#", infer_schema_length=None).filter(
        (pl.col("kind") == "trained") & pl.col("peak_lr").is_not_null() & pl.col("tokens").is_not_null()
    )
    return [_training(row) for row in frame.iter_rows(named=True)]


def _training(row: dict[str, object]) -> Training:
    n = row["n_params"]
    fields = {
        "name": row["model"],
        "year": row["year"],
        "n_params": n,
        "n_active_params": n if row["n_active_params"] is None else row["n_active_params"],
        **{name: row[name] for name in ("tokens", "optimizer", "peak_lr", "batch_tokens", "weight_decay", "schedule")},
        "parametrization": row["parametrization"],
        "source": _source(str(row["source"])),
    }
    return msgspec.convert(fields, Training)


def _source(text: str) -> str:
    """Return where a training was read, in short: a paper by its number, else the first place named."""
    paper = ARXIV.search(text)
    return f"arXiv:{paper[1]}" if paper else re.split(r"[;(]|, (?=[A-Za-z])", text)[0].strip(" ,")


def main() -> int:
    """Write the file; return the exit status."""
    folder = os.environ.get("HPLAW_DATA")
    if not folder:
        print("trainings: set HPLAW_DATA to the folder with published_recipes.csv", file=sys.stderr)
        return 2
    lines = [msgspec.json.encode(item).decode() for item in trainings(Path(folder) / "published_recipes.csv")]
    TRAININGS.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    print(f"{len(lines)} trainings written")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
