"""The calendar as a picture: every day has its cell, whatever the rectangles are."""

import re
from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from swarm.web.calendar import MOST_YEARS, calendar

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
    assert {kind: cells(path) for kind, path in calendar(first, kinds).paths} == expected


def test_the_last_years_are_drawn() -> None:
    """Of many years, the first ones are left out."""
    drawn = calendar(date(2000, 1, 1), ["a"] * 365 * 21)
    years = [text for x, _, text in drawn.texts if x == 0]
    assert (years[0], years[-1], len(years)) == ("2013", "2020", MOST_YEARS)


def test_whole_years_are_few_rectangles() -> None:
    """Five full years are at most three rectangles each."""
    (path,) = [path for _, path in calendar(date(2019, 1, 1), ["a"] * 1826).paths]
    assert len(path) < 500
