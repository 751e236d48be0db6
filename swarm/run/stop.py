"""Why a run ends early: a signal, or the time that it was given."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


class EndNow(BaseException):
    """A second signal: end at once."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass
class Stop:
    """Whether a run has to stop, and why; ``deadline`` is on the monotonic clock."""

    deadline: float | None = None
    signal: int | None = None
    why: str | None = None
    ends_now: bool = False

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal: the first stops the run in order, the second ends it, once."""
        if self.ends_now:
            return
        if self.signal is not None:
            self.ends_now = True
            raise EndNow(self.signal)
        self.signal = number
        self.why = f"{signal.Signals(number).name} received"

    def is_due(self) -> bool:
        """Tell whether the run has to stop now."""
        if self.why is None and self.deadline is not None and time.monotonic() >= self.deadline:
            self.why = "the time of --max-duration is used up"
        return self.why is not None


@contextmanager
def stoppable(max_duration: float | None = None) -> Iterator[Stop]:
    """Take SIGINT and SIGTERM, and the time limit (s), as words to stop."""
    stop = Stop(None if max_duration is None else time.monotonic() + max_duration)
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, stop.handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
