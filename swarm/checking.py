"""Checking a meter's files in a worker: the first job of every run."""

from dataclasses import dataclass

from swarm.meterfile import Survey, Window, survey
from swarm.settings import Meter


@dataclass(frozen=True)
class CheckTask:
    """One meter to check; ``with_quality`` also looks at how regular its rows are."""

    meter: Meter
    window: Window
    with_quality: bool = False


def check(task: CheckTask, _context: object) -> Survey:
    """Check one meter's files."""
    return survey(task.meter, task.window, with_quality=task.with_quality)
