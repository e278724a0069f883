"""`hplaw laws new`: a law file to start from, with a word on every line, that passes `hplaw laws check`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from hplaw.cli.exit_status import OK
from hplaw.cli.page import write
from hplaw.errors import DataError, QueryError


TEMPLATE = """\
# A law for hplaw. Change what is here, then: hplaw laws check FILE
schema = 1
{id_line}# lower-case words with hyphens between
version = 1                   # a released file never changes without a new version
title = "Peak learning rate from model and data size"
status = "published"          # theory, published or calibrated
checked = "primary"           # how the constants were read: primary, secondary, derived or recalled
inputs = ["n_params", "tokens"]    # words of the vocabulary: hplaw quantities
notes = \"\"\"
What a user must know: how the runs were made, and what was not tried.
\"\"\"

[source]
title = "The paper or report that states the law"
authors = "A. Author, B. Author"
year = 2026
# arxiv = "0000.00000"
where = "equation 1"

# A quantity that the vocabulary does not have:
# [quantities.my_quantity]
# unit = "1"
# meaning = "one line of plain words"
# low = 0

[parameters]
c = {{ value = 1e-3 }}          # add sd = ..., or a [[covariance]] over several, if the source states one
a = {{ value = -0.5 }}
b = {{ value = 0.25 }}

[let]                         # steps of the calculation, in any order
size = "n_params / 1e9"
data = "tokens / 1e11"

[outputs]                     # + - * / **, comparisons, where(), log(), exp(), min(), max() and some more
peak_lr = "c * size ** a * data ** b"

[domain]                      # what the law was fitted on; outside of it the answer carries a warning
n_params = [1e8, 1e10]
tokens = [1e10, 1e12]
optimizer = ["adamw"]

[[examples]]                  # at least one, computed by hand or taken from the source
given = {{ n_params = 4e9, tokens = 1.6e12 }}
expect = {{ peak_lr = 1e-3 }}
rtol = 1e-9
"""

KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def new(
    law: Annotated[str, Parameter(name="ID", help="The id of the new law.")] = "my-law",
    /,
    *,
    to: Annotated[Path | None, Parameter(help="The file to write; standard output by default.")] = None,
) -> int:
    """Write a law file to start from; it passes `hplaw laws check` as it is."""
    if not KEBAB.fullmatch(law):
        message = f"'{law}' is no id; give lower-case words with hyphens between, for example my-law"
        raise QueryError(message, field="id")
    text = TEMPLATE.format(id_line=f'id = "{law}"'.ljust(30))
    if to is None:
        write(text)
        return OK
    try:
        with to.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        message = f"{to} is there already; give another file, or remove it first"
        raise DataError(message) from None
    except OSError as error:
        message = f"{to}: {error.strerror}"
        raise DataError(message) from None
    print(f"wrote {to}; next: hplaw laws check {to}")
    return OK
