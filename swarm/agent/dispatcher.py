"""The senders of an agent: so many streams are sent at the same time, each in its turn."""

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from swarm.agent.queue import StreamQueue
from swarm.scheduler import Event, Scheduler, unmasked

#: So many streams of one collector may wait (backoff, ``Retry-After``, settling) at the same time:
#: each takes a sender. The others have their turn later.
MOST_WAITING = 256

#: How long (s) a stream rests whose measurements come from a generator: so it can be sorted.
REST_SECONDS = 0.1

_here = threading.local()


def is_in_sender() -> bool:
    """Tell whether this thread sends, for whichever agent."""
    return getattr(_here, "sends", False)


class _Waiter:
    """A condition that a sender waits with: for a stream to send, or for a place of its own."""

    def __init__(self, given: Event) -> None:
        self._stream: StreamQueue | None = None
        self._given = given

    def give(self, stream: StreamQueue | None = None) -> None:
        self._stream = stream
        self._given.set()

    def wait(self) -> StreamQueue | None:
        self._given.wait()
        return self._stream


class Dispatcher:
    """Jobs that send streams; ``send_one`` sends one packet and tells whether more waits.

    A stream has one turn after another, a packet each; one at a time of them all gets the next free
    place. A place is given up while its sender waits: senders are started as places come free, and
    end when there are enough without them.
    """

    def __init__(
        self,
        places: int,
        send_one: Callable[[StreamQueue], bool],
        scheduler: Scheduler,
        lock: threading.RLock,
    ) -> None:
        self._slots = places
        self._send_one = send_one
        self._scheduler = scheduler
        self._free = places
        self._turns: deque[StreamQueue | _Waiter] = deque()
        self._resting: list[StreamQueue] = []
        self._idle: list[_Waiter] = []
        self._waiting: Counter[str] = Counter()
        self._parked: defaultdict[str, list[StreamQueue]] = defaultdict(list)
        self._count = 0
        self._has_begun = False
        self._is_stopped = False
        self._lock = lock
        self._changed = threading.Condition(self._lock)

    # For any thread. What a signal's handler may interrupt leaves the work to the scheduler.

    def enqueue(self, stream: StreamQueue) -> None:
        """Give a stream its turn when those before it had theirs.

        Raises `RuntimeError` where the system grants no thread for the first sender.
        """
        self._call(self._enqueue, stream)

    def enqueue_later(self, stream: StreamQueue) -> None:
        """Give a stream its turn in a moment, or on `wake`; raises as `ready` does."""
        self._call(self._enqueue_later, stream)

    def wake(self) -> None:
        """Give the streams that rest their turn."""
        if self._has_begun:
            self._call(self._wake)

    def _call(self, function: Callable[..., None], *arguments: StreamQueue) -> None:
        try:
            if not self._has_begun:
                self._begin()
        finally:
            self._scheduler.call_soon(function, *arguments)

    def _begin(self) -> None:
        # Noted last: a signal's handler that waits meanwhile needs a sender as well. One more than
        # there need be is no harm.
        self._scheduler.spawn(self._run_first)
        self._has_begun = True

    @contextmanager
    def slot_released(self, stream: StreamQueue) -> Iterator[None]:
        """Give this sender's place to others for a while; end with a place again."""
        with self._lock:
            self._free += 1
            self._waiting[stream.collector] += 1
            self._hand_out()
        try:
            yield
        finally:
            self._return(stream.collector)

    def stop(self, timeout: float) -> None:
        """Hand out no more streams; wait (s) for the packets that are under way."""
        with self._lock:
            self._is_stopped = True
            while self._idle:
                self._idle.pop().give()
                self._count -= 1
            self._changed.wait_for(lambda: not self._count, timeout)

    @property
    def are_under_way(self) -> bool:
        """Whether there are senders: after `stop`, those whose packet has not ended."""
        return self._count > 0

    @unmasked
    def wait_ended(self) -> None:
        """Wait until the packets have ended that were under way when it was stopped."""
        with self._lock:
            self._changed.wait_for(lambda: not self._count)

    # Called by the scheduler

    def _enqueue(self, stream: StreamQueue) -> None:
        with self._lock:
            if not stream.is_scheduled:
                stream.is_scheduled = True
                self._turns.append(stream)
                self._hand_out()

    def _enqueue_later(self, stream: StreamQueue) -> None:
        with self._lock:
            if stream.is_scheduled:
                return
            stream.is_scheduled = True
            self._resting.append(stream)
            is_first = len(self._resting) == 1
        if is_first:
            self._begin_rest()

    def _begin_rest(self) -> None:
        try:
            self._scheduler.spawn(self._wake_later)
        except RuntimeError:  # the system grants no thread: then there is no rest
            self._wake()

    def _wake_later(self) -> None:
        self._scheduler.event().wait(REST_SECONDS)
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            self._turns.extend(self._resting)
            self._resting.clear()
            self._hand_out()

    # With the lock held

    def _hand_out(self) -> None:
        while (stream := self._next_turn()) is not None:
            if self._idle:
                self._idle.pop().give(stream)
            elif not self._start(stream):
                return

    def _next_turn(self) -> StreamQueue | None:
        """Take a free place for the next stream; a sender that returns in its turn gets one too."""
        while self._turns and self._free > 0:
            head = self._turns.popleft()
            if isinstance(head, _Waiter):
                self._free -= 1
                head.give()
            elif self._waiting[head.collector] >= MOST_WAITING:
                self._parked[head.collector].append(head)
            elif not self._is_stopped:
                self._free -= 1
                return head
        return None

    def _start(self, stream: StreamQueue) -> bool:
        """Start a sender; where the system grants none, the stream waits for those there are."""
        try:
            self._scheduler.spawn(self._run, stream)
        except RuntimeError:
            self._free += 1
            self._turns.appendleft(stream)
            return False
        self._count += 1
        return True

    # The senders

    def _run_first(self) -> None:
        """Begin without a stream: who gives the first one is told if there can be no sender."""
        with self._lock:
            self._count += 1
            self._free -= 1
        self._run(self._after(None))

    def _run(self, stream: StreamQueue | None) -> None:
        _here.sends = True
        turn = stream
        while turn is not None:
            has_more = self._send_one(turn)
            turn = self._after(turn if has_more else None)

    def _after(self, stream: StreamQueue | None) -> StreamQueue | None:
        """Give the place back; return the next stream to send, None for the sender to end."""
        with self._lock:
            self._free += 1
            if stream is not None:
                self._turns.append(stream)
            turn = self._next_turn()
            if turn is not None:
                return turn
            if self._is_stopped or len(self._idle) >= self._slots:
                self._count -= 1
                self._changed.notify_all()
                return None
            ticket = self._waiter()
            self._idle.append(ticket)
        return ticket.wait()

    def _waiter(self) -> _Waiter:
        return _Waiter(self._scheduler.event())

    def _return(self, collector: str) -> None:
        ticket = self._waiter()
        with self._lock:
            self._waiting[collector] -= 1
            self._turns.extend(self._parked.pop(collector, ()))
            if self._is_stopped:
                self._free -= 1
                return
            self._turns.append(ticket)
            self._hand_out()
        ticket.wait()
