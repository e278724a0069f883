"""Training data: classes, text, and synthetic sources of endless length, with a held-out part each."""

from hplaw_experiments.data.load import dimensions, load_source
from hplaw_experiments.data.source import AbstractSource, Dimensions, Examples, Tokens


__all__ = ["AbstractSource", "Dimensions", "Examples", "Tokens", "dimensions", "load_source"]
