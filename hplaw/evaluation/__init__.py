"""A law at a point: inputs, cases, domain, grids."""
