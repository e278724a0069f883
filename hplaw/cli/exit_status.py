"""The exit statuses of `hplaw`."""

OK = 0
"""Answered."""

FAILED = 1
"""A law or a file at fault, or nothing answered."""

MISUSED = 2
"""Wrong usage: a question that cannot be asked."""

ROWS_FAILED = 3
"""A table with rows that could not be answered."""

STOPPED = 130
"""Stopped by Ctrl-C."""
