"""The law of a recipe of your own, from a few runs."""
