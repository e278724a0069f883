"""Closed forms that formulas have: affine, power law, log-normal, linex ridges."""
