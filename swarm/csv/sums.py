"""Sums of values by day and by hour of the week, at the speed of slices of lists."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from swarm.csv.rows import Batch
from swarm.localtime import DAY_MS

HOUR_MS = 3_600_000
#: Hours of a week, from Monday 00:00.
WEEK_HOURS = 7 * 24
#: Bounds the memory that nonsense dates can fill; rows of further days are left out.
MOST_DAYS = 20_000
#: 1970-01-01 was a Thursday.
_FIRST_WEEKDAY = 3
_FEWEST_COUNTER_DAYS = 8
#: Up to this step (ms), an hour has more values than a time of the week has.
_SHORT_STEP = 300_000
#: A quarter of a year of quarter hours.
_MOST_COLLECTED = 13 * 7 * 96


@dataclass(frozen=True)
class DailyValues:
    """The drawn quantity of each day that has values: their number, their sum, and the last one.

    There are last ones only of a counter, whose growth they show.
    """

    days: Sequence[int]
    counts: Sequence[int]
    sums: Sequence[float]
    lasts: Sequence[float]


def looks_like_counter(lasts: Sequence[float]) -> bool:
    """Return True if the last value of each day is hardly ever below that of the day before."""
    if len(lasts) < _FEWEST_COUNTER_DAYS or not lasts[-1] > lasts[0]:
        return False
    falls = sum(later < earlier for earlier, later in pairwise(lasts))
    rises = sum(later > earlier for earlier, later in pairwise(lasts))
    return falls <= len(lasts) // 100 and rises >= len(lasts) // 2


@dataclass(frozen=True)
class Grid:
    """Rows at one step (ms) that divides a day; ``wall`` (ms) is the local time of the first."""

    wall: int
    step: int
    count: int

    @classmethod
    def of(cls, batch: Batch, step: int | None) -> "Grid | None":
        """Return the grid of a batch's rows, None if they are not on one in local time."""
        if step is None or not 0 < step < DAY_MS or DAY_MS % step:
            return None
        offset = batch.offset
        return None if offset is None else cls(batch.instants[0] + offset, step, batch.size)

    def periods(self, length: int) -> Iterator[tuple[int, int, int]]:
        """Yield for each period (ms), such as a day: its number, first row, and row after the last.

        Periods are numbered from 1970-01-01 00:00 local time.
        """
        number, start = self.wall // length, 0
        while start < self.count:
            # The first row that is not before the next period.
            end = min(-(((number + 1) * length - self.wall) // -self.step), self.count)
            yield number, start, end
            number, start = number + 1, end


class Sums:
    """Sums of values, of each day and of each hour of the week.

    Values that follow one another on a grid are collected, and added up by slices of a list, which
    is much faster than value by value.
    """

    def __init__(self) -> None:
        self.profile_sums = [0.0] * WEEK_HOURS
        self.profile_counts = [0] * WEEK_HOURS
        self._days: dict[int, tuple[int, float, float]] = {}
        self._grid: Grid | None = None
        self._values: list[float] = []

    def add_on(self, grid: Grid, values: list[float]) -> None:
        """Add values at the times of a grid."""
        known = self._grid
        follows = (
            known is not None
            and known.step == grid.step
            and known.wall + known.step * len(self._values) == grid.wall
        )
        if not follows or len(self._values) + len(values) > _MOST_COLLECTED:
            self._flush()
            self._grid, self._values = grid, values
        else:
            self._values += values

    def add_at(self, walls: Sequence[int], values: Sequence[float]) -> None:
        """Add values at local times (ms)."""
        self._flush()
        hours = [wall // HOUR_MS for wall in walls]
        sums: defaultdict[int, float] = defaultdict(float)
        for hour, value in zip(hours, values, strict=True):
            sums[hour] += value
        counts, lasts = Counter(hours), dict(zip(hours, values, strict=True))
        for hour, count in counts.items():
            self._add_day(hour // 24, count, sums[hour], lasts[hour])
            self._add_hour(hour, count, sums[hour])

    def daily(self, *, is_counter: bool) -> DailyValues:
        """Return the sums of the days; ``is_counter`` says that the values are of a counter."""
        self._flush()
        days = sorted(self._days)
        figures = [self._days[day] for day in days]
        lasts = [last for _, _, last in figures]
        # The sums are for pictures: seven digits are plenty, and a hundred meters have many days.
        return DailyValues(
            array("i", days),
            array("i", [count for count, _, _ in figures]),
            array("f", [total for _, total, _ in figures]),
            array("d", lasts if is_counter or looks_like_counter(lasts) else ()),
        )

    def _flush(self) -> None:
        """Add the collected values to their days and hours."""
        if self._grid is None:
            return
        values, step, wall = self._values, self._grid.step, self._grid.wall
        days = self._days
        grid = Grid(wall, step, len(values))
        for day, start, end in grid.periods(DAY_MS):
            part = values[start:end]
            if day in days or len(days) >= MOST_DAYS:
                self._add_day(day, len(part), sum(part), part[-1])
            else:
                days[day] = (len(part), sum(part), part[-1])
        if step <= _SHORT_STEP:
            for hour, start, end in grid.periods(HOUR_MS):
                self._add_hour(hour, end - start, sum(values[start:end]))
        else:
            slots = 7 * DAY_MS // step
            # All values of one time of the week are a slice.
            for slot in range(min(slots, len(values))):
                part = values[slot::slots]
                self._add_hour((wall + slot * step) // HOUR_MS, len(part), sum(part))
        self._grid, self._values = None, []

    def _add_day(self, day: int, count: int, total: float, last: float) -> None:
        known = self._days.get(day)
        if known is not None:
            self._days[day] = (known[0] + count, known[1] + total, last)
        elif len(self._days) < MOST_DAYS:
            self._days[day] = (count, total, last)

    def _add_hour(self, hour: int, count: int, total: float) -> None:
        """Add values of one hour, numbered from 1970-01-01 00:00 local time."""
        index = (hour + _FIRST_WEEKDAY * 24) % WEEK_HOURS
        self.profile_sums[index] += total
        self.profile_counts[index] += count
