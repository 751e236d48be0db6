"""Bars on a terminal: one of the whole, and below it one for each of the things in flight."""

import heapq
import math
import os
import shutil
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from swarm.cli.table import pad_or_truncate

if TYPE_CHECKING:
    from tqdm import tqdm

#: Lines of the terminal that are left to the log and the prompt.
_SPARE_LINES = 4
_MOST_BARS = 16
_WIDEST_NAME = 28


#: On fewer columns than this there is no room for a bar beside its figures.
_NARROW = 80


_SHORT_FORMAT = "{desc}: {percentage:3.0f}% {n_fmt}/{total_fmt} {remaining} {rate_noinv_fmt}"


_FRAME_SECONDS = 0.25
_REFRESH_SECONDS = 1.0


class ProgressBars:
    """A bar of the whole, and as many for its parts as the terminal has room for.

    They are drawn together, four times a second: more often nobody reads them, and each drawing
    takes a core for a moment from a worker that sends.
    """

    def __init__(
        self, name: str, unit: str, total: int, *, parts: int = 0, leave: bool = True
    ) -> None:
        columns, lines = _terminal()
        is_narrow = columns < _NARROW
        self._width = max(columns // 4, 10) if is_narrow else min(_WIDEST_NAME, columns // 3)
        self._format = _SHORT_FORMAT if is_narrow else None
        self._unit = unit
        self._frame = BufferedStderr()
        self._drawn = self._refreshed = -math.inf
        self._place = self._passed = 0
        self._whole = self._bar(0, total, name, leave=leave)
        room = max(min(lines - _SPARE_LINES, _MOST_BARS, parts), 0) if parts > 1 else 0
        self._free = list(range(1, room + 1))
        self._shown: dict[str, tuple[int, tqdm[Any]]] = {}
        self._frame.show()

    @property
    def is_due(self) -> bool:
        """Whether it is time to draw again."""
        return time.monotonic() - self._drawn >= _FRAME_SECONDS

    def show(self, part: str, place: int, total: int, passed: int = 0) -> None:
        """Move a part's bar, if it has one or there is room for one; `move` shows it.

        What was ``passed`` took no work: it counts for the place, not for the rate.
        """
        if part not in self._shown:
            if not self._free:
                return
            line = heapq.heappop(self._free)
            self._shown[part] = line, self._bar(line, total, part, leave=False)
        _advance(self._shown[part][1], place, passed)

    def move(self, place: int, passed: int = 0) -> None:
        """Move the bar of the whole, and draw all if it is time."""
        self._place, self._passed = place, passed
        if self.is_due:
            self._draw()

    def end(self, part: str) -> None:
        """Free the place of a part's bar for another."""
        if part in self._shown:
            line, bar = self._shown.pop(part)
            bar.close()
            heapq.heappush(self._free, line)

    def print_above(self, text: str) -> None:
        """Write a line above the bars."""
        from tqdm import tqdm

        tqdm.write(text, file=self._frame)
        self._frame.show()

    def close(self) -> None:
        """Clear the parts' bars, and leave that of the whole, or clear it too."""
        for part in list(self._shown):
            self.end(part)
        self._draw()
        self._whole.close()
        self._frame.show()

    def _draw(self) -> None:
        """Draw what has moved; the clock of the whole goes on also where nothing moves."""
        self._drawn = time.monotonic()
        if _advance(self._whole, self._place, self._passed):
            self._refreshed = self._drawn
        elif self._drawn - self._refreshed >= _REFRESH_SECONDS:
            self._refreshed = self._drawn
            self._whole.refresh()
        self._frame.show()

    def _bar(self, line: int, total: int, name: str, *, leave: bool) -> "tqdm[Any]":
        from tqdm import tqdm

        # One thread draws: neither tqdm's own thread nor its lock over processes is of any use.
        tqdm.monitor_interval = 0
        tqdm.set_lock(threading.RLock())
        return tqdm(
            total=total,
            desc=pad_or_truncate(name, self._width),
            bar_format=self._format,
            unit=f" {self._unit}",
            position=line,
            leave=leave,
            file=self._frame,
            dynamic_ncols=True,
            mininterval=0,
            miniters=1,
        )


class BufferedStderr:
    """stderr for tqdm, which writes and flushes a bar in pieces: they go out as one."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self.encoding = sys.stderr.encoding

    def write(self, text: str) -> None:
        """Keep a piece of output for `show`."""
        self._pieces.append(text)

    def flush(self) -> None:
        """Leave it to `show`."""

    def fileno(self) -> int:
        """Return the descriptor of stderr."""
        return sys.stderr.fileno()

    def show(self) -> None:
        """Write what has come together; a terminal that is gone ends no run."""
        text = "".join(self._pieces)
        self._pieces.clear()
        # At the end of a full line the terminal's ^C for Ctrl-C would begin another one.
        text += "\r" if text and not text.endswith("\n") else ""
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


def _advance(bar: "tqdm[Any]", place: int, passed: int) -> bool:
    """Move a bar; tell whether it was drawn. What is before ``initial`` is not in tqdm's rate."""
    leap = passed - bar.initial
    if leap:
        bar.initial += leap
        bar.n += leap
        bar.last_print_n += leap
        bar.last_print_t = time.time()
    is_drawn = bool(bar.update(place - bar.n))
    if leap and not is_drawn:
        bar.refresh()
    return is_drawn or leap != 0


def _terminal() -> os.terminal_size:
    """Return the size of the terminal behind stderr: stdout may be a file."""
    try:
        return os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError):
        return shutil.get_terminal_size()
