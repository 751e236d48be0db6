"""The queue of an agent: measurements without a final answer, by stream and in order of time."""

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

#: Number of idle streams whose newest instant is remembered.
MOST_REMEMBERED = 10_000

#: A stream's collector and its ID.
Key = tuple[str, str]


class QueuedMeasurement(NamedTuple):
    """A measurement that waits; ``number`` keeps the order of arrival within one instant (ms)."""

    instant: int
    number: int
    offset: int
    measurement: Measurement
    config: Config


class StreamQueue:
    """The waiting measurements of one stream, the earliest first.

    ``is_offered`` is True from the moment that a thread takes it on to hand the stream to the
    dispatcher, ``is_scheduled`` while the dispatcher has it and finds new measurements without
    being called. ``in_flight`` is the measurement that was taken out and has no answer yet;
    ``newest`` is the latest instant (ms) that was sent.
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
        # Most measurements arrive in order and do not need the heap of the others.
        self.in_order: deque[QueuedMeasurement] = deque()
        self.others: list[QueuedMeasurement] = []

    def __bool__(self) -> bool:
        return bool(self.in_order or self.others)

    def pop(self) -> QueuedMeasurement:
        """Remove and return the earliest measurement.

        Raises `IndexError` if nothing waits.
        """
        others = self.others
        if others and not (self.in_order and self.in_order[0] < others[0]):
            return heappop(others)
        return self.in_order.popleft()


class MeasurementQueue:
    """All streams and their waiting measurements, at most ``size``; all methods are atomic.

    The limit does not apply to threads that must not wait; ``may_wait`` is called for this when the
    queue is full. ``unhandled`` is the number of measurements whose handlers have not run yet.
    ``rest`` is set when the agent ends: the number of measurements that were not sent, and of those
    that were sent and not answered.
    """

    def __init__(self, size: int, may_wait: Callable[[], bool], lock: threading.RLock) -> None:
        self.sent = 0
        self.refused = 0
        self.unhandled = 0
        self._size = size
        self._may_wait = may_wait
        # Waking the threads that wait for room at every answer would cost more than sending.
        self._low_water = size - max(1, size // 10)
        self._streams: dict[Key, StreamQueue] = {}
        self._newest: OrderedDict[Key, int] = OrderedDict()
        self._numbers = itertools.count()
        self._accepted = 0
        self.is_closed = False
        self.rest: tuple[int, int] | None = None
        self.is_ended = False
        self._lock = lock
        self._room = threading.Condition(self._lock)
        self._changed = threading.Condition(self._lock)

    @property
    def waiting(self) -> int:
        """The number of measurements without an answer."""
        # No lock, as a forked process may call this and lack the thread that holds the lock.
        # Answers are read first, so that they never exceed the number that is read after them.
        answered = self.sent + self.refused
        return self._accepted - answered

    @unmasked
    def put(self, measurement: Measurement, config: Config) -> StreamQueue | None:
        """Add a measurement, once there is room.

        Return its stream if the caller has to hand that to the dispatcher, else None. Raises
        `AgentError` after `close`.
        """
        instant, offset = config.moment(measurement)
        key = config.collector, measurement.id
        with self._lock:
            if self.unhandled >= self._size and self._may_wait():
                self._room.wait_for(lambda: self.unhandled <= self._low_water or self.is_closed)
            number = next(self._numbers)
            entry = QueuedMeasurement(instant, number, offset, measurement, config)
            # The rest must be atomic also for signal handlers, which run when something is called:
            # once there is a stream, the only call is the last one. A handler that waits may let
            # the stream become idle and be forgotten before that.
            spare = None
            while spare is None and key not in self._streams:
                spare = StreamQueue(key, self._newest.get(key))
            if self.is_closed:
                raise AgentError("the agent is closed; nothing more can be sent with it")
            if spare is not None and key not in self._streams:
                self._streams[key] = spare
            stream = self._streams[key]
            self._accepted += 1
            self.unhandled += 1
            to_hand_over = None if stream.is_offered else stream
            stream.is_offered = True
            if not stream.in_order or entry > stream.in_order[-1]:
                stream.in_order.append(entry)
            else:
                heappush(stream.others, entry)
            return to_hand_over

    def unscheduled(self) -> list[StreamQueue]:
        """Return the streams with waiting measurements that the dispatcher does not have."""
        with self._lock:
            return [each for each in self._streams.values() if each and not each.is_scheduled]

    def take(self, stream: StreamQueue) -> QueuedMeasurement | None:
        """Take the earliest measurement of a scheduled stream; None if nothing waits."""
        with self._lock:
            stream.is_offered = stream.is_scheduled = bool(stream)
            stream.in_flight = stream.pop() if stream.is_scheduled else None
            if not stream.is_scheduled:
                self._forget(stream)
            return stream.in_flight

    def give_back(self, stream: StreamQueue) -> None:
        """Put back the measurement that was taken and not sent.

        It waits again with the others, in order of time.
        """
        with self._lock:
            if stream.in_flight is not None:
                heappush(stream.others, stream.in_flight)
                stream.in_flight = None

    def answered(self, stream: StreamQueue, *, is_sent: bool) -> bool | None:
        """Record the final answer to the measurement in flight; return True if more waits.

        Return None after `drain`: then the measurement counts as not answered.
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
        """Drop an idle stream but for its newest instant: there may be millions of streams."""
        if self._streams.get(stream.key) is not stream:
            return
        del self._streams[stream.key]
        if stream.newest is not None:
            self._newest[stream.key] = stream.newest
            self._newest.move_to_end(stream.key)
            if len(self._newest) > MOST_REMEMBERED:
                self._newest.popitem(last=False)

    def done(self) -> None:
        """Record that all handlers of a measurement have run; that makes room for another one."""
        with self._lock:
            self.unhandled -= 1
            if self.unhandled == self._low_water:
                self._room.notify_all()
            if not self.unhandled:
                self._changed.notify_all()

    @unmasked
    def wait_for(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait (s) for a condition; return True if it holds."""
        with self._lock:
            return self._changed.wait_for(condition, timeout)

    def wait_while_progress(self, condition: Callable[[], bool], timeout: float | None) -> bool:
        """Wait for a condition as long as handlers finish; return True if it holds.

        Give up if the handlers of one measurement take longer than the timeout (s).
        """
        before = None
        while before != self.unhandled:
            before = self.unhandled
            if self.wait_for(condition, timeout):
                return True
        return condition()

    # The end

    def close(self) -> None:
        """Accept no more measurements; threads that wait for room get an `AgentError`.

        Measurements that wait already are still sent.
        """
        with self._lock:
            self.is_closed = True
            self._room.notify_all()
            self._changed.notify_all()

    def count_rest(self) -> None:
        """Set ``rest``; must be called before `drain`.

        ``rest`` is (not sent, sent without an answer).
        """
        with self._lock:
            in_flight = sum(stream.in_flight is not None for stream in self._streams.values())
            self.rest = self.waiting - in_flight, in_flight
            self._changed.notify_all()

    def end(self) -> None:
        """Record that the agent has ended."""
        with self._lock:
            self.is_ended = True
            self._changed.notify_all()

    def drain(self) -> Iterator[Measurement]:
        """Remove and yield all measurements without an answer, also those in flight."""
        for stream in tuple(self._streams.values()):
            while True:
                with self._lock:
                    entry, stream.in_flight = stream.in_flight, None
                    if entry is None and stream:
                        entry = stream.pop()
                if entry is None:
                    break
                yield entry.measurement
