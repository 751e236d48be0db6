"""Progress bars on a terminal: one for the whole, and below it one for each part in flight."""

import heapq
import math
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tqdm import tqdm

from swarm.cli.table import pad_or_truncate

#: Lines of the terminal that are left to the log and the prompt.
_SPARE_LINES = 4
_MOST_BARS = 16
_WIDEST_NAME = 28
#: On fewer columns there is no room for a bar beside its figures.
_NARROW = 80
#: As tqdm's own, with a forecast in place of the time that is left at the present rate.
_FORECAST_FORMAT = (
    "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} "
    "[{elapsed}, {forecast}, {rate_noinv_fmt}]"
)
_NARROW_FORMAT = "{desc}: {percentage:3.0f}% {n_fmt}/{total_fmt} {remaining} {rate_noinv_fmt}"
FRAME_SECONDS = 0.25
REFRESH_SECONDS = 1.0


class ProgressBars:
    """A bar for the whole, and as many bars for its parts as the terminal has room for.

    All are drawn together, at most four times a second: each drawing takes CPU time from the
    workers that send.
    """

    def __init__(
        self, name: str, unit: str, total: int, *, parts: int = 0, leave: bool = True
    ) -> None:
        columns, lines = terminal_size()
        is_narrow = columns < _NARROW
        self._width = max(columns // 4, 10) if is_narrow else min(_WIDEST_NAME, columns // 3)
        self._format = _NARROW_FORMAT if is_narrow else None
        self._unit = unit
        self._stderr = BufferedStderr()
        self._drawn = self._refreshed = -math.inf
        self._done = self._skipped = 0
        self._whole = self._bar(0, total, name, leave=leave)
        room = max(min(lines - _SPARE_LINES, _MOST_BARS, parts), 0) if parts > 1 else 0
        self._free = list(range(1, room + 1))
        self._parts: dict[str, tuple[int, _Bar]] = {}
        self._stderr.show()

    def show_forecast(self, forecast: Callable[[], str]) -> None:
        """Show what a function returns in place of the time that is left at the present rate."""
        if self._format is None:
            self._whole.forecast = forecast
            self._whole.bar_format = _FORECAST_FORMAT

    @property
    def is_due(self) -> bool:
        """True if it is time to draw again."""
        return time.monotonic() - self._drawn >= FRAME_SECONDS

    def show(self, part: str, done: int, total: int, skipped: int = 0) -> None:
        """Move the bar of a part, if it has one or there is room for one; `move` shows it.

        ``skipped`` of those ``done`` took no work: they do not count for the rate.
        """
        if part not in self._parts:
            if not self._free:
                return
            line = heapq.heappop(self._free)
            bar = self._bar(line, total, part, leave=False)
            bar.earlier = done - skipped
            self._parts[part] = line, bar
        self._parts[part][1].advance(done, skipped)

    def move(self, done: int, skipped: int = 0) -> None:
        """Move the bar of the whole, and draw all bars if it is time."""
        self._done, self._skipped = done, skipped
        if self.is_due:
            self._draw()

    def end(self, part: str) -> None:
        """Remove the bar of a part; its line is free for another part.

        A part without a bar is ignored.
        """
        if part in self._parts:
            line, bar = self._parts.pop(part)
            bar.close()
            heapq.heappush(self._free, line)

    def print_above(self, text: str) -> None:
        """Write a line above the bars."""
        _Bar.write(text, file=self._stderr)
        self._stderr.show()

    def close(self) -> None:
        """Remove the bars of the parts; draw the bar of the whole for the last time."""
        for part in list(self._parts):
            self.end(part)
        self._draw()
        self._whole.close()
        self._stderr.show()

    def _draw(self) -> None:
        """Draw the bars that have moved; redraw the whole's now and then, as its clock goes on."""
        self._drawn = time.monotonic()
        if self._whole.advance(self._done, self._skipped):
            self._refreshed = self._drawn
        elif self._drawn - self._refreshed >= REFRESH_SECONDS:
            self._refreshed = self._drawn
            self._whole.refresh()
        self._stderr.show()

    def _bar(self, line: int, total: int, name: str, *, leave: bool) -> "_Bar":
        return _Bar(
            total=total,
            desc=pad_or_truncate(name, self._width),
            bar_format=self._format,
            unit=f" {self._unit}",
            position=line,
            leave=leave,
            file=self._stderr,
            dynamic_ncols=True,
            # Draw at each update.
            mininterval=0,
            miniters=0,
        )


class _Bar(tqdm):  # type: ignore[type-arg] # generic in its stubs only
    """A bar that shows all that is done, and the rate of what took work.

    ``n`` of tqdm, from which it computes the rate, is without what was skipped; `format_dict` adds
    that for drawing.
    """

    # Only one thread draws, so tqdm needs neither a thread of its own nor a lock over processes.
    monitor_interval = 0
    skipped = 0
    forecast: Callable[[], str] | None = None
    #: What was done before the bar was shown: its time is not in the rate.
    earlier = 0

    def advance(self, done: int, skipped: int) -> bool:
        """Move the bar, and return True if it moved; it was drawn then."""
        skipped += self.earlier
        step = done - skipped - self.n
        is_moved = step != 0 or skipped != self.skipped
        if is_moved:
            self.skipped = skipped
            # Without a step, this draws and keeps the time that was skipped out of the rate.
            self.update(step)
        return is_moved

    @property
    def format_dict(self) -> dict[str, Any]:
        """The figures to draw."""
        figures = {**super().format_dict, "n": self.n + self.skipped, "initial": self.skipped}
        if self.forecast:
            figures["forecast"] = self.forecast()
        return figures


_Bar.set_lock(threading.RLock())


class BufferedStderr:
    """A file for tqdm, which writes a bar in pieces: `show` writes them to stderr at once."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self.encoding = sys.stderr.encoding

    def write(self, text: str) -> None:
        """Keep a piece of output for `show`."""
        self._pieces.append(text)

    def flush(self) -> None:
        """Do nothing: `show` flushes."""

    def fileno(self) -> int:
        """Return the descriptor of stderr."""
        return sys.stderr.fileno()

    def show(self) -> None:
        """Write the pieces; the run continues if the terminal is gone."""
        text = "".join(self._pieces)
        self._pieces.clear()
        # The terminal writes ^C at the cursor: at the end of a full line it would wrap.
        text += "\r" if text and not text.endswith("\n") else ""
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


def terminal_size() -> os.terminal_size:
    """Return the size of the terminal behind stderr, as stdout may be a file.

    Without a terminal, the variables COLUMNS and LINES count, else 80 x 24.
    """
    try:
        return os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError):
        return shutil.get_terminal_size()
