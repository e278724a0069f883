"""Jobs as tasks of a Ray cluster, one per pack; results go through a store that all machines see."""

from __future__ import annotations

import functools as ft
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from hplaw.errors import DeviceError, install
from hplaw_experiments.launch.abstract import TRIES, AbstractLauncher, Told
from hplaw_experiments.launch.job import Job, Place, run_job


class Ray(AbstractLauncher):
    """Runs jobs on a Ray cluster.

    **Arguments:**

    - `address`: of the cluster, as `ray.init` takes it; a cluster of this machine alone by default.
    - `cpus`, `gpus`: what one pack needs.

    **Raises:** `DeviceError` where ray is not installed or the cluster does not answer.
    """

    def __init__(self, address: str | None = None, *, cpus: float = 1.0, gpus: float = 0.0) -> None:
        try:
            import ray
        except ImportError:
            message = f"--launch ray needs Ray, which is not installed; {install('ray')}"
            raise DeviceError(message) from None
        self._ray: Any = ray
        self._mine = not ray.is_initialized()
        try:
            if self._mine:
                ray.init(address=address, log_to_driver=False, include_dashboard=False, logging_level="error")
        except (ConnectionError, ValueError, OSError) as error:
            message = f"no Ray cluster answers at {address}: {error}"
            raise DeviceError(message) from None
        # a task that raises is not tried again: only a lost worker is
        self._task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=TRIES - 1)(work)

    def run(self, jobs: Sequence[Job], *, told: Told | None = None) -> Iterator[tuple[Job, list[str]]]:
        tasks = {self._task.remote(msgspec.json.encode(job)): job for job in jobs}
        try:
            while tasks:
                (done, *_), _ = self._ray.wait(list(tasks), num_returns=1)
                job = tasks.pop(done)
                try:
                    keys = self._ray.get(done)
                except self._ray.exceptions.RayTaskError as error:
                    message = f"pack {job.name}: {error.cause}"
                    raise DeviceError(message) from None
                except self._ray.exceptions.RayError as error:
                    message = f"pack {job.name} was lost {TRIES} times: {str(error).partition(chr(10))[0]}"
                    raise DeviceError(message) from None
                yield job, keys
        finally:
            for task in tasks:
                self._ray.cancel(task, force=True)

    def close(self) -> None:
        if self._mine:
            self._ray.shutdown()


def work(body: bytes) -> list[str]:
    """Run a job that came as JSON, in a worker of the cluster; the place is kept from one pack to the next."""
    job = msgspec.json.decode(body, type=Job)
    return run_job(job, _place(metered=job.metered))


@ft.cache
def _place(*, metered: bool) -> Place:
    return Place.here(metered=metered)
