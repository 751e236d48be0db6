"""A seat: swarm's worker loop in a worker process of a Dask cluster.

The command calls the functions of this module through Dask. They do not raise: Dask logs the
arguments of a call that fails.
"""

import asyncio
import gc
import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from swarm.checkpoint.grants import LEASE_SECONDS, boottime
from swarm.cluster.lease import Lease
from swarm.cluster.leased import LeasedLoop
from swarm.cluster.messages import Facts, Hello, Opening, Order, Report, Sealed, seal, unseal
from swarm.cluster.relay import Relay, RelayedState
from swarm.collector.transport import available, scheduler
from swarm.delivery.check import CheckTask
from swarm.delivery.result import Tally
from swarm.delivery.task import Task
from swarm.run.context import WorkerConfig, WorkerContext
from swarm.run.setup import raise_descriptor_limit
from swarm.run.shared import SharedState
from swarm.run.worker import GC_THRESHOLD, Job, Message, Worker
from swarm.version import VERSION

#: A report waits for so long (s) for something that should go soon ...
_REPORT_SECONDS = 0.25
#: ... and then for a little more (s), so that several such things go together.
_GATHER_SECONDS = 0.01
#: The time (s) between two looks at the lease, and at jobs that have still to end.
_WATCH_SECONDS = 0.5

_seats: dict[str, "Seat"] = {}


# Called by the command, through Dask


def open_seat(version: str, sealed: Sealed) -> Hello:
    """Open a seat for a run."""
    hello = Hello(socket.gethostname(), boottime(), time.monotonic())
    if version != VERSION:
        return hello._replace(obstacle=f"it has swarm {VERSION}, this command is {version}")
    try:
        opening: Opening = unseal(sealed)
        if opening.run in _seats:
            return hello._replace(obstacle="it serves this run already")
        available("curl")
        _seats[opening.run] = Seat(opening, hello.host)
    except Exception as error:
        return hello._replace(obstacle=str(error) or type(error).__name__)
    return hello


def occupy(run: str) -> None:
    """Return when the seat of a run has ended: the task that makes the worker busy for Dask."""
    seat = _seats.get(run)
    if seat is not None:
        seat.has_ended.wait()


async def report(run: str, granted: float) -> Sealed | None:
    """Extend a seat's lease; return its report once it has something to say, or after a time.

    Returns None if the seat has ended.
    """
    seat = _seats.get(run)
    if seat is None:
        return None
    seat.lease.extend(granted)
    await asyncio.get_running_loop().run_in_executor(None, seat.is_due.wait, _REPORT_SECONDS)
    await asyncio.sleep(_GATHER_SECONDS)
    return None if seat.has_ended.is_set() else seal(seat.report())


def instruct(run: str, sealed: Sealed) -> bool:
    """Give an order to a seat; return False if the seat has ended."""
    seat = _seats.get(run)
    if seat is None:
        return False
    seat.obey(unseal(sealed))
    return True


def close_seat(run: str) -> None:
    """End a seat at once: it sends nothing more."""
    seat = _seats.get(run)
    if seat is not None:
        seat.end()


class Seat:
    """The worker loop of one run in this process; it ends with its lease at the latest."""

    def __init__(self, opening: Opening, host: str) -> None:
        self.lease = Lease()
        self.lease.extend(boottime() + LEASE_SECONDS)
        self.is_due = threading.Event()
        self.has_ended = threading.Event()
        self._run = opening.run
        self._accesses = opening.accesses
        raise_descriptor_limit()
        self._shared = SharedState.create(len(opening.accesses))
        self._relay = Relay(self.is_due.set)
        self._loop = LeasedLoop(scheduler("curl"), self.lease)
        self._inbox = _Inbox(self.is_due.set)
        config = WorkerConfig(self._shared, 0, opening.upload)
        make = partial(
            _Context, config, state=RelayedState(self._relay), loop=self._loop, host=host
        )
        self._worker = Worker(self._inbox, make, lambda _code: self.end())
        gc.set_threshold(GC_THRESHOLD)
        threading.Thread(target=self._worker.serve, name="swarm-seat", daemon=True).start()
        threading.Thread(target=self._watch, name="swarm-lease", daemon=True).start()

    def report(self) -> Report:
        """Return what has happened since the last report."""
        # Cleared first: what comes meanwhile is in this report, or is due again.
        self.is_due.clear()
        clock, monotonic = boottime(), time.monotonic()
        # Messages first: a stream's result must not go before its last writes.
        messages = self._inbox.drain()
        return Report(clock, monotonic, self._relay.drain(), messages, self._facts())

    def obey(self, order: Order) -> None:
        """Do what the command asks for."""
        self._shared.set_rate_limit(order.rate_limit)
        for credential in order.refused:
            self._shared.refuse_credential(credential)
        for message in order.messages:
            if message == "stop":
                self._shared.stop()
            self._inbox.received.put(self._completed(message))
        self._relay.answer(order.answers)

    def end(self) -> None:
        """Send nothing more: drop the lease and all connections with a request under way."""
        self.lease.give_up()
        if self.has_ended.is_set():
            return
        self.has_ended.set()
        self._shared.stop()
        self._worker.context.stopping.set()
        self._loop.abort_all()
        self._relay.close()
        self._inbox.received.put(None)
        self.is_due.set()
        _seats.pop(self._run, None)

    def _completed(self, message: Any) -> Any:
        """Return a message of the pool, with jobs that are complete again."""
        if not isinstance(message, list):
            return message
        return [replace(job, **self._at_this_seat(job)) for job in message]

    def _at_this_seat(self, job: Job) -> dict[str, Any]:
        if isinstance(job.task, Task):
            task = replace(job.task, access=self._accesses[job.task.credential])
            return {"task": task, "function": "swarm.cluster.jobs:deliver"}
        if isinstance(job.task, CheckTask):
            return {"function": "swarm.cluster.jobs:check"}
        return {}

    def _facts(self) -> Facts:
        shared, credentials = self._shared, range(len(self._accesses))
        return Facts(
            answered=shared.seconds_without_answer(),
            detail=shared.detail if shared.is_down else "",
            congested=shared.congested,
            accepted=frozenset(filter(shared.is_credential_accepted, credentials)),
            refused=frozenset(filter(shared.is_credential_refused, credentials)),
        )

    def _watch(self) -> None:
        """End the seat with its lease; release what it has once its jobs have ended."""
        while not self.has_ended.wait(min(max(self.lease.left(), 0.0), _WATCH_SECONDS)):
            if self.lease.left() <= 0:
                self.end()
        while self._worker.streams:
            time.sleep(_WATCH_SECONDS)
        self._shared.close()


class _Context(WorkerContext):
    """The context of a seat's streams: the command holds their locks."""

    def __init__(  # noqa: PLR0913 - a worker's context, and what a seat adds
        self,
        config: WorkerConfig,
        report_free: Callable[[int], None],
        report_tallies: Callable[[dict[str, Tally]], None],
        *,
        state: RelayedState,
        loop: LeasedLoop,
        host: str,
    ) -> None:
        super().__init__(config, report_free, report_tallies, loop, state)
        self.host = host

    def lock_stream(self, task: Task) -> bool:
        """Return True: the command has locked the stream, and the lease keeps other seats out."""
        return True

    def unlock_stream(self, task: Task) -> None:
        """Forget the stream's tally."""
        self.tallies.pop(task.meter.id, None)


class _Inbox:
    """The seat's end of the pipe to the pool."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.received: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._sent: list[Message] = []
        self._mutex = threading.Lock()
        self._wake = wake

    def recv(self) -> Any:
        """Wait for a message."""
        return self.received.get()

    def send(self, messages: list[Message], /) -> None:
        """Keep messages for the next report; tallies can wait for it."""
        with self._mutex:
            self._sent += messages
        if any(kind != "tallies" for kind, _ in messages):
            self._wake()

    def drain(self) -> list[Message]:
        """Return the messages for the next report."""
        with self._mutex:
            sent, self._sent = self._sent, []
        return sent
