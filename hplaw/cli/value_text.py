"""A value of a trial as text."""

from __future__ import annotations

from hplaw.formatting import number


def value_text(value: object) -> str:
    """Return a value of a setting as a sweep file has it, large numbers with a suffix.

    >>> value_text(0.01), value_text(40000), value_text("adam"), value_text(True)
    ('0.01', '40k', 'adam', 'true')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    return number(value) if isinstance(value, int | float) else str(value)
