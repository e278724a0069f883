"""A fit written down: law folder, card, plots."""
