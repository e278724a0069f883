"""From a question to a record: route, derivation, estimates, warnings."""
