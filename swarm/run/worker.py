"""A worker process: jobs that send streams, in places, for a parent that it does not outlive."""

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

EVENT_SECONDS = 0.1


Kind = Literal["free", "tallies", "result", "crash"]


@dataclass(frozen=True)
class Job:
    """One call of a function, by its name ``module:function``; ``number`` names its result."""

    number: int
    function: str
    task: Any
    needs_slot: bool


class _Worker:
    def __init__(self, pipe: Connection, brief: WorkerConfig) -> None:
        self._pipe = pipe
        self._send_mutex = threading.Lock()
        self._changes: SimpleQueue[int] = SimpleQueue()
        self._context = WorkerContext(brief, self._changes.put, self._tell_tallies)

    def serve(self) -> None:
        """Take jobs until the parent is done, or gone."""
        threading.Thread(target=self._report, daemon=True).start()
        threading.Thread(target=self._tell_free, daemon=True).start()
        while True:
            try:
                message = self._pipe.recv()
            except (EOFError, OSError):
                # The parent is gone: nothing may be sent any more, by any thread.
                os._exit(1)
            if message is None:
                os._exit(0)
            if message == "stop":
                self._context.stopping.set()
            else:
                self._start(message)

    def _start(self, job: Job) -> None:
        """Begin a job: one that only works gets a thread, so that the others need not wait."""
        if job.needs_slot:
            self._context.slots.expect()
            self._context.scheduler.spawn(self._run, job)
        else:
            THREADS.spawn(self._run, job)

    def _run(self, job: Job) -> None:
        try:
            self._call(job)
        finally:
            if job.needs_slot:
                self._context.slots.done()

    def _call(self, job: Job) -> None:
        try:
            module, _, name = job.function.partition(":")
            result = getattr(import_module(module), name)(job.task, self._context)
            self._tell("result", (job.number, result))
        except BaseException as error:
            own = error if isinstance(error, SwarmError) else None
            if has_too_many(error):
                own = StateError(way_out())
            line = traceback.format_exception_only(error)[-1].strip()
            self._tell("crash", (job.number, own, line, traceback.format_exc()))

    def _tell_free(self) -> None:
        """Tell the parent of places, for who must not wait until it hears: it may be talking."""
        while True:
            self._tell("free", self._changes.get())

    def _tell_tallies(self, tallies: dict[str, Tally]) -> None:
        self._tell("tallies", tallies)

    def _report(self) -> None:
        """Tell the parent the newest facts, ten times a second at most; watch the locks as often.

        The parent watches its own as well, but may be stopped, or wait for a terminal.
        """
        told: dict[str, Tally] = {}
        while True:
            time.sleep(EVENT_SECONDS)
            self._context.watch_locks()
            facts = {}
            for stream, tally in list(self._context.tallies.items()):
                if told.get(stream) != tally:
                    facts[stream] = told[stream] = tally.copy()
            if facts:
                self._tell_tallies(facts)

    def _tell(self, kind: Kind, content: Any) -> None:
        try:
            with self._send_mutex:
                self._pipe.send((kind, content))
        except OSError:
            os._exit(1)


def _end(bug: threading.ExceptHookArgs) -> None:
    """End the process, as one of its threads has: the parent is told, and nobody waits for ever."""
    threading.__excepthook__(bug)
    os._exit(1)


def main(pipe: Connection, brief: WorkerConfig) -> None:
    """Run a worker process."""
    # A terminal sends Ctrl-C to the whole group: the parent alone decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.excepthook = _end
    if brief.slots > 1:
        # From the parent's number on: runs at the same time are not to meet on the first core.
        keep_to_one_core(os.getppid() + brief.number)
    _Worker(pipe, brief).serve()


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
