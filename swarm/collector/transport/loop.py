"""Many jobs in one thread, and their transfers in one libcurl multi handle.

Threads that send packets spend more time on the interpreter lock than on the packets. Here each job
is a greenlet, which runs until it waits; libcurl tells whose transfer has ended. Figures are in
docs/performance.md.
"""

import atexit
import heapq
import itertools
import math
import os
import select
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

#: As many as may sort long files at once, and some for syncs.
_HELPERS = 32
#: poll takes no more ms than an int has room for.
_LONGEST_PAUSE = 60_000
#: An answer that comes within so many ms is waited for before others use the time.
_NEAR_ANSWER = 2
_SECONDS_AT_EXIT = 1.0
#: What `pycurl.M_SOCKETFUNCTION` asks for, as `select.poll` has it.
_WATCHED = {
    pycurl.POLL_IN: select.POLLIN,
    pycurl.POLL_OUT: select.POLLOUT,
    pycurl.POLL_INOUT: select.POLLIN | select.POLLOUT,
}
#: What `select.poll` has seen, as `pycurl.CurlMulti.socket_action` wants to be told.
_SEEN = [
    (pycurl.CSELECT_IN if what & (select.POLLIN | select.POLLHUP) else 0)
    | (pycurl.CSELECT_OUT if what & select.POLLOUT else 0)
    | (pycurl.CSELECT_ERR if what & select.POLLERR else 0)
    for what in range(32)
]


class _PrefetchBuffer(Generic[_T]):
    """Where what was made ahead lies until it is asked for.

    ``has_given`` tells whether something was made since the maker last gave way.
    """

    def __init__(self) -> None:
        self.has_given = False
        self.items: list[_T] = []
        self.asking: greenlet | None = None
        self.error: Exception | None = None
        self.is_last = False


class _Producer(greenlet):
    """Makes a job's items ahead."""

    buffer: _PrefetchBuffer[Any]


class Loop:
    """A `swarm.scheduler.Scheduler` in one thread, which begins with the first job."""

    def __init__(self) -> None:
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._timers: list[tuple[float, int, _Wait]] = []
        self._order = itertools.count()
        self._transfers: dict[pycurl.Curl, greenlet] = {}
        self._breathers: deque[greenlet] = deque()
        self._breath_due = 0.0
        self._has_ended = False
        self._is_asleep = False
        self._runner = SingleThread(self._run, "swarm")
        self._helpers = ThreadPoolExecutor(_HELPERS, "swarm-aside")
        self._poll = select.poll()
        self._wakeup_read, self._wakeup_write = os.pipe()
        os.set_blocking(self._wakeup_read, False)
        os.set_blocking(self._wakeup_write, False)
        self._poll.register(self._wakeup_read, select.POLLIN)
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        # Before those of who has jobs here: what is registered first comes last.
        atexit.register(self._park)

    # For any thread

    def spawn(self, function: Callable[..., None], *arguments: Any) -> None:
        """Begin a job; raises `RuntimeError` where the system grants no thread for the first."""
        self._runner.begin()
        self.call_soon(self._begin, function, *arguments)

    def event(self) -> "LoopEvent":
        """Return a new event."""
        return LoopEvent(self)

    def call_soon(self, function: Callable[..., object], *arguments: Any) -> None:
        """Have a function called in the loop's thread, soon."""
        self._calls.append((function, arguments))
        # The loop says that it will sleep before it looks for calls a last time: `_sleep`.
        if self._is_asleep:
            with suppress(BlockingIOError):  # it has been rung for often enough
                os.write(self._wakeup_write, b"\0")

    # For jobs

    def transfer(self, handle: pycurl.Curl) -> None:
        """Run a transfer."""
        self._multi.add_handle(handle)
        self._transfers[handle] = getcurrent()
        failure = self._hub.switch()
        if failure is not None:
            raise pycurl.error(*failure)

    def run_in_thread(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Call a function in a thread beside the loop's."""
        job = getcurrent()
        try:
            future = self._helpers.submit(function, *arguments)
        except RuntimeError:  # the system grants no thread: the others have to wait
            return function(*arguments)
        future.add_done_callback(lambda _: self.call_soon(job.switch))
        self._hub.switch()
        return future.result()

    def yield_control(self) -> None:
        """Let the others have their turn; who made items since the last time is the first again.

        A stream that sends is not to wait for all that read, each time that it needs a block.
        """
        job = getcurrent()
        if isinstance(job, _Producer) and job.buffer.has_given:
            job.buffer.has_given = False
            self._breathers.appendleft(job)
        else:
            self._breathers.append(job)
        self._hub.switch()

    def prefetch(self, items: Iterator[_T]) -> Iterator[_T]:
        """Yield items; each is made after the transfer that follows the one before has begun."""
        shelf: _PrefetchBuffer[_T] = _PrefetchBuffer()
        maker = _Producer(self._make, self._hub)
        maker.buffer = shelf
        self.call_soon(maker.switch, shelf, items)
        while True:
            if not (shelf.items or shelf.is_last):
                shelf.asking = getcurrent()
                self._hub.switch()
            if not shelf.items:
                break
            item = shelf.items.pop()
            self.call_soon(maker.switch)
            yield item
        if shelf.error is not None:
            raise shelf.error

    def sleep(self, wait: "_Wait", seconds: float | None) -> None:
        """Sleep until a wait is over, at the latest after so many seconds."""
        if seconds is not None:
            due = time.monotonic() + seconds
            heapq.heappush(self._timers, (due, next(self._order), wait))
        self._hub.switch()

    # The loop's thread

    def _run(self) -> None:
        self._hub = getcurrent()
        while True:
            self._begin_transfers()
            self._make_calls()
            self._wake_sleepers()
            is_idle = not self._go_on_with_transfers(self._sleep())
            self._finish_transfers()
            if self._breathers and (is_idle or time.monotonic() >= self._breath_due):
                self._resume_one_yielded()

    def _begin(self, function: Callable[..., None], *arguments: Any) -> None:
        greenlet(_with_outcome).switch(function, *arguments)

    def _make(self, shelf: _PrefetchBuffer[_T], items: Iterator[_T]) -> None:
        """Put items on a shelf, one at a time, in a greenlet of their own."""
        try:
            for item in items:
                shelf.items.append(item)
                shelf.has_given = True
                self._show(shelf)
                self._hub.switch()
        except Exception as error:
            shelf.error = error
        shelf.is_last = True
        self._show(shelf)

    def _show(self, shelf: _PrefetchBuffer[_T]) -> None:
        if shelf.asking is not None:
            self.call_soon(shelf.asking.switch)
            shelf.asking = None

    def _make_calls(self) -> None:
        for _ in range(len(self._calls)):
            function, arguments = self._calls.popleft()
            function(*arguments)

    def _wake_sleepers(self) -> None:
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2].end()

    def _begin_transfers(self) -> None:
        """Let libcurl do what is due: new transfers above all, and those whose time is up."""
        if self._multi.timeout() == 0:
            self._act(pycurl.SOCKET_TIMEOUT, 0)

    def _sleep(self) -> list[tuple[int, int]]:
        """Wait for sockets, for what is due, for a call; return the sockets that are ready.

        The order counts: a call that is added after `_pause` has looked for calls has to ring.
        """
        self._is_asleep = True
        ready = self._poll.poll(self._pause())
        self._is_asleep = False
        return ready

    def _go_on_with_transfers(self, ready: list[tuple[int, int]]) -> bool:
        """Go on with the transfers whose sockets are ready; tell whether any was."""
        for number, what in ready:
            if number == self._wakeup_read:
                os.read(number, 4096)
            else:
                self._act(number, _SEEN[what & 31])
        return bool(ready)

    def _resume_one_yielded(self) -> None:
        """Go on with one of those that gave way: they get half of the time while others send."""
        start = time.monotonic()
        self._breathers.popleft().switch()
        end = time.monotonic()
        self._breath_due = end + (end - start)
        # Answers that came meanwhile: libcurl is to see them before it sees that time is up.
        self._go_on_with_transfers(self._poll.poll(0))

    def _pause(self) -> int:
        """Return for how many ms to wait for sockets."""
        if self._calls or self._has_ended:
            return 0
        if self._breathers:
            return _NEAR_ANSWER if self._transfers and time.monotonic() < self._breath_due else 0
        pause = self._multi.timeout()
        if self._timers:
            own = max(0, math.ceil((self._timers[0][0] - time.monotonic()) * 1000))
            pause = own if pause < 0 else min(own, pause)
        return _LONGEST_PAUSE if pause < 0 else min(pause, _LONGEST_PAUSE)

    # At the end of the process

    def _park(self) -> None:
        """Have the thread stand still outside of all jobs.

        A daemon thread that ends with the interpreter while a greenlet runs aborts the process.
        """
        thread = self._runner.thread
        if self._runner.was_begun and (thread is None or thread.is_alive()):
            is_parked = threading.Event()
            self.call_soon(_stand_still, is_parked)
            is_parked.wait(_SECONDS_AT_EXIT)

    def _act(self, number: int, what: int) -> None:
        _, running = self._multi.socket_action(number, what)
        self._has_ended = running < len(self._transfers)

    def _finish_transfers(self) -> None:
        if not self._has_ended:
            return
        self._has_ended = False
        _, done, failed = self._multi.info_read()
        for handle in done:
            self._finish(handle, None)
        for handle, *failure in failed:
            self._finish(handle, failure)

    def _finish(self, handle: pycurl.Curl, failure: list[Any] | None) -> None:
        self._multi.remove_handle(handle)
        self._transfers.pop(handle).switch(failure)

    # Called by libcurl

    def _watch(self, what: int, number: int, _multi: object, _data: object) -> None:
        if what == pycurl.POLL_REMOVE:
            with suppress(KeyError):  # what is raised here would end all transfers
                self._poll.unregister(number)
        else:
            self._poll.register(number, _WATCHED[what])


class LoopEvent:
    """A `swarm.scheduler.Event` for the jobs of a loop."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._is_set = False
        self._waits: set[_Wait] = set()

    def is_set(self) -> bool:
        """Tell whether it was set."""
        return self._is_set

    def set(self) -> None:
        """Let go on who waits; for any thread."""
        self._is_set = True
        self._loop.call_soon(self._release)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait (s) in a job until it is set; tell whether it is."""
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
    """A job that sleeps; its alarm and its event may both want to wake it."""

    __slots__ = ("_is_over", "_job")

    def __init__(self, job: greenlet) -> None:
        self._job = job
        self._is_over = False

    def end(self) -> None:
        """Wake the job, once."""
        if not self._is_over:
            self._is_over = True
            self._job.switch()


def _stand_still(is_parked: threading.Event) -> None:
    is_parked.set()
    threading.Event().wait()


def _with_outcome(function: Callable[..., None], *arguments: Any) -> None:
    """Run a job; an error that it lets out ends the job alone, as in a thread."""
    try:
        function(*arguments)
    except BaseException:
        threading.excepthook(
            threading.ExceptHookArgs([*sys.exc_info(), threading.current_thread()])
        )
