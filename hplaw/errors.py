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
from typing import Literal, NoReturn


Caller = Literal["python", "command", "http"]
"""Who reads an error: a program in Python, a person at the command line, a caller over HTTP."""

LISTS: dict[str, dict[Caller, str]] = {
    "quantities": {
        "python": "hplaw.local().quantities() lists them",
        "command": "`hplaw quantities` lists them",
        "http": "GET /v1/quantities lists them",
    },
    "countries": {
        "python": "hplaw.local().quantities() lists them",
        "command": "`hplaw quantities country` lists them",
        "http": "GET /v1/quantities lists them",
    },
    "recipes": {
        "python": "hplaw.local().recipes() lists them",
        "command": "`hplaw recipes` lists them",
        "http": "GET /v1/recipes lists them",
    },
    "hardware": {
        "python": "hplaw.local().hardware() lists them",
        "command": "`hplaw hardware` lists them",
        "http": "GET /v1/hardware lists them",
    },
    "laws": {
        "python": "hplaw.local().laws() lists them",
        "command": "`hplaw laws list` lists them",
        "http": "GET /v1/laws lists them",
    },
    "sizes": {
        "python": "give n_params and tokens, a budget (given compute_flop, or hardware, devices and duration_s), or target_loss",
        "command": "give --params and --tokens, a budget (--flops, or --hardware, --devices and --days), or --target-loss",
        "http": "give n_params and tokens, a budget (given compute_flop, or hardware, devices and duration_s), or target_loss",
    },
}
"""What each caller is to do: where all names of a kind are found, what a question needs."""


class HplawError(Exception):
    """The root of all errors of hplaw; its text is one sentence for people.

    `lists` names what the sentence sends the reader to, one of `LISTS`, or is empty.
    """

    lists: str = ""

    @property
    def text(self) -> str:
        """Return the sentence, without the quotes that a `LookupError` would add."""
        return self.told("python")

    def told(self, by: Caller) -> str:
        """Return the sentence in the words of the one who asked.

        >>> LawNotFound("no law is called 'x'", lists="laws").told("http")
        "no law is called 'x'; GET /v1/laws lists them"
        """
        text = str(self.args[0]) if self.args else type(self).__name__
        return f"{text}; {LISTS[self.lists][by]}" if self.lists else text

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


def refuse(problem: str, *, table: str = "", key: str = "") -> NoReturn:
    """Refuse a law file.

    **Raises:** `LawError` with the problem and where it is.
    """
    raise LawError(problem, table=table, key=key)


class LawNotFound(HplawError, LookupError):
    """No law of that name; the text offers the nearest name."""

    def __init__(self, text: str, *, lists: str = "") -> None:
        super().__init__(text)
        self.lists = lists


class QueryError(HplawError, ValueError):
    """A question that cannot be asked; `field` names the part at fault."""

    def __init__(self, text: str, *, field: str = "", lists: str = "") -> None:
        super().__init__(text)
        self.field = field
        self.lists = lists


class MalformedQuery(QueryError):
    """A body that is no question at all: not JSON, an unknown field, a value of another type."""


class ConflictingQuery(QueryError):
    """Values that are each allowed but contradict one another or the law."""


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


def without_list(text: str, by: Caller) -> tuple[str, str]:
    """Return a sentence as `HplawError.told` made it without the list it ends in, and which list that is.

    >>> without_list("no law is called 'x'; GET /v1/laws lists them", "http")
    ("no law is called 'x'", 'laws')
    """
    for lists, words in LISTS.items():
        head, hint, rest = text.rpartition(f"; {words[by]}")
        if hint and not rest:
            return head, lists
    return text, ""


def nearest(name: str, names: Iterable[str], *, close: float = 0.6) -> str:
    """Return the words that offer the nearest of `names`, or nothing; case does not matter.

    **Arguments:**

    - `close`: the share of letters that two names must have in common, from 0 to 1.

    >>> nearest("Token", ["tokens", "loss"])
    "; did you mean 'tokens'?"
    """
    import difflib  # loaded when something went wrong, not before

    folded = {word.casefold(): word for word in names}
    found = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=close)
    return f"; did you mean '{folded[found[0]]}'?" if found else ""


def install(extra: str) -> str:
    """Return the words that say how an extra is installed: from a clone, since hplaw is in no package registry.

    >>> install("fit")
    'in your clone of hplaw, run `make install` or `pip install -e ".[fit]"`'
    """
    return f'in your clone of hplaw, run `make install` or `pip install -e ".[{extra}]"`'
