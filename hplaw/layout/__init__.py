"""Parallel layouts of training: which fit on how many accelerators, and which share of the peak they reach."""
