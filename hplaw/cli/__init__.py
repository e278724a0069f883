"""The `hplaw` command."""

from hplaw.cli.app import main


__all__ = ["main"]
