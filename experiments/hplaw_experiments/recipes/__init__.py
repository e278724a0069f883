"""The law of a recipe of one's own, from a few runs."""
