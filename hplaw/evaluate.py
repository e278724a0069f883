"""One law at one point, as a record: what `hplaw evaluate` and POST .../evaluate answer."""

from hplaw.estimate import evaluate


__all__ = ["evaluate"]
