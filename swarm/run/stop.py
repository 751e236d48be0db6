"""The early end of a run: a signal, the time limit, or what stops every stream."""

import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import NamedTuple

from swarm.delivery.context import INTERRUPTED
from swarm.delivery.result import StreamProblem
from swarm.errors import ExitCode

_LOG = logging.getLogger(__name__)


class EndNow(BaseException):
    """A second signal: the run must end at once."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class RunEnd(NamedTuple):
    """The reason why a run ends early, and the problem of each stream that it interrupts."""

    why: str
    problem: StreamProblem


def interruption(why: str) -> RunEnd:
    """Return the end of a run after which the same command continues."""
    message = f"stopped: {why}; run the same command again to continue"
    return RunEnd(why, StreamProblem(INTERRUPTED, message, ExitCode.TEMPORARY))


@dataclass
class Stop:
    """The request to end a run early, if there is one; ``deadline`` is on the monotonic clock.

    ``signal`` is the first signal that came, whatever else ended the run before.
    """

    deadline: float | None = None
    signal: int | None = None
    end: RunEnd | None = None
    ends_now: bool = False

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal: the first ends the run in order, the second at once."""
        if self.ends_now:
            return
        if self.signal is not None:
            self.ends_now = True
            raise EndNow(self.signal)
        self.signal = number
        self.request(interruption(f"{signal.Signals(number).name} received"))

    def request(self, end: RunEnd) -> None:
        """Ask for the end of the run; the first reason stays."""
        self.end = self.end or end

    def is_due(self) -> bool:
        """Return True if the run must end now."""
        if self.end is None and self.deadline is not None and time.monotonic() >= self.deadline:
            self.end = interruption("the time of --max-duration is used up")
        return self.end is not None


def warn_of_end(stop: Stop) -> None:
    """Tell the user that the run ends before anything was sent."""
    _LOG.warning("stopping: %s; nothing was sent", stop.end and stop.end.why)


@contextmanager
def stoppable(max_duration: float | None = None) -> Iterator[Stop]:
    """Handle SIGINT, SIGTERM and a time limit (s) as requests to end the run."""
    stop = Stop(None if max_duration is None else time.monotonic() + max_duration)
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, stop.handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
