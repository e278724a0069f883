"""`hplaw --install-completion`: subcommands and options completed by the shell."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from hplaw.cli.app import create_app
from hplaw.cli.exit_status import OK
from hplaw.errors import QueryError


def install_completion(
    *,
    shell: Annotated[
        Literal["bash", "zsh", "fish"] | None, Parameter(help="The shell; the one you use by default.")
    ] = None,
) -> int:
    """Install completion for a shell, and load it in its start-up file."""
    from cyclopts.completion import detect

    try:
        path = create_app().install_completion(shell=shell)
    except detect.ShellDetectionError:
        message = "which shell you use cannot be seen; give --shell bash, zsh or fish"
        raise QueryError(message, field="shell") from None
    print(f"completion is installed in {path}; a new shell has it")
    return OK
