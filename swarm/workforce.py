"""Settings -> a pool of the right size, and the board that its workers share."""

import os
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from swarm.board import Board
from swarm.pool import Crew, Pool
from swarm.settings import Credentials, Meter, Settings
from swarm.transport import Access, available

_SPARE_DESCRIPTORS = 256
#: A stream in flight has a socket, a ledger, and its CSV.
_DESCRIPTORS_A_STREAM = 3


@contextmanager
def workforce(settings: Settings) -> Iterator[tuple[Pool, Board]]:
    """Open a run's pool and board; no worker is left when the block ends."""
    upload = settings.upload
    _raise_descriptor_limit(upload.connections)
    board = Board.create(len(credential_numbers(settings.meters)))
    crew = Crew(
        processes=_processes(settings),
        places=upload.connections,
        engine=available(upload.transport),
        rate_limit=upload.rate_limit,
        retry_for=upload.retry_for,
    )
    try:
        with Pool(crew, board) as pool:
            yield pool, board
    finally:
        board.close()


def credential_numbers(meters: Sequence[Meter]) -> dict[str, int]:
    """Return each credential set's number on the board."""
    names = dict.fromkeys(credential_name(meter) for meter in meters)
    return {name: number for number, name in enumerate(names)}


def credential_name(meter: Meter) -> str:
    """Return the name of a meter's credential set, empty for the default."""
    return meter.credentials.name if meter.credentials else ""


def access(settings: Settings, meter: Meter) -> Access:
    """Return how a meter's stream reaches the collector, and by whom."""
    credentials = meter.credentials or Credentials("", "", "")
    return Access(
        username=credentials.username,
        password=credentials.password,
        timeout=settings.upload.timeout,
        ca_bundle=settings.ca_bundle,
        proxy=settings.proxy,
    )


def _processes(settings: Settings) -> int:
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    wanted = settings.upload.processes or cores
    return max(min(wanted, len(settings.meters), settings.upload.connections), 1)


def _raise_descriptor_limit(connections: int) -> None:
    """Allow this process, and the workers that inherit it, the descriptors that it will want."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS_A_STREAM * connections + _SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
