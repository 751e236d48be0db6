"""Opens a pool of the right size for the settings of a run."""

import logging
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import Protocol

from swarm.collector.transport.base import Engine
from swarm.config.options import Upload
from swarm.config.parsers import AUTO
from swarm.config.settings import Settings
from swarm.config.timetable import rate_now
from swarm.delivery.task import number_credentials
from swarm.errors import StateError
from swarm.open_files import can_open, way_out
from swarm.run.concurrency import MOST, first_number
from swarm.run.pool import Pool
from swarm.run.processes import Processes
from swarm.run.shared import SharedState
from swarm.run.slots import DESCRIPTORS_A_STREAM, MOST_WAITING, streams_in

_SPARE_DESCRIPTORS = 256
#: A worker process that sends one stream needs this many more than this process has open.
_FEWEST_DESCRIPTORS = 12


class OpenPool(Protocol):
    """A function that opens the pool of a run."""

    def __call__(
        self, settings: Settings, engine: Engine, notify: Callable[[str], None], *, sends: bool
    ) -> AbstractContextManager[tuple[Pool, SharedState]]:
        """Open a run's pool and its shared state; ``notify`` gets notices about the workers.

        ``engine`` is the HTTP engine of the workers. Without ``sends`` no packet is sent.
        """


@contextmanager
def open_pool(
    settings: Settings,
    engine: Engine = "requests",
    notify: Callable[[str], None] | None = None,
    *,
    sends: bool = False,
) -> Iterator[tuple[Pool, SharedState]]:
    """Open a pool of processes of this computer; none is left when the block ends.

    The default ``engine`` loads nothing if nothing is sent. Otherwise as `OpenPool`.
    """
    upload = settings.upload
    processes = min(processes_for(settings), _most_connections(upload))
    slots, most = slots_for(upload, processes)
    if not can_open(_FEWEST_DESCRIPTORS):
        raise StateError(way_out())
    shared = SharedState.create(len(number_credentials(settings.meters)))
    shared.set_rate_limit(rate_now(upload.rate_limit))
    try:
        with_engine = replace(upload, transport=engine)
        provider = Processes(shared, with_engine, processes, is_pinned=most > processes)
        with Pool(shared, provider, slots, most) as pool:
            yield pool, shared
    finally:
        shared.close()


def processes_for(settings: Settings) -> int:
    """Return the number of worker processes on this computer: cores, at most one a meter."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return max(min(settings.upload.processes or cores, len(settings.meters)), 1)


def slots_for(upload: Upload, processes: int) -> tuple[int, int]:
    """Return the connection slots of a run at first, and the most that there may be.

    ``processes`` have their files open; the limit of open files is raised for them.
    """
    connections, is_auto = _most_connections(upload), upload.connections == AUTO
    raise_descriptor_limit(connections)
    most = _limited(connections, processes, is_auto=is_auto)
    return min(first_number(rate_now(upload.rate_limit)), most) if is_auto else most, most


def _most_connections(upload: Upload) -> int:
    return MOST if upload.connections == AUTO else upload.connections


def _limited(connections: int, processes: int, *, is_auto: bool) -> int:
    """Return the most connection slots: fewer if the system allows few open files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(streams_in(soft), 1) * processes
    if connections > most and not is_auto:
        logging.getLogger("swarm").warning(
            "warning: connections: %d are more than the limit of %d open files per process allows: "
            "reduced to %d; raise the limit with ulimit -n",
            *(connections, soft, most),
        )
    return min(connections, most)


def raise_descriptor_limit(connections: int = MOST) -> None:
    """Raise the limit of open files for this process and its workers, which inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS_A_STREAM * (connections + MOST_WAITING) + _SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
