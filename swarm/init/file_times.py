"""Read all timestamps of a CSV as wall times, in any format: the whole file, and fast."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import overload

from swarm.config.settings import CsvRules
from swarm.csv.cells import CellReader, split_cells
from swarm.csv.file import pieces, reason
from swarm.csv.guessed_formats import moment
from swarm.csv.problems import Problems
from swarm.csv.source import READ_ERRORS, OpenSource, encoding_of_lines
from swarm.csv.zones.steps import even_step
from swarm.errors import GuessError
from swarm.localtime import wall_of
from swarm.timestamp_format import TimestampParser

_HOUR = re.compile(r"([T ]?)%[HI]")
_COMPACT_DATE, _COMPACT_LENGTH = "%Y%m%d", 8
#: Characters around a timestamp that do not belong to it.
_AROUND = ' \t\r"'
#: The midnight of strptime for a time of day without a date.
_MIDNIGHT = datetime(1900, 1, 1)
_MILLISECOND = timedelta(milliseconds=1)
#: In a block of at most so many lines, each is read.
_FEW = 100
#: The most dates and times of day that are cached: no meter has more, only other files do.
_MOST = 200_000


def wall_times(
    path: Path, form: str, rules: CsvRules, skip_rows: int = 0
) -> Iterator[Sequence[int]]:
    """Yield the wall times (ms) of each block of lines; raises `GuessError`.

    Lines without a timestamp in the format ``form`` are skipped. In a block with a constant step
    from line to line, only some lines are read.
    """
    reader = _TimestampReader(form)
    stamp = _stamps(rules)
    codec = encoding_of_lines(rules.encoding)
    try:
        with OpenSource(path, rules.encoding) as file:
            skipped = skip_rows
            for piece in pieces(file, sys.maxsize):
                block = piece.decode(codec, "replace").removesuffix("\n").split("\n")
                lines = block[skipped:]
                skipped = max(skipped - len(block), 0)
                even = None
                if len(lines) > _FEW:
                    walls = _LazyWalls(lines, stamp, reader)
                    with suppress(ValueError):
                        if (step := even_step(walls)) is not None:
                            even = range(walls[0], walls[-1] + step, step)
                if even is None:
                    walls_of = map(reader.wall, map(stamp, lines))
                    yield [wall for wall in walls_of if wall is not None]
                else:
                    yield even
    except READ_ERRORS as error:
        raise GuessError(reason(error)) from None


def _stamps(rules: CsvRules) -> Callable[[str], str]:
    """Return a function that returns the timestamp of a line, empty if it has none."""
    delimiter, columns = rules.delimiter, rules.timestamp_columns
    if columns == (1,):
        return lambda line: line.partition(delimiter)[0].strip(_AROUND)
    reader, most = CellReader(rules, Problems("")), max(columns)

    def stamp(line: str) -> str:
        if '"' in line:
            cells = reader.cells(1, line.rstrip("\r")) or []
        else:
            cells = [cell.strip(_AROUND) for cell in line.split(delimiter, most)]
        return split_cells(cells, columns)[0] if len(cells) >= most else ""

    return stamp


class _LazyWalls(Sequence[int]):
    """The wall times of lines, read on access; ValueError for a line without a timestamp."""

    def __init__(
        self, lines: list[str], stamp: Callable[[str], str], reader: "_TimestampReader"
    ) -> None:
        self._lines = lines
        self._stamp = stamp
        self._reader = reader

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...
    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        if isinstance(index, slice):
            return _LazyWalls(self._lines[index], self._stamp, self._reader)
        wall = self._reader.wall(self._stamp(self._lines[index]))
        if wall is None:
            raise ValueError
        return wall


class _TimestampReader:
    """Reads timestamps in two parts, and parses each date and each time of day only once."""

    def __init__(self, form: str) -> None:
        parser = TimestampParser(form)
        self._head, form = parser.head, parser.time
        match = _HOUR.search(form)
        self._form = form
        self._date = form[: match.start()] if match else form
        self._separator = match[1] if match else ""
        self._time = form[match.start() + len(self._separator) :] if match else ""
        self._blanks = self._date.count(" ")
        self._dates: dict[str, int | None] = {}
        self._times: dict[str, int | None] = {}

    def wall(self, text: str) -> int | None:
        """Return the wall time (ms) of a timestamp, None if the text is not one."""
        try:
            text = self._head(text)
        except ValueError:
            return None
        if not self._time:
            date, time = text, ""
        elif self._separator == "T":
            date, _, time = text.rpartition("T")
        elif self._blanks:
            *words, time = text.split(" ", self._blanks + 1)
            date = " ".join(words)
        elif self._separator:
            date, _, time = text.partition(" ")
        else:
            # Only a date of eight digits has a known end; other texts are parsed as a whole.
            length = _COMPACT_LENGTH if self._date == _COMPACT_DATE else len(text)
            date, time = text[:length], text[length:]
        try:
            day, clock = self._dates[date], self._times[time]
        except KeyError:
            day, clock = self._parse(date, time)
        return None if day is None or clock is None else day + clock

    def _parse(self, date: str, time: str) -> tuple[int | None, int | None]:
        """Parse a date and a time of day, and put both into the caches."""
        if len(self._dates) + len(self._times) > _MOST:
            self._dates.clear()
            self._times.clear()
        day = moment(date, self._date if time or not self._time else self._form)
        clock = moment(time.lstrip(), self._time) if time and self._time else _MIDNIGHT
        is_time = not time or bool(self._time)
        self._dates[date] = None if day is None else wall_of(day)
        since_midnight = None if clock is None else (clock - _MIDNIGHT) // _MILLISECOND
        self._times[time] = since_midnight if is_time else None
        return self._dates[date], self._times[time]
