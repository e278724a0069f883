"""How init, multipliers and rates change with width and depth."""
