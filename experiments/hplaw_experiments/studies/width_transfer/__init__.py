"""The width study: how the best learning rate goes with width and depth under a parametrization."""
