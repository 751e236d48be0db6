"""How jobs of one process run side by side: in threads, each of which may block."""

import os
import threading
from collections.abc import Callable, Iterator
from functools import cache
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import pycurl

_T = TypeVar("_T")


class Event(Protocol):
    """What a job waits for; any thread may set it."""

    def is_set(self) -> bool:
        """Tell whether it was set."""

    def set(self) -> None:
        """Let go on who waits, now and from now on."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait (s) until it is set; tell whether it is."""


class Scheduler(Protocol):
    """Runs jobs side by side; all but ``start``, ``call`` and ``event`` are called in a job."""

    def start(self, function: Callable[..., None], *arguments: Any) -> None:
        """Begin a job; any thread may. Raises `RuntimeError` where the system grants no thread."""

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Have a function called soon, after those before it; any thread may.

        What a signal's handler raises meanwhile leaves nothing half done: it is called or not. The
        function may not wait, and has to see to its errors.
        """

    def event(self) -> Event:
        """Return a new event, for jobs to wait for."""

    def transfer(self, handle: "pycurl.Curl") -> None:
        """Run the transfer of a libcurl handle, as its ``perform``; others go on meanwhile."""

    def aside(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Call what works for long without the interpreter; others go on meanwhile."""

    def breathe(self) -> None:
        """Let the others have their turn; called now and then by who works for long."""

    def ahead(self, items: Iterator[_T]) -> Iterator[_T]:
        """Yield items; where it can be, the next is made while this job waits."""


class _Caller:
    """Calls functions one after the other in a thread of its own, which begins with the first."""

    def __init__(self) -> None:
        # Unlike a lock, it can be used in a signal's handler, whatever that has interrupted.
        self._calls: SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]]] = SimpleQueue()
        self._has_begun = False

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        self._calls.put((function, arguments))
        if not self._has_begun:
            threading.Thread(target=self._run, name="swarm-calls", daemon=True).start()
            self._has_begun = True

    def _run(self) -> None:
        while True:
            function, arguments = self._calls.get()
            function(*arguments)


@cache
def _caller(_process: int) -> _Caller:
    """Return the caller of this process: a fork has no threads of its parent's."""
    return _Caller()


class Threads:
    """A thread for each job."""

    def start(self, function: Callable[..., None], *arguments: Any) -> None:
        """Begin a job in a thread of its own."""
        threading.Thread(target=function, args=arguments, name="swarm", daemon=True).start()

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Have a function called in a thread that is there for this."""
        _caller(os.getpid()).call(function, *arguments)

    def event(self) -> Event:
        """Return an event of threads."""
        return threading.Event()

    def transfer(self, handle: "pycurl.Curl") -> None:
        """Run a transfer."""
        handle.perform()

    def aside(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Call a function: the system sees to the others."""
        return function(*arguments)

    def breathe(self) -> None:
        """Do nothing: the interpreter sees to the others."""

    def ahead(self, items: Iterator[_T]) -> Iterator[_T]:
        """Yield items as they are asked for."""
        return items


THREADS = Threads()


class Attentive:
    """A scheduler for one job, which hears whether it is to stop each time that it gives way.

    ``check`` raises what ends the job.
    """

    def __init__(self, scheduler: Scheduler, check: Callable[[], None]) -> None:
        self._check = check
        self._breathe = scheduler.breathe
        self.start = scheduler.start
        self.call = scheduler.call
        self.event = scheduler.event
        self.transfer = scheduler.transfer
        self.aside = scheduler.aside
        self.ahead = scheduler.ahead

    def breathe(self) -> None:
        """Let the others have their turn, then go on, or end."""
        self._breathe()
        self._check()
