"""Inspection of processes on Linux: the children of a process, and which processes are alive."""

import os
import time
from collections.abc import Callable
from pathlib import Path


def children(pid: int) -> list[int]:
    """Return the PIDs of the workers of a process: forked ones have its command line."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    ours = command(pid)
    return [child for child in map(int, text.split()) if command(child) == ours]


def command(pid: int) -> bytes:
    """Return a process's command line, empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def alive(pid: int) -> bool:
    """Return True if a process is running (a zombie is not)."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until a condition is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never held"
        time.sleep(0.005)


def group_is_gone(number: int, seconds: float = 3) -> None:
    """Wait until no process of a group is left."""

    def is_gone() -> bool:
        try:
            os.killpg(number, 0)
        except ProcessLookupError:
            return True
        return False

    until(is_gone, seconds)
