"""`python -m hplaw`: the same as the `hplaw` command."""

from hplaw.cli import main


if __name__ == "__main__":
    raise SystemExit(main())
