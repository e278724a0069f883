"""The law file: its format, the reader, and laws ready to be evaluated."""

from hplaw.law.law import Law
from hplaw.law.read import parse_law, read_law


__all__ = ["Law", "parse_law", "read_law"]
