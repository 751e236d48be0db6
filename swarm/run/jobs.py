"""Read-only jobs of a pool, each tried once more where its worker was lost."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from swarm.delivery.result import Tally
from swarm.errors import SwarmError
from swarm.run.observer import Observer
from swarm.run.pool import LostJob, Pool
from swarm.run.stop import Stop

_LOG = logging.getLogger(__name__)
_Tick = Callable[[Mapping[str, Tally]], None]


class JobFailedError(SwarmError):
    """A worker failed while it looked at a meter: a bug."""


class WorkerLostError(SwarmError):
    """Workers were killed while they looked at a meter."""

    exit_code = 5


class _JobsStopped(Exception):  # noqa: N818 - a word to stop, not an error
    """The parent was told to stop while its workers looked at meters."""


def run_read_only(  # noqa: PLR0913 - a pool's job, and who hears of it
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
            raise _JobsStopped

    try:
        yield from _with_retry(pool, function, tasks, tick, need_places=need_places)
    except _JobsStopped:
        # Not the observer's words for a run that sends: there are no packets to wait for.
        _LOG.warning("stopping: %s; nothing was sent", stop.why)
        pool.kill()


def _with_retry(
    pool: Pool, function: str, tasks: Sequence[Any], tick: _Tick, *, need_places: bool
) -> Iterator[Any]:
    """Yield results; a job whose worker was killed is given to another, once."""
    killed: list[Any] = []
    for task, result in _attempt(pool, function, tasks, tick, need_places=need_places):
        if isinstance(result, LostJob):
            killed.append(task)
        else:
            yield result
    for task, result in _attempt(pool, function, killed, tick, need_places=need_places):
        if isinstance(result, LostJob):
            raise WorkerLostError(f"{task.meter.id}: not checked: {result.message}")
        yield result


def _attempt(
    pool: Pool, function: str, tasks: Sequence[Any], tick: _Tick, *, need_places: bool
) -> Iterator[tuple[Any, Any]]:
    """Yield tasks with their results, a `Lost` where the worker was killed."""
    for number, result in pool.run(function, tasks, tick, need_places=need_places):
        task = tasks[number]
        if isinstance(result, LostJob) and result.traceback:
            message = f"{task.meter.id}: not checked: {result.message}"
            raise result.error or JobFailedError(message)
        yield task, result
