"""What launches jobs: the interface of all launchers."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Sequence

from hplaw_experiments.launch.job import Job
from hplaw_experiments.trial import Seen


TRIES = 3
"""How often a pack is begun before a worker that dies of it is taken for its fault."""


Told = Callable[[Job, float, Sequence[Seen]], None]
"""Called with the share of a job that is done, and the trials that got on, where that is known before its end."""


class AbstractLauncher(abc.ABC):
    """Runs jobs somewhere; results go to the jobs' store, not through the launcher."""

    @abc.abstractmethod
    def run(self, jobs: Sequence[Job], *, told: Told | None = None) -> Iterator[tuple[Job, list[str]]]:
        """Yield each job when its runs are stored, with the keys that are new.

        **Raises:** the error of a job; `DeviceError` where a job was lost `TRIES` times.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """End the workers."""
