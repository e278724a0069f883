"""Jobs in processes of this machine, each pinned to a device of its own, or to some of the cores."""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from hplaw.errors import DeviceError
from hplaw_experiments.launch.abstract import TRIES, AbstractLauncher, Told
from hplaw_experiments.launch.job import Job, Reply


WORKER = (sys.executable, "-m", "hplaw_experiments.launch.worker")


class Pin(msgspec.Struct, frozen=True):
    """Where a worker computes: a GPU by its index or UUID, or cores of the processor."""

    gpu: str | None = None
    cores: tuple[int, ...] = ()

    def environment(self) -> dict[str, str]:
        """Return what is added to a worker's environment."""
        if self.gpu is not None:
            return {"CUDA_VISIBLE_DEVICES": self.gpu}
        return {"JAX_PLATFORMS": "cpu", "OMP_NUM_THREADS": str(max(1, len(self.cores)))}


def pins(workers: int, *, gpus: Sequence[str] = ()) -> list[Pin]:
    """Return where so many workers compute: a GPU each, or an even share of the cores.

    **Raises:** `DeviceError` for more workers than GPUs.
    """
    if gpus:
        if workers > len(gpus):
            message = f"{workers} workers for {len(gpus)} GPUs; give at most one a GPU, packs fill it"
            raise DeviceError(message)
        return [Pin(gpu=gpu) for gpu in gpus[:workers]]
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return [Pin(cores=tuple(cores[number::workers])) for number in range(workers)]


class Local(AbstractLauncher):
    """Runs jobs in worker processes, and again in a new one where a worker dies.

    **Arguments:**

    - `pins`: one worker for each.
    - `environment`: of the workers beside what the pins say; that of this process by default.
    """

    def __init__(self, pins: Sequence[Pin], *, environment: Mapping[str, str] | None = None) -> None:
        self._pins = tuple(pins)
        self._environment = dict(os.environ if environment is None else environment)
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._closed = False

    @property
    def pids(self) -> list[int]:
        """Return the process ids of the workers that were started."""
        return [worker.pid for worker in self._workers.values()]

    def run(self, jobs: Sequence[Job], *, told: Told | None = None) -> Iterator[tuple[Job, list[str]]]:
        waiting: queue.SimpleQueue[tuple[Job, int] | None] = queue.SimpleQueue()
        ended: queue.SimpleQueue[tuple[Job, Reply]] = queue.SimpleQueue()
        for job in jobs:
            waiting.put((job, 1))
        threads = [
            threading.Thread(target=self._serve, args=(number, waiting, ended), daemon=True)
            for number in range(min(len(self._pins), len(jobs)))
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in jobs:
                job, reply = ended.get()
                if reply.error:
                    raise DeviceError(reply.error)
                yield job, reply.keys
        finally:
            # whoever still waits finds that it is over; whoever trains ends with its worker
            for _ in threads:
                waiting.put(None)

    def close(self) -> None:
        self._closed = True
        for worker in list(self._workers.values()):  # a thread may be starting one
            _end(worker)
        self._workers.clear()

    def _serve(
        self,
        number: int,
        waiting: queue.SimpleQueue[tuple[Job, int] | None],
        ended: queue.SimpleQueue[tuple[Job, Reply]],
    ) -> None:
        while (item := waiting.get()) is not None and not self._closed:
            job, tries = item
            try:
                reply = self._ask(number, job)
            except Exception as error:  # the thread's failure is the sweep's
                reply = Reply(error=f"{type(error).__name__}: {error}")
            if reply is not None:
                ended.put((job, reply))
            elif tries < TRIES and not self._closed:
                waiting.put((job, tries + 1))
            else:
                text = f"a worker died {tries} times of the pack {job.name} of {len(job.trials)} trials; give smaller models, or fewer workers"
                ended.put((job, Reply(error=text)))

    def _ask(self, number: int, job: Job) -> Reply | None:
        """Return a worker's reply, or None where it died."""
        worker = self._workers.get(number)
        if worker is None or worker.poll() is not None:
            if worker is not None:
                _end(worker)
            worker = self._workers[number] = self._start(self._pins[number])
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            worker.stdin.write(msgspec.json.encode(job) + b"\n")
            worker.stdin.flush()
            line = worker.stdout.readline()
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            _end(worker)
            return None
        return msgspec.json.decode(line, type=Reply)

    def _start(self, pin: Pin) -> subprocess.Popen[bytes]:
        worker = subprocess.Popen(
            WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._environment | pin.environment()
        )
        if pin.cores and hasattr(os, "sched_setaffinity"):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(worker.pid, pin.cores)
        return worker


def _end(worker: subprocess.Popen[bytes]) -> None:
    """End a worker, which writes nothing that is not whole, and close its pipes."""
    worker.kill()
    worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def visible_gpus() -> list[str]:
    """Return the GPUs of this machine that NVML shows and `CUDA_VISIBLE_DEVICES` allows; none without a driver."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
        return [str(number) for number in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []
