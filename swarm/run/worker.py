"""A worker process: it runs jobs for the parent, and ends when the parent does."""

import gc
import os
import signal
import threading
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, Literal

from swarm.delivery.result import Tally
from swarm.errors import StateError, SwarmError
from swarm.open_files import has_too_many, way_out
from swarm.run.context import WorkerConfig, WorkerContext
from swarm.scheduler import THREADS

#: The time (s) between two reports of changed tallies.
REPORT_SECONDS = 0.1
#: Container objects between two searches for reference cycles. Rows form none; the default would
#: spend a twelfth of a packet's CPU time on searching them.
_GC_THRESHOLD = 20_000

Kind = Literal["free", "tallies", "result", "crash"]


@dataclass(frozen=True)
class Job:
    """One call of a function, by its name ``module:function``; ``number`` is that of its task."""

    number: int
    function: str
    task: Any
    needs_slot: bool


class _Worker:
    def __init__(self, pipe: Connection, config: WorkerConfig) -> None:
        self._pipe = pipe
        self._send_mutex = threading.Lock()
        self._free_changes: SimpleQueue[int] = SimpleQueue()
        self._context = WorkerContext(config, self._free_changes.put, self._report_tallies)

    def serve(self) -> None:
        """Take jobs until the parent says that there are no more, or has ended."""
        threading.Thread(target=self._report_periodically, daemon=True).start()
        threading.Thread(target=self._report_free, daemon=True).start()
        while True:
            try:
                message = self._pipe.recv()
            except (EOFError, OSError):
                # The parent has ended: no thread may send anything more.
                os._exit(1)
            if message is None:
                os._exit(0)
            if message == "stop":
                self._context.stopping.set()
            elif isinstance(message, int):
                self._context.slots.resize(message)
            elif message.needs_slot:
                self._context.slots.expect()
                self._context.scheduler.spawn(self._run, message)
            else:
                # A job that computes gets a thread, so that streams need not wait for it.
                THREADS.spawn(self._run, message)

    def _run(self, job: Job) -> None:
        try:
            module, _, name = job.function.partition(":")
            result = getattr(import_module(module), name)(job.task, self._context)
            self._send("result", (job.number, result))
        except BaseException as error:
            own = error if isinstance(error, SwarmError) else None
            if has_too_many(error):
                own = StateError(way_out())
            line = traceback.format_exception_only(error)[-1].strip()
            self._send("crash", (job.number, own, line, traceback.format_exc()))
        finally:
            if job.needs_slot:
                self._context.slots.done()

    def _report_free(self) -> None:
        """Report changes in the number of free slots, for threads that must not wait for the pipe.

        The parent may itself be writing to the pipe, and read only after that.
        """
        while True:
            self._send("free", self._free_changes.get())

    def _report_tallies(self, tallies: dict[str, Tally]) -> None:
        self._send("tallies", tallies)

    def _report_periodically(self) -> None:
        """Report the tallies that have changed, ten times a second, and check the locks as often.

        The parent checks its own locks as well, but may be stopped, or wait for a terminal.
        """
        reported: dict[str, Tally] = {}
        while True:
            time.sleep(REPORT_SECONDS)
            self._context.watch_locks()
            changed = {}
            for stream, tally in list(self._context.tallies.items()):
                if reported.get(stream) != tally:
                    changed[stream] = reported[stream] = tally.copy()
            if changed:
                self._report_tallies(changed)

    def _send(self, kind: Kind, content: Any) -> None:
        try:
            with self._send_mutex:
                self._pipe.send((kind, content))
        except OSError:
            os._exit(1)


def _end_process(bug: threading.ExceptHookArgs) -> None:
    """End the process if one of its threads failed, so that the parent does not wait for it."""
    threading.__excepthook__(bug)
    os._exit(1)


def main(pipe: Connection, config: WorkerConfig) -> None:
    """Run a worker process."""
    # A terminal sends Ctrl-C to the whole process group: only the parent acts on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.excepthook = _end_process
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)
    if config.is_pinned:
        # Offset by the parent's PID, so that concurrent runs do not pin to the same cores.
        keep_to_one_core(os.getppid() + config.number)
    _Worker(pipe, config).serve()


def keep_to_one_core(number: int) -> None:
    """Pin this thread, and those that it starts, to one core; ``number`` chooses it.

    Otherwise the threads of a worker move between cores and find their caches cold, and spend more
    time on waking one another for the interpreter lock than on packets (docs/performance.md). If
    the system does not offer it, nothing happens.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    with suppress(OSError):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})
