"""All timestamps of a CSV -> wall times, whatever their format: the whole file, and quickly."""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import overload

from swarm.csv.file import READ_ERRORS, open_csv, pieces, reason
from swarm.csv.timestamp_formats import moment
from swarm.csv.zones.steps import even_step
from swarm.errors import GuessError
from swarm.localtime import DAY_MS, wall_of

_HOUR = re.compile(r"([T ]?)%[HI]")
_COMPACT_DATE, _COMPACT_LENGTH = "%Y%m%d", 8
_AROUND = ' \t\r"'
_ZERO = datetime(1970, 1, 1)
#: So few lines are all read.
_FEW = 100
#: More different dates and times of the day than a meter has; of a file of nonsense, none is kept.
_MOST = 200_000


@dataclass(frozen=True)
class FileTimes:
    """Reads the timestamps of one file; what is none is passed over."""

    path: Path
    form: str
    delimiter: str = ","
    skip_rows: int = 0

    def walls(self) -> Iterator[Sequence[int]]:
        """Yield the wall times of each block of lines; raises `GuessError`.

        Of a block in which lines follow one another at even steps only some are read.
        """
        read = _Walls(self.form)
        try:
            with open_csv(self.path) as file:
                left = self.skip_rows
                for piece in pieces(file, sys.maxsize):
                    lines = piece.decode("utf-8", "replace").removesuffix("\n").split("\n")
                    yield self._of(lines[left:], read)
                    left = max(left - len(lines), 0)
        except READ_ERRORS as error:
            raise GuessError(reason(error)) from None

    def _of(self, lines: list[str], read: "_Walls") -> Sequence[int]:
        if len(lines) > _FEW:
            probed = _Probed(lines, self.delimiter, read)
            with suppress(ValueError):
                if (step := even_step(probed)) is not None:
                    return range(probed[0], probed[-1] + step, step)
        cells = (line.partition(self.delimiter)[0].strip(_AROUND) for line in lines)
        return [wall for wall in map(read.wall, cells) if wall is not None]


class _Probed(Sequence[int]):
    """The wall times of lines, read when they are asked for; ValueError where there is none."""

    def __init__(self, lines: list[str], delimiter: str, read: "_Walls") -> None:
        self._lines = lines
        self._delimiter = delimiter
        self._read = read

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[int]: ...
    def __getitem__(self, place: int | slice) -> int | Sequence[int]:
        if isinstance(place, slice):
            return _Probed(self._lines[place], self._delimiter, self._read)
        wall = self._read.wall(self._lines[place].partition(self._delimiter)[0].strip(_AROUND))
        if wall is None:
            raise ValueError
        return wall


class _Walls:
    """Reads timestamps part by part: each date and each time of the day is worked out once."""

    def __init__(self, form: str) -> None:
        match = _HOUR.search(form)
        self._form = form
        self._date = form[: match.start()] if match else form
        self._joint = match[1] if match else ""
        self._clock = form[match.start() + len(self._joint) :] if match else ""
        self._blanks = self._date.count(" ")
        self._days: dict[str, int | None] = {}
        self._times: dict[str, int | None] = {}

    def wall(self, text: str) -> int | None:
        """Return the wall time of a timestamp, None if it is none."""
        date, clock = self._parts(text)
        try:
            day, time = self._days[date], self._times[clock]
        except KeyError:
            day, time = self._worked_out(date, clock)
        return None if day is None or time is None else day + time

    def _parts(self, text: str) -> tuple[str, str]:
        if not self._clock:
            return text, ""
        if self._joint == "T":
            date, _, clock = text.rpartition("T")
            return date, clock
        if self._blanks:
            words = text.split(" ", self._blanks + 1)
            return " ".join(words[:-1]), words[-1]
        if self._joint:
            date, _, clock = text.partition(" ")
            return date, clock
        # Without anything between, the date is in eight digits; else the whole counts as one.
        length = _COMPACT_LENGTH if self._date == _COMPACT_DATE else len(text)
        return text[:length], text[length:]

    def _worked_out(self, date: str, clock: str) -> tuple[int | None, int | None]:
        if len(self._days) + len(self._times) > _MOST:
            self._days.clear()
            self._times.clear()
        day = moment(date, self._date if clock or not self._clock else self._form)
        time = moment(clock.lstrip(), self._clock) if clock and self._clock else _ZERO
        is_clock = not clock or bool(self._clock)
        self._days[date] = None if day is None else wall_of(day)
        self._times[clock] = None if time is None or not is_clock else wall_of(time) % DAY_MS
        return self._days[date], self._times[clock]
