"""Settings -> a pool of the right size, the board that its workers share, and their tasks."""

import logging
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from swarm.collector.transport.base import Engine
from swarm.config.settings import Settings
from swarm.delivery.task import number_credentials
from swarm.run.pool import Crew, Pool
from swarm.run.shared import SharedState
from swarm.run.slots import DESCRIPTORS_A_STREAM, MOST_WAITING, streams_in

_SPARE_DESCRIPTORS = 256


@contextmanager
def open_pool(
    settings: Settings, engine: Engine = "requests"
) -> Iterator[tuple[Pool, SharedState]]:
    """Open a run's pool and board; no worker is left when the block ends.

    A pool that sends nothing is best off with the default: nothing is loaded for it.
    """
    upload = settings.upload
    processes = _processes(settings)
    _raise_descriptor_limit(upload.connections)
    board = SharedState.create(len(number_credentials(settings.meters)))
    crew = Crew(
        processes=processes,
        places=_slots(upload.connections, processes),
        engine=engine,
        rate_limit=upload.rate_limit,
        retry_for=upload.retry_for,
    )
    try:
        with Pool(crew, board) as pool:
            yield pool, board
    finally:
        board.close()


def _processes(settings: Settings) -> int:
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    wanted = settings.upload.processes or cores
    return max(min(wanted, len(settings.meters), settings.upload.connections), 1)


def _slots(connections: int, processes: int) -> int:
    """Return how many streams may send at a time: fewer where the system allows few open files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(streams_in(soft), 1) * processes
    if connections > most:
        logging.getLogger("swarm").warning(
            "warning: connections: %d are more than the limit of %d open files a process allows: "
            "cut to %d; raise it with ulimit -n",
            *(connections, soft, most),
        )
    return min(connections, most)


def _raise_descriptor_limit(connections: int) -> None:
    """Allow this process, and the workers that inherit it, the descriptors that it will want."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_A_STREAM * (connections + MOST_WAITING) + _SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
