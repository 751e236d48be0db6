"""The pool of worker processes: the parent's side of a run.

`multiprocessing.Pool` hangs if a worker is killed, and `ProcessPoolExecutor` gives up all workers.
Here each worker has a pipe of its own: the death of one costs the jobs that it was running.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm.config.options import Upload
from swarm.delivery.result import Tally
from swarm.run.context import WorkerConfig
from swarm.run.shared import SharedState
from swarm.run.worker import Job, Message, main

if TYPE_CHECKING:
    from multiprocessing.context import ForkContext, SpawnContext

_TICK = 0.1
#: Small jobs that only read are handed out together: at most this many, and bytes to read.
_MOST_TOGETHER = 128
_BYTES_TOGETHER = 1024 * 1024
#: Parts that these jobs are handed out in, at least, for each process.
_PARTS = 4
#: The time (s) that an idle worker has to end by itself.
_SHUTDOWN_SECONDS = 2.0


@dataclass(frozen=True)
class FailedJob:
    """The result of a job whose worker was killed, or that raised an exception.

    ``tally`` is the last that the worker reported.
    """

    message: str
    tally: Tally | None = None
    error: Exception | None = None
    traceback: str | None = None


@dataclass
class _WorkerHandle:
    """One worker process, seen from the parent."""

    process: BaseProcess
    pipe: Connection
    slots: int
    free: int
    jobs: dict[int, Job] = field(default_factory=dict)

    def room(self, job: Job) -> int:
        """Return how many jobs like this one the worker can begin now."""
        return self.free if job.needs_slot else 1 - len(self.jobs)

    def send(self, message: list[Job] | str | int | None) -> None:
        """Send a message; if the worker has ended, its sentinel says so.

        None ends an idle worker; after "stop" it sends no more packets; a number is that of its
        connection slots.
        """
        try:
            self.pipe.send(message)
        except OSError:
            return


class Pool:
    """A pool of worker processes; use it as a context manager.

    ``slots`` are the connection slots of all ``processes`` together, ``most_slots`` those that
    there may be later, after `resize`.
    """

    def __init__(
        self,
        shared: SharedState,
        upload: Upload,
        processes: int,
        slots: int,
        most_slots: int | None = None,
    ) -> None:
        self._shared = shared
        self._upload = upload
        self._processes = processes
        self._slots = slots
        self.most_slots = most_slots or slots
        self._workers: list[_WorkerHandle] = []
        self._tallies: dict[str, Tally] = {}
        self._changed: dict[str, Tally] = {}
        self._spawned = 0
        self.is_stopping = False

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                for worker in self._workers:
                    worker.send(None)
                for worker in self._workers:
                    worker.process.join(_SHUTDOWN_SECONDS)
        finally:
            self.kill()

    def kill(self) -> None:
        """Kill all workers; what they sent is in their checkpoints, or can be settled."""
        for worker in self._workers:
            worker.process.kill()
        while self._workers:
            # Removed first: if a signal interrupts this, the next call continues with the rest.
            worker = self._workers.pop()
            worker.process.join()
            worker.pipe.close()
            worker.process.close()

    def stop(self) -> None:
        """Send no new packets and begin no more jobs; packets under way are finished.

        Their results still come: `run` goes on until no worker is busy.
        """
        self.is_stopping = True
        self._shared.stop()
        for worker in self._workers:
            worker.send("stop")

    def resize(self, slots: int) -> None:
        """Change the number of connection slots; streams release theirs before a packet."""
        self._slots = slots
        self._share_out()

    def start(self, jobs: int) -> None:
        """Start the processes for this many jobs; they get ready while this one goes on."""
        while len(self._workers) < min(self._processes, jobs):
            self._spawn()

    def run(
        self,
        function: str,
        tasks: Sequence[Any],
        tick: Callable[[Mapping[str, Tally]], None],
        *,
        need_slots: bool = True,
        sizes: Sequence[int] | None = None,
    ) -> Iterator[tuple[int, Any]]:
        """Yield (number of the task, result) as results come; a `FailedJob` if there is none.

        Tasks are begun in their order as slots become free; those that need no slot, one per
        process. ``sizes`` are the bytes that each of these reads: several small ones go to a
        process together. ``tick`` is called about ten times a second with the tallies that have
        changed, and at the end. After `stop`, tasks that were not begun have no result.
        """
        waiting = deque(
            Job(number, function, task, need_slots) for number, task in enumerate(tasks)
        )
        next_tick = 0.0
        self.start(len(waiting))
        while True:
            self._hand_out(waiting, sizes)
            is_busy = any(worker.jobs for worker in self._workers)
            is_over = not is_busy and (self.is_stopping or not waiting)
            if not is_over:
                yield from self._listen()
            now = time.monotonic()
            if is_over or now >= next_tick:
                next_tick = now + _TICK
                changed, self._changed = self._changed, {}
                tick(changed)
            if is_over:
                return

    def _spawn(self) -> None:
        context = _context()
        is_forked = context.get_start_method() == "fork"
        ours, theirs = context.Pipe()
        index, processes = len(self._workers), self._processes
        slots = self._slots // processes + (index < self._slots % processes)
        is_pinned = self.most_slots > processes
        config = WorkerConfig(self._shared, slots, self._upload, self._spawned, is_pinned)
        self._spawned += 1
        # A forked process must close the parent's ends: a worker ends when no process has its own.
        inherited = [ours, *(worker.pipe for worker in self._workers)] if is_forked else []
        process = context.Process(target=main, args=(theirs, config, inherited), daemon=True)
        if not is_forked:
            from multiprocessing import resource_tracker

            # Its start unblocks the signals: start it before they are blocked.
            resource_tracker.ensure_running()
        with _signals_blocked(), _existing_folder():
            process.start()
        theirs.close()
        self._workers.append(_WorkerHandle(process, ours, slots, slots))

    def _share_out(self) -> None:
        """Share the slots between the workers; one with streams has at least one."""
        count = len(self._workers)
        for index, worker in enumerate(self._workers):
            slots = self._slots // count + (index < self._slots % count)
            slots = max(slots, 1) if worker.jobs else slots
            if slots != worker.slots:
                worker.slots = slots
                worker.send(slots)

    def _hand_out(self, waiting: deque[Job], sizes: Sequence[int] | None) -> None:
        handed: dict[int, list[Job]] = {}
        while waiting and not self.is_stopping:
            job = waiting[0]
            worker = max(self._workers, key=lambda worker: worker.room(job), default=None)
            if worker is None:
                self._spawn()
                continue
            if worker.room(job) < 1:
                break
            for each in self._next_together(waiting, sizes):
                worker.free -= each.needs_slot
                worker.jobs[each.number] = each
                handed.setdefault(self._workers.index(worker), []).append(each)
        for index, jobs in handed.items():
            self._workers[index].send(jobs)

    def _next_together(self, waiting: deque[Job], sizes: Sequence[int] | None) -> list[Job]:
        """Take the next job, or several small ones, from those that wait."""
        jobs = [waiting.popleft()]
        if sizes is None:
            return jobs
        most = min(len(sizes) // (_PARTS * self._processes), _MOST_TOGETHER)
        left = _BYTES_TOGETHER - sizes[jobs[0].number]
        while waiting and len(jobs) < most and (left := left - sizes[waiting[0].number]) >= 0:
            jobs.append(waiting.popleft())
        return jobs

    def _listen(self) -> Iterator[tuple[int, Any]]:
        """Wait for messages; yield results, also of workers that have ended."""
        sources = {worker.pipe: worker for worker in self._workers}
        ready = wait([*sources, *(worker.process.sentinel for worker in self._workers)], _TICK)
        for pipe in ready:
            if isinstance(pipe, Connection):
                yield from self._take_in(sources[pipe], _received(sources[pipe]) or ())
        for worker in [worker for worker in self._workers if worker.process.sentinel in ready]:
            while worker.pipe.poll() and (messages := _received(worker)) is not None:
                yield from self._take_in(worker, messages)
            worker.process.join()
            self._workers.remove(worker)
            code = worker.process.exitcode or 0
            how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
            for number, job in worker.jobs.items():
                tally = self._tallies.get(getattr(getattr(job.task, "meter", None), "id", ""))
                yield number, FailedJob(f"its worker process was {how}", tally)
            worker.pipe.close()
            worker.process.close()
            self._share_out()

    def _take_in(
        self, worker: _WorkerHandle, messages: Iterable[Message]
    ) -> Iterator[tuple[int, Any]]:
        """Take in a worker's messages; yield results."""
        for kind, content in messages:
            if kind == "free":
                worker.free += content
            elif kind == "tallies":
                self._tallies.update(content)
                self._changed.update(content)
            elif kind == "result":
                number, result = content
                del worker.jobs[number]
                yield number, result
            else:
                number, error, line, trace = content
                del worker.jobs[number]
                yield number, FailedJob(line, error=error, traceback=trace)


def _received(worker: _WorkerHandle) -> list[Message] | None:
    """Return the next messages of a worker, None if it has ended and all have been read."""
    try:
        messages: list[Message] = worker.pipe.recv()
    except (EOFError, OSError):
        return None
    return messages


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
