"""Jobs of a pool that only read; each is tried once more if its worker process was killed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from swarm.delivery.result import Tally
from swarm.errors import ExitCode, SwarmError
from swarm.run.observer import Observer
from swarm.run.pool import FailedJob, Pool
from swarm.run.stop import Stop, warn_of_end


class JobFailedError(SwarmError):
    """A job raised an exception that is a bug."""


class WorkerLostError(SwarmError):
    """Two worker processes were killed during the same job."""

    exit_code = ExitCode.TEMPORARY


class _StoppedError(Exception):
    """The run was asked to stop."""


def run_read_only(  # noqa: PLR0913 - a pool's job, and who follows it
    pool: Pool,
    function: str,
    tasks: Sequence[Any],
    observer: Observer,
    stop: Stop,
    *,
    need_slots: bool = False,
    sizes: Sequence[int] | None = None,
) -> Iterator[Any]:
    """Yield the results of jobs that only read, each of a task with a ``meter``, as they come.

    ``sizes`` as in `Pool.run`. A request to stop ends the jobs and the pool: there is nothing to
    save. Raises what a job raised.
    """

    def tick(changed: Mapping[str, Tally]) -> None:
        observer.tallies(changed)
        if pool.failure:
            raise WorkerLostError(f"{pool.failure}; nothing was sent")
        if stop.is_due():
            raise _StoppedError

    waiting = list(tasks)
    try:
        for is_retry in (False, True):
            killed = []
            jobs = pool.run(function, waiting, tick, need_slots=need_slots, sizes=sizes)
            for number, result in jobs:
                if not isinstance(result, FailedJob):
                    yield result
                    continue
                message = f"{waiting[number].meter.id}: not finished: {result.message}"
                if result.traceback:
                    raise result.error or JobFailedError(message)
                if is_retry:
                    raise WorkerLostError(message)
                killed.append(waiting[number])
            waiting, sizes = killed, None
    except _StoppedError:
        warn_of_end(stop)
        pool.kill()
