"""Bars on a terminal: one of the whole, and below it one for each of the things in flight."""

import heapq
import os
import shutil
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from swarm.table import fitted

if TYPE_CHECKING:
    from tqdm import tqdm

#: Lines of the terminal that are left to the log and the prompt.
_SPARE_LINES = 4
_MOST_BARS = 16
_WIDEST_NAME = 28
_REFRESH_SECONDS = 1.0


class Stack:
    """A bar of the whole, and as many for its parts as the terminal has room for."""

    def __init__(
        self, name: str, unit: str, total: int, *, parts: int = 0, leave: bool = True
    ) -> None:
        columns, lines = _terminal()
        self._width = min(_WIDEST_NAME, columns // 3)
        self._unit = unit
        self._refreshed = time.monotonic()
        self._whole = _bar(0, total, self._name(name), unit, leave=leave)
        room = max(min(lines - _SPARE_LINES, _MOST_BARS, parts), 0) if parts > 1 else 0
        self._free = list(range(1, room + 1))
        self._shown: dict[str, tuple[int, tqdm[Any]]] = {}

    def move(self, place: int) -> None:
        """Move the bar of the whole; its clock goes on also where nothing moves."""
        self._whole.update(place - self._whole.n)
        if time.monotonic() - self._refreshed >= _REFRESH_SECONDS:
            self._refreshed = time.monotonic()
            self._whole.refresh()

    def show(self, part: str, place: int, total: int) -> None:
        """Move a part's bar, if it has one or there is room for one."""
        if part not in self._shown:
            if not self._free:
                return
            line = heapq.heappop(self._free)
            self._shown[part] = line, _bar(line, total, self._name(part), self._unit, leave=False)
        bar = self._shown[part][1]
        bar.update(place - bar.n)

    def end(self, part: str) -> None:
        """Free the place of a part's bar for another."""
        if part in self._shown:
            line, bar = self._shown.pop(part)
            bar.close()
            heapq.heappush(self._free, line)

    def close(self) -> None:
        """Clear the parts' bars, and leave that of the whole, or clear it too."""
        for part in list(self._shown):
            self.end(part)
        self._whole.refresh()
        self._whole.close()

    def _name(self, text: str) -> str:
        return fitted(text, self._width)


def above(text: str) -> None:
    """Write a line above the bars."""
    from tqdm import tqdm

    tqdm.write(text, file=sys.stderr)


def _bar(line: int, total: int, name: str, unit: str, *, leave: bool) -> "tqdm[Any]":
    from tqdm import tqdm

    # One thread draws: neither tqdm's own thread nor its lock over processes is of any use.
    tqdm.monitor_interval = 0
    tqdm.set_lock(threading.RLock())
    return tqdm(
        total=total,
        desc=name,
        unit=f" {unit}",
        position=line,
        leave=leave,
        file=sys.stderr,
        dynamic_ncols=True,
        mininterval=0.1,
        miniters=1,
    )


def _terminal() -> os.terminal_size:
    """Return the size of the terminal behind stderr: stdout may be a file."""
    try:
        return os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError):
        return shutil.get_terminal_size()
