"""The page of a study: Markdown with tables and plots, the machine and the commands that made every number on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from hplaw.errors import DataError


class StudyPage:
    """A page that is put together from its top to its end.

    **Arguments:**

    - `title`: the heading.
    - `path`: the Markdown file; plots lie in a folder of its name beside it.
    """

    def __init__(self, title: str, path: Path) -> None:
        self._path, self._plots = path, path.with_suffix("")
        self._lines = [f"# {title}", ""]
        self._charts: dict[str, Any] = {}

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._lines += [f"## {text}", ""]

    def text(self, *sentences: str) -> None:
        """Add a paragraph."""
        self._lines += [*sentences, ""]

    def items(self, *sentences: str) -> None:
        """Add a list."""
        self._lines += [*(f"* {sentence}" for sentence in sentences), ""]

    def console(self, *commands: str) -> None:
        """Add commands."""
        self._lines += ["```console", *(f"$ {command}" for command in commands), "```", ""]

    def table(self, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Add a table."""
        line = lambda cells: f"| {' | '.join(map(str, cells))} |"
        self._lines += [line(head), line("---" for _ in head), *map(line, rows), ""]

    def chart(self, name: str, chart: Any, caption: str) -> None:
        """Add an altair chart, as `NAME.svg` in the page's folder.

        **Arguments:**

        - `caption`: what is seen, in a sentence.
        """
        self._charts[name] = chart
        self._lines += [f"![{caption}]({self._plots.name}/{name}.svg)", "", caption, ""]

    def provenance(self, runs: pl.DataFrame, *commands: str) -> None:
        """Add what the page was made by and where its runs were trained.

        **Arguments:**

        - `runs`: with the columns of a store: hardware, platform, jax_version, code_version, duration_s.
        """
        self.heading("How this page was made")
        self.console(*commands)
        told = [f"{_names(runs, 'hardware')}, JAX {_names(runs, 'jax_version')}"]
        if "duration_s" in runs.columns:
            told.append(f"{float(runs['duration_s'].sum()) / 60:.1f} minutes of training in {len(runs):,} runs")
        self.text("; ".join(told) + ".")

    def write(self) -> list[Path]:
        """Write the page and its plots; return their paths, the page first.

        **Raises:** `DataError` where the folder cannot be written.
        """
        written = [self._path]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            for name, chart in self._charts.items():
                self._plots.mkdir(exist_ok=True)
                path = self._plots / f"{name}.svg"
                chart.save(str(path))
                written.append(path)
            self._path.write_text("\n".join(self._lines).rstrip() + "\n", encoding="utf-8")
        except OSError as error:
            message = f"{self._path}: {error.strerror or error}; give a folder that can be written"
            raise DataError(message) from None
        return written


def _names(runs: pl.DataFrame, column: str) -> str:
    found = runs[column].drop_nulls().unique().sort().to_list() if column in runs.columns else []
    return ", ".join(map(str, found)) or "not recorded"
