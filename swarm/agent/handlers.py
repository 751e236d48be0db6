"""Calls the handlers of final answers, one after the other, in a thread of their own."""

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
    """The final answer: its HTTP status, and in ``text`` one line of what the collector said.

    A measurement whose own answer never came, and that the collector was then found to hold, has
    the status of that finding. No secret is in ``text``.
    """

    code: int
    text: str = ""

    @property
    def is_success(self) -> bool:
        """Whether the collector took the measurement."""
        return 200 <= self.code < 300


_log = ThreadLog(logging.getLogger(__name__))

Function = Callable[[Measurement, Response | None], object]


class SentHandler:
    """A function that is called with each measurement and its final answer, until removed.

    It can be called as the function itself, so that a decorated name stays of use.
    """

    def __init__(self, function: Function, remove: Callable[["SentHandler"], None]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._remove = remove

    def __call__(self, measurement: Measurement, response: Response | None) -> object:
        """Call the function."""
        return self._function(measurement, response)

    def remove(self) -> None:
        """Call it no more; a call that has begun ends."""
        self._remove(self)


class Handlers:
    """All handlers of an agent; ``done`` is called after those of a measurement were called."""

    def __init__(self, done: Callable[[], None]) -> None:
        self._done = done
        # Each change is one step, also for a signal's handler: there is no lock to wait for.
        self._handlers: dict[SentHandler, None] = {}
        self._answers: SimpleQueue[tuple[Measurement, Response | None] | None] = SimpleQueue()
        self._runner = SingleThread(self._run, "swarm")

    def add(self, function: Function) -> SentHandler:
        """Call a function from now on; raises `RuntimeError` where the system grants no thread."""
        handler = SentHandler(function, self._remove)
        self._runner.begin()
        self._handlers[handler] = None
        return handler

    def tell(self, measurement: Measurement, response: Response | None) -> None:
        """Have the handlers called with a final answer."""
        if self._handlers:
            self._answers.put((measurement, response))
        else:
            self._done()

    def is_own_thread(self) -> bool:
        """Tell whether this is the thread that the handlers are called in."""
        return threading.current_thread() is self._runner.thread

    def stop(self) -> None:
        """End the thread, once the handlers were told all."""
        self._answers.put(None)
        if self._runner.thread is not None:
            self._runner.thread.join()

    def _run(self) -> None:
        while (answer := self._answers.get()) is not None:
            for handler in tuple(self._handlers):
                self._call(handler, *answer)
            self._done()

    def _call(
        self, handler: SentHandler, measurement: Measurement, response: Response | None
    ) -> None:
        try:
            handler(measurement, response)
        except BaseException:  # `sys.exit` in a handler must not end the calling of them all
            _log.exception("A handler failed with %s", measurement)

    def _remove(self, handler: SentHandler) -> None:
        self._handlers.pop(handler, None)
