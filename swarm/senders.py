"""The senders of an agent: so many streams are sent at the same time, each in its turn."""

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from swarm.backlog import Stream
from swarm.scheduler import THREADS, Event, Scheduler

#: So many streams of one collector may wait (backoff, ``Retry-After``, settling) at the same time:
#: each takes a sender. The others have their turn later.
MOST_WAITING = 256

#: How long (s) a stream rests whose measurements come from a generator: so it can be sorted.
REST = 0.1

_here = threading.local()


def is_in_sender() -> bool:
    """Tell whether this thread sends, for whichever agent."""
    return getattr(_here, "sends", False)


class _Ticket:
    """What a sender waits with: for a stream to send, or for a place of its own."""

    def __init__(self, given: Event) -> None:
        self._stream: Stream | None = None
        self._given = given

    def give(self, stream: Stream | None = None) -> None:
        self._stream = stream
        self._given.set()

    def wait(self) -> Stream | None:
        self._given.wait()
        return self._stream


class Senders:
    """Jobs that send streams; ``send_one`` sends one packet and tells whether more waits.

    A stream has one turn after another, a packet each; one at a time of them all gets the next free
    place. A place is given up while its sender waits: senders are started as places come free, and
    end when there are enough without them.
    """

    def __init__(
        self, places: int, send_one: Callable[[Stream], bool], scheduler: Scheduler = THREADS
    ) -> None:
        self._places = places
        self._send_one = send_one
        self._scheduler = scheduler
        self._free = places
        self._turns: deque[Stream | _Ticket] = deque()
        self._resting: list[Stream] = []
        self._idle: list[_Ticket] = []
        self._waiting: Counter[str] = Counter()
        self._parked: defaultdict[str, list[Stream]] = defaultdict(list)
        self._count = 0
        self._is_stopped = False
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)

    def ready(self, stream: Stream) -> None:
        """Give a stream its turn when those before it had theirs."""
        with self._lock:
            self._turns.append(stream)
            self._hand_out()

    def rest(self, stream: Stream) -> None:
        """Give a stream its turn in a moment, or on `wake`."""
        with self._lock:
            if not self._resting:
                timer = threading.Timer(REST, self.wake)
                timer.daemon = True
                timer.start()
            self._resting.append(stream)

    def wake(self) -> None:
        """Give the streams that rest their turn."""
        with self._lock:
            self._turns.extend(self._resting)
            self._resting.clear()
            self._hand_out()

    @contextmanager
    def place_lent(self, stream: Stream) -> Iterator[None]:
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

    # With the lock held

    def _hand_out(self) -> None:
        while (stream := self._next_turn()) is not None:
            if self._idle:
                self._idle.pop().give(stream)
            elif not self._start(stream):
                return

    def _next_turn(self) -> Stream | None:
        """Take a free place for the next stream; a sender that returns in its turn gets one too."""
        while self._turns and self._free > 0:
            head = self._turns.popleft()
            if isinstance(head, _Ticket):
                self._free -= 1
                head.give()
            elif self._waiting[head.collector] >= MOST_WAITING:
                self._parked[head.collector].append(head)
            elif not self._is_stopped:
                self._free -= 1
                return head
        return None

    def _start(self, stream: Stream) -> bool:
        """Start a sender; where the system grants none, the stream waits for those there are."""
        try:
            self._scheduler.start(self._run, stream)
        except RuntimeError:
            self._free += 1
            self._turns.appendleft(stream)
            if not self._count:
                raise
            return False
        self._count += 1
        return True

    # The senders

    def _run(self, stream: Stream) -> None:
        _here.sends = True
        turn: Stream | None = stream
        while turn is not None:
            has_more = self._send_one(turn)
            turn = self._after(turn if has_more else None)

    def _after(self, stream: Stream | None) -> Stream | None:
        """Give the place back; return the next stream to send, None for the sender to end."""
        with self._lock:
            self._free += 1
            if stream is not None:
                self._turns.append(stream)
            turn = self._next_turn()
            if turn is not None:
                return turn
            if self._is_stopped or len(self._idle) >= self._places:
                self._count -= 1
                self._changed.notify_all()
                return None
            ticket = self._ticket()
            self._idle.append(ticket)
        return ticket.wait()

    def _ticket(self) -> _Ticket:
        return _Ticket(self._scheduler.event())

    def _return(self, collector: str) -> None:
        ticket = self._ticket()
        with self._lock:
            self._waiting[collector] -= 1
            self._turns.extend(self._parked.pop(collector, ()))
            if self._is_stopped:
                self._free -= 1
                return
            self._turns.append(ticket)
            self._hand_out()
        ticket.wait()
