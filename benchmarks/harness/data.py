"""CSVs of meter readings: the same on every run, and never held in memory as a whole."""

import random
from array import array
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

_START = datetime(2000, 1, 1, tzinfo=UTC)
_SEED = 20000101
_DISTINCT = 997
_LINES_AT_ONCE = 10_000


class Series:
    """Readings ``minutes`` apart, in the local time of ``zone``, with ``columns`` values each.

    ``minutes`` divides 60. The readings are evenly spaced in UTC, so that clock changes skip or
    repeat the right hours.
    """

    def __init__(self, rows: int, *, minutes: int = 5, zone: str = "UTC", columns: int = 1) -> None:
        self.rows = rows
        self._an_hour = 60 // minutes
        self._clock = [f":{minute:02}:00," for minute in range(0, 60, minutes)]
        self._zone = ZoneInfo(zone)
        self.columns = columns

    def in_order(self) -> Iterator[str]:
        """Yield the lines in order of time."""
        return map(self.line, range(self.rows))

    def shuffled(self) -> Iterator[str]:
        """Yield the lines in random order."""
        numbers = array("I", range(self.rows))
        random.Random(_SEED).shuffle(numbers)
        return map(self.line, numbers)

    def line(self, number: int) -> str:
        """Return one line; the first has the number 0."""
        hour, step = divmod(number, self._an_hour)
        return f"{self._hours[hour]}{self._clock[step]}{self._cells[number % _DISTINCT]}\n"

    @cached_property
    def _hours(self) -> list[str]:
        """The local dates and hours, in the format of the file."""
        hours = range(self.rows // self._an_hour + 1)
        moments = ((_START + timedelta(hours=hour)).astimezone(self._zone) for hour in hours)
        return [f"{moment:%Y-%m-%d %H}" for moment in moments]

    @cached_property
    def _cells(self) -> list[str]:
        """The values of a line; the number of distinct lines is prime."""
        draw = random.Random(_SEED).uniform
        lines = ([f"{draw(0, 9000):.3f}" for _ in range(self.columns)] for _ in range(_DISTINCT))
        return [",".join(cells) for cells in lines]


def write(path: Path, lines: Iterable[str]) -> Path:
    """Write a CSV, a number of lines at a time."""
    rest = iter(lines)
    with path.open("w", encoding="ascii", newline="") as file:
        while chunk := "".join(islice(rest, _LINES_AT_ONCE)):
            file.write(chunk)
    return path
