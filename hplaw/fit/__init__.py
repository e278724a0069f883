"""Fitting laws to runs: a law file and a table in, a fitted law with its posterior and its evidence out."""

__all__: list[str] = []
