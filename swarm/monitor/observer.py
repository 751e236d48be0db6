"""An observer that makes events of a run and passes each call on to the progress display."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace

from swarm.csv import CheckResult
from swarm.delivery.result import StreamResult, Tally
from swarm.monitor.events import (
    End,
    Event,
    Notice,
    Problem,
    Progress,
    Start,
    Stream,
    StreamPosition,
)
from swarm.packet import timestamp
from swarm.run.observer import Observer
from swarm.run.report import Report
from swarm.version import VERSION

#: Takes events as they happen.
Sink = Callable[[Event], None]

_PROGRESS_SECONDS = 1.0
#: The rate is that of the last seconds.
_RATE_SECONDS = 10


class EventObserver:
    """Makes the events of a run for ``sink``; it is a `swarm.run.observer.Observer`.

    Tallies are only kept, and looked at once a second: they come ten times as often.
    """

    def __init__(
        self, inner: Observer, sink: Sink, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._inner = inner
        self._sink = sink
        self._clock = clock
        self._due = clock() + _PROGRESS_SECONDS
        self._checked = 0
        self._rows: dict[str, int] = {}
        self._filtered: dict[str, int] = {}
        self._changed: dict[str, Tally] = {}
        self._last: dict[str, Tally] = {}
        self._ended: set[str] = set()
        self._done = self._sent = 0
        self._waiting: dict[str, str] = {}
        self._connections = ""
        self._points: deque[tuple[float, int, int]] = deque(maxlen=_RATE_SECONDS + 1)

    def start(self, config: str, collector: str, meters: int) -> None:
        """Note the beginning of the run."""
        self._sink(Start(VERSION, config, collector, meters))

    def checking(self, meters: int) -> None:
        """Note that files are about to be checked."""
        self._inner.checking(meters)

    def checked(self, result: CheckResult) -> None:
        """Make an event of each problem and notice of a meter's files."""
        self._inner.checked(result)
        self._checked += 1
        self._filtered[result.meter] = result.filtered
        for problem in result.problems:
            self._sink(Problem(result.meter, problem.kind, str(problem)))
        for notice in result.notices:
            self._sink(Notice(notice))
        self._tick()

    def sending(self, rows: Mapping[str, int]) -> None:
        """Note the rows of each stream."""
        self._inner.sending(rows)
        self._rows = dict(rows)
        self._points.append((self._clock(), 0, 0))
        positions = {name: StreamPosition(count, 0, 0, "") for name, count in rows.items()}
        self._sink(replace(self._progress(self._clock()), streams=positions))

    def tallies(self, changed: Mapping[str, Tally]) -> None:
        """Keep the tallies that have changed."""
        self._inner.tallies(changed)
        # The tally of a stream that has ended may come late, and be older than its result.
        for stream, tally in changed.items():
            if stream not in self._ended:
                self._changed[stream] = tally
        self._tick()

    def connections(self, text: str) -> None:
        """Keep the number of connections."""
        self._inner.connections(text)
        self._connections = text

    def ended(self, result: StreamResult) -> None:
        """Make an event of the end of a stream."""
        self._inner.ended(result)
        self._changed[result.id] = result.tally
        self._ended.add(result.id)
        tally, rows = result.tally, self._rows.get(result.id, 0)
        newest = None if result.newest is None else timestamp(result.newest, 0)
        if result.problem:
            self._sink(Problem(result.id, result.problem.kind, result.problem.message))
        self._sink(
            Stream(
                id=result.id,
                state=result.state,
                rows=rows + self._filtered.get(result.id, 0),
                sent=tally.sent,
                resumed=tally.resumed,
                filtered=self._filtered.get(result.id, 0),
                rejected=tally.rejected,
                late=tally.late,
                unsent=max(rows - tally.finished, 0),
                retries=tally.retries,
                verified=result.verified,
                last_acknowledged=newest,
            )
        )

    def notice(self, text: str) -> None:
        """Make an event of a notice."""
        self._inner.notice(text)
        self._sink(Notice(text))

    def stopping(self, why: str) -> None:
        """Make an event of an early end."""
        self._inner.stopping(why)
        self._sink(Notice(f"stopping: {why}"))

    def finish(self, report: Report) -> None:
        """Make the last position and the end."""
        self._sink(self._progress(self._clock()))
        totals = report.totals
        self._sink(
            End(
                exit_code=int(report.exit_code),
                seconds=round(report.seconds, 3),
                rows=totals["rows"],
                sent=totals["sent"],
                unsent=totals["unsent"],
                packets_per_second=report.packets_per_second,
            )
        )

    def _tick(self) -> None:
        now = self._clock()
        if now >= self._due:
            self._due = now + _PROGRESS_SECONDS
            self._sink(self._progress(now))

    def _progress(self, now: float) -> Progress:
        """Return the position, with the streams that changed since the last one."""
        positions = {}
        for stream, tally in self._changed.items():
            known = self._last.get(stream)
            self._done += tally.finished - (known.finished if known else 0)
            self._sent += tally.sent - (known.sent if known else 0)
            self._last[stream] = tally
            trouble = "" if stream in self._ended else tally.stall_reason
            if trouble:
                self._waiting[stream] = trouble
            else:
                self._waiting.pop(stream, None)
            positions[stream] = StreamPosition(
                self._rows.get(stream, 0), tally.finished, tally.retries, trouble
            )
        self._changed = {}
        rows = sum(self._rows.values())
        rate, pace = self._rates(now)
        left = rows - self._done
        trouble = ""
        if self._waiting:
            stream, reason = next(iter(self._waiting.items()))
            others = f" and {len(self._waiting) - 1} more" if len(self._waiting) > 1 else ""
            trouble = f"{stream}{others}: {reason}"
        return Progress(
            rows=rows,
            done=self._done,
            rate=round(rate, 1),
            eta_seconds=round(left / pace, 1) if pace and left > 0 else None,
            streams_active=len(self._last.keys() - self._ended),
            streams_done=len(self._ended),
            trouble=trouble,
            checked=self._checked,
            connections=self._connections,
            streams=positions,
        )

    def _rates(self, now: float) -> tuple[float, float]:
        """Return packets and settled rows a second, over the last seconds."""
        if self._rows:
            self._points.append((now, self._sent, self._done))
        if len(self._points) < 2:
            return 0.0, 0.0
        (start, sent, done), (end, sent_now, done_now) = self._points[0], self._points[-1]
        seconds = max(end - start, 0.001)
        return (sent_now - sent) / seconds, (done_now - done) / seconds
