"""Rules of theory: what gives a quantity, transfer between batches, schedules, works of the literature."""
