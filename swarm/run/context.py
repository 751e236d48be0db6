"""The context of the streams in a worker process."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from swarm.checkpoint.locks import StreamLocks
from swarm.collector.client import CollectorClient, Outcome
from swarm.collector.retry import Verdict, backoff, is_congestion
from swarm.collector.transport import scheduler
from swarm.collector.transport.base import Access
from swarm.config.options import Upload
from swarm.delivery.context import CollectorDown, StopRequested
from swarm.delivery.result import Tally
from swarm.delivery.state import LOCAL, StreamState
from swarm.delivery.task import Task
from swarm.errors import StateError
from swarm.run.shared import SharedState
from swarm.run.slots import ConnectionSlots
from swarm.scheduler import Scheduler

#: The time (s) that a stream's lock is tried.
_LOCK_SECONDS = 3.0
#: The time (s) between two tries.
_LOCK_NAP = 0.05
_LONGEST_NAP = 1.0


@dataclass(frozen=True)
class WorkerConfig:
    """The settings of a worker process, sent to it once; ``number`` counts the run's workers.

    ``upload.transport`` is the HTTP engine, ``slots`` the number of connection slots at first. A
    process that is to have several streams at a time is pinned to one core.
    """

    shared: SharedState
    slots: int
    upload: Upload
    number: int = 0
    is_pinned: bool = False


class WorkerContext:
    """`swarm.delivery.context.Context` in a worker process."""

    def __init__(
        self,
        config: WorkerConfig,
        report_free: Callable[[int], None],
        report_tallies: Callable[[dict[str, Tally]], None],
        loop: Scheduler | None = None,
        state: StreamState = LOCAL,
    ) -> None:
        self.state = state
        self._upload = config.upload
        self._shared = config.shared
        engine = config.upload.transport
        self.scheduler = loop or scheduler(engine)
        self.slots = ConnectionSlots(config.slots, engine, report_free, self.scheduler)
        self._report_tallies = report_tallies
        self._locks: dict[tuple[str, str], StreamLocks] = {}
        self._locks_mutex = threading.Lock()
        self._lost_locks: str | None = None
        self._accepted: set[int] = set()
        self.tallies: dict[str, Tally] = {}
        self.stopping = self.scheduler.event()

    def acquire_slot(self, access: Access) -> CollectorClient:
        """Wait for a connection slot and return a client in it."""
        return self.slots.acquire(access, self.raise_if_stopped)

    def is_slot_recalled(self) -> bool:
        """Return True if there are fewer slots now, and this stream must release its own."""
        return bool(self.slots.recalled) and self.slots.is_recalled()

    def release_slot(self, client: CollectorClient) -> None:
        """Release the slot with its client."""
        self.slots.release(client)

    def wait_for_turn(self, credential: int) -> None:
        """Return when a request may be sent: the collector is reachable, the rate allows it."""
        shared = self._shared
        if shared.rate_limit is None and not shared.is_blocked(credential):
            return
        self.raise_if_stopped(credential)
        while True:
            was_down = shared.is_down
            is_probe = was_down and self._await_probe()
            if self._await_rate() or was_down:
                self.raise_if_stopped(credential)
            # The collector may have become unreachable during the wait.
            if is_probe or not shared.is_down:
                return

    def _await_rate(self) -> bool:
        """Wait until the rate limit allows a request; return True if that took time."""
        shared, has_waited = self._shared, False
        while (rate := shared.rate_limit) is not None:
            moment = time.monotonic() + shared.reserve_request(rate)
            # A new limit may allow the request earlier: the timetable has changed it.
            while (left := moment - time.monotonic()) > 0 and shared.rate_limit == rate:
                has_waited = True
                self.sleep(min(left, _LONGEST_NAP))
            if left <= 0:
                break
        return has_waited

    def _await_probe(self) -> bool:
        """Wait for the end of an outage; return True if this job must probe for it."""
        shared, retry_for = self._shared, self._upload.retry_for
        while shared.is_down:
            left = retry_for - shared.down_for()
            if left <= 0:
                raise CollectorDown(retry_for, shared.detail)
            wait = min(shared.until_probe(), left)
            if wait > 0:
                self.sleep(min(wait, 0.5))
            elif shared.claim_probe(backoff(shared.failures + 1)):
                return True
        return False

    def sleep(self, seconds: float, credential: int | None = None) -> None:
        """Wait; raises `StopRequested` soon after the run or the credential is stopped.

        The time is in seconds.
        """
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.stopping.wait(min(left, _LONGEST_NAP))
            self.raise_if_stopped(credential)

    def raise_if_stopped(self, credential: int | None = None) -> None:
        """Raise `StopRequested` if the run, or the streams of a credential, must stop.

        Raises `StateError` if this process has lost its locks.
        """
        if self._lost_locks is not None:
            raise StateError(self._lost_locks)
        if credential is not None and self._shared.is_credential_refused(credential):
            raise StopRequested(is_refused=True)
        if self._shared.stopped:
            raise StopRequested

    def record_outcome(self, outcome: Outcome, credential: int) -> None:
        """Record in the shared state what an exchange says about the collector."""
        if outcome.verdict is Verdict.ACKNOWLEDGED:
            self._shared.record_answer()
            if credential not in self._accepted:
                self._accepted.add(credential)
                self._shared.accept_credential(credential)
            return
        if outcome.verdict is Verdict.UNREACHABLE:
            self._shared.record_unreachable(backoff(self._shared.failures), outcome.detail)
        elif outcome.status is not None:
            self._shared.record_answer()
        if is_congestion(outcome.verdict, outcome.status):
            self._shared.count_congested()

    def is_outage(self, retry_for: float) -> bool:
        """Return True if no stream got an answer for this many seconds."""
        return self._shared.seconds_without_answer() >= retry_for

    def refuse_credential(self, credential: int) -> None:
        """Stop all streams of a credential, unless it was accepted before in this run."""
        if not self._shared.is_credential_accepted(credential):
            self._shared.refuse_credential(credential)

    def lock_stream(self, task: Task) -> bool:
        """Lock a stream; wait a little for a worker whose parent was killed."""
        locks = self._locks_of(task)
        deadline = time.monotonic() + _LOCK_SECONDS
        while not locks.take(task.meter.id):
            if time.monotonic() > deadline:
                return False
            self.sleep(_LOCK_NAP)
        return True

    def unlock_stream(self, task: Task) -> None:
        """Unlock a stream."""
        self._locks_of(task).release(task.meter.id)
        self.tallies.pop(task.meter.id, None)

    def _locks_of(self, task: Task) -> StreamLocks:
        place = task.state, task.collector
        with self._locks_mutex:
            if place not in self._locks:
                self._locks[place] = StreamLocks(task.senders_lock)
            return self._locks[place]

    def watch_locks(self) -> None:
        """Stop the run if other runs no longer see the locks of this process."""
        try:
            for locks in list(self._locks.values()):
                locks.check()
        except StateError as error:
            self._lost_locks = str(error)
            self._shared.stop()
            self.stopping.set()

    def follow_tally(self, task: Task, tally: Tally) -> None:
        """Report a stream's tally to the parent soon after each change, until it is unlocked."""
        self.tallies[task.meter.id] = tally

    def publish_tally(self, task: Task, tally: Tally) -> None:
        """Report a stream's tally to the parent now."""
        self._report_tallies({task.meter.id: tally.copy()})
