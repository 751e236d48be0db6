"""The position of a run: rows that are settled, the pace, and what holds packets up."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime

from swarm.config.timetable import Timetable, rate_now
from swarm.delivery.result import StreamResult, Tally
from swarm.run.forecast import Forecast, forecast

_POINTS = 10
#: Without a limit, more packets a second than this are not expected before they were measured:
#: the cores decide then, not the time of an exchange.
_MOST_EXPECTED = 5000.0


class Position:
    """Adds up the tallies of a run's streams.

    ``rate`` and ``pace`` are those of the last ``seconds``. ``limit`` is the rate limit of the run.
    ``clock`` is monotonic, in seconds.
    """

    def __init__(
        self,
        limit: Timetable | None = None,
        clock: Callable[[], float] = time.monotonic,
        seconds: float = 10.0,
    ) -> None:
        #: The number of rows of each stream to send, and the streams that have ended.
        self.rows: Mapping[str, int] = {}
        self.ended: set[str] = set()
        self.total = 0
        #: The number of rows that are settled, of those among them that needed no packet in this
        #: run, and of those that were acknowledged in it.
        self.done = self.skipped = self.sent = 0
        #: Packets a second, and settled rows a second.
        self.rate = self.pace = 0.0
        self._limit = limit
        self._clock = clock
        # A little less: the calls come once a second or more often, but not to the millisecond.
        self._step = 0.9 * seconds / _POINTS
        self._points: deque[tuple[float, int, int]] = deque(maxlen=_POINTS + 1)
        self._tallies: dict[str, Tally] = {}
        self._waiting: dict[str, str] = {}
        self._exchange_seconds = 0.0
        self._free_pace: float | None = None
        self._free_since: float | None = None

    @property
    def active(self) -> int:
        """The number of streams that have begun and not ended."""
        return len(self._tallies.keys() - self.ended)

    @property
    def trouble(self) -> str:
        """The first stream that waits, how many others do, and its reason; empty if none does."""
        if not self._waiting:
            return ""
        stream, reason = next(iter(self._waiting.items()))
        others = f" and {len(self._waiting) - 1} more" if len(self._waiting) > 1 else ""
        return f"{stream}{others}: {reason}"

    def begin(self, rows: Mapping[str, int]) -> None:
        """Begin to send streams of this many rows each."""
        self.rows = dict(rows)
        self.total = sum(rows.values())
        self._points.append((self._clock(), 0, 0))

    def known(self, stream: str) -> Tally | None:
        """Return the last tally of a stream."""
        return self._tallies.get(stream)

    def note(self, changed: Mapping[str, Tally]) -> None:
        """Count tallies that have changed; one that comes after its stream's end is too old."""
        for stream, tally in changed.items():
            if stream in self.rows and stream not in self.ended:
                self._count(stream, tally)
                if tally.stall_reason:
                    self._waiting[stream] = tally.stall_reason
                else:
                    self._waiting.pop(stream, None)

    def end(self, result: StreamResult) -> None:
        """Count the last tally of a stream."""
        self.ended.add(result.id)
        self._waiting.pop(result.id, None)
        if result.id in self.rows:
            self._count(result.id, result.tally)

    def measure(self, *, at_once: bool = False) -> None:
        """Measure rate and pace, if it is time or ``at_once``."""
        now = self._clock()
        if not self._points:
            return
        if len(self._points) > 1 and now - self._points[-1][0] < self._step and not at_once:
            return
        self._points.append((now, self.sent, self.done))
        start, sent, done = self._points[0]
        seconds = max(now - start, 0.001)
        self.rate, self.pace = (self.sent - sent) / seconds, (self.done - done) / seconds
        if rate_now(self._limit) is not None:
            self._free_since = None
            return
        self._free_since = now if self._free_since is None else self._free_since
        if self.rate and (start >= self._free_since or self._limit is None):
            self._free_pace = self.pace

    def forecast(self) -> Forecast:
        """Return the forecast of the run's end."""
        now = datetime.now()
        return forecast(
            max(self.total - self.done, 0), self.pace, self._expected_pace(), self._limit, now
        )

    def _expected_pace(self) -> float | None:
        """Return the rows a second without a limit: as measured, else from the exchanges' time."""
        if self._free_pace or not self._exchange_seconds:
            return self._free_pace
        streams = len(self.rows) - len(self.ended)
        return min(streams * self.sent / self._exchange_seconds, _MOST_EXPECTED)

    def _count(self, stream: str, tally: Tally) -> None:
        known = self._tallies.get(stream) or Tally()
        self.done += tally.finished - known.finished
        self.skipped += tally.skipped - known.skipped
        self.sent += tally.sent - known.sent
        self._exchange_seconds += tally.exchange_seconds - known.exchange_seconds
        self._tallies[stream] = tally
