"""The places of one process: how many streams send at the same time, and their sessions."""

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

#: So many streams may wait (backoff, ``Retry-After``, settling) beside those that have a place.
MOST_WAITING = 256
#: A stream in flight, also one that waits, has a socket, a ledger and its CSV.
DESCRIPTORS_A_STREAM = 3
_SPARE_DESCRIPTORS = 64
_NAP = 0.05


class ConnectionSlots:
    """Places that streams hold while they send, and leave while they wait.

    A session stays in its place for the next stream with the same credentials: there are never
    more open sessions than places. ``tell_free`` is called with the change in the number of places
    that a further stream could have, as the parent has been told of it.
    """

    def __init__(
        self,
        count: int,
        engine: Engine,
        tell_free: Callable[[int], None],
        scheduler: Scheduler = THREADS,
    ) -> None:
        self._most_streams = count + _room_to_wait(count)
        self._engine = engine
        self._scheduler = scheduler
        self._tell_free = tell_free
        self._lock = threading.Lock()
        self._waiting: deque[Event] = deque()
        self._idle: deque[CollectorClient] = deque()
        self._has_entered = ContextVar("has_entered", default=False)
        self._free = count
        self._told = count
        self._streams = 0
        self._expected = 0
        self._returning = 0

    def expect(self) -> None:
        """Take note of a stream that the parent has given a place here."""
        with self._lock:
            self._told -= 1
            self._expected += 1
            self._streams += 1
            self._balance()

    def done(self) -> None:
        """Take note of the end of this job's stream."""
        with self._lock:
            self._streams -= 1
            if not self._has_entered.get():
                self._expected -= 1
            self._balance()

    def acquire(self, access: Access, check: Callable[[], None]) -> CollectorClient:
        """Take a place and a session in it; ``check`` is called now and then, and may raise."""
        self._take(check)
        try:
            return self._session(access)
        except BaseException:
            self._give_back()
            raise

    def release(self, link: CollectorClient) -> None:
        """Give a place back, and the session in it."""
        self._give_back(link)

    def _take(self, check: Callable[[], None]) -> None:
        returns = self._has_entered.get()
        with self._lock:
            self._returning += returns
            self._balance()
        try:
            check()
            while not self._is_taken(turn := self._scheduler.event(), returns):
                turn.wait(_NAP)
                self._forget(turn)
                check()
        finally:
            with self._lock:
                self._returning -= returns
                self._balance()

    def _is_taken(self, turn: Event, returns: bool) -> bool:
        """Take a place if there is one; if not, the event is set when there may be."""
        with self._lock:
            if not self._free:
                self._waiting.append(turn)
                return False
            self._free -= 1
            self._expected -= not returns
            self._has_entered.set(True)
            return True

    def _forget(self, turn: Event) -> None:
        """Leave the row of those who wait; who was woken has left it already."""
        with self._lock, suppress(ValueError):
            self._waiting.remove(turn)

    def _give_back(self, *session: CollectorClient) -> None:
        with self._lock:
            self._idle.extend(session)
            self._free += 1
            if self._waiting:
                self._waiting.popleft().set()
            self._balance()

    def _balance(self) -> None:
        """Tell the parent how many more streams would find a place here, if that has changed."""
        free = max(self._free - self._expected - self._returning, 0)
        if self._streams >= self._most_streams:
            free = 0
        if free != self._told:
            change, self._told = free - self._told, free
            self._tell_free(change)

    def _session(self, access: Access) -> CollectorClient:
        """Return the place's session, or a fresh one: opened without holding up the others."""
        with self._lock:
            # The one used last: a server closes those that idle for long.
            known = next((link for link in reversed(self._idle) if link.access == access), None)
            if known is not None:
                self._idle.remove(known)
                return known
            is_here = len(self._idle) > self._free
            other = self._idle.popleft() if is_here else None
        if other is not None:
            other.close()
        return CollectorClient(self._engine, access, self._scheduler)


def _room_to_wait(places: int) -> int:
    """Return how many streams may wait beside those with a place, by what may be open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(min(streams_in(soft) - places, MOST_WAITING), 0)


def streams_in(descriptors: int) -> int:
    """Return how many streams a process can have in flight with so many descriptors."""
    if descriptors == resource.RLIM_INFINITY:
        return sys.maxsize
    return (descriptors - _SPARE_DESCRIPTORS) // DESCRIPTORS_A_STREAM
