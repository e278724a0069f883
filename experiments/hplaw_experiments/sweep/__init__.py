"""Sweeps as values: the space, the plan, running it."""
