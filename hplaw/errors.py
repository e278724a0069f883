"""The errors that hplaw raises, one tree.

    HplawError
    ├── LawError        (ValueError)    a law file that cannot be read; knows file, table and key
    ├── LawNotFound     (LookupError)   no law of that name in the folders searched
    ├── QueryError      (ValueError)    a question that cannot be asked; knows the field (HTTP 422)
    │   ├── MalformedQuery              what is no question at all (400)
    │   └── ConflictingQuery            values that contradict one another or the law (409)
    ├── DataError       (ValueError)    a table or file of the user that cannot be read
    ├── FitError        (RuntimeError)  a fit that could not be made
    ├── StoreError      (OSError)       a run store that cannot be read or written
    ├── DeviceError     (RuntimeError)  an accelerator that cannot do what was asked
    └── ClientError     (ConnectionError)  the service did not answer, or refused

A message says what was given, what is allowed and what to do, in one sentence.
"""

from __future__ import annotations

from collections.abc import Iterable


class HplawError(Exception):
    """The root of all errors of hplaw; its text is one sentence for a person."""

    @property
    def text(self) -> str:
        """Return the sentence, without the quotes that a `LookupError` would add."""
        return str(self.args[0]) if self.args else type(self).__name__

    def __str__(self) -> str:
        return self.text


class LawError(HplawError, ValueError):
    """A law file that breaks the format: the text names file, table and key."""

    def __init__(self, text: str, *, file: str = "", table: str = "", key: str = "") -> None:
        text, table, key = (
            part if len(part) <= most else f"{part[:most]}..." for part, most in ((text, 500), (table, 80), (key, 80))
        )
        where = ": ".join(part for part in (file, ".".join(p for p in (table, key) if p)) if part)
        super().__init__(f"{where}: {text}" if where else text)
        self.problem, self.file, self.table, self.key = text, file, table, key

    def within(self, *, file: str = "", table: str = "", key: str = "") -> LawError:
        """Return the same error with the places filled in that only the caller knows."""
        return LawError(self.problem, file=self.file or file, table=self.table or table, key=self.key or key)


class LawNotFound(HplawError, LookupError):
    """No law of that name; the text offers the nearest name."""


class QueryError(HplawError, ValueError):
    """A question that cannot be asked; `field` names the part at fault."""

    def __init__(self, text: str, *, field: str = "") -> None:
        super().__init__(text)
        self.field = field


class MalformedQuery(QueryError):
    """A body that is no question at all: not JSON, an unknown field, a value of another type."""


class ConflictingQuery(QueryError):
    """Values that are each allowed but contradict one another, or the law asked."""


class DataError(HplawError, ValueError):
    """A table or file of the user that cannot be read as asked."""


class FitError(HplawError, RuntimeError):
    """A fit that could not be made from the law and the runs given."""


class StoreError(HplawError, OSError):
    """A run store that cannot be read or written."""


class DeviceError(HplawError, RuntimeError):
    """An accelerator that is missing or cannot do what was asked."""


class ClientError(HplawError, ConnectionError):
    """The service did not answer in time, could not be reached, or refused; `status` is its HTTP status or None."""

    def __init__(self, text: str, *, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


def nearest(name: str, names: Iterable[str]) -> str:
    """Return the words that offer the nearest of `names`, or nothing: `", did you mean 'tokens'?"`.

    >>> nearest("token", ["tokens", "loss"])
    "; did you mean 'tokens'?"
    """
    import difflib  # loaded when something went wrong, not before

    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""
