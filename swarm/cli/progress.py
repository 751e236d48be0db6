"""The progress of a run, in the parent process: the log, and bars or a line a minute on stderr."""

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from swarm.cli.log import LOG, NOTICE, SCREEN, event, write_stderr
from swarm.config.timetable import Timetable
from swarm.csv import CheckResult
from swarm.csv.problems import Problem
from swarm.delivery.result import StreamResult, Tally
from swarm.run.position import Position
from swarm.text import pluralize

if TYPE_CHECKING:
    from swarm.cli.bars import ProgressBars

LINE_SECONDS = 60.0
#: The time (s) that a stream waits before the user gets a notice; often the next try succeeds.
QUIET_SECONDS = 5.0
_BETWEEN_NOTICES = 60.0
_ROWS = ("sent", "resumed", "filtered", "rejected", "late", "retries", "possible_duplicates")


class SilentProgress:
    """An observer of a run that shows problems and notices; progress goes to the log.

    It is a `swarm.run.observer.Observer`.
    """

    #: The log level of progress.
    level = logging.INFO

    def __init__(
        self, limit: Timetable | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.position = Position(limit, clock, LINE_SECONDS)
        self._meters = 0
        self._checked = 0
        self._is_sending = False
        self._stalls = StallReasons(self.notice, clock)
        self._clock = clock
        self._start = clock()

    def checking(self, meters: int) -> None:
        """Note how many meters are checked."""
        self._meters = meters
        self._say(f"checking {pluralize(meters, 'meter')}")

    def checked(self, result: CheckResult) -> None:
        """Show the problems and notices of a meter's files."""
        self._checked += 1
        LOG.info("%s: %s checked", result.meter, pluralize(result.rows, "row"))
        for line in format_problems(result.problems, result.problem_count):
            LOG.error("%s", line, extra=event("problem", meter=result.meter))
        for notice in result.notices:
            self.notice(notice)

    def sending(self, rows: Mapping[str, int]) -> None:
        """Note how many rows each stream has."""
        self.position.begin(rows)
        self._is_sending = True
        self._start = self._clock()
        count = pluralize(self.position.total, "row")
        self._say(f"sending {count} of {pluralize(len(rows), 'stream')}")

    def tallies(self, changed: Mapping[str, Tally]) -> None:
        """Note the tallies that have changed."""
        position = self.position
        for stream, tally in changed.items():
            if stream in position.rows and stream not in position.ended:
                known = position.known(stream)
                if tally.retries != (known.retries if known else 0):
                    why = f": {tally.stall_reason}" if tally.stall_reason else ""
                    LOG.debug("%s: %s so far%s", stream, pluralize(tally.retries, "retry"), why)
                self._stalls.note(stream, tally.stall_reason)
        position.note(changed)
        position.measure()
        self._stalls.report()

    def ended(self, result: StreamResult) -> None:
        """Note a stream's end."""
        self.position.end(result)
        self._stalls.end(result.id)
        if LOG.isEnabledFor(logging.INFO):
            counts = [f"{getattr(result.tally, name)} {name.replace('_', ' ')}" for name in _ROWS]
            parts = [result.state, *(count for count in counts if not count.startswith("0 "))]
            text = f"{result.id}: {', '.join(parts)}, verified: {result.verified}"
            LOG.info("%s", text, extra=event("stream", meter=result.id, state=result.state))
        if result.traceback:
            for line in result.traceback.splitlines():
                LOG.debug("%s", line)

    def connections(self, text: str) -> None:
        """Log how many streams are sent at the same time."""
        LOG.info("%s", text)

    def notice(self, text: str) -> None:
        """Show a notice."""
        LOG.log(NOTICE, "notice: %s", text, extra=event("notice"))

    def stopping(self, why: str) -> None:
        """Show that the run ends early.

        ``why`` is the signal, the time limit, or what else ends the run.
        """
        LOG.warning(
            "stopping: %s; requests under way are completed "
            "(a second signal, or Ctrl-C again, ends the run at once)",
            why,
            extra=event("notice"),
        )

    def close(self) -> None:
        """Show how far the run came."""
        if self._is_sending:
            seconds = max(self._clock() - self._start, 0.001)
            rate = (self.position.done - self.position.skipped) / seconds
            self._say(self._line(f"{rate:,.0f} rows/s"))
            self._is_sending = False

    def _say(self, text: str) -> None:
        LOG.log(self.level, "%s", text)

    def _line(self, pace: str) -> str:
        """Return the position in a line that ends with the pace, if any row is new."""
        position = self.position
        rows = pluralize(position.total, "row")
        share = 100 * position.done // position.total if position.total else 100
        done = f"{position.done:,} of {rows} ({share} %)"
        if position.skipped and position.skipped == position.done:
            return f"{done}, none of them new"
        old = f", {position.skipped:,} of them not new" if position.skipped else ""
        return f"{done}{old}, {pace}"


class LineProgress(SilentProgress):
    """Progress as lines, suitable for a log file: at each start, once a minute, and at the end."""

    level = NOTICE

    def __init__(
        self, limit: Timetable | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(limit, clock)
        self._due = clock() + LINE_SECONDS

    def sending(self, rows: Mapping[str, int]) -> None:
        """Show the number of rows and streams; the next line comes in a minute."""
        super().sending(rows)
        self._due = self._clock() + LINE_SECONDS

    def tallies(self, changed: Mapping[str, Tally]) -> None:
        """Show a line if a minute has passed since the last one."""
        super().tallies(changed)
        if self._clock() >= self._due:
            self._due = self._clock() + LINE_SECONDS
            self._say(self._now())

    def _now(self) -> str:
        if not self._is_sending:
            return f"checked {self._checked:,} of {pluralize(self._meters, 'meter')}"
        self.position.measure(at_once=True)
        trouble = self.position.trouble
        return self._line(str(self.position.forecast())) + (f"; {trouble}" if trouble else "")


class BarProgress(SilentProgress):
    """Progress as bars: one with rate and ETA for all rows, and one for each stream with room."""

    def __init__(self, limit: Timetable | None = None) -> None:
        super().__init__(limit)
        self._limit = limit
        self._bars: ProgressBars | None = None
        self._moved: dict[str, Tally] = {}

    def checking(self, meters: int) -> None:
        """Show a bar for the meters."""
        super().checking(meters)
        self._show("checking", "meters", meters, leave=False)

    def checked(self, result: CheckResult) -> None:
        """Move the bar."""
        super().checked(result)
        self._move()

    def sending(self, rows: Mapping[str, int]) -> None:
        """Show a bar for all rows; `tallies` adds the bars of the streams."""
        self._clear()
        super().sending(rows)
        self._show("total", "rows", self.position.total, parts=len(rows))

    def tallies(self, changed: Mapping[str, Tally]) -> None:
        """Move the bars."""
        super().tallies(changed)
        self._moved.update(changed)
        if self._bars and self._bars.is_due:
            rows, ended = self.position.rows, self.position.ended
            for stream, tally in self._moved.items():
                if stream in rows and stream not in ended:
                    self._bars.show(stream, tally.finished, rows[stream], tally.skipped)
            self._moved.clear()
            self._move()

    def ended(self, result: StreamResult) -> None:
        """Remove the bar of the stream, which gives its line to another stream."""
        if self._bars:
            self._bars.end(result.id)
        super().ended(result)

    def close(self) -> None:
        """Remove the bars of the streams; the bar for all rows stays on the screen."""
        self._clear()
        super().close()

    def _show(
        self, name: str, unit: str, total: int, *, parts: int = 0, leave: bool = True
    ) -> None:
        # Loads tqdm, which only runs that draw bars need.
        from swarm.cli.bars import ProgressBars

        self._bars = ProgressBars(name, unit, total, parts=parts, leave=leave)
        if parts and self._limit is not None and not self._limit.is_constant:
            self._bars.show_forecast(self._forecast)
        SCREEN.write = self._bars.print_above

    def _forecast(self) -> str:
        end = self.position.forecast().end()
        return f"done about {end}" if end else "end unknown"

    def _move(self) -> None:
        if self._bars and self._is_sending:
            self._bars.move(self.position.done, self.position.skipped)
        elif self._bars:
            self._bars.move(self._checked)

    def _clear(self) -> None:
        SCREEN.write = write_stderr
        if self._bars:
            self._move()
            self._bars.close()
            self._bars = None


def make_progress(
    mode: str, limit: Timetable | None = None, *, quiet: bool, is_terminal: bool
) -> SilentProgress:
    """Return the progress display of a mode; ``auto`` is bars on a terminal, else lines.

    With ``quiet``, no progress is shown, whatever the mode. ``limit`` is the rate limit.
    """
    if mode == "auto":
        mode = "bar" if is_terminal else "plain"
    if quiet or mode in {"none", "json"}:
        return SilentProgress(limit)
    return BarProgress(limit) if mode == "bar" else LineProgress(limit)


class StallReasons:
    """Follows streams whose packets do not get through, and passes notices to ``notice``."""

    def __init__(self, notice: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._notice = notice
        self._clock = clock
        self._since: dict[str, float] = {}
        self._reason = ""
        self._is_reported = False
        self._due = -math.inf

    def note(self, stream: str, reason: str) -> None:
        """Note the reason why a stream waits; an empty reason means that it continues."""
        if reason:
            self._since.setdefault(stream, self._clock())
            self._reason = reason
        elif self._since.pop(stream, None) is not None and not self._since and self._is_reported:
            self._notice("packets are acknowledged again")
            self._is_reported = False

    def end(self, stream: str) -> None:
        """Note that a stream has ended, whether or not its packets got through."""
        self._since.pop(stream, None)
        self._is_reported = self._is_reported and bool(self._since)

    def report(self) -> None:
        """Report the streams that have waited for `QUIET_SECONDS`, at most once a minute."""
        now = self._clock()
        waiting = [stream for stream, since in self._since.items() if now - since >= QUIET_SECONDS]
        if waiting and now >= self._due:
            self._is_reported, self._due = True, now + _BETWEEN_NOTICES
            others = f" and {pluralize(len(waiting) - 1, 'other stream')}" if waiting[1:] else ""
            self._notice(
                f"{waiting[0]}{others}: no packet is acknowledged: {self._reason}; retrying"
            )


def format_problems(problems: Iterable[Problem], count: int) -> list[str]:
    """Return a line for each problem, and a last line for the problems that were only counted.

    ``count`` is the number of all problems.
    """
    lines = [str(problem) for problem in problems]
    if count > len(lines):
        lines.append(f"... and {count - len(lines)} more problems")
    return lines
