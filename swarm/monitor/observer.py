"""An observer that makes events of a run and passes each call on to the progress display."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from swarm.config.timetable import Timetable
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
from swarm.run.position import Position
from swarm.run.report import Report
from swarm.version import VERSION

#: Takes events as they happen.
Sink = Callable[[Event], None]

_PROGRESS_SECONDS = 1.0


class EventObserver:
    """Makes the events of a run for ``sinks``; it is a `swarm.run.observer.Observer`.

    Tallies are only kept, and looked at once a second: they come ten times as often. ``limit`` is
    the rate limit of the run.
    """

    def __init__(
        self,
        inner: Observer,
        sinks: Sequence[Sink],
        limit: Timetable | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._sinks = sinks
        self._clock = clock
        self._start = clock()
        self._due = self._start + _PROGRESS_SECONDS
        self._checked = 0
        self._filtered: dict[str, int] = {}
        self._changed: dict[str, Tally] = {}
        self._position = Position(limit, clock)
        self._connections = ""

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
        self._position.begin(rows)
        positions = {name: StreamPosition(count, 0, 0, "") for name, count in rows.items()}
        self._sink(replace(self._progress(), streams=positions))

    def tallies(self, changed: Mapping[str, Tally]) -> None:
        """Keep the tallies that have changed."""
        self._inner.tallies(changed)
        # The tally of a stream that has ended may come late, and be older than its result.
        for stream, tally in changed.items():
            if stream not in self._position.ended:
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
        self._position.end(result)
        tally, rows = result.tally, self._position.rows.get(result.id, 0)
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
        self._sink(self._progress(at_once=True))
        totals = report.totals
        self.end(
            report.exit_code,
            rows=totals["rows"],
            sent=totals["sent"],
            unsent=totals["unsent"],
            packets_per_second=report.packets_per_second,
        )

    def fail(self, exit_code: int, problems: Sequence[str]) -> None:
        """Make events of the problems that have ended the command, and the end."""
        for problem in problems:
            self._sink(Problem("", "error", problem))
        self.end(exit_code)

    def end(self, exit_code: int, **counts: Any) -> None:
        """Make the end; the counts that are not given are 0."""
        seconds = round(self._clock() - self._start, 3)
        self._sink(End(int(exit_code), seconds, **counts))

    def _tick(self) -> None:
        now = self._clock()
        if now >= self._due:
            self._due = now + _PROGRESS_SECONDS
            self._sink(self._progress())

    def _progress(self, *, at_once: bool = False) -> Progress:
        """Return the position, with the streams that changed since the last one."""
        position, changed = self._position, self._changed
        self._changed = {}
        position.note(changed)
        position.measure(at_once=at_once)
        seconds = position.forecast().seconds if position.total > position.done else None
        return Progress(
            rows=position.total,
            done=position.done,
            rate=round(position.rate, 1),
            eta_seconds=None if seconds is None else round(seconds, 1),
            streams_active=position.active,
            streams_done=len(position.ended),
            trouble=position.trouble,
            checked=self._checked,
            connections=self._connections,
            streams={
                stream: StreamPosition(
                    position.rows.get(stream, 0),
                    tally.finished,
                    tally.retries,
                    "" if stream in position.ended else tally.stall_reason,
                )
                for stream, tally in changed.items()
            },
        )

    def _sink(self, event: Event) -> None:
        for sink in self._sinks:
            sink(event)
