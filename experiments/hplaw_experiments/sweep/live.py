"""A sweep while it runs: how much is done, where each trial is, and the time left."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hplaw_experiments.launch.job import Job
from hplaw_experiments.sweep.time_left import TimeLeft, Work, work_of
from hplaw_experiments.trial import Seen, Trial, key


class Live:
    """How far a sweep is, kept up to date by whoever runs it.

    - `name`: of the sweep.
    - `trials`: those asked for so far, by their keys; later rounds of a walker add more.
    - `losses`: by key, of those stored, None where one diverged.
    - `seen`: by key, what was last seen of a trial that trains, in this process.
    - `stored`: keys stored since the start, whose losses are not read yet.

    **Arguments:**

    - `report`: called after each change.
    - `clock`: seconds, of any origin.
    """

    def __init__(self, name: str, report: Callable[[Live], object], clock: Callable[[], float]) -> None:
        self.name, self._report, self._clock = name, report, clock
        self.trials: dict[str, Trial] = {}
        self.losses: dict[str, float | None] = {}
        self.seen: dict[str, Seen] = {}
        self.stored: set[str] = set()
        self._work: dict[str, float] = {}
        self._later = 0.0
        self._part = 0.0
        self._jobs: dict[str, Work] = {}
        self._time: TimeLeft | None = None

    @property
    def done(self) -> int:
        """Return how many trials are stored."""
        return sum(name in self.losses or name in self.stored for name in self.trials)

    @property
    def share(self) -> float:
        """Return the share of the compute that is done, that of later rounds counted."""
        spent = sum(work for name, work in self._work.items() if name in self.losses or name in self.stored)
        return min(1.0, (spent + self._part) / max(sum(self._work.values()) + self._later, 1.0))

    def left(self) -> float | None:
        """Return the seconds left, None while that is not worth saying."""
        return None if self._time is None else self._time.left(self._clock())

    def begins(
        self,
        trials: Sequence[Trial],
        losses: dict[str, float | None],
        jobs: Sequence[Job],
        later: Sequence[Sequence[Trial]] = (),
    ) -> None:
        """Begin a round: the trials asked for so far, the losses known, the jobs of the round, and packs of later ones."""
        from hplaw_experiments.training.train import flop

        self.trials = {key(trial): trial for trial in trials}
        self._work = {name: flop(trial) for name, trial in self.trials.items()}
        self.losses, self.stored, self.seen, self._part = dict(losses), set(), {}, 0.0
        self._later = sum(flop(trial) for pack in later for trial in pack)
        self._jobs = {job.name: work_of(job.trials) for job in jobs}
        packs = self._jobs | {f"later {number}": work_of(pack) for number, pack in enumerate(later)}
        if self._time is None:
            self._time = TimeLeft(packs, self._clock())
        else:
            self._time.put(packs)
        self._report(self)

    def told(self, job: Job, share: float, seen: Sequence[Seen]) -> None:
        """Note the share of a job that is done, and the trials that got on."""
        for one in seen:
            self.seen[key(one.trial)] = one
        self._part = share * self._jobs[job.name].flop
        if self._time is not None:
            self._time.told(job.name, share, self._clock())
        self._report(self)

    def ended(self, job: Job) -> None:
        """Note that a job is stored."""
        names = [key(trial) for trial in job.trials]
        self.stored.update(names)
        self._part = 0.0
        if self._time is not None:
            self._time.ended(job.name, self._clock())
        self._report(self)
