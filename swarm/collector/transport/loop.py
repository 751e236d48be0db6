"""An event loop: many jobs in one thread, and their transfers in one libcurl multi handle.

Threads that send packets spend more time on the interpreter lock than on the packets. Here each job
is a greenlet, which runs until it waits; libcurl reports which transfers have ended. Measurements
are in docs/performance.md.
"""

import atexit
import heapq
import itertools
import math
import os
import select
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Generic, TypeVar

import pycurl
from greenlet import getcurrent, greenlet

from swarm.scheduler import SingleThread

_T = TypeVar("_T")

#: Enough for the long files that may be sorted at the same time, and for syncs.
_HELPER_THREADS = 32
#: The items that a producer makes at once, if there are more transfers than a few.
_ITEMS_AT_ONCE = 8
_FEW_TRANSFERS = 8
#: The longest sleep (ms): `select.poll` takes no more than a C int.
_LONGEST_PAUSE = 60_000
#: How long to wait for an answer before jobs that have yielded may run (ms).
_ANSWER_PAUSE = 2
#: How long the exit of the interpreter waits for the loop's thread (s).
_EXIT_TIMEOUT = 1.0
#: What `_continue_transfers` takes to let libcurl start transfers and check their time limits.
_NO_SOCKET = [(pycurl.SOCKET_TIMEOUT, 0)]
#: From what `pycurl.M_SOCKETFUNCTION` asks for to events of `select.poll`.
_POLL_EVENTS = {
    pycurl.POLL_IN: select.POLLIN,
    pycurl.POLL_OUT: select.POLLOUT,
    pycurl.POLL_INOUT: select.POLLIN | select.POLLOUT,
}
#: From events of `select.poll` to the argument of `pycurl.CurlMulti.socket_action`.
_CURL_EVENTS = [
    (pycurl.CSELECT_IN if events & (select.POLLIN | select.POLLHUP) else 0)
    | (pycurl.CSELECT_OUT if events & select.POLLOUT else 0)
    | (pycurl.CSELECT_ERR if events & select.POLLERR else 0)
    for events in range(32)
]


class _PrefetchBuffer(Generic[_T]):
    """The buffer between a producer of items and the job that consumes them.

    ``has_given`` is True if the producer has made an item since it last yielded control. It
    ``is_idle`` while it waits for the consumer; at other times it may wait for something else, and
    must not be woken.
    """

    def __init__(self) -> None:
        self.has_given = False
        self.is_idle = False
        self.items: deque[_T] = deque()
        self.consumer: greenlet | None = None
        self.error: Exception | None = None
        self.is_last = False


class _Producer(greenlet):
    """The greenlet that makes a job's items while the job waits."""

    buffer: _PrefetchBuffer[Any]


class Loop:
    """A `swarm.scheduler.Scheduler` in one thread, which starts with the first job."""

    def __init__(self) -> None:
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._timers: list[tuple[float, int, _Wait]] = []
        self._timer_order = itertools.count()
        self._transfers: dict[pycurl.Curl, greenlet] = {}
        self._yielded: deque[greenlet] = deque()
        self._yielded_due = 0.0
        self._has_ended = False
        self._is_asleep = False
        self._runner = SingleThread(self._run, "swarm")
        self._helpers = ThreadPoolExecutor(_HELPER_THREADS, "swarm-aside")
        self._poll = select.poll()
        self._wakeup_read, self._wakeup_write = os.pipe()
        os.set_blocking(self._wakeup_read, False)
        os.set_blocking(self._wakeup_write, False)
        self._poll.register(self._wakeup_read, select.POLLIN)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        # atexit runs in reverse order: registered before any user of the loop, this runs last.
        atexit.register(self._park)

    # For any thread

    def spawn(self, function: Callable[..., None], *arguments: Any) -> None:
        """Start a job; raise `RuntimeError` if the system grants no thread for the loop."""
        self._runner.begin()
        # The loop's thread has to create the greenlet: it can't move to another thread.
        self.call_soon(lambda: greenlet(_run_job).switch(function, *arguments))

    def event(self) -> "LoopEvent":
        """Return a new event."""
        return LoopEvent(self)

    def call_soon(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function in the loop's thread at its next turn.

        Any thread may call this, also a signal handler.
        """
        self._calls.append((function, arguments))
        # The loop sets the flag before it looks for calls a last time, in `_wait_for_sockets`.
        if self._is_asleep:
            with suppress(BlockingIOError):  # a full pipe wakes the loop as well
                os.write(self._wakeup_write, b"\0")

    # For jobs

    def transfer(self, handle: pycurl.Curl) -> None:
        """Run a transfer; raise `pycurl.error` if it fails.

        The job sleeps meanwhile, and other jobs run.
        """
        self._multi.add_handle(handle)
        self._transfers[handle] = getcurrent()
        failure = self._hub.switch()
        if failure is not None:
            raise pycurl.error(*failure)

    def abort(self, handle: pycurl.Curl) -> None:
        """End a transfer, if it runs, and drop what its connection has not sent; for any thread.

        The job gets a `pycurl.error`.
        """
        self.call_soon(self._abort, handle)

    def run_in_thread(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Call a function in a helper thread and return its result."""
        job = getcurrent()
        try:
            future = self._helpers.submit(function, *arguments)
        except RuntimeError:  # the system grants no thread: block the loop
            return function(*arguments)
        future.add_done_callback(lambda _: self.call_soon(job.switch))
        self._hub.switch()
        return future.result()

    def yield_control(self) -> None:
        """Let other jobs run; a producer that has made items since its last call resumes first.

        So a stream that sends does not wait for all streams that read, each time it needs a block.
        """
        job = getcurrent()
        if isinstance(job, _Producer) and job.buffer.has_given:
            job.buffer.has_given = False
            self._yielded.appendleft(job)
        else:
            self._yielded.append(job)
        self._hub.switch()

    def prefetch(self, items: Iterator[_T]) -> Iterator[_T]:
        """Yield items; the next ones are made once the transfer of the last one has begun."""
        # The buffer does not refer to the producer: if the job stops early, both are freed at once.
        buffer: _PrefetchBuffer[_T] = _PrefetchBuffer()
        producer = _Producer(self._produce, self._hub)
        producer.buffer = buffer
        self.call_soon(producer.switch, buffer, items)
        while True:
            if not (buffer.items or buffer.is_last):
                buffer.consumer = getcurrent()
                self._hub.switch()
            if not buffer.items:
                break
            item = buffer.items.popleft()
            if buffer.is_idle and not buffer.items:
                buffer.is_idle = False
                self.call_soon(producer.switch)
            yield item
        if buffer.error is not None:
            raise buffer.error

    def sleep(self, wait: "_Wait", seconds: float | None) -> None:
        """Sleep until a wait ends, at most for a time (s)."""
        if seconds is not None:
            due = time.monotonic() + seconds
            heapq.heappush(self._timers, (due, next(self._timer_order), wait))
        self._hub.switch()

    # The loop's thread

    def _run(self) -> None:
        self._hub = getcurrent()
        while True:
            if self._multi.timeout() == 0:
                self._continue_transfers(_NO_SOCKET)
            self._make_calls()
            self._wake_sleepers()
            ready = self._wait_for_sockets()
            self._continue_transfers(ready)
            if self._has_ended:
                self._finish_transfers()
            if self._yielded and (not ready or time.monotonic() >= self._yielded_due):
                start = time.monotonic()
                self._yielded.popleft().switch()
                end = time.monotonic()
                # Jobs that yield get half of the time while others send.
                self._yielded_due = end + (end - start)
                # libcurl must see the answers that came meanwhile before it checks time limits.
                self._continue_transfers(self._poll.poll(0))

    def _make_calls(self) -> None:
        # Not a part of `_run`, whose variables would keep the last function, and its job, alive.
        for _ in range(len(self._calls)):
            function, arguments = self._calls.popleft()
            function(*arguments)

    def _wake_sleepers(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2].end()

    def _wait_for_sockets(self) -> list[tuple[int, int]]:
        """Wait for sockets, timers and calls; return the sockets that are ready."""
        # Set the flag first: a call that is added after `_pause` has checked for calls must write
        # to the wakeup pipe.
        self._is_asleep = True
        ready = self._poll.poll(self._pause())
        self._is_asleep = False
        return ready

    def _produce(self, buffer: _PrefetchBuffer[_T], items: Iterator[_T]) -> None:
        """Put items into a buffer, one or a few per switch to this greenlet.

        A stream that sends beside few others makes the next item while the collector works. With
        many, there is always an answer to continue with, and a switch per item costs more.
        """
        while not buffer.is_last:
            try:
                for _ in range(_ITEMS_AT_ONCE if len(self._transfers) > _FEW_TRANSFERS else 1):
                    buffer.items.append(next(items))
                    buffer.has_given = True
            except StopIteration:
                buffer.is_last = True
            except Exception as error:
                buffer.error = error
                buffer.is_last = True
            if buffer.consumer is not None:
                self.call_soon(buffer.consumer.switch)
                buffer.consumer = None
            if not buffer.is_last:
                buffer.is_idle = True
                self._hub.switch()

    def _continue_transfers(self, ready: list[tuple[int, int]]) -> None:
        """Let libcurl work on the sockets that are ready; empty the wakeup pipe."""
        for number, events in ready:
            if number == self._wakeup_read:
                os.read(number, 4096)
            else:
                _, running = self._multi.socket_action(number, _CURL_EVENTS[events & 31])
                self._has_ended = running < len(self._transfers)

    def _finish_transfers(self) -> None:
        """Resume the jobs whose transfers have ended."""
        self._has_ended = False
        _, done, failed = self._multi.info_read()
        for handle in done:
            self._multi.remove_handle(handle)
            self._transfers.pop(handle).switch(None)
        for handle, *failure in failed:
            self._multi.remove_handle(handle)
            self._transfers.pop(handle).switch(failure)

    def _abort(self, handle: pycurl.Curl) -> None:
        job = self._transfers.pop(handle, None)
        if job is not None:
            _drop_unsent(handle.getinfo(pycurl.ACTIVESOCKET))
            self._multi.remove_handle(handle)
            job.switch([pycurl.E_ABORTED_BY_CALLBACK, "the request was ended"])

    def _pause(self) -> int:
        """Return how long to wait for sockets (ms)."""
        if self._calls or self._has_ended:
            return 0
        if self._yielded:
            return _ANSWER_PAUSE if self._transfers and time.monotonic() < self._yielded_due else 0
        pause = self._multi.timeout()
        if self._timers:
            until_timer = max(0, math.ceil((self._timers[0][0] - time.monotonic()) * 1000))
            pause = until_timer if pause < 0 else min(until_timer, pause)
        return _LONGEST_PAUSE if pause < 0 else min(pause, _LONGEST_PAUSE)

    # At the exit of the process

    def _park(self) -> None:
        """Stop the loop's thread while no job runs.

        A daemon thread that the interpreter ends while a greenlet runs aborts the process.
        """

        def park() -> None:
            is_parked.set()
            threading.Event().wait()

        thread = self._runner.thread
        if self._runner.was_begun and (thread is None or thread.is_alive()):
            is_parked = threading.Event()
            self.call_soon(park)
            is_parked.wait(_EXIT_TIMEOUT)

    # Called by libcurl

    def _watch(self, events: int, number: int, _multi: object, _data: object) -> None:
        if events == pycurl.POLL_REMOVE:
            # An error that is raised here would end all transfers.
            try:  # noqa: SIM105 - called for each packet: `suppress` would triple the cost
                self._poll.unregister(number)
            except KeyError:
                pass
        else:
            self._poll.register(number, _POLL_EVENTS[events])


class LoopEvent:
    """A `swarm.scheduler.Event` for the jobs of a loop."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._is_set = False
        self._waits: set[_Wait] = set()

    def is_set(self) -> bool:
        """Return True if the event was set."""
        return self._is_set

    def set(self) -> None:
        """Set the event and wake the jobs that wait for it; any thread may call this."""
        self._is_set = True
        self._loop.call_soon(self._release)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait in a job until the event is set or ``timeout`` (s) is over; return `is_set`."""
        if not self._is_set:
            wait = _Wait(getcurrent())
            self._waits.add(wait)
            self._loop.sleep(wait, timeout)
            self._waits.discard(wait)
        return self._is_set

    def _release(self) -> None:
        for wait in list(self._waits):
            wait.end()


class _Wait:
    """A sleeping job, which its timer or its event wakes, whichever comes first."""

    __slots__ = ("_is_over", "_job")

    def __init__(self, job: greenlet) -> None:
        self._job = job
        self._is_over = False

    def end(self) -> None:
        """Wake the job, once."""
        if not self._is_over:
            self._is_over = True
            self._job.switch()


def _drop_unsent(number: int) -> None:
    """Have the kernel drop what a socket has not sent when it is closed, rather than send it."""
    if number >= 0:
        with suppress(OSError), socket.socket(fileno=os.dup(number)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _run_job(function: Callable[..., None], *arguments: Any) -> None:
    """Run a job; report an error that it raises as for a thread, without ending the loop."""
    try:
        function(*arguments)
    except BaseException:
        threading.excepthook(
            threading.ExceptHookArgs([*sys.exc_info(), threading.current_thread()])
        )
