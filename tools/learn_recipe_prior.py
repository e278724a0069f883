"""Learn the prior over recipes from tables of runs and write its law folder.

python tools/learn_recipe_prior.py --data FOLDER --to recipe-prior
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path

from hplaw.catalogue.catalogue import load_catalogue
from hplaw.runs.table import sha256_of
from hplaw_experiments.recipes.prior import TABLES, learn, sweeps, write_prior
from hplaw_experiments.recipes.scores import summary


def main(words: Sequence[str] | None = None) -> None:
    """Write the law that the command line asks for."""
    parser = argparse.ArgumentParser(prog="tools/learn_recipe_prior.py", description="Learn the prior over recipes.")
    parser.add_argument("--data", type=Path, required=True, help=f"a folder with {', '.join(TABLES)}")
    parser.add_argument("--to", type=Path, required=True, help="the folder of the law")
    asked = parser.parse_args(words)
    catalogue = load_catalogue()
    found = sweeps(asked.data, catalogue)
    digests = "\n".join(sha256_of(asked.data / name) for name in TABLES)
    law = write_prior(
        learn(found),
        found,
        asked.to,
        data=", ".join(TABLES),
        sha256=hashlib.sha256(digests.encode()).hexdigest(),
        held_out=summary(found, catalogue),
    )
    print(f"wrote {asked.to}: {law.address}")


if __name__ == "__main__":
    main()
