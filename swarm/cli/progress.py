"""The progress of a run, in the parent process: the log, and bars or a line a minute on stderr."""

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from swarm.cli.log import LOG, NOTICE, SCREEN, write_stderr
from swarm.csv import CheckResult
from swarm.csv.problems import Problem
from swarm.delivery.result import StreamResult, Tally
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

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        #: The number of rows of each stream to send, and the streams that have ended.
        self.rows: Mapping[str, int] = {}
        self.over: set[str] = set()
        self.total = 0
        #: The number of rows that are settled, and of those among them that needed no packet.
        self.done = 0
        self.skipped = 0
        self._meters = 0
        self._checked = 0
        self._tallies: dict[str, Tally] = {}
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
            LOG.error("%s", line)
        for notice in result.notices:
            self.notice(notice)

    def sending(self, rows: Mapping[str, int]) -> None:
        """Note how many rows each stream has."""
        self.rows = dict(rows)
        self.total = sum(rows.values())
        self._start = self._clock()
        self._say(f"sending {pluralize(self.total, 'row')} of {pluralize(len(rows), 'stream')}")

    def tallies(self, changed: Mapping[str, Tally]) -> None:
        """Note the tallies that have changed."""
        for stream, tally in changed.items():
            if stream in self.rows and stream not in self.over:
                known = self._tallies.get(stream)
                if tally.retries != (known.retries if known else 0):
                    why = f": {tally.stall_reason}" if tally.stall_reason else ""
                    LOG.debug("%s: %s so far%s", stream, pluralize(tally.retries, "retry"), why)
                self._count(stream, tally)
                self._stalls.note(stream, tally.stall_reason)
        self._stalls.report()

    def ended(self, result: StreamResult) -> None:
        """Note a stream's end."""
        self.over.add(result.id)
        self._stalls.end(result.id)
        if result.id in self.rows:
            self._count(result.id, result.tally)
        if LOG.isEnabledFor(logging.INFO):
            counts = [f"{getattr(result.tally, name)} {name.replace('_', ' ')}" for name in _ROWS]
            parts = [result.state, *(count for count in counts if not count.startswith("0 "))]
            LOG.info("%s: %s, verified: %s", result.id, ", ".join(parts), result.verified)
        if result.traceback:
            for line in result.traceback.splitlines():
                LOG.debug("%s", line)

    def connections(self, text: str) -> None:
        """Log how many streams are sent at the same time."""
        LOG.info("%s", text)

    def notice(self, text: str) -> None:
        """Show a notice."""
        LOG.log(NOTICE, "notice: %s", text)

    def stopping(self, why: str) -> None:
        """Show that the run ends early.

        ``why`` is the signal, the time limit, or what else ends the run.
        """
        LOG.warning(
            "stopping: %s; requests under way are completed "
            "(a second signal, or Ctrl-C again, ends the run at once)",
            why,
        )

    def close(self) -> None:
        """Show how far the run came."""
        if self.rows:
            self._say(self._position())
            self.rows = {}

    def _count(self, stream: str, tally: Tally) -> None:
        known = self._tallies.get(stream) or Tally()
        self.done += tally.finished - known.finished
        self.skipped += tally.skipped - known.skipped
        self._tallies[stream] = tally

    def _say(self, text: str) -> None:
        LOG.log(self.level, "%s", text)

    def _position(self) -> str:
        if not self.rows:
            return f"checked {self._checked:,} of {pluralize(self._meters, 'meter')}"
        rows = pluralize(self.total, "row")
        share = 100 * self.done // self.total if self.total else 100
        if self.skipped and self.skipped == self.done:
            return f"{self.done:,} of {rows} ({share} %), none of them new"
        rate = (self.done - self.skipped) / max(self._clock() - self._start, 0.001)
        old = f", {self.skipped:,} of them not new" if self.skipped else ""
        return f"{self.done:,} of {rows} ({share} %){old}, {rate:,.0f} rows/s"


class LineProgress(SilentProgress):
    """Progress as lines, suitable for a log file: at each start, once a minute, and at the end."""

    level = NOTICE

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
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
            self._say(self._position())


class BarProgress(SilentProgress):
    """Progress as bars: one with rate and ETA for all rows, and one for each stream with room."""

    def __init__(self) -> None:
        super().__init__()
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
        self._show("total", "rows", self.total, parts=len(rows))

    def tallies(self, changed: Mapping[str, Tally]) -> None:
        """Move the bars."""
        super().tallies(changed)
        self._moved.update(changed)
        if self._bars and self._bars.is_due:
            for stream, tally in self._moved.items():
                if stream in self.rows and stream not in self.over:
                    self._bars.show(stream, tally.finished, self.rows[stream], tally.skipped)
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
        SCREEN.write = self._bars.print_above

    def _move(self) -> None:
        if self._bars and self.rows:
            self._bars.move(self.done, self.skipped)
        elif self._bars:
            self._bars.move(self._checked)

    def _clear(self) -> None:
        SCREEN.write = write_stderr
        if self._bars:
            self._move()
            self._bars.close()
            self._bars = None


def make_progress(mode: str, *, quiet: bool, is_terminal: bool) -> SilentProgress:
    """Return the progress display of a mode; ``auto`` is bars on a terminal, else lines.

    With ``quiet``, no progress is shown, whatever the mode.
    """
    if mode == "auto":
        mode = "bar" if is_terminal else "plain"
    if quiet or mode == "none":
        return SilentProgress()
    return BarProgress() if mode == "bar" else LineProgress()


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
