"""A worker process: it runs jobs for the parent, and ends when the parent does."""

import gc
import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any, Literal, Protocol

from swarm.delivery.result import Tally
from swarm.errors import StateError, SwarmError
from swarm.open_files import has_too_many, way_out
from swarm.run.context import WorkerConfig, WorkerContext
from swarm.scheduler import THREADS

#: The time (s) between two reports of changed tallies.
REPORT_SECONDS = 0.1
#: Container objects between two searches for reference cycles. Rows form none; the default would
#: spend a twelfth of a packet's CPU time on searching them.
GC_THRESHOLD = 20_000
#: The time (s) in which the messages of a worker with streams are gathered.
_GATHER_SECONDS = 0.002

Kind = Literal["free", "tallies", "result", "crash"]
#: What a worker tells the parent: several are sent together.
Message = tuple[Kind, Any]


@dataclass(frozen=True)
class Job:
    """One call of a function, by its name ``module:function``; ``number`` is that of its task."""

    number: int
    function: str
    task: Any
    needs_slot: bool

    @property
    def stream(self) -> str:
        """The ID of the task's stream, empty if it has none."""
        stream: str = getattr(getattr(self.task, "meter", None), "id", "")
        return stream


class Pipe(Protocol):
    """The worker's end of the pipe to the parent; both methods raise `OSError` at its end."""

    def recv(self) -> Any:
        """Wait for a message and return it: jobs, "stop", a number of slots, None at the end."""

    def send(self, messages: list[Message], /) -> None:
        """Send messages."""


#: Returns the context of a worker's streams; the functions report free slots and tallies.
MakeContext = Callable[[Callable[[int], None], Callable[[dict[str, Tally]], None]], WorkerContext]


class Worker:
    """Runs jobs for the parent: streams side by side, and one after the other what only reads.

    ``end`` is called with 0 when the parent needs the worker no more, and with 1 when it is gone.
    ``streams`` is the number of those that have not ended.
    """

    def __init__(self, pipe: Pipe, make_context: MakeContext, end: Callable[[int], None]) -> None:
        self._pipe = pipe
        self._end = end
        self._has_ended = threading.Event()
        self._send_mutex = threading.Lock()
        self._outbox: deque[Message] = deque()
        self._is_due = threading.Event()
        self.streams = 0
        self._streams_mutex = threading.Lock()
        self._is_idle = threading.Event()
        self.context = make_context(self._report_free, self._report_tallies)

    def serve(self) -> None:
        """Take jobs until the parent says that there are no more, or has ended."""
        threading.Thread(target=self._report_periodically, daemon=True).start()
        threading.Thread(target=self._send_due, daemon=True).start()
        while True:
            try:
                message = self._pipe.recv()
            except (EOFError, OSError):
                # The parent has ended: no thread may send anything more.
                return self._finish(1)
            if message is None:
                return self._finish(0)
            if message == "stop":
                self.context.stopping.set()
            elif isinstance(message, int):
                self.context.slots.resize(message)
            elif message[0].needs_slot:
                self._count_streams(len(message))
                for job in message:
                    self.context.slots.expect()
                    self.context.scheduler.spawn(self._run_stream, job)
            else:
                # Jobs that compute get a thread, so that streams need not wait for them.
                THREADS.spawn(self._run_all, message)

    def _finish(self, code: int) -> None:
        self._has_ended.set()
        self._is_due.set()
        self._end(code)

    def _run_stream(self, job: Job) -> None:
        try:
            message = self._run(job)
            self._outbox.append(message)
            self._count_streams(-1)
            self._is_due.set()
        finally:
            self.context.slots.done()

    def _count_streams(self, change: int) -> None:
        with self._streams_mutex:
            self.streams += change
            if self.streams:
                self._is_idle.clear()
            else:
                self._is_idle.set()

    def _run_all(self, jobs: list[Job]) -> None:
        """Run jobs one after the other; send their results together, ten times a second."""
        sent = time.monotonic()
        for job in jobs:
            self._outbox.append(self._run(job))
            if time.monotonic() - sent >= REPORT_SECONDS:
                self._send()
                sent = time.monotonic()
        self._send()

    def _run(self, job: Job) -> Message:
        """Run a job; return the message about its end."""
        try:
            module, _, name = job.function.partition(":")
            result = getattr(import_module(module), name)(job.task, self.context)
        except BaseException as error:
            own = error if isinstance(error, SwarmError) else None
            if has_too_many(error):
                own = StateError(way_out())
            line = traceback.format_exception_only(error)[-1].strip()
            return "crash", (job.number, own, line, traceback.format_exc())
        return "result", (job.number, result)

    def _report_free(self, change: int) -> None:
        self._send_soon(("free", change))

    def _report_tallies(self, tallies: dict[str, Tally]) -> None:
        self._outbox.append(("tallies", tallies))
        self._send()

    def _report_periodically(self) -> None:
        """Report the tallies that have changed, ten times a second, and check the locks as often.

        The parent checks its own locks as well, but may be stopped, or wait for a terminal.
        """
        reported: dict[str, Tally] = {}
        while not self._has_ended.wait(REPORT_SECONDS):
            self.context.watch_locks()
            tallies = self.context.tallies.copy()
            reported = {stream: tally for stream, tally in reported.items() if stream in tallies}
            changed = {
                stream: tally.copy()
                for stream, tally in tallies.items()
                if reported.get(stream) != tally
            }
            reported |= changed
            if changed:
                self._report_tallies(changed)

    def _send_soon(self, message: Message) -> None:
        """Have a message sent, with those that come until then; for threads that must not wait.

        The parent may itself be writing to the pipe, and read only after that.
        """
        self._outbox.append(message)
        if not self._is_due.is_set():
            self._is_due.set()

    def _send_due(self) -> None:
        """Send what is due, soon.

        Messages are gathered for a while, but not beyond the end of all streams: each that is sent
        wakes the parent.
        """
        while not self._has_ended.is_set():
            self._is_due.wait()
            self._is_idle.wait(_GATHER_SECONDS)
            # Cleared first: a message that comes meanwhile is sent now, or is due again.
            self._is_due.clear()
            self._send()

    def _send(self) -> None:
        """Send all messages, in their order."""
        try:
            with self._send_mutex:
                messages = []
                while self._outbox:
                    messages.append(self._outbox.popleft())
                if messages:
                    self._pipe.send(messages)
        except OSError:
            self._finish(1)


def _end_process(bug: threading.ExceptHookArgs) -> None:
    """End the process if one of its threads failed, so that the parent does not wait for it."""
    threading.__excepthook__(bug)
    os._exit(1)


def main(pipe: Connection, config: WorkerConfig, inherited: Sequence[Connection]) -> None:
    """Run a worker process; a forked one closes the ``inherited`` ends of the parent's pipes."""
    # A terminal sends Ctrl-C to the whole process group: only the parent acts on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.excepthook = _end_process
    for end in inherited:
        end.close()
    # What a forked process shares with its parent stays shared if no collection touches it.
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    if config.is_pinned:
        # Offset by the parent's PID, so that concurrent runs do not pin to the same cores.
        keep_to_one_core(os.getppid() + config.number)
    Worker(pipe, partial(WorkerContext, config), os._exit).serve()


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
