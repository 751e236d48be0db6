"""A worker's threads keep to one core."""

import os
from contextlib import suppress


def keep_to_one_core(number: int) -> None:
    """Keep this thread, and those that it starts, to one of the cores; ``number`` picks it.

    Left to the system, a worker's thread moves between cores and finds their caches cold; many
    threads of one process spend more time on waking one another for the interpreter lock than on
    packets (figures in docs/performance.md). Where the system does not offer it, nothing happens.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    with suppress(OSError):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})
