"""Progress of a run: the log, and on stderr bars, or a line a minute; in the parent alone."""

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping

from swarm.cli import bars
from swarm.cli.log import LOG, NOTICE, SCREEN, plainly
from swarm.csv import CheckResult
from swarm.csv.problems import Problem
from swarm.delivery.result import StreamResult, Tally
from swarm.text import pluralize

LINE_SECONDS = 60.0
_ROWS = ("sent", "resumed", "filtered", "rejected", "late", "retries", "possible_duplicates")


class SilentProgress:
    """Shows problems and notices; how far the run is stands in the log alone."""

    #: The log's level of what says how far the run is.
    level = logging.INFO

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.rows: Mapping[str, int] = {}
        self.over: set[str] = set()
        self.notes: list[str] = []
        self._meters = 0
        self._checked = 0
        self._latest: dict[str, Tally] = {}
        self._trouble = StallReasons(self.notice, clock)
        self._clock = clock
        self._start = clock()

    def checking(self, meters: int) -> None:
        """Take note of how many meters are checked."""
        self._meters = meters
        self._say(f"checking {pluralize(meters, 'meter')}")

    def checked(self, survey: CheckResult) -> None:
        """Show what is wrong with a file, and what should be known of it."""
        self._checked += 1
        LOG.info("%s: %s checked", survey.meter, pluralize(survey.rows, "row"))
        for line in format_problems(survey.problems, survey.problem_count):
            LOG.error("%s", line)
        for notice in survey.notices:
            self.notice(notice)

    def sending(self, rows: Mapping[str, int]) -> None:
        """Take note of what there is to do."""
        self.rows = dict(rows)
        self._start = self._clock()
        self._say(f"sending {pluralize(self.total, 'row')} of {pluralize(len(rows), 'stream')}")

    def tallies(self, tallies: Mapping[str, Tally]) -> None:
        """Take note of what is done."""
        for stream, tally in tallies.items():
            if stream in self.rows and stream not in self.over:
                self._note(stream, tally)
        self._trouble.look()

    def ended(self, result: StreamResult) -> None:
        """Take note of a stream's end."""
        self.over.add(result.id)
        self._trouble.over(result.id)
        if result.id in self.rows:
            self._latest[result.id] = result.tally
        LOG.info("%s", _ending(result))
        if result.traceback:
            for line in result.traceback.splitlines():
                LOG.debug("%s", line)

    def notice(self, text: str) -> None:
        """Tell something that the user should know."""
        LOG.log(NOTICE, "notice: %s", text)

    def stopping(self, why: str) -> None:
        """Tell that the run ends early."""
        LOG.warning("stopping: %s; packets in flight end (a second signal ends at once)", why)

    def close(self) -> None:
        """Tell how far the run came."""
        if self.rows:
            self._say(self._position())
            self.rows = {}

    @property
    def done(self) -> int:
        """The number of settled rows."""
        return sum(tally.settled for tally in self._latest.values())

    @property
    def skipped(self) -> int:
        """The number of those not sent: acknowledged or rejected before, late, filtered."""
        return sum(tally.skipped for tally in self._latest.values())

    @property
    def total(self) -> int:
        """The number of rows."""
        return sum(self.rows.values())

    def _note(self, stream: str, tally: Tally) -> None:
        known = self._latest.get(stream)
        if tally.retries != (known.retries if known else 0):
            why = f": {tally.stall_reason}" if tally.stall_reason else ""
            LOG.debug("%s: %s so far%s", stream, pluralize(tally.retries, "retry"), why)
        self._latest[stream] = tally
        self._trouble.hear(stream, tally.stall_reason)

    def _say(self, text: str) -> None:
        LOG.log(self.level, "%s", text)

    def _position(self) -> str:
        if not self.rows:
            return f"checked {self._checked:,} of {pluralize(self._meters, 'meter')}"
        share = 100 * self.done // self.total if self.total else 100
        passed = self.skipped
        rate = (self.done - passed) / max(self._clock() - self._start, 0.001)
        new = f", {passed:,} of them not sent" if passed else ""
        return (
            f"{self.done:,} of {pluralize(self.total, 'row')} ({share} %){new}, {rate:,.0f} rows/s"
        )


class LineProgress(SilentProgress):
    """A line when something begins, one a minute, and one at the end: fit for a log file."""

    level = NOTICE

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._due = clock() + LINE_SECONDS

    def sending(self, rows: Mapping[str, int]) -> None:
        """Say what is sent; the next line comes in a minute."""
        super().sending(rows)
        self._due = self._clock() + LINE_SECONDS

    def tallies(self, tallies: Mapping[str, Tally]) -> None:
        """Say once a minute how far the run is."""
        super().tallies(tallies)
        if self._is_due():
            self._say(self._position())

    def _is_due(self) -> bool:
        if self._clock() < self._due:
            return False
        self._due = self._clock() + LINE_SECONDS
        return True


class BarProgress(SilentProgress):
    """A total bar with rate and ETA, and a bar for each stream in flight that there is room for."""

    def __init__(self) -> None:
        super().__init__()
        self._bars: bars.ProgressBars | None = None

    def checking(self, meters: int) -> None:
        """Show a bar of meters checked."""
        super().checking(meters)
        self._show(bars.ProgressBars("checking", "meters", meters, leave=False))

    def checked(self, survey: CheckResult) -> None:
        """Move it."""
        super().checked(survey)
        self._move()

    def sending(self, rows: Mapping[str, int]) -> None:
        """Show the bars of sending."""
        self._clear()
        super().sending(rows)
        self._show(bars.ProgressBars("total", "rows", self.total, parts=len(rows)))

    def tallies(self, tallies: Mapping[str, Tally]) -> None:
        """Move the bars."""
        super().tallies(tallies)
        if self._bars and self._bars.is_due:
            for stream, tally in tallies.items():
                if stream in self.rows and stream not in self.over:
                    self._bars.show(stream, tally.settled, self.rows[stream], tally.skipped)
            self._move()

    def ended(self, result: StreamResult) -> None:
        """Give the bar of a stream that has ended to another."""
        if self._bars:
            self._bars.end(result.id)
        super().ended(result)

    def close(self) -> None:
        """Leave the total bar alone on the screen."""
        self._clear()
        super().close()

    def _show(self, stack: bars.ProgressBars) -> None:
        self._bars = stack
        SCREEN.write = stack.print_above

    def _move(self) -> None:
        if self._bars:
            if self.rows:
                self._bars.move(self.done, self.skipped)
            else:
                self._bars.move(self._checked)

    def _clear(self) -> None:
        SCREEN.write = plainly
        if self._bars:
            self._move()
            self._bars.close()
            self._bars = None


def make_progress(mode: str, *, quiet: bool, is_terminal: bool) -> SilentProgress:
    """Return who shows a run: ``auto`` is bars on a terminal, else lines."""
    if mode == "auto":
        mode = "bar" if is_terminal else "plain"
    if quiet or mode == "none":
        return SilentProgress()
    return BarProgress() if mode == "bar" else LineProgress()


def _ending(result: StreamResult) -> str:
    """Return how a stream ended, in one line; counts of nothing are left out."""
    counts = [f"{getattr(result.tally, name)} {name.replace('_', ' ')}" for name in _ROWS]
    said = [count for count in counts if not count.startswith("0 ")]
    return f"{result.id}: {', '.join([result.state, *said, f'verified: {result.verified}'])}"


#: How long a stream may wait without a word; on a poor line the next try often gets through.
QUIET_SECONDS = 5.0
_BETWEEN_WORDS = 60.0


class StallReasons:
    """Follows the streams whose packets do not get through; ``tell`` gets what is to be said."""

    def __init__(self, tell: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._tell = tell
        self._clock = clock
        self._since: dict[str, float] = {}
        self._words = ""
        self._is_told = False
        self._due = -math.inf

    def hear(self, stream: str, words: str) -> None:
        """Take note of why a stream waits; without words it goes on."""
        if words:
            self._since.setdefault(stream, self._clock())
            self._words = words
        elif self._since.pop(stream, None) is not None and not self._since and self._is_told:
            self._tell("packets get through again")
            self._is_told = False

    def over(self, stream: str) -> None:
        """Take note that a stream has ended, which does not mean that it got through."""
        self._since.pop(stream, None)
        self._is_told = self._is_told and bool(self._since)

    def look(self) -> None:
        """Tell of streams that have waited for long."""
        now = self._clock()
        waiting = [stream for stream, since in self._since.items() if now - since >= QUIET_SECONDS]
        if waiting and now >= self._due:
            self._is_told, self._due = True, now + _BETWEEN_WORDS
            others = f" and {pluralize(len(waiting) - 1, 'other stream')}" if waiting[1:] else ""
            self._tell(f"{waiting[0]}{others}: no packet gets through: {self._words}; trying on")


def format_problems(problems: Iterable[Problem], count: int) -> list[str]:
    """Return problems as lines, and a last one for those that were only counted."""
    lines = [str(problem) for problem in problems]
    if count > len(lines):
        lines.append(f"... and {count - len(lines)} more problems")
    return lines
