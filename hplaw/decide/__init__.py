"""The decision: what a law recommends to set."""
