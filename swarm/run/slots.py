"""The connection slots of one process: the streams that send at the same time."""

import resource
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar

from swarm.collector.client import CollectorClient
from swarm.collector.transport.base import Access, Engine
from swarm.scheduler import THREADS, Event, Scheduler

#: The most streams that may wait (backoff, ``Retry-After``, settling) without a slot.
MOST_WAITING = 256
#: A stream that was begun has a socket, a ledger and its CSV open, also while it waits.
DESCRIPTORS_A_STREAM = 3
_SPARE_DESCRIPTORS = 64
#: The time (s) between two looks whether a stream that waits for a slot must stop: at first, and
#: for those that wait for long.
_NAP, _LONGEST_NAP = 0.05, 0.5


class ConnectionSlots:
    """Slots that streams hold while they send, and release while they wait.

    A client stays open in its slot for the next stream with the same credentials: there are never
    more open connections than slots. ``report_free`` is called with each change in the number of
    slots that further streams could have.

    If `resize` leaves fewer slots than streams hold, those that began last must release theirs
    before their next packet: the parent begins the longest streams first, and they are to end
    first. ``recalled`` has the numbers of these streams.
    """

    def __init__(
        self,
        count: int,
        engine: Engine,
        report_free: Callable[[int], None],
        scheduler: Scheduler = THREADS,
    ) -> None:
        self.recalled: frozenset[int] = frozenset()
        self._count = count
        self._most_streams = count + _room_to_wait(count)
        self._engine = engine
        self._scheduler = scheduler
        self._report_free = report_free
        self._lock = threading.Lock()
        self._waiting: deque[Event] = deque()
        self._idle: deque[CollectorClient] = deque()
        #: The number of a job's stream, counted from 1 as they begin; 0 before it has had a slot.
        self._number = ContextVar("number", default=0)
        self._begun = 0
        self._holders: set[int] = set()
        self._free = count
        self._reported = count
        self._streams = 0
        self._expected = 0
        self._returning = 0

    def expect(self) -> None:
        """Count a stream that the parent has sent to this process.

        It has a slot from the parent's view, and takes it when it first needs one.
        """
        with self._lock:
            self._reported -= 1
            self._expected += 1
            self._streams += 1
            self._balance()

    def done(self) -> None:
        """Count the end of this job's stream.

        If it never needed a slot, the parent may give that one to another stream.
        """
        with self._lock:
            self._streams -= 1
            if not self._number.get():
                self._expected -= 1
            self._balance()

    def resize(self, count: int) -> None:
        """Change the number of slots; streams that have none to lose take theirs at once."""
        with self._lock:
            self._free += count - self._count
            self._count = count
            self._most_streams = count + _room_to_wait(count)
            self._recall()
            for _ in range(min(self._free, len(self._waiting))):
                self._waiting.popleft().set()
            surplus = [self._idle.popleft() for _ in range(len(self._idle) - max(self._free, 0))]
            self._balance()
        for client in surplus:
            # The handles of the curl engine belong to the loop's thread.
            self._scheduler.call_soon(client.close)

    def is_recalled(self) -> bool:
        """Return True if this job's stream must release its slot before its next packet."""
        return self._number.get() in self.recalled

    def _recall(self) -> None:
        """Choose the streams that must release their slots: as many as there are too few."""
        if self._free < 0 or self.recalled:
            last_begun = sorted(self._holders, reverse=True)
            self.recalled = frozenset(last_begun[: max(-self._free, 0)])

    def acquire(self, access: Access, check: Callable[[], None]) -> CollectorClient:
        """Wait for a slot and return a client in it; ``check``, called meanwhile, may raise."""
        self._take(check)
        try:
            return self._client(access)
        except BaseException:
            self.release()
            raise

    def _take(self, check: Callable[[], None]) -> None:
        returns = self._number.get() > 0
        with self._lock:
            self._returning += returns
            self._balance()
        nap = _NAP
        try:
            check()
            while not self._try_take(turn := self._scheduler.event(), returns):
                turn.wait(nap)
                nap = min(2 * nap, _LONGEST_NAP)
                # Leave the queue; a waiter that was woken has left it already.
                with self._lock, suppress(ValueError):
                    self._waiting.remove(turn)
                check()
        finally:
            with self._lock:
                self._returning -= returns
                self._balance()

    def _try_take(self, turn: Event, returns: bool) -> bool:
        """Take a slot if one is free; if not, the event is set when one may be."""
        with self._lock:
            if self._free <= 0:
                self._waiting.append(turn)
                return False
            self._free -= 1
            if not returns:
                self._expected -= 1
                self._begun += 1
                self._number.set(self._begun)
            self._holders.add(self._number.get())
            return True

    def release(self, *client: CollectorClient) -> None:
        """Release a slot with its client, if it has one."""
        surplus: tuple[CollectorClient, ...] = ()
        with self._lock:
            if self._free >= 0:
                self._idle.extend(client)
            else:
                surplus = client
            self._free += 1
            self._holders.discard(self._number.get())
            self._recall()
            if self._waiting and self._free > 0:
                self._waiting.popleft().set()
            self._balance()
        for each in surplus:
            each.close()

    def _balance(self) -> None:
        """Report how many more streams would find a slot here, if that has changed."""
        free = max(self._free - self._expected - self._returning, 0)
        if self._streams >= self._most_streams:
            free = 0
        if free != self._reported:
            change, self._reported = free - self._reported, free
            self._report_free(change)

    def _client(self, access: Access) -> CollectorClient:
        """Return the slot's client, or a new one, which is opened without the lock."""
        with self._lock:
            # The one used last: servers close idle connections.
            known = next((each for each in reversed(self._idle) if each.access == access), None)
            if known is not None:
                self._idle.remove(known)
                return known
            is_full = len(self._idle) > self._free
            other = self._idle.popleft() if is_full else None
        if other is not None:
            other.close()
        return CollectorClient(self._engine, access, self._scheduler)


def _room_to_wait(slots: int) -> int:
    """Return how many streams may wait without a slot, by the limit of open files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(min(streams_in(soft) - slots, MOST_WAITING), 0)


def streams_in(descriptors: int) -> int:
    """Return how many streams a process can have begun with this many descriptors."""
    if descriptors == resource.RLIM_INFINITY:
        return sys.maxsize
    return (descriptors - _SPARE_DESCRIPTORS) // DESCRIPTORS_A_STREAM
