"""The places of a process: streams in threads of their own take them, leave them, come back."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.collector.transport.base import Access, Answer
from swarm.delivery.context import StopRequested
from swarm.run import slots as module
from swarm.run.slots import ConnectionSlots
from swarm.scheduler import Scheduler

if TYPE_CHECKING:
    from swarm.collector.client import CollectorClient

ACME, OTHER = Access("acme", "a"), Access("other", "b")
_SECONDS = 20


class Sessions:
    """Opens sessions that go nowhere, and counts those that are open."""

    def __init__(self) -> None:
        self.open = 0
        self.opened = 0
        self.most = 0
        self.fails = False
        self.may_open = threading.Event()
        self.may_open.set()
        self._mutex = threading.Lock()

    def __call__(self, _engine: str, _access: Access, _scheduler: Scheduler) -> "_Session":
        """Open one."""
        assert self.may_open.wait(_SECONDS)
        if self.fails:
            raise OSError("no room for a session")
        with self._mutex:
            self.open += 1
            self.opened += 1
            self.most = max(self.most, self.open)
        return _Session(self)

    def closed(self) -> None:
        """Count one less."""
        with self._mutex:
            self.open -= 1


class _Session:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def post(self, url: str, packet: bytes) -> Answer:
        raise AssertionError

    def get(self, url: str) -> Answer:
        raise AssertionError

    def close(self) -> None:
        self._sessions.closed()


class Stream:
    """A stream in a thread of its own, as a worker runs it."""

    def __init__(self, places: ConnectionSlots, access: Access = ACME) -> None:
        self._places = places
        self._access = access
        self._thread = ThreadPoolExecutor(1)
        self.link: CollectorClient | None = None
        self.told_to_stop = False

    def entering(self) -> "Future[None]":
        """Begin to take a place; there may be none."""
        return self._thread.submit(self._enter)

    def enter(self) -> None:
        """Take a place; there is one."""
        self.entering().result(_SECONDS)

    def leave(self) -> None:
        """Give the place back."""
        link, self.link = self.link, None
        assert link is not None
        self._thread.submit(self._places.release, link).result(_SECONDS)

    def is_recalled(self) -> bool:
        """Return True if it must give its place back."""
        return self._thread.submit(self._places.is_recalled).result(_SECONDS)

    def done(self) -> None:
        """End, with or without a place taken ever."""
        if self.link:
            self.leave()
        self._thread.submit(self._places.done).result(_SECONDS)
        self._thread.shutdown()

    def _enter(self) -> None:
        self.link = self._places.acquire(self._access, self._check)

    def _check(self) -> None:
        if self.told_to_stop:
            raise StopRequested()


class Parent:
    """The parent's side: it gives streams to places that it believes to be free."""

    def __init__(self, count: int) -> None:
        self.free = count
        self.places = ConnectionSlots(count, "requests", self._told)

    def _told(self, change: int) -> None:
        self.free += change

    def stream(self, access: Access = ACME) -> Stream:
        """Hand a stream out."""
        self.free -= 1
        self.places.expect()
        return Stream(self.places, access)


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> Sessions:
    """Return what opens the sessions of links."""
    sessions = Sessions()
    monkeypatch.setattr("swarm.collector.client.open_session", sessions)
    return sessions


@pytest.fixture
def parent(sessions: Sessions) -> Iterator[Parent]:
    """Return a parent with one place; all places are free at the end."""
    parent = Parent(1)
    yield parent
    assert parent.free == 1
    assert sessions.most <= 1


def test_a_stream_that_waits_leaves_its_place(parent: Parent) -> None:
    """While one stream waits, another has its place and its session; then it comes back."""
    one = parent.stream()
    one.enter()
    link = one.link
    assert parent.free == 0
    one.leave()
    assert parent.free == 1
    two = parent.stream()
    two.enter()
    returning = one.entering()
    assert not returning.done()
    assert two.link is link
    two.done()
    returning.result(_SECONDS)
    assert one.link is link
    one.done()


def test_a_stream_on_its_way_back_counts(parent: Parent) -> None:
    """A place that a returning stream waits for is none for a further stream."""
    one, two = parent.stream(), None
    one.enter()
    one.leave()
    two = parent.stream()
    two.enter()
    back = one.entering()
    while not parent.places._returning:
        time.sleep(0.001)
    two.leave()
    back.result(_SECONDS)
    assert parent.free == 0
    one.leave()
    assert parent.free == 1
    one.done()
    two.done()


def test_a_session_of_other_credentials_is_closed(parent: Parent, sessions: Sessions) -> None:
    """A place changes credentials by a fresh session: the old one is closed first."""
    one = parent.stream()
    one.enter()
    one.done()
    two = parent.stream(OTHER)
    two.enter()
    assert two.link is not None
    assert (OTHER, 1, 2) == (two.link.access, sessions.open, sessions.opened)
    two.done()


def test_the_session_used_last_comes_first(sessions: Sessions) -> None:
    """Of several idle sessions the one used last goes out: the others may have been closed."""
    parent = Parent(2)
    one, two = parent.stream(), parent.stream()
    one.enter()
    two.enter()
    last = one.link
    two.leave()
    one.leave()
    two.enter()
    assert two.link is last
    one.done()
    two.done()
    assert (2, 2) == (parent.free, sessions.open)


def test_a_stop_before_the_first_place(parent: Parent, sessions: Sessions) -> None:
    """A stream that is told to stop takes no place, and frees what was kept for it at its end."""
    one = parent.stream()
    one.told_to_stop = True
    with pytest.raises(StopRequested):
        one.enter()
    assert (0, 0) == (parent.free, sessions.opened)
    one.done()


def test_who_waits_for_long_waits_once(parent: Parent) -> None:
    """A place that comes free wakes who waits, not a wait that has ended."""
    first, second = parent.stream(), parent.stream()
    first.enter()
    entering = second.entering()
    time.sleep(5 * module._NAP)
    assert len(parent.places._waiting) <= 1
    first.leave()
    entering.result(_SECONDS)
    first.done()
    second.done()


def test_a_stop_while_waiting_for_a_place(parent: Parent) -> None:
    """A stream that waits for a place, the first time or again, hears the word to stop."""
    one = parent.stream()
    one.enter()
    one.leave()
    two = parent.stream()
    two.enter()
    back = one.entering()
    one.told_to_stop = True
    with pytest.raises(StopRequested):
        back.result(_SECONDS)
    two.leave()
    assert parent.free == 1
    one.done()
    two.done()


def test_a_session_that_cannot_be_opened_costs_no_place(parent: Parent, sessions: Sessions) -> None:
    """Where a session can't be opened, the place is free again, and the next stream has it."""
    one = parent.stream()
    sessions.fails = True
    with pytest.raises(OSError, match="no room"):
        one.enter()
    assert parent.free == 1
    sessions.fails = False
    one.enter()
    one.done()


def test_opening_a_session_holds_up_nobody(sessions: Sessions) -> None:
    """While one stream opens its session, which may take a while, others come and go."""
    parent = Parent(2)
    one, two = parent.stream(), parent.stream()
    one.enter()
    sessions.may_open.clear()
    slow = two.entering()
    while parent.places._expected:
        time.sleep(0.001)
    one.leave()
    one.enter()
    assert not slow.done()
    sessions.may_open.set()
    slow.result(_SECONDS)
    one.done()
    two.done()


def test_so_many_may_wait(monkeypatch: pytest.MonkeyPatch, sessions: Sessions) -> None:
    """A process takes no more streams when enough of them wait, though its place is free."""
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    parent = Parent(1)
    waiting = []
    for free in (1, 1, 0):
        stream = parent.stream()
        stream.enter()
        stream.leave()
        waiting.append(stream)
        assert free == parent.free
    for stream in waiting:
        stream.done()
        assert parent.free == 1
    assert sessions.opened == 1


@pytest.mark.parametrize("engine", ["curl", "requests"])
def test_real_sessions_connect_late(engine: str) -> None:
    """A place's session of either engine is there without a collector."""
    told: list[int] = []
    places = ConnectionSlots(1, "curl" if engine == "curl" else "requests", told.append)
    places.expect()
    link = places.acquire(ACME, lambda: None)
    assert ACME == link.access
    places.release(link)
    places.done()
    link.close()
    assert [1] == told


class Crowd:
    """Streams that were begun: ``fresh`` ones without a slot yet, those ``inside`` and ``away``."""

    def __init__(self, parent: Parent) -> None:
        self.fresh: list[Stream] = []
        self.away: list[Stream] = []
        self.inside: list[Stream] = []
        self._parent = parent

    def act(self, step: str, pick: int, count: int, *, is_other: bool) -> None:
        """Begin a stream, or let one of them take a slot, leave it or end, if that is possible."""
        fresh, away, inside = self.fresh, self.away, self.inside
        if step == "e" and self._parent.free:
            fresh.append(self._parent.stream(OTHER if is_other else ACME))
        elif step == "b" and len(inside) < count and fresh + away:
            source = away if is_other and away else fresh or away
            inside.append(source.pop(pick % len(source)))
            inside[-1].enter()
        elif step == "l" and inside:
            away.append(inside.pop(pick % len(inside)))
            away[-1].leave()
        elif step == "d" and (source := [inside, away, fresh][pick % 3]):
            source.pop().done()

    def done(self) -> None:
        """End all streams."""
        for stream in (*self.fresh, *self.away, *self.inside):
            stream.done()


_STEPS = st.lists(st.tuples(st.sampled_from("ebld"), st.integers(0, 9), st.booleans()))


@given(count=st.integers(1, 3), steps=_STEPS)
def test_the_books_are_always_right(count: int, steps: list[tuple[str, int, bool]]) -> None:
    """Whatever streams do: never more sessions than places, and the parent knows what is free."""
    sessions = Sessions()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("swarm.collector.client.open_session", sessions)
        parent = Parent(count)
        crowd = Crowd(parent)
        fresh, inside = crowd.fresh, crowd.inside
        for step, pick, is_other in steps:
            crowd.act(step, pick, count, is_other=is_other)
            assert max(count - len(inside) - len(fresh), 0) == parent.free
            assert sessions.open <= count
            assert len(inside) <= sessions.open
        crowd.done()
        assert count == parent.free
        assert sessions.most <= count


def test_more_slots_are_reported_and_fewer_are_waited_for(sessions: Sessions) -> None:
    """With fewer slots, the streams that began last are asked for theirs, and wait for one."""
    parent = Parent(1)
    parent.places.resize(3)
    assert parent.free == 3
    streams = [parent.stream() for _ in range(3)]
    for stream in streams:
        stream.enter()
    parent.places.resize(1)
    assert [False, True, True] == [stream.is_recalled() for stream in streams]
    for stream in streams[1:]:
        stream.leave()
    assert (0, 1) == (parent.free, sessions.open)
    back = streams[1].entering()
    assert not streams[0].is_recalled()
    streams[0].done()
    back.result(_SECONDS)
    parent.places.resize(2)
    assert parent.free == 1
    streams[1].done()
    streams[2].done()
    assert parent.free == 2


def test_idle_connections_are_closed_with_their_slots(sessions: Sessions) -> None:
    """There are never more open connections than slots, also after these have become fewer."""
    parent = Parent(3)
    streams = [parent.stream() for _ in range(3)]
    for stream in streams:
        stream.enter()
    for stream in streams:
        stream.done()
    assert sessions.open == 3
    parent.places.resize(1)
    deadline = time.monotonic() + _SECONDS
    while sessions.open > 1 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert (1, 1) == (sessions.open, parent.free)


_SIZES = st.lists(
    st.tuples(st.sampled_from("ebldr"), st.integers(0, 9), st.booleans()), max_size=40
)


@given(steps=_SIZES)
def test_the_books_are_right_whatever_the_size(steps: list[tuple[str, int, bool]]) -> None:
    """While slots come and go: as many streams are asked for theirs as there are too many."""
    sessions = Sessions()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("swarm.collector.client.open_session", sessions)
        parent, count = Parent(2), 2
        crowd = Crowd(parent)
        fresh, inside = crowd.fresh, crowd.inside
        for step, pick, is_other in steps:
            if step == "r":
                count = pick % 5
                parent.places.resize(count)
            else:
                crowd.act(step, pick, count, is_other=is_other)
            assert max(count - len(inside) - len(fresh), 0) == parent.free
            recalled = [stream for stream in inside if stream.is_recalled()]
            assert max(len(inside) - count, 0) == len(recalled)
        crowd.done()
        assert count == parent.free
