"""The course of a run: packets and retries over time, and streams that get no answer."""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from swarm.delivery.result import Tally

#: More samples than this are thinned out to half, so a run of days takes no more memory.
_MOST_SAMPLES = 720


class Sample(NamedTuple):
    """The state of a run at a time, in seconds from its first packet on.

    ``sent`` and ``retries`` are counts from the beginning. ``waiting`` is the highest number, since
    the sample before, of streams whose last try failed.
    """

    seconds: float
    sent: int
    retries: int
    waiting: int


class Timeline:
    """Samples of a run, at most twice a second; `note` takes the tallies that have changed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.samples: list[Sample] = []
        self._clock = clock
        self._start: float | None = None
        self._interval = 0.5
        self._sent = self._retries = 0
        self._known: dict[str, tuple[int, int]] = {}
        self._waiting: set[str] = set()
        self._most_waiting = 0

    def note(self, changed: Mapping[str, Tally]) -> None:
        """Note the tallies of streams."""
        if self._start is None and changed:
            self._start = self._clock()
            self.samples.append(Sample(0.0, 0, 0, 0))
        for stream, tally in changed.items():
            sent, retries = self._known.get(stream, (0, 0))
            self._sent += tally.sent - sent
            self._retries += tally.retries - retries
            self._known[stream] = tally.sent, tally.retries
            if tally.stall_reason:
                self._waiting.add(stream)
            else:
                self._waiting.discard(stream)
        self._most_waiting = max(self._most_waiting, len(self._waiting))
        if self._start is None:
            return
        seconds = self._clock() - self._start
        if seconds - self.samples[-1].seconds >= self._interval:
            self._add(seconds)

    def end(self, stream: str, tally: Tally) -> None:
        """Note the last tally of a stream."""
        self.note({stream: tally})
        self._waiting.discard(stream)

    def close(self) -> tuple[Sample, ...]:
        """Return the samples, with one of the end."""
        if self._start is not None:
            self._add(self._clock() - self._start)
        return tuple(self.samples)

    def _add(self, seconds: float) -> None:
        self.samples.append(Sample(seconds, self._sent, self._retries, self._most_waiting))
        self._most_waiting = len(self._waiting)
        if len(self.samples) > _MOST_SAMPLES:
            # Peaks of waiting streams stay: an outage must not vanish.
            pairs = zip(self.samples[2::2], self.samples[1::2], strict=False)
            kept = [
                later._replace(waiting=max(later.waiting, gone.waiting)) for later, gone in pairs
            ]
            self.samples = [self.samples[0], *kept]
            self._interval *= 2
