"""The study of the best learning rate against batch size: its analysis, its laws and its page."""
