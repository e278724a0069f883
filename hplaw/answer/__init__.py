"""What one law answers: value, intervals, mixtures."""
