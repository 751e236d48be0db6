"""A calendar as a picture: a row of weeks for each year, a cell for each day."""

from calendar import month_abbr
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby
from typing import Final, NamedTuple

from swarm.web.svg import Cell, cells

#: Years that are drawn; of more, the last ones.
MOST_YEARS: Final = 8

_CELL: Final = 8
_LEFT: Final = 34
_TOP: Final = 14
_WEEKS: Final = 54
_HEIGHT: Final = 7 * _CELL
_GAP: Final = 6


class Calendar(NamedTuple):
    """A calendar as plain data: the size (px), texts with their place, a path for each kind."""

    width: int
    height: int
    texts: Sequence[tuple[int, int, str]]
    paths: Sequence[tuple[str, str]]
    grid: str


def calendar(first: date, kinds: Sequence[str]) -> Calendar:
    """Return the calendar of the days from ``first``; a day's kind is the class of its path."""
    last_year = (first + timedelta(days=len(kinds) - 1)).year
    first_year = max(first.year, last_year - MOST_YEARS + 1)
    left_out = max(0, (date(first_year, 1, 1) - first).days)
    found: dict[str, list[Cell]] = {}
    begin = first + timedelta(days=left_out)
    for kind, days in groupby(kinds[left_out:]):
        count = sum(1 for _ in days)
        found.setdefault(kind, []).extend(_rectangles(begin, count, first_year))
        # The day after the last one may be beyond the calendar.
        begin = date.fromordinal(min(begin.toordinal() + count, date.max.toordinal()))
    tops = [_TOP + (_HEIGHT + _GAP) * index for index in range(last_year - first_year + 1)]
    # A year's months differ by less than a week from those of another.
    months = [
        (_LEFT + round(m * 53 / 12 * _CELL), 10, name) for m, name in enumerate(month_abbr[1:])
    ]
    years = [(0, top + _HEIGHT // 2 + 4, str(first_year + index)) for index, top in enumerate(tops)]
    paths = [(kind, cells(found[kind])) for kind in found]
    width = _LEFT + _WEEKS * _CELL
    return Calendar(width, tops[-1] + _HEIGHT, [*months, *years], paths, _grid(tops))


def _rectangles(first: date, count: int, first_year: int) -> Iterator[Cell]:
    """Yield the rectangles of days of one kind: at most three in a year."""
    while count > 0:
        january = date(first.year, 1, 1)
        start = first.timetuple().tm_yday - 1 + january.weekday()
        left = (date(first.year, 12, 31) - first).days + 1
        top = _TOP + (first.year - first_year) * (_HEIGHT + _GAP)
        yield from _year_rectangles(start, start + min(count, left), top)
        count -= left
        if count > 0:
            first = date(first.year + 1, 1, 1)


def _year_rectangles(start: int, end: int, top: int) -> Iterator[Cell]:
    """Yield the rectangles of the days from a slot to before another; a week has seven slots."""
    while start < end:
        week, day = divmod(start, 7)
        x, y = _LEFT + week * _CELL, top + day * _CELL
        weeks = (end - start) // 7
        if day == 0 and weeks:
            yield x, y, weeks * _CELL, _HEIGHT
            start += 7 * weeks
        else:
            count = min(7 - day, end - start)
            yield x, y, _CELL, count * _CELL
            start += count


def _grid(tops: Sequence[int]) -> str:
    """Return the path of the lines between the cells."""
    parts = []
    for top in tops:
        parts += [f"M{_LEFT + week * _CELL} {top}v{_HEIGHT}" for week in range(_WEEKS + 1)]
        parts += [f"M{_LEFT} {top + day * _CELL}h{_WEEKS * _CELL}" for day in range(8)]
    return "".join(parts)
