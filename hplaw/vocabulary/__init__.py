"""What may be asked about: quantities, names of hardware, shapes of models."""
