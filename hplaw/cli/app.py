"""The `hplaw` command itself: which subcommands there are, and what becomes of an error.

A subcommand's module is imported when it is called, so that an answer costs only what it needs.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hplaw.cli.exit_status import FAILED, MISUSED, OK, STOPPED
from hplaw.cli.query_options import OPTIONS, Asked, answer, plain_question
from hplaw.errors import HplawError, QueryError, nearest
from hplaw.vocabulary.names import called
from hplaw.vocabulary.quantities import vocabulary


if TYPE_CHECKING:
    from cyclopts import App, CycloptsError


DEBUG = "HPLAW_TRACEBACK"
"""The environment variable that, when set, shows where a defect of hplaw lies."""


GROUPS = {
    "Ask": (
        (
            "recommend",
            "recommend:recommend",
            "Recommend hyperparameters and predict the loss.",
            "--params 7B --tokens 1.4T",
        ),
        (
            "evaluate",
            "evaluate:evaluate",
            "Evaluate one law at one point.",
            "step-law-2025 --set n_params=1e9 tokens=1e11",
        ),
        (
            "energy",
            "energy:energy",
            "Estimate hours, energy and carbon of a run.",
            "--params 70B --tokens 15T --hardware h100-sxm --country US",
        ),
        (
            "frontier",
            "frontier:frontier",
            "Find the best model for budgets of energy, hours or money.",
            "--budget 10MWh --hardware h100-sxm",
        ),
        (
            "layout",
            "layout:layout",
            "List the parallel layouts that fit a model on accelerators, fastest first.",
            "--params 70B --devices 64 --hardware h100-sxm",
        ),
        (
            "device",
            "device:device",
            "Find the batch size and power limit of minimum energy for a GPU.",
            "--probes probes.csv",
        ),
        (
            "prune-advice",
            "prune_advice:prune_advice",
            "Find the regime of a pruned model, and whether to train hotter or cooler first.",
            "--density 0.1 --epochs 80",
        ),
        ("hardware", "energy:hardware", "List accelerators.", "h100-sxm"),
    ),
    "Explain": (
        (
            "explain",
            "influence:explain",
            "Show which runs decide a recommendation.",
            "--params 7B --tokens 1.4T --law pretrain-surface",
        ),
        ("theory", "theory:theory", "Show the rules for a quantity and where they conflict.", "peak_lr"),
        (
            "transfer",
            "transfer:transfer",
            "Transfer hyperparameters to another batch size by every rule.",
            "--lr 3e-4 --batch 256 --to-batch 2048 --optimizer adamw",
        ),
        (
            "parametrize",
            "parametrize:parametrize",
            "Compute the settings of layers in a wider or deeper model.",
            "--scheme mup --base-width 256 --width 4096",
        ),
        (
            "classify",
            "parametrize:classify",
            "Classify exponents in width: kernel or feature learning.",
            "--a=-1/2,0,1/2 --b 1/2,1/2,1/2 --c 0",
        ),
        (
            "schedule",
            "schedule:schedule",
            "Show a schedule of the learning rate and its area.",
            "cosine --steps 10k --lr 3e-4 --plot cosine.svg",
        ),
        ("recipes", "recipes:recipes", "List the recipes that a question may name.", ""),
        ("quantities", "quantities:quantities", "List the vocabulary, or explain one quantity.", "n_params"),
    ),
    "Laws": (
        ("laws list", "laws:list_laws", "List the laws found.", "--quantity peak_lr"),
        ("laws show", "laws:show", "Show one law: formulas, parameters, domain, source.", "step-law-2025"),
        ("laws check", "laws:check", "Check law files: format, formulas, examples.", "my-law.toml"),
        ("laws cite", "laws:cite", "Print the BibTeX entry of a law's source.", "step-law-2025"),
        ("laws diff", "diff_laws:diff", "Compare two laws.", "step-law-2025@1 my-law.toml"),
        ("laws new", "new_law:new", "Write a law file to start from.", "my-law --to my-law.toml"),
    ),
    "Measure": (
        (
            "meter",
            "meter:meter",
            "Run a command and measure its time, energy, carbon and cost.",
            "--country US -- python train.py",
        ),
        ("calibrate", "calibrate:calibrate", "Fit a law to your own recipe.", "--preset quick --to my-laws"),
        ("sweep plan", "sweep:plan", "Estimate the cost of a sweep.", "sweep.toml"),
        ("sweep run", "sweep:run", "Train the trials of a sweep.", "sweep.toml --to runs"),
        ("sweep resume", "sweep:resume", "Continue an interrupted sweep.", "runs"),
        ("sweep status", "sweep:status", "Show the progress of sweeps.", "runs"),
        ("sweep export", "sweep:export", "Write a sweep's runs as a table.", "sweep.toml --runs runs --to runs.csv"),
        ("sweep schema", "sweep:schema", "Print the JSON schema of sweep files.", "--to sweep.schema.json"),
        ("runs list", "runs:list_runs", "List what a folder of runs holds.", "runs"),
        ("runs query", "runs:query", "Query a folder of runs in SQL.", 'runs "diverged = false"'),
        (
            "runs import",
            "runs:import_",
            "Import runs from elsewhere into a folder.",
            "wandb.csv --map loss=val_loss --to runs",
        ),
        ("runs compact", "runs:compact", "Compact a folder's runs into one file.", "runs"),
        ("runs verify", "runs:verify", "Verify every stored row.", "runs"),
        (
            "coordinate-check",
            "coordinate:coordinate_check",
            "Check that activations keep their size at every width.",
            "--model mlp --parametrization mup",
        ),
        (
            "spectrum",
            "spectrum:spectrum",
            "Measure the curvature of batches and the largest stable rate.",
            "--width 64 --batches 4 16 64 256",
        ),
        (
            "intrinsic-dimension",
            "intrinsic:intrinsic_dimension",
            "Measure how many random directions a task needs.",
            "--width 32",
        ),
        ("study list", "study:list_studies", "List the studies.", ""),
        ("study run", "study:run_study", "Train the runs of a study.", "batch-rule"),
        ("study report", "study:report_study", "Analyze a study's runs and write its page.", "batch-rule"),
        (
            "study width-table",
            "width_table:width_table",
            "Analyze how the best rate goes with the width in a table.",
            "sweep.csv --map loss=train_loss --predict 4096",
        ),
        (
            "study precision-energy",
            "study:precision_energy",
            "Analyze the effect of number formats on energy.",
            "runs --to report",
        ),
    ),
    "Fit": (
        ("fit", "fit:fit", "Fit a law to runs.", "pretrain-surface --data runs.csv --to my-law"),
        ("influence", "influence:influence", "Compute which runs decide a fitted law.", "my-law --data runs.csv"),
        ("data list", "data:list_data", "List the public runs that shipped laws were fitted to.", ""),
        (
            "data fetch",
            "data:fetch_data",
            "Download a set of public runs as a table to fit to.",
            "chinchilla --to runs",
        ),
        (
            "data rows",
            "data:make_rows",
            "Make a table of trainings into the rows of a law of time or energy.",
            "training-energy trainings.csv --to rows.csv",
        ),
    ),
    "Run": (
        ("serve", "serve:serve", "Serve the HTTP API.", "--port 8000"),
        ("doctor", "doctor:doctor", "Show what is installed, found and missing.", ""),
    ),
}
"""The subcommands in the order of `hplaw --help`, by what they are for: words, the function that does it, what it does,
and an example."""

COMMANDS = tuple(command for commands in GROUPS.values() for command in commands)
"""The same in one row."""

PARENTS = {
    "laws": "List, show, check, cite, compare and write laws.",
    "sweep": "Plan, run and resume sweeps of training runs.",
    "runs": "List, query, import and verify stored runs.",
    "study": "Run and report the studies behind the measured laws.",
    "data": "List and fetch the public runs behind shipped laws, make tables into rows.",
}
"""What the first words of subcommands of two words represent."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the `hplaw` command and return its exit status.

    **Arguments:**

    - `argv`: the words behind `hplaw`; those of the process by default.
    """
    try:
        return _run(list(sys.argv[1:] if argv is None else argv), ends=argv is None)
    except BrokenPipeError:
        # whoever read the output has seen enough: `hplaw laws list | head`
        _abandon_output()
        return OK
    except KeyboardInterrupt:
        return STOPPED


def create_app() -> App:
    """Return the parser of the command line; no subcommand is imported yet."""
    from cyclopts import App, Group

    app = App(
        name="hplaw",
        help="Learning rate, batch size and loss of pre-training, with uncertainty: scaling laws with sources.",
        version=_version,
        result_action="return_value",
    )
    completion = "Install completion of commands and options for your shell."
    app.command("hplaw.cli.completion:install_completion", name="--install-completion", help=completion)
    parents: dict[str, App] = {}
    for rank, (title, commands) in enumerate(GROUPS.items()):
        group = Group(title, sort_key=rank)
        for place, (words, path, help, example) in enumerate(commands):
            first, *rest = words.split()
            parent = app
            if rest:
                if first not in parents:
                    parents[first] = App(name=first, help=PARENTS[first], group=group, sort_key=place)
                    app.command(parents[first])
                parent = parents[first]
            help = f"{help}\n\nExample: hplaw {words} {example}".rstrip()
            within = None if rest else group
            name = rest[0] if rest else first
            parent.command(f"hplaw.cli.{path}", name=name, help=help, group=within, sort_key=place)
    return app


def _run(words: list[str], *, ends: bool) -> int:
    if not _has_output():
        return _refuse("standard output is closed; there is nowhere to answer", FAILED)
    try:
        question = plain_question(words)
        if question is None:
            status = _parse(words)
        else:
            status = _answer_and_end(question) if ends else answer(question)
        sys.stdout.flush()
        return status
    except QueryError as error:
        return _refuse(error.told("command"), MISUSED)
    except HplawError as error:
        return _refuse(error.told("command"), FAILED)
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is None:
            _abandon_output()
        return _refuse(f"{error.filename or 'the output'}: {error.strerror or error}", FAILED)
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        text = f"a defect of hplaw: {type(error).__name__}: {error}; set {DEBUG}=1 to see where"
        return _refuse(text, FAILED)


def _answer_and_end(question: Asked) -> int:
    """Answer the one question that a process was started for.

    What that makes goes with the process: to look for garbage among it, above all when Python ends, takes a sixth of
    the whole time.
    """
    gc.disable()
    try:
        return answer(question)
    finally:
        gc.freeze()


def _parse(words: list[str]) -> int:
    """Run the subcommand that the words name; raise `QueryError` where they are no command line."""
    from cyclopts import CycloptsError

    if words[:1] == ["meter"] and not {"--", "--help", "-h"} & set(words):
        message = "meter needs -- and a command behind it, whose own options are then left to it: hplaw meter -- python train.py"
        raise QueryError(message, field="command")

    try:
        result: object = create_app()(words, exit_on_error=False, print_error=False, help_on_error=False, verbose=False)
    except CycloptsError as error:
        message = _usage(error)
        raise QueryError(message) from None
    return result if isinstance(result, int) else OK


def _has_output() -> bool:
    stream: object = sys.stdout  # None where a process is started with its output closed
    return stream is not None


def _abandon_output() -> None:
    """Send what is still to be written to nowhere, so that Python does not try again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _refuse(text: str, status: int) -> int:
    print(f"hplaw: {' '.join(text.split())}", file=sys.stderr or sys.stdout)
    return status


def _usage(error: CycloptsError) -> str:
    """Return one sentence for words that are no command line."""
    from cyclopts import (
        MissingArgumentError,
        RepeatArgumentError,
        UnknownCommandError,
        UnknownOptionError,
        UnusedCliTokensError,
    )

    chain = " ".join(("hplaw", *(error.command_chain or ())))
    see = f"see `{chain} --help`"
    if isinstance(error, UnknownCommandError):
        word = (error.unused_tokens or [""])[0]
        known = [name for name in (error.app or create_app()) if not name.startswith("-")]
        return f"'{word}' is no command of {chain}{nearest(word, known)}; give one of {', '.join(known)}"
    if isinstance(error, UnknownOptionError):
        word = error.token.keyword or error.token.value
        known = [name for argument in error.argument_collection for name in argument.names]
        return f"{word} is no option of {chain}{_meant_option(word, known)}; {see}"
    if isinstance(error, UnusedCliTokensError):
        word = (error.unused_tokens or [""])[0]
        return f"'{word}' is unexpected after {chain}; give options by their names, {see}"
    if isinstance(error, RepeatArgumentError):
        return f"{error.token.keyword} is given twice; give it once"
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        name = error.keyword or error.argument.name
        return f"{name} needs a value; {see}" if name.startswith("-") else f"{name} is missing; {see}"
    text = str(error).strip().rstrip(".")
    return f"{text[:1].lower()}{text[1:]}; {see}"


def _meant_option(word: str, known: Sequence[str]) -> str:
    """Return what to write in place of an option that is none: another, or a quantity behind --given."""
    name = called(word.lstrip("-"))
    flag = f"--{OPTIONS.get(name, name).replace('_', '-')}"
    if flag in known:
        return f"; did you mean '{flag}'?"
    if "--given" in known and name in vocabulary():
        return f"; write --given {name}=VALUE"
    return nearest(word, known)


def _version() -> str:
    from importlib.metadata import version

    return version("hplaw")
