"""Worker processes on this computer, for a pool."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING

from swarm.config.options import Upload
from swarm.run.context import WorkerConfig
from swarm.run.pool import Ended, Link
from swarm.run.shared import SharedState
from swarm.run.worker import main

if TYPE_CHECKING:
    from multiprocessing.context import ForkContext, SpawnContext


class Processes:
    """Starts at most ``most`` worker processes at a time, each for jobs that there are.

    With ``is_pinned``, each stays on one core.
    """

    is_local = True
    failure = None

    def __init__(self, shared: SharedState, upload: Upload, most: int, *, is_pinned: bool) -> None:
        self.most = most
        self._shared = shared
        self._upload = upload
        self._is_pinned = is_pinned
        self._links: list[ProcessLink] = []
        self._started = 0

    def use(self, _moved: int) -> None:
        """Return None: there is no cluster."""

    def provide(self, wanted: int, present: int, slots: int) -> Iterator[Link]:
        """Start processes until there are as many as ``wanted``, or the most."""
        for index in range(present, min(self.most, wanted)):
            yield self._start(slots // self.most + (index < slots % self.most))

    def _start(self, slots: int) -> "ProcessLink":
        context = _context()
        is_forked = context.get_start_method() == "fork"
        ours, theirs = context.Pipe()
        config = WorkerConfig(self._shared, slots, self._upload, self._started, self._is_pinned)
        self._started += 1
        self._links = [link for link in self._links if not link.pipe.closed]
        # A forked process must close the parent's ends: a worker ends when no process has its own.
        inherited = [ours, *(link.pipe for link in self._links)] if is_forked else []
        process = context.Process(target=main, args=(theirs, config, inherited), daemon=True)
        if not is_forked:
            from multiprocessing import resource_tracker

            # Its start unblocks the signals: start it before they are blocked.
            resource_tracker.ensure_running()
        with _signals_blocked(), _existing_folder():
            process.start()
        theirs.close()
        self._links.append(ProcessLink(process, ours, slots))
        return self._links[-1]


class ProcessLink(Link):
    """The parent's side of a worker process."""

    def __init__(self, process: BaseProcess, pipe: Connection, slots: int) -> None:
        self.slots = slots
        self.pipe = pipe
        self.sentinel = process.sentinel
        self._process = process

    def join(self, seconds: float) -> None:
        """Wait (s) for the end of the process."""
        self._process.join(seconds)

    def kill(self) -> None:
        """Kill the process; what it sent is in its checkpoints, or can be settled."""
        self._process.kill()
        self._process.join()
        self._close()

    def ended(self) -> Ended:
        """Return how the process has ended."""
        self._process.join()
        code = self._process.exitcode or 0
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        self._close()
        return Ended(f"its worker process was {how}", moves=False)

    def _close(self) -> None:
        self.pipe.close()
        self._process.close()


def _context() -> "ForkContext | SpawnContext":
    """Return the way to start a worker process.

    A forked process has all modules from the start. But it is safe only if this process has no
    other thread, which might hold a lock, and if the system's libraries allow it: not on macOS.
    """
    if sys.platform == "linux" and threading.active_count() == 1:
        return multiprocessing.get_context("fork")
    return multiprocessing.get_context("spawn")


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Block Ctrl-C for a worker, which inherits the mask, until it ignores the signals itself."""
    signals = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _existing_folder() -> Iterator[None]:
    """Change to a folder that exists: multiprocessing fails if the current one was removed."""
    try:
        Path.cwd()
    except FileNotFoundError:
        here = os.open(".", os.O_RDONLY)
        os.chdir("/")
        try:
            yield
        finally:
            os.chdir(here)
            os.close(here)
    else:
        yield
