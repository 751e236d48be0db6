"""Statistics of a meter's rows, for pictures: rows and values a day, load profile, quantiles.

A day is one of the meter's local time, numbered from 1970-01-01. Memory stays flat: it grows with
the days of a meter, never with its rows.
"""

import math
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from swarm.csv.rows import Batch
from swarm.csv.sums import MOST_DAYS, DailyValues, Grid, Sums
from swarm.errors import SettingsError
from swarm.extras import install
from swarm.localtime import DAY_MS
from swarm.packet import REGISTERS, VALUE

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastdigest import TDigest

#: The quantiles of each register.
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
#: Up to this many values of a register, all go into the quantiles; beyond, one of `_SAMPLED`.
_FEW_VALUES = 10_000
_SAMPLED = 7
#: The size of a digest: with 200, the share below a quantile is right to 0.001.
_CENTROIDS = 200
#: The quantity that is drawn, of those that a meter has: its registers are added up.
_DRAWN = ("aP", "pC", "apP", "rP", "c", "v")


@dataclass(frozen=True)
class DailyRows:
    """The number of rows of each day that has any; ``days`` are in order."""

    days: Sequence[int]
    rows: Sequence[int]


@dataclass(frozen=True)
class RegisterRange:
    """The values of one register: their number, range, and the values at `QUANTILES`."""

    name: str
    count: int
    low: float
    high: float
    quantiles: Sequence[float]


@dataclass(frozen=True)
class Statistics:
    """The values of a meter.

    ``drawn`` names the registers whose sum is the drawn quantity; the sums and numbers of its
    values in each hour of the week are its profile.
    """

    drawn: tuple[str, ...]
    daily: DailyValues
    profile_sums: Sequence[float]
    profile_counts: Sequence[int]
    registers: tuple[RegisterRange, ...]

    def sharing(self, coverage: DailyRows) -> "Statistics":
        """Return the same with the arrays of the coverage where they are equal: it saves memory."""
        daily = self.daily
        if daily.days == coverage.days:
            daily = replace(daily, days=coverage.days)
        if daily.counts == coverage.rows:
            daily = replace(daily, counts=coverage.rows)
        return replace(self, daily=daily)


def drawn_registers(registers: Sequence[str]) -> tuple[str, ...]:
    """Return the registers that are drawn: those of one quantity, over all phases.

    >>> drawn_registers(("aP_1", "aP_2", "pC_1"))
    ('aP_1', 'aP_2')
    """
    for quantity in _DRAWN:
        found = tuple(name for name in registers if name.rpartition("_")[0] == quantity)
        if found:
            return found
    return tuple(registers[:1])


class Coverage:
    """Count of the rows of each day, for rows in any order.

    A call of `follow` gets the step (ms) between all the rows of the batch and the last row before
    them, or None if there are several.
    """

    def __init__(self) -> None:
        self._days: Counter[int] = Counter()

    def follow(self, batch: Batch, step: int | None) -> None:
        """Take the next rows."""
        grid = Grid.of(batch, step)
        if grid is None:
            self._days.update([wall // DAY_MS for wall in batch.walls()])
        else:
            for day, start, end in grid.periods(DAY_MS):
                self._days[day] += end - start
        if len(self._days) > MOST_DAYS:
            self._days = Counter(dict(self._days.most_common(MOST_DAYS // 2)))

    def result(self) -> DailyRows:
        """Return the counts."""
        days = sorted(self._days)
        return DailyRows(array("i", days), array("i", [self._days[day] for day in days]))


class ValueStatistics:
    """Statistics of the values of rows in any order.

    Raises `SettingsError` without the packages of the extra ``report``, which a worker on another
    host may lack.

    ``registers`` are those of the cells; without them, those of one or of 21 columns.
    `follow` takes the same arguments as that of `Coverage`.
    """

    def __init__(self, registers: Sequence[str] = ()) -> None:
        try:
            from fastdigest import TDigest
            from orjson import loads
        except ImportError as error:
            message = f"--report: a package is missing ({error}); run: {install('report')}"
            raise SettingsError(message) from None
        self._loads, self._digest = loads, partial(TDigest, _CENTROIDS)
        self._registers = tuple(registers)
        self._ranges: list[_Range] = []
        self._drawn: list[int] = []
        self._sums = Sums()

    def follow(self, batch: Batch, step: int | None) -> None:
        """Take the next rows."""
        columns = batch.columns
        if not self._ranges and columns:
            self._begin(columns)
        if not columns or columns != len(self._ranges):
            # No rows, or a file that has other columns than the first one, which is a problem.
            return
        text = batch.all_cells()
        if columns > 1 and (",," in f",{text},"):
            self._add_some(batch)
            return
        # Cells are JSON numbers, and a list of JSON is read twice as fast as float reads cells.
        values: list[float] = self._loads(f"[{text}]")
        by_register = [values[index::columns] for index in range(columns)]
        for register, column in zip(self._ranges, by_register, strict=True):
            register.add(column)
        drawn = [by_register[index] for index in self._drawn]
        added = drawn[0]
        if len(drawn) > 1:
            added = [sum(parts) for parts in zip(*drawn, strict=True)]
        grid = Grid.of(batch, step)
        if grid is None:
            self._sums.add_at(batch.walls(), added)
        else:
            self._sums.add_on(grid, added)

    def result(self) -> Statistics | None:
        """Return the statistics; None without any value."""
        if not any(each.count for each in self._ranges):
            return None
        pairs = zip(self._registers, self._ranges, strict=True)
        drawn = tuple(self._registers[index] for index in self._drawn)
        return Statistics(
            drawn,
            self._sums.daily(is_counter=any(name.startswith("pC_") for name in drawn)),
            array("d", self._sums.profile_sums),
            array("q", self._sums.profile_counts),
            tuple(each.result(name) for name, each in pairs if each.count),
        )

    def _begin(self, columns: int) -> None:
        if not self._registers:
            self._registers = (VALUE,) if columns == 1 else REGISTERS
        self._ranges = [_Range(self._digest) for _ in self._registers]
        self._drawn = [self._registers.index(name) for name in drawn_registers(self._registers)]

    def _add_some(self, batch: Batch) -> None:
        """Add rows of several cells, some of them empty; rows without a drawn one are left out."""
        cells = list(zip(*[text.split(",") for text in batch.cells()], strict=True))
        for register, column in zip(self._ranges, cells, strict=True):
            register.add([float(cell) for cell in column if cell])
        drawn = zip(*(cells[index] for index in self._drawn), strict=True)
        rows = zip(batch.walls(), drawn, strict=True)
        found = [(wall, sum(map(float, parts))) for wall, parts in rows if "" not in parts]
        self._sums.add_at([wall for wall, _ in found], [value for _, value in found])


class _Range:
    """Number, range and quantiles of the values of one register.

    Of many values, a sample of every seventh one goes into the quantiles: seven divides no day
    of regular readings, so all times of day are in it.
    """

    def __init__(self, digest: "Callable[[], TDigest]") -> None:
        self.count = 0
        self._low = math.inf
        self._high = -math.inf
        self._all: TDigest | None = digest()
        self._sample = digest()
        self._skip = 0

    def add(self, values: Sequence[float]) -> None:
        """Take the next values."""
        if not values:
            return
        self.count += len(values)
        low, high = min(values), max(values)
        self._low, self._high = min(self._low, low), max(self._high, high)
        sample = values[self._skip :: _SAMPLED]
        self._skip = (self._skip - len(values)) % _SAMPLED
        if sample:
            self._sample.batch_update(sample)
        if self._all is not None:
            self._all.batch_update(values)
            if self.count > _FEW_VALUES:
                self._all = None

    def result(self, name: str) -> RegisterRange:
        """Return the range; there must be a value."""
        digest = self._sample if self._all is None else self._all
        quantiles = [digest.quantile(share) for share in QUANTILES]
        return RegisterRange(name, self.count, self._low, self._high, array("d", quantiles))
