"""A calendar as a picture: a row of weeks for each year, a cell for each day.

A day is numbered as by `datetime.date.toordinal`. Days of one kind that follow one another take
at most three rectangles a year.
"""

from calendar import month_abbr
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import groupby
from typing import Final, NamedTuple

from swarm.web.svg import Cell, cells

#: Years that are drawn; of more, the last ones.
MOST_YEARS: Final = 30

_LEFT: Final = 34
_TOP: Final = 14
_WEEKS: Final = 54
_GAP: Final = 6


class Run(NamedTuple):
    """Days of one kind that follow one another: from ``start`` to before ``end``.

    The kind is the class of their path.
    """

    kind: str
    start: int
    end: int


def runs_of(kinds: Iterable[str], first: int) -> Iterator[Run]:
    """Yield the days from ``first`` on, one kind for each, as runs of equal days."""
    start = first
    for kind, days in groupby(kinds):
        end = start + sum(1 for _ in days)
        yield Run(kind, start, end)
        start = end


class Calendar(NamedTuple):
    """A calendar as plain data: its size (px), and texts with their places.

    There is a path for each kind of days, in a ``frame`` of whole years and under a ``grid``.
    """

    width: int
    height: int
    texts: Sequence[tuple[int, int, str]]
    frame: str
    paths: Sequence[tuple[str, str]]
    grid: str


def calendar(runs: Sequence[Run], cell: int) -> Calendar:
    """Return the calendar of days, at least one, in order; ``cell`` is the size of each (px)."""
    last_year = date.fromordinal(runs[-1].end - 1).year
    first_year = max(date.fromordinal(runs[0].start).year, last_year - MOST_YEARS + 1)
    layout = _Layout(first_year, cell)
    found: dict[str, list[Cell]] = {}
    for run in runs:
        found.setdefault(run.kind, []).extend(layout.rectangles(run.start, run.end))
    years = range(first_year, last_year + 1)
    first = date(first_year, 1, 1).toordinal()
    # A year's months differ by less than a week from those of another.
    months = [
        (_LEFT + round(m * 53 / 12 * cell), 10, name) for m, name in enumerate(month_abbr[1:])
    ]
    names = [(0, layout.top(year) + 7 * cell // 2 + 4, str(year)) for year in years]
    return Calendar(
        _LEFT + _WEEKS * cell,
        layout.top(last_year) + 7 * cell,
        [*months, *names],
        cells(layout.rectangles(first, date(last_year, 12, 31).toordinal() + 1)),
        [(kind, cells(each)) for kind, each in found.items() if each],
        layout.grid(years),
    )


class _Layout(NamedTuple):
    """Places of days, in years from ``first_year`` on."""

    first_year: int
    cell: int

    def top(self, year: int) -> int:
        """Return the y of a year's cells."""
        return _TOP + (year - self.first_year) * (7 * self.cell + _GAP)

    def rectangles(self, start: int, end: int) -> Iterator[Cell]:
        """Yield the rectangles of the days from ``start`` to before ``end``, year by year."""
        while start < end:
            year = date.fromordinal(start).year
            january = date(year, 1, 1)
            begin = january.toordinal() - january.weekday()
            stop = min(end, date(year, 12, 31).toordinal() + 1)
            if year >= self.first_year:
                yield from self._in_year(start - begin, stop - begin, self.top(year))
            start = stop

    def grid(self, years: Iterable[int]) -> str:
        """Return the path of the lines between the cells."""
        cell, parts = self.cell, []
        for top in map(self.top, years):
            parts += [f"M{_LEFT + week * cell} {top}v{7 * cell}" for week in range(_WEEKS + 1)]
            parts += [f"M{_LEFT} {top + day * cell}h{_WEEKS * cell}" for day in range(8)]
        return "".join(parts)

    def _in_year(self, start: int, end: int, top: int) -> Iterator[Cell]:
        """Yield the rectangles from a slot to before another; a week has seven slots."""
        cell = self.cell
        while start < end:
            week, day = divmod(start, 7)
            x, y = _LEFT + week * cell, top + day * cell
            weeks = (end - start) // 7
            if day == 0 and weeks:
                yield x, y, weeks * cell, 7 * cell
                start += 7 * weeks
            else:
                count = min(7 - day, end - start)
                yield x, y, cell, count * cell
                start += count
