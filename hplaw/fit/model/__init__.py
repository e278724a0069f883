"""A law as a probability model of its runs."""
