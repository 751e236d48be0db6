"""Threads that send keep to one core."""

import os
from contextlib import suppress


def keep_to_one_core(number: int) -> None:
    """Keep this thread, and those that it starts, to one of the cores; ``number`` picks it.

    To send a packet a thread takes the interpreter lock a dozen times, for microseconds each. On
    many cores the threads of a process spend more time on waking one another than on the packets;
    on one core the lock is nearly always free (figures in docs/performance.md). Where the system
    does not offer it, nothing happens.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    with suppress(OSError):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})
