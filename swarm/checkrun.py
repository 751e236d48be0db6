"""The check of all meters on all cores, in the parent."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from swarm.checking import CheckTask
from swarm.errors import SwarmError
from swarm.events import Tally
from swarm.meterfile import Survey, Window
from swarm.observer import Observer
from swarm.pool import Lost, Pool
from swarm.settings import Meter, Settings
from swarm.state import ledger_path
from swarm.stopping import Stop, stoppable
from swarm.workforce import workforce

_LOG = logging.getLogger(__name__)
_Tick = Callable[[Mapping[str, Tally]], None]


class LookFailedError(SwarmError):
    """A worker failed while it looked at a meter: a bug."""


class LookLostError(SwarmError):
    """Workers were killed while they looked at a meter."""

    exit_code = 5


class _LookStopped(Exception):  # noqa: N818 - a word to stop, not an error
    """The parent was told to stop while its workers looked at meters."""


def check(
    settings: Settings, observer: Observer, *, with_quality: bool = False
) -> tuple[list[Survey], int | None]:
    """Check every meter's files on all cores; no network, no state.

    Returns the surveys, and the signal that ended the check early, if one did.
    """
    with stoppable() as stop, workforce(settings) as (pool, _):
        surveys = check_all(checks_of(settings, with_quality=with_quality), pool, observer, stop)
        return surveys, stop.signal


def checks_of(
    settings: Settings, *, with_quality: bool = False, resumes: bool = False
) -> list[CheckTask]:
    """Return what there is to check; ``resumes`` lets rows that were sent keep their reading."""
    window = Window(settings.upload.since, settings.upload.until)
    return [
        CheckTask(meter, window, with_quality, _ledger(settings, meter) if resumes else None)
        for meter in settings.meters
    ]


def _ledger(settings: Settings, meter: Meter) -> Path:
    return ledger_path(settings.state, settings.collector, meter.id)


def check_all(
    tasks: Sequence[CheckTask], pool: Pool, observer: Observer, stop: Stop
) -> list[Survey]:
    """Check the meters in a pool; a word to stop leaves the rest unchecked, with no rows."""
    surveys = {task.meter.id: Survey(task.meter.id) for task in tasks}
    observer.checking(len(tasks))
    for survey in results(pool, "swarm.checking:check", tasks, observer, stop):
        surveys[survey.meter] = survey
        observer.checked(survey)
    return list(surveys.values())


def results(  # noqa: PLR0913 - a pool's job, and who hears of it
    pool: Pool,
    function: str,
    tasks: Sequence[Any],
    observer: Observer,
    stop: Stop,
    *,
    need_places: bool = False,
) -> Iterator[Any]:
    """Yield the results of jobs that only look, each of a task with a ``meter``, as they come.

    A word to stop ends them, and the pool: who looks has nothing to save. Raises what went wrong
    in a worker.
    """

    def tick(tallies: Mapping[str, Tally]) -> None:
        observer.tallies(tallies)
        if stop.is_due():
            raise _LookStopped

    try:
        yield from _twice(pool, function, tasks, tick, need_places=need_places)
    except _LookStopped:
        # Not the observer's words for a run that sends: there are no packets to wait for.
        _LOG.warning("stopping: %s; nothing was sent", stop.why)
        pool.kill()


def _twice(
    pool: Pool, function: str, tasks: Sequence[Any], tick: _Tick, *, need_places: bool
) -> Iterator[Any]:
    """Yield results; a job whose worker was killed is given to another, once."""
    killed: list[Any] = []
    for task, result in _attempted(pool, function, tasks, tick, need_places=need_places):
        if isinstance(result, Lost):
            killed.append(task)
        else:
            yield result
    for task, result in _attempted(pool, function, killed, tick, need_places=need_places):
        if isinstance(result, Lost):
            raise LookLostError(f"{task.meter.id}: not checked: {result.message}")
        yield result


def _attempted(
    pool: Pool, function: str, tasks: Sequence[Any], tick: _Tick, *, need_places: bool
) -> Iterator[tuple[Any, Any]]:
    """Yield tasks with their results, a `Lost` where the worker was killed."""
    for number, result in pool.run(function, tasks, tick, need_places=need_places):
        task = tasks[number]
        if isinstance(result, Lost) and result.traceback:
            message = f"{task.meter.id}: not checked: {result.message}"
            raise result.error or LookFailedError(message)
        yield task, result
