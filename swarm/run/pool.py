"""Processes and hand-out: the parent's side of a run.

`multiprocessing.Pool` hangs for ever when a worker is killed, and `ProcessPoolExecutor` gives all
workers up when one is. Here each worker has a pipe of its own, and the death of one costs the jobs
that it had in hand and nothing else.
"""

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from swarm.collector.transport.base import Engine
from swarm.delivery.result import Tally
from swarm.run.context import WorkerConfig
from swarm.run.shared import SharedState
from swarm.run.worker import Job, main

_TICK = 0.1
_FAREWELL = 2.0


@dataclass(frozen=True)
class Crew:
    """The size of a pool: processes, places in all, and the facts that each worker needs."""

    processes: int
    places: int
    engine: Engine = "auto"
    rate_limit: float | None = None
    retry_for: float = 900.0


@dataclass(frozen=True)
class LostJob:
    """The result of a job whose worker is gone, or that raised; ``tally`` was last heard."""

    message: str
    tally: Tally | None = None
    error: Exception | None = None
    traceback: str | None = None


@dataclass
class _WorkerHandle:
    """One worker process, seen from the parent."""

    process: SpawnProcess
    pipe: Connection
    free: int
    jobs: dict[int, Job] = field(default_factory=dict)

    def room(self, job: Job) -> int:
        """Return how many jobs of this kind the worker could begin now."""
        return self.free if job.needs_slot else 1 - len(self.jobs)


class Pool:
    """A pool of spawned workers; use as a context manager."""

    def __init__(self, crew: Crew, board: SharedState) -> None:
        self._crew = crew
        self._board = board
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_WorkerHandle] = []
        self._tallies: dict[str, Tally] = {}
        self._stopping = False
        self._spawned = 0

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._shut_down()
        finally:
            self.kill()

    def _shut_down(self) -> None:
        """Let idle workers end by themselves."""
        for hand in self._workers:
            _send(hand, None)
        for hand in self._workers:
            hand.process.join(_FAREWELL)

    def kill(self) -> None:
        """End all workers at once; what they sent is in their checkpoints, or can be settled."""
        for hand in self._workers:
            hand.process.kill()
        while self._workers:
            # Taken out first: a signal may end this, and who comes after goes on with the rest.
            hand = self._workers.pop()
            hand.process.join()
            hand.pipe.close()
            hand.process.close()

    def stop(self) -> None:
        """Send no new packets, hand out no more jobs; those in flight end."""
        self._stopping = True
        self._board.stop()
        for hand in self._workers:
            _send(hand, "stop")

    def run(
        self,
        function: str,
        tasks: Sequence[Any],
        tick: Callable[[dict[str, Tally]], None],
        *,
        need_places: bool = True,
    ) -> Iterator[tuple[int, Any]]:
        """Yield (number of the task, result) as results come; a `Lost` where there is none.

        Tasks are handed out in their order as places come free; those that need no place, one to
        a process. ``tick`` gets the newest tallies about ten times a second. After `stop`, tasks
        that were not handed out have no result.
        """
        waiting = deque(
            Job(number, function, task, need_places) for number, task in enumerate(tasks)
        )
        while len(self._workers) < min(self._crew.processes, len(waiting)):
            self._spawn()
        while True:
            self._hand_out(waiting)
            if not self._is_busy() and (self._stopping or not waiting):
                return
            yield from self._listen()
            tick(self._tallies)

    def _is_busy(self) -> bool:
        return any(hand.jobs for hand in self._workers)

    def _share(self, number: int) -> int:
        """Return how many of the places the worker with this number has."""
        places, processes = self._crew.places, self._crew.processes
        return max(places // processes + (number < places % processes), 1)

    def _spawn(self) -> None:
        ours, theirs = self._context.Pipe()
        places = self._share(len(self._workers))
        crew = self._crew
        brief = WorkerConfig(
            self._board, places, crew.engine, crew.rate_limit, crew.retry_for, self._spawned
        )
        self._spawned += 1
        process = self._context.Process(target=main, args=(theirs, brief), daemon=True)
        with _signals_blocked(), _somewhere():
            process.start()
        theirs.close()
        self._workers.append(_WorkerHandle(process, ours, places))

    def _hand_out(self, waiting: deque[Job]) -> None:
        while waiting and not self._stopping:
            hand = max(self._workers, key=lambda hand: hand.room(waiting[0]), default=None)
            if hand is None:
                self._spawn()
            elif hand.room(waiting[0]) < 1:
                return
            else:
                job = waiting.popleft()
                hand.free -= job.needs_slot
                hand.jobs[job.number] = job
                _send(hand, job)

    def _listen(self) -> Iterator[tuple[int, Any]]:
        sources = {hand.pipe: hand for hand in self._workers}
        ready = wait([*sources, *(hand.process.sentinel for hand in self._workers)], _TICK)
        for hand in [sources[pipe] for pipe in ready if isinstance(pipe, Connection)]:
            yield from self._receive(hand)
        for hand in [hand for hand in self._workers if not hand.process.is_alive()]:
            yield from self._reap(hand)

    def _receive(self, hand: _WorkerHandle) -> Iterator[tuple[int, Any]]:
        try:
            while hand.pipe.poll():
                kind, content = hand.pipe.recv()
                if kind == "free":
                    hand.free += content
                elif kind == "tallies":
                    self._tallies.update(content)
                elif kind == "result":
                    number, result = content
                    del hand.jobs[number]
                    yield number, result
                else:
                    number, error, line, trace = content
                    del hand.jobs[number]
                    yield number, LostJob(line, error=error, traceback=trace)
        except (EOFError, OSError):
            # Its sentinel tells the same, after all that it said has been read.
            return

    def _reap(self, hand: _WorkerHandle) -> Iterator[tuple[int, Any]]:
        yield from self._receive(hand)
        self._workers.remove(hand)
        code = hand.process.exitcode or 0
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        for number, job in hand.jobs.items():
            tally = self._tallies.get(getattr(getattr(job.task, "meter", None), "id", ""))
            yield number, LostJob(f"its worker process was {how}", tally)
        hand.pipe.close()
        hand.process.close()


def _send(hand: _WorkerHandle, message: Any) -> None:
    try:
        hand.pipe.send(message)
    except OSError:
        # A worker that is gone: its sentinel says so.
        return


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Keep Ctrl-C from a worker until it has set its own ways: it inherits what is blocked."""
    signals = {signal.SIGINT, signal.SIGTERM}
    # Starting it unblocks the signals again: so it has to run before they are blocked.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _somewhere() -> Iterator[None]:
    """Be in some folder: multiprocessing asks for the current one, which may have been removed."""
    try:
        Path.cwd()
    except FileNotFoundError:
        with _elsewhere():
            yield
    else:
        yield


@contextmanager
def _elsewhere() -> Iterator[None]:
    here = os.open(".", os.O_RDONLY)
    os.chdir("/")
    try:
        yield
    finally:
        os.chdir(here)
        os.close(here)
