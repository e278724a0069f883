"""Writing a plot to the file that --plot names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hplaw.errors import QueryError, install


def save_chart(chart: Mapping[str, Any], path: Path) -> None:
    """Write a Vega-Lite plot in the format that its name ends in.

    **Raises:** as `altair_for`.
    """
    altair_for(path).Chart.from_dict(dict(chart)).save(str(path))


def altair_for(path: Path) -> Any:
    """Return the module altair, which can write a plot of that name.

    **Raises:** `QueryError` for a name that ends in no format of a plot, and where altair is not installed.
    """
    try:
        import altair as alt
    except ImportError as error:
        message = f"--plot needs {error.name}; {install('fit')}"
        raise QueryError(message) from None
    if path.suffix not in (".svg", ".png", ".html", ".json"):
        message = f"--plot {path}: give a name that ends in .svg, .png, .html or .json"
        raise QueryError(message, field="plot")
    return alt
