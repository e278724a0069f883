"""What may be true of a law: draws, priors, discrepancy."""
