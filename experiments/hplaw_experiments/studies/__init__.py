"""Studies of stored runs: what they show, how surely, and what the next ones should be."""
