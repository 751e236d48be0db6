"""The calendar as a picture: every day has its cell, whatever the rectangles are."""

import re
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from swarm.web.calendar import MOST_YEARS, Calendar, Run, calendar

CELL = re.compile(r"M([\d.]+) ([\d.]+)h([\d.]+)v([\d.]+)h-[\d.]+z")


def cells(path: str) -> set[tuple[int, int]]:
    """Return the cells (week, row) that a path fills; no two rectangles share one."""
    found = []
    for x, y, w, h in (map(int, match) for match in CELL.findall(path)):
        year, top = divmod(y - 14, 7 * 8 + 6)
        for column in range((x - 34) // 8, (x - 34 + w) // 8):
            found += [(column, year * 7 + row) for row in range(top // 8, (top + h) // 8)]
    assert len(found) == len(set(found))
    return set(found)


def drawn(first: date, kinds: Sequence[str]) -> Calendar:
    """Return the calendar of the days from ``first``, one kind for each."""
    start = first.toordinal()
    runs = []
    for kind, days in groupby(kinds):
        end = start + len(list(days))
        runs.append(Run(kind, start, end))
        start = end
    return calendar(runs, 8)


@given(
    first=st.dates(date(1990, 1, 1), date(2030, 12, 31)),
    kinds=st.lists(st.sampled_from("abc"), min_size=1, max_size=900),
)
def test_every_day_has_a_cell(first: date, kinds: list[str]) -> None:
    """A day is in the column of its week and the row of its weekday, in its year's block."""
    expected: dict[str, set[tuple[int, int]]] = {}
    for index, kind in enumerate(kinds):
        day = first + timedelta(days=index)
        slot = day.timetuple().tm_yday - 1 + date(day.year, 1, 1).weekday()
        cell = (slot // 7, 7 * (day.year - first.year) + day.weekday())
        expected.setdefault(kind, set()).add(cell)
    assert {kind: cells(path) for kind, path in drawn(first, kinds).paths} == expected


def test_the_last_years_are_drawn() -> None:
    """Of many years, the first ones are left out."""
    found = drawn(date(1980, 1, 1), ["a"] * 14_975)
    years = [text for x, _, text in found.texts if x == 0]
    assert (years[0], years[-1], len(years)) == ("1991", "2020", MOST_YEARS)


def test_whole_years_are_few_rectangles() -> None:
    """Five full years are at most three rectangles each."""
    (path,) = [path for _, path in drawn(date(2019, 1, 1), ["a"] * 1826).paths]
    assert len(path) < 500


def test_the_frame_has_whole_years() -> None:
    """Days without rows before the first one and after the last are seen as empty cells."""
    found = drawn(date(2019, 5, 1), ["a"] * 400)
    assert 365 + 366 == len(cells(found.frame))
