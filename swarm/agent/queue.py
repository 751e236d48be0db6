"""The measurements of an agent without a final answer: per stream in order of time, and bounded."""

import itertools
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import NamedTuple

from swarm.agent.config import Config
from swarm.agent.measurement import Measurement
from swarm.errors import AgentError
from swarm.scheduler import unmasked

#: Of so many streams in which nothing waits it is remembered what they sent last.
MOST_REMEMBERED = 10_000

#: A stream's collector and its ID.
Key = tuple[str, str]


class QueuedMeasurement(NamedTuple):
    """A measurement that waits; ``number`` keeps those of one instant in the order they came."""

    instant: int
    number: int
    offset: int
    measurement: Measurement
    config: Config


class StreamQueue:
    """The waiting measurements of one stream, the earliest first.

    ``is_offered`` once somebody hands it to the senders, ``is_out`` while they have it: then they
    find by themselves what is added. ``in_hand`` is what was taken out and has no answer yet,
    ``newest`` the latest instant that was sent.
    """

    __slots__ = (
        "collector",
        "in_flight",
        "in_order",
        "is_offered",
        "is_scheduled",
        "key",
        "newest",
        "others",
    )

    def __init__(self, key: Key, newest: int | None) -> None:
        self.key = key
        self.collector = key[0]
        self.newest = newest
        self.is_offered = False
        self.is_scheduled = False
        self.in_flight: QueuedMeasurement | None = None
        # Most come in order: those need no heap.
        self.in_order: deque[QueuedMeasurement] = deque()
        self.others: list[QueuedMeasurement] = []

    def __bool__(self) -> bool:
        return bool(self.in_order or self.others)

    def pop(self) -> QueuedMeasurement:
        """Take the earliest entry out."""
        others = self.others
        if others and not (self.in_order and self.in_order[0] < others[0]):
            return heappop(others)
        return self.in_order.popleft()


class MeasurementQueue:
    """The streams and what waits in them, never more than ``size``; all its methods are atomic.

    A thread that may not wait for room is not held to that; ``may_wait`` tells, and is asked when
    it is full. ``rest`` is counted when the agent ends: how many were not sent, and how many were
    sent and not answered.
    """

    def __init__(self, size: int, may_wait: Callable[[], bool], lock: threading.RLock) -> None:
        self.sent = 0
        self.refused = 0
        self._size = size
        self._may_wait = may_wait
        # Who waits for room is not woken for every single place: that would cost more than sending.
        self._low_water = size - max(1, size // 10)
        self._streams: dict[Key, StreamQueue] = {}
        self._newest: OrderedDict[Key, int] = OrderedDict()
        self._numbers = itertools.count()
        self._given = 0
        self._open = 0
        self.is_closed = False
        self.rest: tuple[int, int] | None = None
        self.is_ended = False
        self._lock = lock
        self._room = threading.Condition(self._lock)
        self._changed = threading.Condition(self._lock)

    @property
    def waiting(self) -> int:
        """The number of measurements without an answer."""
        # Without the lock: a forked process may ask, which has not the thread that holds it. What
        # is subtracted is read first, as it never exceeds what is read later.
        answered = self.sent + self.refused
        return self._given - answered

    @property
    def unhandled(self) -> int:
        """The number of measurements whose end the handlers have not heard of."""
        return self._open

    @unmasked
    def put(self, measurement: Measurement, config: Config) -> StreamQueue | None:
        """Add a measurement, once there is room; return its stream if it is not with the senders.

        Whoever gets the stream has to hand it to them.
        """
        instant, offset = config.moment(measurement)
        with self._lock:
            if self._open >= self._size and self._may_wait():
                self._room.wait_for(lambda: self._open <= self._low_water or self.is_closed)
            number = next(self._numbers)
            entry = QueuedMeasurement(instant, number, offset, measurement, config)
            return self._add((config.collector, measurement.id), entry)

    def _add(self, key: Key, entry: QueuedMeasurement) -> StreamQueue | None:
        """Add an entry in one step.

        Handlers of signals run when something is called: once there is a stream, the only call is
        the last thing done. A handler that waits may have seen the stream fall idle before that.
        """
        spare = None
        while spare is None and key not in self._streams:
            spare = StreamQueue(key, self._newest.get(key))
        if self.is_closed:
            raise AgentError("the agent is closed; nothing more can be sent with it")
        if spare is not None and key not in self._streams:
            self._streams[key] = spare
        stream = self._streams[key]
        self._given += 1
        self._open += 1
        offered = None if stream.is_offered else stream
        stream.is_offered = True
        if not stream.in_order or entry > stream.in_order[-1]:
            stream.in_order.append(entry)
        else:
            heappush(stream.others, entry)
        return offered

    def left(self) -> list[StreamQueue]:
        """Return the streams in which something waits and that are not with the senders."""
        with self._lock:
            return [each for each in self._streams.values() if each and not each.is_scheduled]

    def take(self, stream: StreamQueue) -> QueuedMeasurement | None:
        """Take the earliest of a stream that is out; None where nothing waits any more."""
        with self._lock:
            stream.is_offered = stream.is_scheduled = bool(stream)
            stream.in_flight = stream.pop() if stream.is_scheduled else None
            if not stream.is_scheduled:
                self._forget(stream)
            return stream.in_flight

    def give_back(self, stream: StreamQueue) -> None:
        """Put back what was taken and not sent."""
        with self._lock:
            if stream.in_flight is not None:
                heappush(stream.others, stream.in_flight)
                stream.in_flight = None

    def answered(self, stream: StreamQueue, *, is_sent: bool) -> bool | None:
        """Note the final answer to what was taken; tell whether more waits in the stream.

        None where it comes after `drain`: then the measurement counts as not answered.
        """
        with self._lock:
            if stream.in_flight is None:
                return None
            stream.in_flight = None
            self.sent += is_sent
            self.refused += not is_sent
            stream.is_offered = stream.is_scheduled = bool(stream)
            if not stream.is_scheduled:
                self._forget(stream)
            return stream.is_scheduled

    def _forget(self, stream: StreamQueue) -> None:
        """Forget an idle stream, but for the time that it sent last: there may be millions."""
        if self._streams.get(stream.key) is not stream:
            return
        del self._streams[stream.key]
        if stream.newest is not None:
            self._newest[stream.key] = stream.newest
            self._newest.move_to_end(stream.key)
            if len(self._newest) > MOST_REMEMBERED:
                self._newest.popitem(last=False)

    def done(self) -> None:
        """Note that a measurement was answered and its handlers called: there is room for more."""
        with self._lock:
            self._open -= 1
            if self._open == self._low_water:
                self._room.notify_all()
            if not self._open:
                self._changed.notify_all()

    def wait_empty(self, timeout: float | None, *, or_closed: bool = False) -> bool:
        """Wait until nothing is left, or nothing is taken any more; tell whether that is so."""
        return self.wait_for(lambda: not self._open or (or_closed and self.is_closed), timeout)

    @unmasked
    def wait_for(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait (s) until something holds; tell whether it does."""
        with self._lock:
            return self._changed.wait_for(condition, timeout)

    def wait_handled(self, patience: float | None) -> bool:
        """Wait until nothing is left; give up where none was done for so many seconds."""
        return self._wait_patiently(lambda: not self._open, patience)

    def wait_ended(self, patience: float | None) -> None:
        """Wait for `end`; give up where no measurement was done for so many seconds."""
        self._wait_patiently(lambda: self.is_ended, patience)

    def _wait_patiently(self, condition: Callable[[], bool], patience: float | None) -> bool:
        left = None
        while left != self._open:
            left = self._open
            if self.wait_for(condition, patience):
                return True
        return condition()

    # The end

    def close(self) -> None:
        """Take nothing more; a thread that waits for room gets an `AgentError`."""
        with self._lock:
            self.is_closed = True
            self._room.notify_all()
            self._changed.notify_all()

    def count_rest(self) -> None:
        """Count what has no answer, before it is drained."""
        with self._lock:
            under_way = sum(stream.in_flight is not None for stream in self._streams.values())
            self.rest = self.waiting - under_way, under_way
            self._changed.notify_all()

    def end(self) -> None:
        """Note that all is done that is to be done at the end."""
        with self._lock:
            self.is_ended = True
            self._changed.notify_all()

    def drain(self) -> Iterator[Measurement]:
        """Take out all that has no answer, also what is in the senders' hands, one by one."""
        for stream in tuple(self._streams.values()):
            while (entry := self._dropped(stream)) is not None:
                yield entry.measurement

    def _dropped(self, stream: StreamQueue) -> QueuedMeasurement | None:
        with self._lock:
            entry, stream.in_flight = stream.in_flight, None
            return stream.pop() if entry is None and stream else entry
