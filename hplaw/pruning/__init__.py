"""Pruning: in which regime a pruned and retrained model is, and what to do to the training before it."""
