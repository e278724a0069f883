"""Jobs in this process, one after another."""

from __future__ import annotations

import functools as ft
from collections.abc import Iterator, Sequence

from hplaw_experiments.launch.abstract import AbstractLauncher, Told
from hplaw_experiments.launch.job import Job, Place, run_job


class Here(AbstractLauncher):
    """Runs jobs in this process."""

    def __init__(self, place: Place | None = None) -> None:
        self._place = place

    def run(self, jobs: Sequence[Job], *, told: Told | None = None) -> Iterator[tuple[Job, list[str]]]:
        for job in jobs:
            if self._place is None:
                self._place = Place.here(metered=job.metered)
            yield (job, run_job(job, self._place, told=None if told is None else ft.partial(told, job)))

    def close(self) -> None:
        if self._place is not None:
            self._place.meter.close()
