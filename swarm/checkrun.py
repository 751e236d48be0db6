"""The check of all meters on all cores, in the parent."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from swarm.checking import CheckTask
from swarm.errors import SwarmError
from swarm.events import Tally
from swarm.meterfile import Survey, Window
from swarm.observer import Observer
from swarm.pool import Lost, Pool
from swarm.settings import Settings
from swarm.stopping import Stop, stoppable
from swarm.workforce import workforce


class LookFailedError(SwarmError):
    """A worker failed while it looked at a meter: a bug."""


class LookLostError(SwarmError):
    """Workers were killed while they looked at a meter."""

    exit_code = 5


class LookStopped(Exception):  # noqa: N818 - a word to stop, not an error
    """The parent was told to stop while its workers looked at meters."""


def check(
    settings: Settings, observer: Observer, *, with_quality: bool = False
) -> tuple[list[Survey], int | None]:
    """Check every meter's files on all cores; no network, no state.

    Returns the surveys, and the signal that ended the check early, if one did.
    """
    with stoppable() as stop, workforce(settings) as (pool, _):
        surveys = check_all(settings, pool, observer, stop, with_quality=with_quality)
        return surveys, stop.signal


def check_all(
    settings: Settings, pool: Pool, observer: Observer, stop: Stop, *, with_quality: bool = False
) -> list[Survey]:
    """Check the meters in a pool; a word to stop leaves the rest unchecked, with no rows.

    That word ends the pool: a check has nothing to save.
    """
    window = Window(settings.upload.since, settings.upload.until)
    tasks = [CheckTask(meter, window, with_quality) for meter in settings.meters]
    surveys = {meter.id: Survey(meter.id) for meter in settings.meters}
    observer.checking(len(tasks))
    try:
        for survey in results(pool, "swarm.checking:check", tasks, stop):
            surveys[survey.meter] = survey
            observer.checked(survey)
    except LookStopped:
        observer.stopping(stop.why or "")
        pool.kill()
    return list(surveys.values())


def results(
    pool: Pool, function: str, tasks: Sequence[Any], stop: Stop, *, need_places: bool = False
) -> Iterator[Any]:
    """Yield the results of jobs that only look, each of a task with a ``meter``, as they come.

    A job whose worker was killed is given to another, once. Raises `LookStopped` at a word to
    stop, and what went wrong in a worker.
    """
    killed: list[Any] = []
    for task, result in _attempted(pool, function, tasks, stop, need_places=need_places):
        if isinstance(result, Lost):
            killed.append(task)
        else:
            yield result
    for task, result in _attempted(pool, function, killed, stop, need_places=need_places):
        if isinstance(result, Lost):
            raise LookLostError(f"{task.meter.id}: not checked: {result.message}")
        yield result


def _attempted(
    pool: Pool, function: str, tasks: Sequence[Any], stop: Stop, *, need_places: bool
) -> Iterator[tuple[Any, Any]]:
    """Yield tasks with their results, a `Lost` where the worker was killed."""

    def tick(_: Mapping[str, Tally]) -> None:
        if stop.is_due():
            raise LookStopped

    for number, result in pool.run(function, tasks, tick, need_places=need_places):
        task = tasks[number]
        if isinstance(result, Lost) and result.traceback:
            message = f"{task.meter.id}: not checked: {result.message}"
            raise result.error or LookFailedError(message)
        yield task, result
