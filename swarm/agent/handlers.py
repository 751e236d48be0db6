"""Handlers of final answers, called one after the other in a thread of their own."""

import functools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

from swarm.agent.measurement import Measurement
from swarm.agent.thread_log import ThreadLog
from swarm.scheduler import SingleThread


@dataclass(frozen=True)
class Response:
    """The final answer: an HTTP status, and in ``text`` one line of the collector's own text.

    If the answer was lost, and the collector has the measurement, ``code`` is 200. ``text`` never
    contains a credential.
    """

    code: int
    text: str = ""

    @property
    def is_success(self) -> bool:
        """True if the collector took the measurement."""
        return 200 <= self.code < 300


_log = ThreadLog(logging.getLogger(__name__))

Function = Callable[[Measurement, Response | None], object]


class SentHandler:
    """A function that is called with each measurement and its final answer, until it is removed.

    The object can be called like the function, so that a decorated function stays usable.
    """

    def __init__(self, function: Function, handlers: dict["SentHandler", None]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._handlers = handlers

    def __call__(self, measurement: Measurement, response: Response | None) -> object:
        """Call the function."""
        return self._function(measurement, response)

    def remove(self) -> None:
        """End the calls; a call that has begun runs to its end."""
        self._handlers.pop(self, None)


class Handlers:
    """All handlers of an agent; ``done`` is called when all have run for a measurement."""

    def __init__(self, done: Callable[[], None]) -> None:
        self._done = done
        # Changes of the dict are atomic, so signal handlers can make them too: no lock is needed.
        self._handlers: dict[SentHandler, None] = {}
        self._answers: SimpleQueue[tuple[Measurement, Response | None] | None] = SimpleQueue()
        self._runner = SingleThread(self._run, "swarm")

    def add(self, function: Function) -> SentHandler:
        """Call a function from now on; raises `RuntimeError` if the system grants no thread."""
        handler = SentHandler(function, self._handlers)
        self._runner.begin()
        self._handlers[handler] = None
        return handler

    def enqueue(self, measurement: Measurement, response: Response | None) -> None:
        """Queue a final answer for the handlers.

        Without handlers, the measurement counts as handled at once.
        """
        if self._handlers:
            self._answers.put((measurement, response))
        else:
            self._done()

    def is_own_thread(self) -> bool:
        """Return True in the thread that calls the handlers."""
        return threading.current_thread() is self._runner.thread

    def stop(self) -> None:
        """End the thread after the calls for all queued answers, and wait for its end."""
        self._answers.put(None)
        if self._runner.thread is not None:
            self._runner.thread.join()

    def _run(self) -> None:
        while (answer := self._answers.get()) is not None:
            for handler in tuple(self._handlers):
                try:
                    handler(*answer)
                except BaseException:  # sys.exit in a handler must not end this thread
                    _log.exception("A handler failed with %s", answer[0])
            self._done()
