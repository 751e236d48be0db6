"""The dispatcher of an agent: sends a limited number of streams concurrently, in turns."""

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from swarm.agent.queue import StreamQueue
from swarm.scheduler import Event, Scheduler, unmasked

#: Most streams of one collector that may wait (backoff, ``Retry-After``, settling) at the same
#: time, as each needs a sender. Further streams are parked until one of them goes on.
MOST_WAITING = 256

#: How long (s) a stream rests whose measurements come from a generator, so that they can be sorted.
REST_SECONDS = 0.1

_local = threading.local()


def is_in_sender() -> bool:
    """Return True in a thread that sends, for any agent."""
    return getattr(_local, "is_sender", False)


class _Waiter:
    """A sender that waits for a stream to send, or for a slot."""

    def __init__(self, event: Event) -> None:
        self._stream: StreamQueue | None = None
        self._event = event

    def wake(self, stream: StreamQueue | None = None) -> None:
        self._stream = stream
        self._event.set()

    def wait(self) -> StreamQueue | None:
        self._event.wait()
        return self._stream


class Dispatcher:
    """Senders, which are jobs that send streams; ``send_one`` sends one packet of a stream.

    It returns True if more waits in the stream. Streams take turns, one packet each, and each
    stream is with one sender at most. A sender needs one of ``slots`` to send, and releases it
    while it waits. Senders are started as slots become free, and end if there are enough others.
    """

    def __init__(
        self,
        slots: int,
        send_one: Callable[[StreamQueue], bool],
        scheduler: Scheduler,
        lock: threading.RLock,
    ) -> None:
        self._slots = slots
        self._send_one = send_one
        self._scheduler = scheduler
        self._free = slots
        self._turns: deque[StreamQueue | _Waiter] = deque()
        self._resting: list[StreamQueue] = []
        self._idle: list[_Waiter] = []
        self._waiting: Counter[str] = Counter()
        self._parked: defaultdict[str, list[StreamQueue]] = defaultdict(list)
        self._count = 0
        self._is_started = False
        self._is_stopped = False
        self._lock = lock
        self._changed = threading.Condition(self._lock)

    # For any thread. A signal handler may interrupt these, so they leave the work to the scheduler.

    def enqueue(self, stream: StreamQueue) -> None:
        """Give a stream its turn after those before it.

        Raises `RuntimeError` if the system grants no thread for the first sender.
        """
        self._call(self._enqueue, stream)

    def enqueue_later(self, stream: StreamQueue) -> None:
        """Give a stream its turn after a rest, or on `wake`; raises as `enqueue` does."""
        self._call(self._enqueue_later, stream)

    def wake(self) -> None:
        """Give the streams that rest their turn."""
        if self._is_started:
            self._call(self._wake)

    def _call(self, function: Callable[..., None], *arguments: StreamQueue) -> None:
        try:
            if not self._is_started:
                # Set the flag last: a signal handler that waits in between needs a sender too. A
                # second first sender does no harm.
                self._scheduler.spawn(self._run, None)
                self._is_started = True
        finally:
            self._scheduler.call_soon(function, *arguments)

    @contextmanager
    def slot_released(self, stream: StreamQueue) -> Iterator[None]:
        """Release the slot of this sender within the block; acquire one again at its end."""
        with self._lock:
            self._free += 1
            self._waiting[stream.collector] += 1
            self._hand_out()
        try:
            yield
        finally:
            waiter = _Waiter(self._scheduler.event())
            with self._lock:
                self._waiting[stream.collector] -= 1
                self._turns.extend(self._parked.pop(stream.collector, ()))
                is_stopped = self._is_stopped
                if is_stopped:
                    self._free -= 1
                else:
                    self._turns.append(waiter)
                    self._hand_out()
            if not is_stopped:
                waiter.wait()

    def stop(self, timeout: float) -> None:
        """Hand out no more streams; wait (s) for the packets that are in flight."""
        with self._lock:
            self._is_stopped = True
            while self._idle:
                self._idle.pop().wake()
                self._count -= 1
            self._changed.wait_for(lambda: not self._count, timeout)

    @property
    def has_senders(self) -> bool:
        """True if there are senders: after `stop`, those whose packet is still in flight."""
        return self._count > 0

    @unmasked
    def wait_ended(self) -> None:
        """Wait for the packets that are in flight after `stop`."""
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
            try:
                self._scheduler.spawn(self._wake_after_rest)
            except RuntimeError:  # the system grants no thread: go on without a rest
                self._wake()

    def _wake_after_rest(self) -> None:
        self._scheduler.event().wait(REST_SECONDS)
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            self._turns.extend(self._resting)
            self._resting.clear()
            self._hand_out()

    # With the lock held

    def _hand_out(self) -> None:
        """Give free slots to streams, with idle senders or new ones."""
        while (stream := self._next_turn()) is not None:
            if self._idle:
                self._idle.pop().wake(stream)
                continue
            try:
                self._scheduler.spawn(self._run, stream)
            except RuntimeError:  # the system grants no thread: the stream waits for a sender
                self._free += 1
                self._turns.appendleft(stream)
                return
            self._count += 1

    def _next_turn(self) -> StreamQueue | None:
        """Take a free slot for the next stream; waiters whose turn comes first get slots too."""
        while self._turns and self._free > 0:
            head = self._turns.popleft()
            if isinstance(head, _Waiter):
                self._free -= 1
                head.wake()
            elif self._waiting[head.collector] >= MOST_WAITING:
                self._parked[head.collector].append(head)
            elif not self._is_stopped:
                self._free -= 1
                return head
        return None

    # The senders

    def _run(self, stream: StreamQueue | None) -> None:
        """Send a stream, and then others, until this sender is not needed any more.

        The first sender begins without a stream, so that `enqueue` can raise if it is not granted.
        """
        _local.is_sender = True
        if stream is None:
            with self._lock:
                self._count += 1
                self._free -= 1
            stream = self._next_stream(None)
        while stream is not None:
            has_more = self._send_one(stream)
            stream = self._next_stream(stream if has_more else None)

    def _next_stream(self, sent: StreamQueue | None) -> StreamQueue | None:
        """Release the slot; return the next stream to send, or None if this sender must end.

        If there is more to send in the stream ``sent``, it waits for its next turn.
        """
        with self._lock:
            self._free += 1
            if sent is not None:
                self._turns.append(sent)
            stream = self._next_turn()
            if stream is not None:
                return stream
            if self._is_stopped or len(self._idle) >= self._slots:
                self._count -= 1
                self._changed.notify_all()
                return None
            waiter = _Waiter(self._scheduler.event())
            self._idle.append(waiter)
        return waiter.wait()
