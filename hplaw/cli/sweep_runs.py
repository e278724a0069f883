"""Running sweeps from the command line: where trials run, what is shown meanwhile, and what is said in the end."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, runtime_checkable

import msgspec
from cyclopts import Parameter

from hplaw.cli.exit_status import FAILED, OK
from hplaw.cli.page import Page, write
from hplaw.cli.progress import Progress
from hplaw.cli.stopping import stopping
from hplaw.cli.value_text import value_text
from hplaw.errors import DataError, QueryError
from hplaw.formatting import number, plural


if TYPE_CHECKING:
    from hplaw.runs import Store
    from hplaw_experiments.launch import AbstractLauncher
    from hplaw_experiments.sweep.live import Live
    from hplaw_experiments.sweep.run import Standing
    from hplaw_experiments.trial import SweepSpec, Trial


Launch = Annotated[
    Literal["here", "local", "ray"], Parameter(help="In this process, in workers of this machine, or on a Ray cluster.")
]
Workers = Annotated[int, Parameter(help="Workers of this machine: one a GPU, or a share of the cores each.")]
Address = Annotated[str | None, Parameter(help="Of the Ray cluster; one of this machine alone by default.")]
Pack = Annotated[int | None, Parameter(help="Most trials of one pack.")]

RUNS = "runs"
"""Where runs are kept when nothing else is said."""


class Sweeps(msgspec.Struct, frozen=True, kw_only=True):
    """The sweeps that a command is about, and the store of their runs."""

    specs: list[SweepSpec]
    store: Store
    file: Path | None = None

    def named(self, option: str) -> str:
        """Return the words that name them to another command, whose option for the folder beside a file is given."""
        return self.store.address if self.file is None else f"{self.file} {option} {self.store.address}"


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """Where trials run, by the options of a command."""

    launch: Literal["here", "local", "ray"] = "here"
    workers: int = 1
    address: str | None = None
    pack: int | None = None
    watch: bool = False


def existing(where: str, more: str = "") -> Store:
    """Return the store of a folder, or of an address, that was written to.

    **Raises:** `DataError` where nothing ever was; `more` says what else may be given.
    """
    from hplaw.runs import Store

    found = Store(where)
    if not found.place.exists():
        message = f"{where} is no folder of runs; give the folder or address that `hplaw sweep run` wrote to{more}"
        raise DataError(message)
    return found


def find_sweeps(path: str, folder: str | None) -> Sweeps:
    """Return the sweep of a file with the folder of runs given beside it, or the sweeps that a folder of runs holds.

    **Raises:** `DataError` where there is no such file, or the folder holds no sweep; `QueryError` for two folders.
    """
    from hplaw.runs import Store
    from hplaw_experiments.sweep.plan import read_spec
    from hplaw_experiments.sweep.run import saved_specs

    file = Path(path)
    if file.suffix == ".toml" or file.is_file():
        return Sweeps(specs=[read_spec(file)], store=Store(RUNS if folder is None else folder), file=file)
    if folder is not None and Store(folder).address != Store(path).address:
        message = f"{path} and {folder} are two folders of runs; give one, or the file of a sweep and its folder"
        raise QueryError(message, field="to")
    store = existing(path, ", or the file of a sweep")
    found = saved_specs(store)
    if not found:
        message = f"{path} holds no sweep; start one with `hplaw sweep run SPEC --to {path}`"
        raise DataError(message)
    return Sweeps(specs=found, store=store)


@runtime_checkable
class Screen(Protocol):
    """What shows a sweep while it runs; `live` is what was last shown."""

    live: Live | None

    def __call__(self, live: Live, /) -> None:
        """Show how far it is."""
        ...

    def end(self) -> None:
        """Leave the screen to what comes next."""
        ...


class Lines:
    """Shows how many trials of a sweep are done, and the time left, in lines."""

    def __init__(self, name: str) -> None:
        self._progress = Progress(name)
        self.live: Live | None = None

    def __call__(self, live: Live, /) -> None:
        self.live = live
        self._progress.say(live.share, f"{live.done} of {len(live.trials)} trials", live.left())

    def end(self) -> None:
        self._progress.end()


def launcher_of(launch: Literal["here", "local", "ray"], workers: int, address: str | None) -> AbstractLauncher:
    """Return the launcher that the options say."""
    from hplaw_experiments.launch import Here, Local, Ray, pins
    from hplaw_experiments.launch.local import visible_gpus

    if address is not None and launch != "ray":
        message = f"--address {address} is of a Ray cluster; give --launch ray with it"
        raise QueryError(message, field="address")
    if not 1 <= workers <= 1024:
        message = f"--workers {workers}: give 1 to 1024"
        raise QueryError(message, field="workers")
    match launch:
        case "here":
            if workers > 1:
                message = f"--workers {workers} are processes; give --launch local with it"
                raise QueryError(message, field="workers")
            return Here()
        case "local":
            return Local(pins(workers, gpus=visible_gpus()))
        case "ray":
            return Ray(address)


def run_all(sweeps: Sweeps, where: Where) -> int:
    """Train what the sweeps ask for, and say what came of each; Ctrl-C ends it with the command that goes on."""
    from hplaw_experiments.sweep.run import run_sweep

    if where.pack is not None and where.pack < 1:
        message = f"--pack {where.pack}: give one trial or more"
        raise QueryError(message, field="pack")
    launcher = launcher_of(where.launch, where.workers, where.address)
    store, complete = sweeps.store, True
    screen: Screen = Lines("sweep")

    def stopped() -> str:
        screen.end()
        return stopped_line(screen.live, store.address)

    with stopping(stopped, launcher.close):
        try:
            for spec in sweeps.specs:
                screen = _screen(spec, store, watch=where.watch)
                found = run_sweep(spec, store, launcher=launcher, width=pack_width(spec, where.pack), report=screen)
                screen.end()
                page = summary(spec, store, found)
                page.line()
                page.line(f"next: hplaw sweep export {sweeps.named('--runs')} --to {spec.name}.csv")
                write(str(page))
                complete &= found.complete
        finally:
            launcher.close()
    return OK if complete else FAILED


def _screen(spec: SweepSpec, store: Store, *, watch: bool) -> Screen:
    """Return what shows a sweep: a live table where that is asked for, and lines where there is no terminal for it."""
    if watch:
        from hplaw.cli.watch import Watch, terminal

        if terminal():
            return Watch(store)
    return Lines(spec.name)


def stopped_line(live: Live | None, where: str) -> str:
    """Return what is said at Ctrl-C: what is stored, and the command that goes on, which is the same one."""
    stored = "nothing" if live is None else f"{live.done} of {len(live.trials)} trials"
    of = "" if live is None else f"{live.name}: "
    return f"{of}stopped, {stored} stored in {where}; to continue: {shlex.join(['hplaw', *sys.argv[1:]])}"


def summary(spec: SweepSpec, store: Store, found: Standing) -> Page:
    """Return what came of a sweep: how many trials, the optimum, and where the runs are."""
    from hplaw_experiments.sweep.optimum import find_optimum
    from hplaw_experiments.sweep.run import losses_of

    page = Page()
    page.line(words(spec.name, found))
    for problem in found.problems:
        print(f"hplaw: omitted {problem}", file=sys.stderr)
    best = find_optimum(spec, losses_of(store))
    rows: list[tuple[str, str]] = []
    if best is not None:
        setting = ", ".join(f"{name} {value_text(value)}" for name, value in best.setting.items())
        of = f", mean of {best.seeds} seeds" if best.seeds > 1 else ""
        rows.append(("optimum", f"loss {number(best.loss, digits=4)}{of}" + (f" at {setting}" if setting else "")))
        if best.edge:
            side = "higher" if best.edge == "highest" else "lower"
            rows.append(("", f"peak_lr is the {best.edge} of its grid: add {side} rates"))
    elif found.done:
        rows.append(("optimum", "none: all trials diverged; lower peak_lr" if found.diverged == found.done else "none"))
    rows.append(("runs", f"in {store.address}"))
    page.table(rows)
    return page


def pack_width(spec: SweepSpec, pack: int | None) -> int | Callable[[Trial], int]:
    """Return the most trials of a pack: one where each is metered."""
    from hplaw_experiments.sweep.plan import PACK_WIDTH

    return 1 if spec.metered else pack or PACK_WIDTH


def words(name: str, found: Standing) -> str:
    """Return how far a sweep is, in a line."""
    diverged = f", {found.diverged} of them diverged" if found.diverged else ""
    begun = f"; {plural(found.begun, 'pack')} begun" if found.begun else ""
    return f"{name}: {found.done} of {found.asked} trials done{diverged}{begun}"
