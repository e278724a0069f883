"""Where trials run: this process, processes of this machine, or a Ray cluster."""

from __future__ import annotations

from hplaw_experiments.launch.abstract import AbstractLauncher
from hplaw_experiments.launch.here import Here
from hplaw_experiments.launch.job import Job, Place, run_job
from hplaw_experiments.launch.local import Local, Pin, pins
from hplaw_experiments.launch.ray import Ray


__all__ = ["AbstractLauncher", "Here", "Job", "Local", "Pin", "Place", "Ray", "pins", "run_job"]
