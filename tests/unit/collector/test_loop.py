"""Schedulers: what jobs rely on, with threads and with a loop; and the loop itself."""

import contextlib
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait
from types import FrameType

import pytest

from swarm.collector.transport import _loop, open_session, scheduler
from swarm.collector.transport.base import Access
from swarm.collector.transport.loop import _ITEMS_AT_ONCE, Loop
from swarm.csv.rows import Row
from swarm.csv.sort import by_instant
from swarm.errors import Unreachable
from swarm.scheduler import Scheduler, Threads
from tests.support.collector import Behaviour, Collector, Request
from tests.support.jobs import begun, in_job

_SECONDS = 20


@pytest.fixture
def loop() -> Loop:
    """Return the process's loop."""
    found = scheduler("curl")
    assert isinstance(found, Loop)
    return found


@pytest.fixture(params=["requests", "curl"])
def jobs(request: pytest.FixtureRequest) -> Scheduler:
    """Return each scheduler in turn."""
    return scheduler(request.param)


def test_curl_gets_a_loop_and_requests_get_threads() -> None:
    """Greenlets need an HTTP library that does not block; a process has one loop only."""
    found = scheduler("curl")
    assert isinstance(found, Loop)
    assert found is scheduler("auto")
    assert isinstance(scheduler("requests"), Threads)


def test_without_greenlet_there_are_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without greenlet, pycurl works too, but more slowly."""
    _loop.cache_clear()
    monkeypatch.setitem(sys.modules, "swarm.collector.transport.loop", None)
    assert isinstance(scheduler("curl"), Threads)


def test_jobs_go_side_by_side(jobs: Scheduler) -> None:
    """A job can wait for what another job does later."""
    first, second = jobs.event(), jobs.event()

    def answer() -> bool:
        is_set = first.wait(_SECONDS)
        second.set()
        return is_set

    def ask() -> bool:
        first.set()
        return second.wait(_SECONDS)

    assert all(each.result(_SECONDS) for each in (begun(jobs, answer), begun(jobs, ask)))


def test_any_thread_sets_an_event(jobs: Scheduler) -> None:
    """All waiting jobs resume, and later jobs do not wait."""
    event = jobs.event()
    waiting = [begun(jobs, event.wait) for _ in range(50)]
    time.sleep(0.05)
    assert not event.is_set()
    assert not any(each.done() for each in waiting)
    event.set()
    assert all(each.result(_SECONDS) for each in waiting)
    assert event.is_set()
    assert in_job(jobs, event.wait)


@pytest.mark.flaky(reruns=2)
def test_a_wait_ends_in_time(jobs: Scheduler) -> None:
    """A wait ends on time without other events, and does not wait for longer ones."""
    event, began = jobs.event(), time.monotonic()
    long = begun(jobs, event.wait, 30.0)
    assert not in_job(jobs, event.wait, 0.1)
    assert 0.1 <= time.monotonic() - began < 5
    event.set()
    assert long.result(_SECONDS)


def test_what_is_called_aside_holds_up_nobody(jobs: Scheduler) -> None:
    """The job gets the result or the error of the call."""
    gate = threading.Event()
    slow = begun(jobs, jobs.run_in_thread, gate.wait, _SECONDS)
    assert "here" == in_job(jobs, jobs.run_in_thread, lambda: "here")
    assert not slow.done()
    gate.set()
    assert slow.result(_SECONDS)
    with pytest.raises(ZeroDivisionError):
        in_job(jobs, jobs.run_in_thread, lambda: 1 // 0)


def test_without_threads_it_is_called_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without helper threads the call blocks the loop."""
    loop = Loop()
    in_job(loop, lambda: None)

    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert 7 == in_job(loop, loop.run_in_thread, lambda: 7)


def test_a_job_that_fails_ends_alone(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its error is reported as for a thread, and the loop goes on."""
    reported: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", reported.append)
    loop.spawn(_fail)
    assert "on" == in_job(loop, lambda: "on")
    assert [ZeroDivisionError] == [each.exc_type for each in reported]


def test_a_loop_is_one_thread(loop: Loop) -> None:
    """The number of jobs makes no difference."""
    event = loop.event()
    in_job(loop, lambda: None)
    before = threading.active_count()
    waiting = [begun(loop, event.wait) for _ in range(200)]
    assert before == threading.active_count()
    event.set()
    assert not wait(waiting, _SECONDS).not_done


def test_who_works_for_long_lets_others_go_first(loop: Loop) -> None:
    """At each yield, all other jobs that are due run."""
    steps: list[str] = []

    def work() -> None:
        for part in "ab":
            steps.append(part)
            loop.yield_control()
        steps.append("c")

    both = loop.event()

    def begin() -> None:
        for _ in range(2):
            loop.spawn(work)

    loop.spawn(begin)
    loop.spawn(both.set)
    assert in_job(loop, both.wait, _SECONDS)
    for _ in range(5):
        in_job(loop, loop.yield_control)
    assert ["a", "a", "b", "b", "c", "c"] == steps


def test_a_loop_that_sleeps_hears_every_call(loop: Loop) -> None:
    """Calls come from many threads at once, more than the wakeup pipe has room for."""
    gate, calls = threading.Event(), list[int]()
    stuck = begun(loop, gate.wait, _SECONDS)

    def call() -> None:
        for _ in range(20_000):
            loop.call_soon(calls.append, 1)

    callers = [threading.Thread(target=call) for _ in range(5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    gate.set()
    assert stuck.result(_SECONDS)
    in_job(loop, lambda: None)
    assert 100_000 == len(calls)


class _Turn:
    """A sequence of turns of a loop, in each of which a call is added one step later than before.

    The interpreter may switch to another thread, which adds a call, at each of these steps.
    """

    def __init__(self) -> None:
        self.loop = Loop()
        self.number = 0
        self.is_reached = threading.Event()
        self.is_called = threading.Event()
        self.step = ""
        self._left = 0
        threading.setprofile(self._step)
        try:
            in_job(self.loop, lambda: None)
        finally:
            threading.setprofile(None)

    def begin(self) -> None:
        """Wake the loop for the next turn."""
        self.number += 1
        self.is_reached.clear()
        self.is_called.clear()
        self.loop.call_soon(self._arm)

    def _arm(self) -> None:
        self._left = self.number

    def _step(self, frame: FrameType, event: str, _: object) -> None:
        if self._left:
            self._left -= 1
            if not self._left:
                self.step = f"{event} in {frame.f_code.co_name}, line {frame.f_lineno}"
                self.loop.call_soon(self.is_called.set)
                self.is_reached.set()


def test_a_call_wakes_a_loop_wherever_it_comes() -> None:
    """Also between the last check for calls and the sleep."""
    turn = _Turn()
    turn.begin()
    while turn.is_reached.wait(1):
        assert turn.is_called.wait(5), f"not called: {turn.step}"
        turn.begin()
    assert turn.number > 10, turn.number


def test_items_come_in_order_with_their_error_behind_them(jobs: Scheduler) -> None:
    """All items before the error are yielded."""
    ended: list[int] = []

    def items() -> Iterator[int]:
        yield from range(5)
        raise KeyError("behind")

    def use() -> None:
        for item in jobs.prefetch(items()):
            jobs.yield_control()
            ended.append(item)

    with pytest.raises(KeyError):
        in_job(jobs, use)
    assert [0, 1, 2, 3, 4] == ended
    assert [] == in_job(jobs, lambda: list(jobs.prefetch(iter(()))))


def test_who_makes_items_may_wait(jobs: Scheduler) -> None:
    """A producer may wait for a thread, for other jobs, or for a time."""
    event = jobs.event()

    def items() -> Iterator[int]:
        for number in range(3):
            event.wait(0.01)
            jobs.yield_control()
            yield jobs.run_in_thread(lambda number=number: number)

    assert [0, 1, 2] == in_job(jobs, lambda: list(jobs.prefetch(items())))


def test_a_producer_that_waits_is_not_woken_by_its_consumer(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits in the middle of several items: the consumer takes those that are made."""
    monkeypatch.setattr("swarm.collector.transport.loop._FEW_TRANSFERS", -1)
    release, found = loop.event(), list[bool]()

    def items() -> Iterator[int]:
        for number in range(2 * _ITEMS_AT_ONCE):
            if number == _ITEMS_AT_ONCE + 1:
                release.wait(_SECONDS)
                found.append(release.is_set())
            yield number

    def consume() -> list[int]:
        taken = []
        for number in loop.prefetch(items()):
            taken.append(number)
            if number in {_ITEMS_AT_ONCE - 1, _ITEMS_AT_ONCE}:
                loop.event().wait(0.05)
            if number == _ITEMS_AT_ONCE:
                release.set()
        return taken

    assert list(range(2 * _ITEMS_AT_ONCE)) == in_job(loop, consume)
    assert [True] == found


def test_who_stops_early_lets_go_of_the_rest(jobs: Scheduler) -> None:
    """The generator, which may hold a file, is closed at once."""
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    def use() -> int:
        return next(iter(jobs.prefetch(items())))

    assert 0 == in_job(jobs, use)
    assert closed.wait(5)


def test_the_next_item_is_made_while_a_request_is_under_way(loop: Loop) -> None:
    """The collector answers only after the item was made."""
    made = threading.Semaphore(0)

    def items() -> Iterator[int]:
        yield 0
        for number in range(1, 5):
            made.release()
            yield number
        made.release()

    def script(_request: Request, _: Collector) -> Behaviour | None:
        assert made.acquire(timeout=_SECONDS)
        return None

    with Collector(script) as collector:
        session = open_session("curl", Access("u", "p", 5.0), loop)

        def send() -> list[int]:
            answers = [session.post(collector.url, _packet(n)) for n in loop.prefetch(items())]
            return [answer.status for answer in answers]

        assert [200] * 5 == in_job(loop, send)
        session.close()


def test_requests_are_under_way_at_the_same_time(loop: Loop) -> None:
    """The collector answers none before it has all; each session has its own connection."""
    count = 40
    all_here = threading.Barrier(count)

    def script(_request: Request, _: Collector) -> Behaviour | None:
        all_here.wait(_SECONDS)
        return None

    with Collector(script) as collector, contextlib.ExitStack() as stack:
        sessions = [open_session("curl", Access("u", "p", 30.0), loop) for _ in range(count)]
        for session in sessions:
            stack.callback(session.close)
        for turn in range(3):
            sent = [begun(loop, session.post, collector.url, _packet(turn)) for session in sessions]
            assert [200] * count == [each.result(_SECONDS).status for each in sent]
        assert count == collector.connections


def test_a_request_that_fails_fails_its_job_alone(loop: Loop) -> None:
    """Other requests are answered meanwhile."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = f"http://127.0.0.1:{server.getsockname()[1]}/"
    with Collector() as collector:
        dead, alive = (open_session("curl", Access("u", "p", 5.0), loop) for _ in range(2))
        failing = begun(loop, dead.post, nobody, _packet(0))
        answered = begun(loop, alive.post, collector.url, _packet(0))
        assert isinstance(failing.exception(_SECONDS), Unreachable)
        assert 200 == answered.result(_SECONDS).status
        dead.close()
        alive.close()


def test_sorting_takes_turns(loop: Loop) -> None:
    """Two sorts run side by side in one thread, each with its own database."""

    def rows() -> Iterator[Row]:
        for number in range(5000):
            if not number % 500:
                loop.yield_control()
            yield Row(5000 - number, 0, "1", 0, number, "")

    def sort() -> list[int]:
        return [row.instant for row in by_instant(rows(), loop.run_in_thread)]

    both = [begun(loop, sort) for _ in range(2)]
    assert all(list(range(1, 5001)) == each.result(_SECONDS) for each in both)
    assert sqlite3.threadsafety


def _packet(minute: int) -> bytes:
    return b'{"id":"m","tsISO8601":"2023-01-01T00:%02d:00.000Z","value":1}' % minute


def _fail() -> None:
    raise ZeroDivisionError


def _busy(loop: Loop, until: threading.Event) -> None:
    """Work in blocks of 20 ms, and yield control after each."""
    while not until.is_set():
        end = time.perf_counter() + 0.02
        while time.perf_counter() < end:
            pass
        loop.yield_control()


def test_who_reads_takes_half_of_the_time_from_who_sends(loop: Loop) -> None:
    """However many jobs read, requests are sent between their blocks, and none times out."""
    until = threading.Event()
    with Collector() as collector:
        session = open_session("curl", Access("user", "word", timeout=0.5), loop)
        readers = [begun(loop, _busy, loop, until) for _ in range(50)]

        def post() -> int:
            start, posted = time.monotonic(), 0
            while time.monotonic() < start + 0.5:
                assert session.post(collector.url, b'{"id":"s"}').status == 200
                posted += 1
            return posted

        try:
            # If all readers ran in between, it would be one.
            assert in_job(loop, post) > 20
        finally:
            until.set()
        wait(readers, _SECONDS)


def test_a_stream_that_sends_waits_for_no_reader_at_the_end_of_its_block(loop: Loop) -> None:
    """A producer that made items since its last yield runs before jobs that only read."""
    until = threading.Event()
    readers = [begun(loop, _busy, loop, until) for _ in range(50)]

    def items() -> Iterator[int]:
        for number in range(10):
            loop.yield_control()
            yield number

    def use() -> float:
        made = loop.prefetch(items())
        next(made)
        start = time.monotonic()
        for _ in made:
            pass
        return time.monotonic() - start

    try:
        assert in_job(loop, use) < 1  # ten rounds of all readers would take ten times as long
    finally:
        until.set()
    wait(readers, _SECONDS)


def test_a_wait_may_be_longer_than_the_system_can_sleep(loop: Loop) -> None:
    """A poll takes no timeout of months; the loop limits it and goes on."""
    event = loop.event()
    waiting = begun(loop, event.wait, 60 * 86400.0)
    assert "here" == in_job(loop, lambda: loop.run_in_thread(str, "here"))
    event.set()
    assert waiting.result(_SECONDS)


def test_the_interpreter_ends_in_peace_while_jobs_work() -> None:
    """A thread that ends within a greenlet would abort the process."""
    text = """
import time
from swarm.collector.transport import scheduler
jobs = scheduler("curl")
def work():
    while True:
        end = time.perf_counter() + 0.02
        while time.perf_counter() < end:
            pass
        jobs.yield_control()
jobs.spawn(work)
time.sleep(0.1)
"""
    done = subprocess.run(
        [sys.executable, "-c", text], check=False, capture_output=True, timeout=_SECONDS
    )
    assert (0, b"") == (done.returncode, done.stderr)
