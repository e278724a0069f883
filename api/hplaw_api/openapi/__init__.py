"""The description of the service, made from its records."""
