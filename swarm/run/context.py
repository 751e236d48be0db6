"""The context of streams in a worker process."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swarm.checkpoint.locks import StreamLocks
from swarm.collector.client import CollectorClient, Outcome
from swarm.collector.retry import Verdict, backoff
from swarm.collector.transport import scheduler
from swarm.collector.transport.base import Access, Engine
from swarm.delivery.context import CollectorDown, StopRequested
from swarm.delivery.result import Tally
from swarm.delivery.task import Task
from swarm.errors import StateError
from swarm.run.shared import SharedState
from swarm.run.slots import ConnectionSlots

if TYPE_CHECKING:
    from pathlib import Path


_LOCK_SECONDS = 3.0
_LOCK_NAP = 0.05
_LONGEST_NAP = 1.0


@dataclass(frozen=True)
class WorkerConfig:
    """The facts that a worker is told once; ``number`` tells it from the others of its run."""

    shared: SharedState
    slots: int
    engine: Engine = "auto"
    rate_limit: float | None = None
    retry_for: float = 900.0
    number: int = 0


class WorkerContext:
    """`swarm.delivery.context.Context` in a worker process."""

    def __init__(
        self,
        brief: WorkerConfig,
        tell_free: Callable[[int], None],
        tell_tallies: Callable[[dict[str, Tally]], None],
    ) -> None:
        self._config = brief
        self._shared = brief.shared
        self.scheduler = scheduler(brief.engine)
        self.slots = ConnectionSlots(brief.slots, brief.engine, tell_free, self.scheduler)
        self._tell_tallies = tell_tallies
        self._locks: dict[Path, StreamLocks] = {}
        self._locks_mutex = threading.Lock()
        self._lost_locks: str | None = None
        self._accepted: set[int] = set()
        self.tallies: dict[str, Tally] = {}
        self.stopping = self.scheduler.event()

    def acquire_slot(self, access: Access) -> CollectorClient:
        """Wait for a place and return a session in it."""
        return self.slots.acquire(access, self.raise_if_stopped)

    def release_slot(self, link: CollectorClient) -> None:
        """Give the place and the session back."""
        self.slots.release(link)

    def wait_for_turn(self, credential: int) -> None:
        """Return when a request may go out."""
        if self._config.rate_limit is None and not self._shared.is_gate_closed(credential):
            return
        self.raise_if_stopped(credential)
        while not self._has_turn(credential):
            pass

    def _has_turn(self, credential: int) -> bool:
        """Wait for the collector, then for the rate; False if it went down meanwhile."""
        board, rate = self._shared, self._config.rate_limit
        was_down = board.is_down
        is_probe = was_down and self._await_probe()
        wait = 0.0 if rate is None else board.reserve_request(rate)
        if wait > 0:
            self.sleep(wait)
        if was_down or wait > 0:
            self.raise_if_stopped(credential)
        return is_probe or not board.is_down

    def _await_probe(self) -> bool:
        """Wait until the collector is back, or until this job may try whether it is: True."""
        board = self._shared
        while board.is_down:
            left = self._config.retry_for - board.down_for()
            if left <= 0:
                raise CollectorDown(self._config.retry_for, board.detail)
            wait = min(board.until_probe(), left)
            if wait > 0:
                self.sleep(min(wait, 0.5))
            elif board.claim_probe(backoff(board.failures + 1)):
                return True
        return False

    def sleep(self, seconds: float, credential: int | None = None) -> None:
        """Wait; the end of the run, or of a credential's streams, cuts it short."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.stopping.wait(min(left, _LONGEST_NAP))
            self.raise_if_stopped(credential)

    def raise_if_stopped(self, credential: int | None = None) -> None:
        """Raise `Halted` if the run, or the streams of a credential, are to stop.

        Where this process found its locks gone, `StateError` says so.
        """
        if self._lost_locks is not None:
            raise StateError(self._lost_locks)
        is_condemned = credential is not None and self._shared.is_credential_disabled(credential)
        if self._shared.stopped or is_condemned:
            raise StopRequested("the run is told to stop")

    def record_outcome(self, outcome: Outcome, credential: int) -> None:
        """Note on the board what an exchange says of the collector."""
        if outcome.verdict is Verdict.ACKNOWLEDGED:
            self._shared.record_answer()
            if credential not in self._accepted:
                self._accepted.add(credential)
                self._shared.accept_credential(credential)
        elif outcome.verdict is Verdict.UNREACHABLE:
            self._shared.record_unreachable(backoff(self._shared.failures), outcome.detail)
        elif outcome.status is not None:
            self._shared.record_answer()

    def is_outage(self, retry_for: float) -> bool:
        """Whether the collector has been silent for so long."""
        return self._shared.seconds_without_answer() >= retry_for

    def is_credential_accepted(self, credential: int) -> bool:
        """Whether the credential had a 2xx in this run."""
        return self._shared.is_credential_accepted(credential)

    def disable_credential(self, credential: int) -> None:
        """Stop all streams of a credential."""
        self._shared.disable_credential(credential)

    def is_credential_disabled(self, credential: int) -> bool:
        """Whether the credential's streams are to stop."""
        return self._shared.is_credential_disabled(credential)

    def lock_stream(self, task: Task) -> bool:
        """Lock a stream; waits a little for a worker whose parent was killed."""
        locks = self._locks_of(task)
        deadline = time.monotonic() + _LOCK_SECONDS
        while not locks.take(task.meter.id):
            if time.monotonic() > deadline:
                return False
            self.sleep(_LOCK_NAP)
        return True

    def unlock_stream(self, task: Task) -> None:
        """Let go of a stream."""
        self._locks_of(task).release(task.meter.id)

    def _locks_of(self, task: Task) -> StreamLocks:
        with self._locks_mutex:
            path = task.senders_lock
            if path not in self._locks:
                self._locks[path] = StreamLocks(path)
            return self._locks[path]

    def watch_locks(self) -> None:
        """Stop the run if what this process has locked is not what other runs lock any more."""
        try:
            for locks in list(self._locks.values()):
                locks.check()
        except StateError as error:
            self._lost_locks = str(error)
            self._shared.stop()
            self.stopping.set()

    def publish_tally(self, task: Task, tally: Tally) -> None:
        """Show a stream's tally to the parent, now and from now on."""
        self.tallies[task.meter.id] = tally
        self._tell_tallies({task.meter.id: tally.copy()})
