"""Schedulers run the jobs of a process concurrently: the interface, and the one with threads."""

import os
import threading
from _thread import start_new_thread
from collections.abc import Callable, Iterator
from functools import cache, wraps
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    import pycurl

_P = ParamSpec("_P")
_T = TypeVar("_T")

#: Messages of the RuntimeError when an RLock or a Lock is released that is not held.
_NOT_HELD = frozenset({"cannot release un-acquired lock", "release unlocked lock"})


class Event(Protocol):
    """An event that jobs wait for; any thread may set it."""

    def is_set(self) -> bool:
        """Return True if it was set."""

    def set(self) -> None:
        """Set the event for all later calls too, and wake the jobs that wait for it."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait (s) until it is set; return True if it is."""


class Scheduler(Protocol):
    """Runs jobs concurrently; jobs call its methods, and any thread the first three."""

    def spawn(self, function: Callable[..., None], *arguments: Any) -> None:
        """Start a job; for any thread. Raises `RuntimeError` if the system grants no thread."""

    def call_soon(self, function: Callable[..., object], *arguments: Any) -> None:
        """Have a function called soon, in the order of these calls; for any thread.

        If a signal handler raises during this call, the function is called completely or not at
        all. The function must neither wait nor raise.
        """

    def event(self) -> Event:
        """Return a new event."""

    def transfer(self, handle: "pycurl.Curl") -> None:
        """Run the transfer of a libcurl handle, as its ``perform``, while other jobs run."""

    def abort(self, handle: "pycurl.Curl") -> None:
        """End a transfer with an error, and drop what its connection has not sent; for any thread.

        A transfer that runs in a thread of its own goes on.
        """

    def run_in_thread(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Call a slow function that releases the interpreter lock, while other jobs run."""

    def yield_control(self) -> None:
        """Let other jobs run; a job that computes for long calls this regularly."""

    def prefetch(self, items: Iterator[_T]) -> Iterator[_T]:
        """Yield the items; if possible, the next one is made while this job waits."""


def unmasked(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Let an error of a signal handler out of a function that waits for a `Condition`.

    `Condition.wait` releases its lock shortly before the ``try`` that acquires it again. If a
    signal handler raises in between, the ``with`` around the wait releases the lock a second time,
    and the RuntimeError of that would replace the handler's error.
    """

    @wraps(function)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return function(*args, **kwargs)
        except RuntimeError as error:
            first: BaseException = error
            while isinstance(first, RuntimeError) and str(first) in _NOT_HELD and first.__context__:
                first = first.__context__
            if first is error:
                raise
            raise first from None

    return wrapper


def start_thread(name: str, function: Callable[..., None], *arguments: Any) -> None:
    """Start a daemon thread; raises `RuntimeError` if the system grants none.

    If a signal handler raises within `threading.Thread.start`, the thread is left half started, or
    another error is raised. Signal handlers run in the main thread only. So there, a helper thread
    starts the thread.
    """
    thread = threading.Thread(target=function, args=arguments, name=name, daemon=True)
    if threading.current_thread() is not threading.main_thread():
        thread.start()
        return
    outcome: SimpleQueue[BaseException | None] = SimpleQueue()

    def start() -> None:
        try:
            thread.start()
        except BaseException as error:
            outcome.put(error)
        else:
            outcome.put(None)

    start_new_thread(start, ())
    error = outcome.get()
    if error is not None:
        raise error


class SingleThread:
    """A daemon thread that runs one function once, even if signal handlers raise meanwhile.

    A signal handler may interrupt a caller before it knows whether the thread runs. So there may be
    several threads: the first one claims the function, and the others end at once. No caller waits
    for a lock, so a signal handler may call `begin`, whatever it has interrupted.
    """

    def __init__(self, function: Callable[[], None], name: str) -> None:
        self.thread: threading.Thread | None = None
        self.was_begun = False
        self._function = function
        self._name = name
        self._claim = threading.Lock()

    def begin(self) -> None:
        """Start the thread if it does not run; raises `RuntimeError` if the system grants none."""
        if self.thread is None:
            self.was_begun = True
            start_thread(self._name, self.run)

    def run(self) -> None:
        """Run the function in this thread, unless it runs or ran in another."""
        if self._claim.acquire(blocking=False):
            self.thread = threading.current_thread()
            self._function()


class _Caller:
    """Calls functions, one after the other, in a thread of its own that the first call starts."""

    def __init__(self) -> None:
        # Unlike a lock, a SimpleQueue can be used in a signal handler, whatever that interrupts.
        self._calls: SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]]] = SimpleQueue()
        self._runner = SingleThread(self._run, "swarm-calls")

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        self._calls.put((function, arguments))
        if self._runner.thread is None:
            self._runner.begin()

    def _run(self) -> None:
        while True:
            function, arguments = self._calls.get()
            function(*arguments)


@cache
def _caller(_process: int) -> _Caller:
    """Return the caller of this process; a forked process does not have its parent's thread."""
    return _Caller()


class Threads:
    """A scheduler with a thread for each job."""

    def spawn(self, function: Callable[..., None], *arguments: Any) -> None:
        """Start a job in a thread of its own."""
        start_thread("swarm", function, *arguments)

    def call_soon(self, function: Callable[..., object], *arguments: Any) -> None:
        """Have a function called in a thread that exists for this purpose."""
        _caller(os.getpid()).call(function, *arguments)

    def event(self) -> Event:
        """Return an event of `threading`."""
        return threading.Event()

    def transfer(self, handle: "pycurl.Curl") -> None:
        """Run a transfer in this thread."""
        handle.perform()

    def abort(self, handle: "pycurl.Curl") -> None:
        """Do nothing: the transfer ends by itself."""

    def run_in_thread(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Call a function in this thread: other jobs have threads of their own."""
        return function(*arguments)

    def yield_control(self) -> None:
        """Do nothing: the interpreter switches between threads."""

    def prefetch(self, items: Iterator[_T]) -> Iterator[_T]:
        """Return the items as they are: nothing is made in advance."""
        return items


THREADS = Threads()


class PassingScheduler:
    """A scheduler that passes everything to another one; subclasses change a part."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def spawn(self, function: Callable[..., None], *arguments: Any) -> None:
        """Start a job."""
        self._scheduler.spawn(function, *arguments)

    def call_soon(self, function: Callable[..., object], *arguments: Any) -> None:
        """Have a function called soon."""
        self._scheduler.call_soon(function, *arguments)

    def event(self) -> Event:
        """Return a new event."""
        return self._scheduler.event()

    def transfer(self, handle: "pycurl.Curl") -> None:
        """Run the transfer of a libcurl handle."""
        self._scheduler.transfer(handle)

    def abort(self, handle: "pycurl.Curl") -> None:
        """End a transfer with an error."""
        self._scheduler.abort(handle)

    def run_in_thread(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Call a slow function while other jobs run."""
        return self._scheduler.run_in_thread(function, *arguments)

    def yield_control(self) -> None:
        """Let other jobs run."""
        self._scheduler.yield_control()

    def prefetch(self, items: Iterator[_T]) -> Iterator[_T]:
        """Yield the items; if possible, the next one is made while the job waits."""
        return self._scheduler.prefetch(items)
