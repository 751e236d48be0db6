"""The days of a meter: how many rows they should have, and what became of those that are there.

Work goes by runs of equal days, not by days: a hundred meters of five years have 182,600 of those.
"""

from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from itertools import accumulate

from swarm.config.settings import Meter
from swarm.csv import CheckResult
from swarm.csv.timestamps import local_zone
from swarm.localtime import DAY_MS, Zone
from swarm.run.report import MeterReport
from swarm.web.calendar import Run, runs_of

EPOCH = date(1970, 1, 1).toordinal()


class Kind(StrEnum):
    """The state of a day; in an upload, the first three mean rows that are acknowledged."""

    FULL = "full"
    MOST = "most"
    SOME = "some"
    NONE = "none"
    OUTSIDE = "outside"
    UNSENT = "unsent"
    LATE = "late"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Days:
    """The days from a meter's first row to its last.

    ``first`` is the number of the first one, counted from 1970-01-01 in local time. ``rows`` and
    ``expected`` are the number of rows of each day, in the files and by the meter's interval. Only
    a day with an expectation can lack rows.
    """

    first: int
    rows: Sequence[int]
    expected: Sequence[int]
    runs: list[Run]

    @property
    def share(self) -> float | None:
        """The share of the expected rows that is there, from 0 to 1; None without expectation."""
        whole = sum(self.expected)
        if self.rows == self.expected:
            return 1.0
        return sum(map(min, self.rows, self.expected)) / whole if whole else None


def date_of(day: int) -> date:
    """Return the date of a day."""
    return date.fromordinal(day + EPOCH)


def days_of(meter: Meter, checked: CheckResult, outcome: MeterReport | None = None) -> Days | None:
    """Return the days of a meter, None if it has no rows.

    ``outcome`` is that of an upload.
    """
    coverage = checked.coverage
    if coverage is None or not coverage.days:
        return None
    first, last = coverage.days[0], coverage.days[-1]
    rows = coverage.rows
    if len(rows) <= last - first:
        counts = dict(zip(coverage.days, coverage.rows, strict=True))
        rows = array("i", [counts.get(day, 0) for day in range(first, last + 1)])
    expected = _expected(meter, checked, first, len(rows))
    if rows == expected and outcome is None:
        return Days(first, rows, expected, [Run(Kind.FULL, first, last + 1)])
    kinds = list(map(_kind, rows, expected))
    for gap in checked.quality.gaps if checked.quality else ():
        start, end = (sum(time) // DAY_MS - first for time in (gap.before, gap.after))
        for index in range(max(start, 0), min(end + 1, len(kinds))):
            if kinds[index] is Kind.OUTSIDE:
                kinds[index] = Kind.NONE
    if outcome is not None:
        _mark_unsent(kinds, rows, first, outcome)
    return Days(first, rows, expected, list(runs_of(kinds, first)))


def _kind(rows: int, expected: int) -> Kind:
    if not rows:
        return Kind.NONE if expected else Kind.OUTSIDE
    if rows >= expected:
        return Kind.FULL
    return Kind.MOST if 2 * rows >= expected else Kind.SOME


def _mark_unsent(kinds: list[Kind], rows: Sequence[int], first: int, outcome: MeterReport) -> None:
    """Mark the days with rows that are not acknowledged."""
    open_rows = outcome.days.late + outcome.days.rejected
    left = [count - open_rows.get(first + index, 0) for index, count in enumerate(rows)]
    # Rows are sent in order of time, so the first ones are those that were acknowledged.
    acknowledged = outcome.tally.sent + outcome.tally.resumed
    begin = bisect_left(list(accumulate(left)), acknowledged + 1)
    for index in range(begin, len(rows)):
        if rows[index]:
            kinds[index] = Kind.UNSENT
    for days, kind in ((outcome.days.late, Kind.LATE), (outcome.days.rejected, Kind.REJECTED)):
        for day in days:
            if 0 <= day - first < len(kinds):
                kinds[day - first] = kind


def _expected(meter: Meter, checked: CheckResult, first: int, count: int) -> Sequence[int]:
    """Return the number of rows that each day should have, 0 where the interval says nothing."""
    interval = checked.quality.interval if checked.quality else None
    if not interval or interval * 1000 > DAY_MS:
        return array("i", [0]) * count
    step = interval * 1000
    expected = array("i", [round(DAY_MS / step)]) * count
    zone = local_zone(meter.rules)
    if zone is not None:
        for year in range(date_of(first).year, date_of(first + count - 1).year + 1):
            for day, longer in _changes(zone.name, year).items():
                if 0 <= day - first < count:
                    expected[day - first] = round((DAY_MS + longer) / step)
    if checked.ends:
        begin, end = (row.instant + row.offset for row in (checked.ends[0], checked.ends[-1]))
        before, after = begin - first * DAY_MS, (first + count) * DAY_MS - end - step
        for index, missing in ((0, before), (count - 1, after)):
            expected[index] = max(expected[index] - round(max(missing, 0) / step), 0)
    return expected


@cache
def _changes(zone_name: str, year: int) -> Mapping[int, int]:
    """Return the time (ms) by which days of a year are longer than others, if they are."""
    zone = Zone(zone_name)
    start = date(year, 1, 1).toordinal() - EPOCH
    end = date(year, 12, 31).toordinal() - EPOCH + 1
    changed = (day for day in range(start, end) if zone.single_offset(day * DAY_MS) is None)
    longer = {day: _offset(zone, day) - _offset(zone, day + 1) for day in changed}
    return {day: time for day, time in longer.items() if time}


def _offset(zone: Zone, day: int) -> int:
    """Return the offset (ms) at a day's beginning."""
    wall = day * DAY_MS
    offsets = zone.valid_offsets(wall).offsets or zone.valid_offsets(wall + DAY_MS // 24).offsets
    return offsets[0] if offsets else 0
