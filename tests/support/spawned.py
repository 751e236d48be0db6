"""Processes for tests: each runs a function of this module and starts as the pool's workers do."""

import logging
import multiprocessing
import os
import signal
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm.checkpoint.ledger import ACKNOWLEDGED, Ledger
from swarm.checkpoint.ledger_format import Note
from swarm.checkpoint.locks import StreamLocks
from swarm.collector.transport.loop import Loop
from swarm.config.options import Upload
from swarm.delivery.deliver import deliver
from swarm.delivery.task import Task
from swarm.run.context import WorkerConfig, WorkerContext
from swarm.run.shared import SharedState
from tests.support.jobs import in_job

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

_SPAWN = multiprocessing.get_context("spawn")
_SECONDS = 30
#: A word that a test may set before it starts a process.
MARK = ""


class Spawned:
    """A process that runs a function; the function's first argument is a pipe to the test."""

    def __init__(self, function: Callable[..., None], *arguments: Any) -> None:
        self.pipe, theirs = _SPAWN.Pipe()
        self.process: SpawnProcess = _SPAWN.Process(target=function, args=(theirs, *arguments))
        self.process.start()
        theirs.close()

    def hear(self) -> Any:
        """Return the next object that the process sends."""
        assert self.pipe.poll(_SECONDS), "the process says nothing"
        return self.pipe.recv()

    def tell(self, word: str) -> None:
        """Send a word to the process."""
        self.pipe.send(word)

    def kill(self) -> None:
        """Kill the process as `kill -9` does."""
        self.process.kill()
        self.process.join(_SECONDS)


@contextmanager
def spawned(function: Callable[..., None], *arguments: Any) -> Iterator[Spawned]:
    """Run a process until the block ends."""
    started = Spawned(function, *arguments)
    try:
        yield started
    finally:
        started.kill()
        started.process.close()
        started.pipe.close()


def hold_board(pipe: Connection, board: SharedState) -> None:
    """Take the lock of the shared state and keep it."""
    with board._locked():
        pipe.send("held")
        time.sleep(_SECONDS)


def hammer_board(pipe: Connection, board: SharedState) -> None:
    """Record answers as fast as possible until the test sends a word."""
    pipe.send("ready")
    while not pipe.poll():
        for _ in range(1000):
            board.record_answer()


def probe(pipe: Connection, board: SharedState, wait: float, seconds: float) -> None:
    """Try to claim the probe of each interval; send how often it was claimed here."""
    pipe.send("ready")
    pipe.recv()
    taken = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        taken += board.claim_probe(wait)
    pipe.send(taken)


def reserve(pipe: Connection, board: SharedState, rate: float, times: int) -> None:
    """Reserve requests."""
    pipe.send("ready")
    pipe.recv()
    for _ in range(times):
        board.reserve_request(rate)
    pipe.send("done")


def accept_all(pipe: Connection, board: SharedState, count: int) -> None:
    """Accept every credential."""
    pipe.send("ready")
    pipe.recv()
    for number in range(count):
        board.accept_credential(number)
    pipe.send("done")


def take_locks(pipe: Connection, path: Path, streams: tuple[str, ...]) -> None:
    """Lock streams, send which locks were taken, and hold them; release the first on request."""
    locks = StreamLocks(path)
    pipe.send([locks.take(stream) for stream in streams])
    pipe.recv()
    locks.release(streams[0])
    pipe.send("released")
    time.sleep(_SECONDS)


def write_ledger(pipe: Connection, path: Path, stream: str, rows: int) -> None:
    """Record rows, mark one more as in flight, and wait to be killed."""
    ledger = Ledger.create(path, stream)
    for number in range(rows + 1):
        ledger.note([Note(number, number + 1, number + 2, 1)])
        ledger.mark_in_flight()
        if number < rows:
            ledger.record(number, number + 1, ACKNOWLEDGED)
    pipe.send("sent")
    time.sleep(_SECONDS)


def deliver_counted(pipe: Connection, task: Task) -> None:
    """Deliver a stream; send its result, the `Counts` of its calls, and peak memory (bytes)."""
    counts = Counts()
    context = WorkerContext(
        WorkerConfig(SharedState.create(1), 1, Upload(transport="curl")),
        lambda _: None,
        counts.events.append,
    )
    context.slots.expect()
    logging.getLogger().addHandler(counts)
    logging.getLogger().setLevel(logging.DEBUG)
    tracemalloc.start()
    threading.setprofile(counts.call)
    result = in_job(context.scheduler, deliver, task, context)
    threading.setprofile(None)
    _, peak = tracemalloc.get_traced_memory()
    pipe.send((result, counts.calls, peak, counts.words, len(counts.events)))


class Counts(logging.Handler):
    """Counts the log lines, function calls and events of a delivery."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.words = 0
        self.events: list[object] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Count a line of log."""
        self.words += 1

    def call(self, _frame: object, event: str, _argument: object) -> None:
        """Count a call of a function, in Python or in C."""
        self.calls += event in {"call", "c_call"}


def cores(_task: int, context: WorkerContext) -> frozenset[int]:
    """Return the cores that this thread may run on; wait first, so that each worker gets a task."""
    time.sleep(0.5)
    return frozenset(os.sched_getaffinity(0))


def answer(task: int, context: WorkerContext) -> int:
    """Return the double of a task; the worker is slow to tell that its place is free again."""
    tell = context.slots._report_free

    def tell_late(change: int) -> None:
        time.sleep(0.3)
        tell(change)

    context.slots._report_free = tell_late
    return 2 * task


def die_once(task: Any, _context: WorkerContext) -> str:
    """Kill this process at the first call; the file ``task.mark`` counts the calls."""
    with Path(task.mark).open("a") as file:
        file.write("x")
        if file.tell() == 1:
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    return "looked"


def mark(_task: int, _context: WorkerContext) -> str:
    """Return the mark that this process knows; wait first, so that each worker gets a task."""
    time.sleep(0.3)
    return MARK


def length(task: str, _context: WorkerContext) -> int:
    """Return the length of a task, at once."""
    return len(task)


def batch(_task: int, _context: WorkerContext) -> int:
    """Return the number of the thread, which is another one for each batch of jobs."""
    return threading.get_native_id()


def inverse(task: int, _context: WorkerContext) -> float:
    """Return the inverse of a task; fail for 0."""
    return 1 / task


def die(_task: Any, _context: WorkerContext) -> None:
    """Kill this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def break_loop(_task: Any, context: WorkerContext) -> None:
    """Make the loop that runs the jobs fail, and wait."""
    loop = context.scheduler
    assert isinstance(loop, Loop)
    loop.call_soon(divmod, 1, 0)
    loop.event().wait(_SECONDS)


def echo_options(task: Task, context: WorkerContext) -> tuple[Upload, Upload]:
    """Return the options that a job gets, with its task and with its worker's configuration."""
    return task.upload, context._upload
