"""Events -> bars on a terminal, or a line a minute; always on stderr, drawn by the parent alone."""

import shutil
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from swarm.events import StreamResult, Tally
from swarm.meterfile import Survey
from swarm.problems import told

if TYPE_CHECKING:
    from tqdm import tqdm

LINE_SECONDS = 60.0
#: Lines of the terminal that are left to the log and the prompt.
_SPARE_LINES = 4
_MOST_BARS = 16
_NAME_WIDTH = 28


class Quiet:
    """Shows problems and, unless it is told not to, notices."""

    def __init__(self, *, notices: bool = True) -> None:
        self._notices = notices
        self.rows: Mapping[str, int] = {}
        self.settled: dict[str, int] = {}
        self.over: set[str] = set()
        self.notes: list[str] = []

    def write(self, text: str) -> None:
        """Write a line to stderr."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - stderr is where progress goes

    def checking(self, meters: int) -> None:
        """Nothing to show."""

    def checked(self, survey: Survey) -> None:
        """Show what is wrong with a file, and what should be known of it."""
        for line in told(survey.problems, survey.problem_count):
            self.write(line)
        for notice in survey.notices:
            self.notice(notice)

    def sending(self, rows: Mapping[str, int]) -> None:
        """Take note of what there is to do."""
        self.rows = dict(rows)

    def tallies(self, tallies: Mapping[str, Tally]) -> None:
        """Take note of what is done."""
        for stream, tally in tallies.items():
            if stream in self.rows and stream not in self.over:
                self.settled[stream] = tally.settled

    def ended(self, result: StreamResult) -> None:
        """Take note of a stream's end."""
        self.over.add(result.id)
        if result.id in self.rows:
            self.settled[result.id] = result.tally.settled

    def notice(self, text: str) -> None:
        """Show a notice."""
        if self._notices:
            self.write(f"notice: {text}")

    def stopping(self, why: str) -> None:
        """Say that the run ends early."""
        self.write(f"stopping: {why}; packets in flight end (a second signal ends at once)")

    def close(self) -> None:
        """Nothing to clear."""

    @property
    def done(self) -> int:
        """How many rows are settled."""
        return sum(self.settled.values())

    @property
    def total(self) -> int:
        """How many rows there are."""
        return sum(self.rows.values())


class Lines(Quiet):
    """A line when sending begins, one a minute, and one at the end: fit for a log file."""

    def __init__(self, *, notices: bool = True) -> None:
        super().__init__(notices=notices)
        self._next = float("inf")
        self._start = 0.0

    def checking(self, meters: int) -> None:
        """Say what is checked."""
        self.write(f"checking {meters} {'meter' if meters == 1 else 'meters'}")

    def sending(self, rows: Mapping[str, int]) -> None:
        """Say what is sent."""
        super().sending(rows)
        streams = f"{len(rows)} {'stream' if len(rows) == 1 else 'streams'}"
        self.write(f"sending {self.total:,} rows of {streams}")
        self._start = time.monotonic()
        self._next = self._start + LINE_SECONDS

    def tallies(self, tallies: Mapping[str, Tally]) -> None:
        """Say how far the run is, once a minute."""
        super().tallies(tallies)
        if time.monotonic() >= self._next:
            self._next += LINE_SECONDS
            self.write(self._line())

    def close(self) -> None:
        """Say how far the run came."""
        if self.rows:
            self.write(self._line())
            self.rows = {}

    def _line(self) -> str:
        share = 100 * self.done // self.total if self.total else 100
        rate = self.done / max(time.monotonic() - self._start, 0.001)
        return f"{self.done:,} of {self.total:,} rows ({share} %), {rate:,.0f} rows/s"


class Bars(Quiet):
    """A total bar with rate and ETA, and a bar for each stream in flight that there is room for."""

    def __init__(self, *, notices: bool = True) -> None:
        super().__init__(notices=notices)
        self._total: tqdm[Any] | None = None
        self._checks: tqdm[Any] | None = None
        self._slots: list[tqdm[Any]] = []
        self._shown: dict[str, tqdm[Any]] = {}

    def write(self, text: str) -> None:
        """Write a line above the bars."""
        from tqdm import tqdm

        tqdm.write(text, file=sys.stderr)

    def checking(self, meters: int) -> None:
        """Show a bar of meters checked."""
        self._checks = _bar(total=meters, desc="checking", unit=" meters", leave=False)

    def checked(self, survey: Survey) -> None:
        """Move it."""
        super().checked(survey)
        if self._checks is not None:
            self._checks.update()

    def sending(self, rows: Mapping[str, int]) -> None:
        """Show the bars of sending."""
        self._close_checks()
        super().sending(rows)
        self._total = _bar(total=self.total, desc=_name("total"), unit=" rows", position=0)
        lines = shutil.get_terminal_size().lines - _SPARE_LINES
        for place in range(max(min(lines, _MOST_BARS, len(rows)), 0) if len(rows) > 1 else 0):
            self._slots.append(_bar(total=1, position=place + 1, leave=False, unit=" rows"))
        for slot in self._slots:
            slot.clear()

    def tallies(self, tallies: Mapping[str, Tally]) -> None:
        """Move the bars."""
        super().tallies(tallies)
        for stream in tallies:
            self._show(stream)
        if self._total is not None:
            _move(self._total, self.done)

    def ended(self, result: StreamResult) -> None:
        """Give the bar of a stream that has ended to another."""
        super().ended(result)
        bar = self._shown.pop(result.id, None)
        if bar is not None:
            bar.clear()
            self._slots.append(bar)

    def close(self) -> None:
        """Leave the total bar alone on the screen."""
        self._close_checks()
        for bar in (*self._shown.values(), *self._slots):
            bar.close()
        if self._total is not None:
            _move(self._total, self.done)
            self._total.close()
        self._total, self._slots, self._shown = None, [], {}

    def stopping(self, why: str) -> None:
        """Say it above the bars."""
        self._close_checks()
        super().stopping(why)

    def _close_checks(self) -> None:
        if self._checks is not None:
            self._checks.close()
            self._checks = None

    def _show(self, stream: str) -> None:
        if stream in self.over or stream not in self.rows:
            return
        bar = self._shown.get(stream)
        if bar is None:
            if not self._slots:
                return
            bar = self._shown[stream] = self._slots.pop(0)
            bar.reset(total=self.rows[stream])
            bar.set_description_str(_name(stream), refresh=False)
        _move(bar, self.settled[stream])


def _bar(**options: Any) -> "tqdm[Any]":
    from tqdm import tqdm

    return tqdm(file=sys.stderr, dynamic_ncols=True, mininterval=0.1, **options)


def _move(bar: "tqdm[Any]", place: int) -> None:
    bar.update(place - bar.n)


def _name(stream: str) -> str:
    cut = stream if len(stream) <= _NAME_WIDTH else f"{stream[: _NAME_WIDTH - 1]}…"
    return cut.ljust(_NAME_WIDTH)


def observer(mode: str, *, quiet: bool, is_terminal: bool) -> Quiet:
    """Return who shows a run: ``auto`` is bars on a terminal, else lines."""
    if mode == "auto":
        mode = "bar" if is_terminal else "plain"
    if quiet or mode == "none":
        return Quiet(notices=not quiet)
    return Bars() if mode == "bar" else Lines()
