"""The wire types by subject, and decoding them."""
