"""The calendar: each day has its cell, at the place of its weekday and week."""

import re
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from swarm.report.calendar import CELL, MOST_YEARS, calendar
from swarm.report.days import EPOCH, Days, Kind, Run

DAY = st.integers(date(2019, 12, 20).toordinal() - EPOCH, date(2025, 1, 10).toordinal() - EPOCH)
_CELL = re.compile(r"M(-?[\d.]+) (-?[\d.]+)h([\d.]+)v([\d.]+)h-[\d.]+z")


def days_from(first: int, lengths: list[tuple[Kind, int]]) -> Days:
    """Return days in runs from a day on."""
    runs, start = [], first
    for kind, length in lengths:
        runs.append(Run(kind, start, start + length))
        start += length
    count = start - first
    return Days(first, [1] * count, [1] * count, runs)


def painted(path: str) -> list[tuple[int, int]]:
    """Return the cells of a path, each as column and row of the picture, in units of cells."""
    found: list[tuple[int, int]] = []
    for x, y, width, height in _CELL.findall(path):
        columns, rows = int(float(width) / CELL), int(float(height) / CELL)
        found += [
            (int(float(x)) + column * CELL, int(float(y)) + row * CELL)
            for column in range(columns)
            for row in range(rows)
        ]
    return found


@given(
    first=DAY,
    lengths=st.lists(
        st.tuples(st.sampled_from([Kind.FULL, Kind.MOST, Kind.NONE]), st.integers(1, 500)),
        min_size=1,
        max_size=6,
    ),
)
def test_each_day_is_painted_once(first: int, lengths: list[tuple[Kind, int]]) -> None:
    """The rectangles of the runs are the days, at the place that the naive loop gives."""
    days = days_from(first, lengths)
    found = calendar(days)
    first_year = date.fromordinal(first + EPOCH).year
    height = found.height // len(found.years)
    for kind in {kind for kind, _ in lengths}:
        expected = []
        for run in days.runs:
            for number in range(run.start, run.end) if run.kind is kind else ():
                day = date.fromordinal(number + EPOCH)
                slot = (day - date(day.year, 1, 1)).days + date(day.year, 1, 1).weekday()
                expected.append(
                    (34 + slot // 7 * CELL, (day.year - first_year) * height + 14 + slot % 7 * CELL)
                )
        paths = [path for each, path in found.paths if each is kind]
        assert sorted(expected) == sorted(painted("".join(paths)))


def test_whole_weeks_are_one_rectangle() -> None:
    """Five whole years take a few rectangles, not a thousand."""
    first = date(2019, 1, 1).toordinal() - EPOCH
    (path,) = calendar(days_from(first, [(Kind.FULL, 1826)])).paths
    assert len(_CELL.findall(path[1])) <= 15


def test_very_many_years_are_cut() -> None:
    """Only the last years are drawn."""
    first = date(1900, 1, 1).toordinal() - EPOCH
    found = calendar(days_from(first, [(Kind.FULL, 365 * 100)]))
    assert MOST_YEARS == len(found.years)
