"""Runs the jobs of one process side by side: in threads, each of which may block."""

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

#: What an RLock and a Lock say that are released and not held.
_NOT_HELD = frozenset({"cannot release un-acquired lock", "release unlocked lock"})


class Event(Protocol):
    """An event that a job waits for; any thread may set it."""

    def is_set(self) -> bool:
        """Tell whether it was set."""

    def set(self) -> None:
        """Let go on who waits, now and from now on."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait (s) until it is set; tell whether it is."""


class Scheduler(Protocol):
    """Runs jobs side by side; all but ``start``, ``call`` and ``event`` are called in a job."""

    def spawn(self, function: Callable[..., None], *arguments: Any) -> None:
        """Begin a job; any thread may. Raises `RuntimeError` where the system grants no thread."""

    def call_soon(self, function: Callable[..., object], *arguments: Any) -> None:
        """Have a function called soon, after those before it; any thread may.

        What a signal's handler raises meanwhile leaves nothing half done: it is called or not. The
        function may not wait, and has to see to its errors.
        """

    def event(self) -> Event:
        """Return a new event, for jobs to wait for."""

    def transfer(self, handle: "pycurl.Curl") -> None:
        """Run the transfer of a libcurl handle, as its ``perform``; others go on meanwhile."""

    def run_in_thread(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Call what works for long without the interpreter; others go on meanwhile."""

    def yield_control(self) -> None:
        """Let the others have their turn; called now and then by who works for long."""

    def prefetch(self, items: Iterator[_T]) -> Iterator[_T]:
        """Yield items; where it can be, the next is made while this job waits."""


def unmasked(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """Let out an error that a signal's handler raises in a function that waits for a `Condition`.

    `Condition.wait` lets go of its lock a moment before it sees to getting it back. An error that
    is raised there meets a ``with`` that releases the lock once more, whose own takes its place.
    """

    @wraps(function)
    def inner(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return function(*args, **kwargs)
        except RuntimeError as error:
            raised = _raised_first(error)
            if raised is error:
                raise
            raise raised from None

    return inner


def _raised_first(error: BaseException) -> BaseException:
    while isinstance(error, RuntimeError) and str(error) in _NOT_HELD and error.__context__:
        error = error.__context__
    return error


def start_thread(name: str, function: Callable[..., None], *arguments: Any) -> None:
    """Begin a daemon thread; raises `RuntimeError` where the system grants none.

    An error that a signal's handler raises within `threading.Thread.start` leaves a thread half
    begun, or comes out as another one. Handlers run in the main thread: so another starts it.
    """
    thread = threading.Thread(target=function, args=arguments, name=name, daemon=True)
    if threading.current_thread() is not threading.main_thread():
        thread.start()
        return
    outcome: SimpleQueue[BaseException | None] = SimpleQueue()
    start_new_thread(_start, (thread, outcome))
    error = outcome.get()
    if error is not None:
        raise error


def _start(thread: threading.Thread, outcome: "SimpleQueue[BaseException | None]") -> None:
    try:
        thread.start()
    except BaseException as error:
        outcome.put(error)
    else:
        outcome.put(None)


class SingleThread:
    """A daemon thread for one function, begun once, whatever a signal's handler raises meanwhile.

    A caller may be interrupted before it knows whether the thread runs. So each thread claims the
    function for itself, and one that comes too late ends at once. There is no lock to wait for: a
    signal's handler may begin it, whatever it has interrupted.
    """

    def __init__(self, function: Callable[[], None], name: str) -> None:
        self.thread: threading.Thread | None = None
        self.was_begun = False
        self._function = function
        self._name = name
        self._claim = threading.Lock()

    def begin(self) -> None:
        """Begin the thread if it was not; raises `RuntimeError` where the system grants none."""
        if self.thread is None:
            self.was_begun = True
            start_thread(self._name, self.run)

    def run(self) -> None:
        """Run the function in this thread, unless it runs or ran in another."""
        if self._claim.acquire(blocking=False):
            self.thread = threading.current_thread()
            self._function()


class _Caller:
    """Calls functions one after the other in a thread of its own, which begins with the first."""

    def __init__(self) -> None:
        # Unlike a lock, it can be used in a signal's handler, whatever that has interrupted.
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
    """Return the caller of this process: a fork has no threads of its parent's."""
    return _Caller()


class Threads:
    """A thread for each job."""

    def spawn(self, function: Callable[..., None], *arguments: Any) -> None:
        """Begin a job in a thread of its own."""
        start_thread("swarm", function, *arguments)

    def call_soon(self, function: Callable[..., object], *arguments: Any) -> None:
        """Have a function called in a thread that is there for this."""
        _caller(os.getpid()).call(function, *arguments)

    def event(self) -> Event:
        """Return an event of threads."""
        return threading.Event()

    def transfer(self, handle: "pycurl.Curl") -> None:
        """Run a transfer."""
        handle.perform()

    def run_in_thread(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Call a function: the system sees to the others."""
        return function(*arguments)

    def yield_control(self) -> None:
        """Do nothing: the interpreter sees to the others."""

    def prefetch(self, items: Iterator[_T]) -> Iterator[_T]:
        """Yield items as they are asked for."""
        return items


THREADS = Threads()
