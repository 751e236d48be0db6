"""What an agent has been given and not answered yet: per stream in order of time, and bounded."""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import NamedTuple

from swarm.agentconfig import Config
from swarm.errors import AgentError
from swarm.measurement import Measurement


class Entry(NamedTuple):
    """A measurement that waits; ``number`` keeps those of one instant in the order they came."""

    instant: int
    number: int
    offset: int
    measurement: Measurement
    config: Config


class Stream:
    """What waits of one stream, the earliest first.

    ``is_offered`` once somebody hands it to the senders, ``is_out`` while they have it: then they
    find by themselves what is added. ``in_hand`` is what was taken out and has no answer yet,
    ``newest`` the latest instant that was sent.
    """

    __slots__ = ("collector", "in_hand", "in_order", "is_offered", "is_out", "newest", "others")

    def __init__(self, collector: str) -> None:
        self.collector = collector
        self.is_offered = False
        self.is_out = False
        self.in_hand: Entry | None = None
        self.newest: int | None = None
        # Most come in order: those need no heap.
        self.in_order: deque[Entry] = deque()
        self.others: list[Entry] = []

    def __bool__(self) -> bool:
        return bool(self.in_order or self.others)

    def pop(self) -> Entry:
        """Take the earliest entry out."""
        others = self.others
        if others and not (self.in_order and self.in_order[0] < others[0]):
            return heappop(others)
        return self.in_order.popleft()


class Backlog:
    """The streams and what waits in them, never more than ``size``; all its methods are atomic.

    Who may not wait for room is not held to that; ``may_wait`` tells, and is asked when it is full.
    """

    def __init__(self, size: int, may_wait: Callable[[], bool], lock: threading.RLock) -> None:
        self.sent = 0
        self.refused = 0
        self._size = size
        self._may_wait = may_wait
        # Who waits for room is not woken for every single place: that would cost more than sending.
        self._roomy = size - max(1, size // 10)
        self._streams: dict[tuple[str, str], Stream] = {}
        self._numbers = itertools.count()
        self._given = 0
        self._open = 0
        self.is_closed = False
        self._lock = lock
        self._room = threading.Condition(self._lock)
        self._empty = threading.Condition(self._lock)

    @property
    def waiting(self) -> int:
        """How many measurements have no answer yet."""
        with self._lock:
            return self._given - self.sent - self.refused

    def put(self, measurement: Measurement, config: Config) -> Stream | None:
        """Add a measurement, once there is room; return its stream if it is not with the senders.

        Whoever gets the stream has to hand it to them.
        """
        instant, offset = config.moment(measurement)
        with self._lock:
            if self._open >= self._size and self._may_wait():
                self._room.wait_for(lambda: self._open <= self._roomy or self.is_closed)
            stream = self._stream(config.collector, measurement.id)
            number = next(self._numbers)
            return self._add(stream, Entry(instant, number, offset, measurement, config))

    def _add(self, stream: Stream, entry: Entry) -> Stream | None:
        """Add an entry in one step.

        Handlers of signals run when something is called: the only call is the last thing done.
        """
        if self.is_closed:
            raise AgentError("the agent is closed; nothing more can be sent with it")
        self._given += 1
        self._open += 1
        offered = None if stream.is_offered else stream
        stream.is_offered = True
        if not stream.in_order or entry > stream.in_order[-1]:
            stream.in_order.append(entry)
        else:
            heappush(stream.others, entry)
        return offered

    def left(self) -> list[Stream]:
        """Return the streams in which something waits and that are not with the senders."""
        with self._lock:
            return [each for each in self._streams.values() if each and not each.is_out]

    @property
    def under_way(self) -> int:
        """How many measurements are in the senders' hands."""
        with self._lock:
            return sum(stream.in_hand is not None for stream in self._streams.values())

    def take(self, stream: Stream) -> Entry | None:
        """Take the earliest of a stream that is out; None where nothing waits any more."""
        with self._lock:
            stream.is_offered = stream.is_out = bool(stream)
            stream.in_hand = stream.pop() if stream.is_out else None
            return stream.in_hand

    def give_back(self, stream: Stream) -> None:
        """Put back what was taken and not sent."""
        with self._lock:
            if stream.in_hand is not None:
                heappush(stream.others, stream.in_hand)
                stream.in_hand = None

    def answered(self, stream: Stream, *, is_sent: bool) -> bool | None:
        """Note the final answer to what was taken; tell whether more waits in the stream.

        None where it comes after `drain`: then the measurement counts as not answered.
        """
        with self._lock:
            if stream.in_hand is None:
                return None
            stream.in_hand = None
            self.sent += is_sent
            self.refused += not is_sent
            stream.is_offered = stream.is_out = bool(stream)
            return stream.is_out

    def done(self) -> None:
        """Note that a measurement was answered and its handlers called: there is room for more."""
        with self._lock:
            self._open -= 1
            if self._open == self._roomy:
                self._room.notify_all()
            if not self._open:
                self._empty.notify_all()

    def wait_empty(self, timeout: float | None, *, or_closed: bool = False) -> bool:
        """Wait until nothing is left, or nothing is taken any more; tell whether that is so."""
        with self._lock:
            return self._empty.wait_for(
                lambda: not self._open or (or_closed and self.is_closed), timeout
            )

    def close(self) -> None:
        """Take nothing more; who waits for room gets an `AgentError`."""
        with self._lock:
            self.is_closed = True
            self._room.notify_all()
            self._empty.notify_all()

    def drain(self) -> Iterator[Measurement]:
        """Take out all that has no answer, also what is in the senders' hands, one by one."""
        for stream in tuple(self._streams.values()):
            while (entry := self._dropped(stream)) is not None:
                yield entry.measurement

    def _dropped(self, stream: Stream) -> Entry | None:
        with self._lock:
            entry, stream.in_hand = stream.in_hand, None
            return stream.pop() if entry is None and stream else entry

    def _stream(self, collector: str, name: str) -> Stream:
        key = collector, name
        if key not in self._streams:
            self._streams.setdefault(key, Stream(collector))
        return self._streams[key]
