"""Training one trial or many packed together."""
