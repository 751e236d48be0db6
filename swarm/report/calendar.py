"""The calendar of coverage: a block of weeks for each year, a cell for each day."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple

from swarm.report.days import EPOCH, Days, Kind, Run, date_of
from swarm.web.svg import Cell, cells

CELL = 11
_LEFT = 34
_TOP = 14
_WEEKS = 54
_HEIGHT = _TOP + 7 * CELL + 8
#: Years that are drawn; of more, the last ones.
MOST_YEARS = 30


class YearBlock(NamedTuple):
    """A year: where it begins, and the x of its months."""

    year: int
    top: int
    months: Sequence[tuple[int, str]]


class Calendar(NamedTuple):
    """A calendar as plain data: its size (px) and its years.

    There is a path for each kind of days, in a frame of whole years and under a grid.
    """

    width: int
    height: int
    years: Sequence[YearBlock]
    frame: str
    paths: Sequence[tuple[Kind, str]]
    grid: str


def calendar(days: Days) -> Calendar:
    """Return the calendar of a meter's days."""
    last_year = date_of(days.first + len(days.rows) - 1).year
    first_year = max(date_of(days.first).year, last_year - MOST_YEARS + 1)
    found: dict[Kind, list[Cell]] = {}
    for run in days.runs:
        if run.kind is not Kind.OUTSIDE:
            found.setdefault(run.kind, []).extend(_cells(run, first_year))
    years = [
        YearBlock(year, (year - first_year) * _HEIGHT, _months(year))
        for year in range(first_year, last_year + 1)
    ]
    width, height = _LEFT + _WEEKS * CELL, len(years) * _HEIGHT
    grid = "".join(f"M{_LEFT + week * CELL} 0v{height}" for week in range(_WEEKS + 1))
    for block in years:
        rows = (block.top + _TOP + day * CELL for day in range(8))
        grid += "".join(f"M{_LEFT} {y}h{_WEEKS * CELL}" for y in rows)
    paths = [(kind, cells(found[kind])) for kind in Kind if kind in found]
    frame = cells(cell for block in years for cell in _cells(_year(block.year), first_year))
    return Calendar(width, height, years, frame, paths, grid)


def _year(year: int) -> Run:
    start, end = (date(each, 1, 1).toordinal() - EPOCH for each in (year, year + 1))
    return Run(Kind.OUTSIDE, start, end)


def _cells(run: Run, first_year: int) -> Iterator[Cell]:
    """Yield the rectangles of a run of days: at most three in a year."""
    start = run.start
    while start < run.end:
        year = date_of(start).year
        january = date(year, 1, 1)
        begin, weekday = january.toordinal() - EPOCH, january.weekday()
        end = min(run.end, date(year + 1, 1, 1).toordinal() - EPOCH)
        if year >= first_year:
            top = (year - first_year) * _HEIGHT + _TOP
            yield from _rectangles(start - begin + weekday, end - begin + weekday, top)
        start = end


def _rectangles(start: int, end: int, top: int) -> Iterator[Cell]:
    """Yield the rectangles of the days from a slot to before another; a week has seven slots."""
    while start < end:
        week, day = divmod(start, 7)
        x, y = _LEFT + week * CELL, top + day * CELL
        whole = (end - start) // 7
        if day == 0 and whole:
            yield x, y, whole * CELL, 7 * CELL
            start += 7 * whole
        else:
            count = min(7 - day, end - start)
            yield x, y, CELL, count * CELL
            start += count


def _months(year: int) -> list[tuple[int, str]]:
    january = date(year, 1, 1)
    found = []
    for month in range(1, 13):
        first = date(year, month, 1)
        week = ((first - january).days + january.weekday() + 6) // 7
        found.append((_LEFT + week * CELL, first.strftime("%b")))
    return found
