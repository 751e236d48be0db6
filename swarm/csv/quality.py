"""The quality of a meter's data: findings that break no rule, but that a user should know."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import lt

from swarm.config.settings import Meter
from swarm.csv.cells import column_number
from swarm.csv.gaps import Gap, IntervalTracker
from swarm.csv.problems import Problems
from swarm.csv.rows import Batch, Row
from swarm.csv.statistics import Coverage, DailyRows, Statistics, ValueStatistics
from swarm.csv.stuck import StuckValues
from swarm.packet import VALUE
from swarm.text import quoted

_CHUNK = 4096
#: The number of rows that are named for each register; further ones are only counted.
_NAMED = 3


@dataclass(frozen=True)
class Quality:
    """The findings of a check of files without problems.

    ``interval`` is in seconds, as set for the meter or else the commonest step; None with fewer
    than two rows. ``gaps`` are the first of ``gap_count``, in the times of the packets;
    ``missing`` is the number of rows missing in all of them. ``falls`` are the falls of each
    cumulative register.
    """

    interval: float | None = None
    gaps: tuple[Gap, ...] = ()
    gap_count: int = 0
    missing: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    falls: Mapping[str, int] = field(default_factory=dict)


class Inspection:
    """Inspection of the rows of a meter, in any order; gaps are found in rows in order of time.

    ``interval`` (s) is that of the meter. With ``with_values``, there are statistics of the values,
    by ``registers`` if they are known.
    """

    def __init__(
        self, interval: float | None, *, with_values: bool, registers: Sequence[str] = ()
    ) -> None:
        self.tracker = IntervalTracker(interval)
        self.stuck = StuckValues()
        self._coverage = Coverage()
        self._values = ValueStatistics(registers) if with_values else None

    def follow(self, batch: Batch) -> None:
        """Take the next rows."""
        self.tracker.follow(batch)
        self._coverage.follow(batch, self.tracker.step)
        self.stuck.follow(batch, self.tracker.step)
        if self._values:
            self._values.follow(batch, self.tracker.step)

    def results(self) -> tuple[DailyRows, Statistics | None]:
        """Return the rows of each day, and the statistics of the values."""
        coverage = self._coverage.result()
        statistics = self._values.result() if self._values else None
        return coverage, statistics and statistics.sharing(coverage)


class SentInspection(Inspection):
    """Inspection of the rows of a meter in the order and with the times in which they are sent."""

    def __init__(
        self, meter: Meter, registers: tuple[str, ...], interval: float | None, *, with_values: bool
    ) -> None:
        super().__init__(interval, with_values=with_values, registers=registers)
        self.resets = CounterResets(meter, registers)

    def through(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield the rows unchanged while inspecting them."""
        while chunk := list(islice(rows, _CHUNK)):
            self.follow(Batch(chunk))
            self.resets.follow(chunk)
            yield from chunk


def quality(
    tracker: IntervalTracker, duplicates: int, out_of_order: int, falls: Mapping[str, int]
) -> Quality:
    """Return the quality of a meter after the tracker has followed all of its rows."""
    return Quality(
        interval=None if tracker.interval is None else tracker.interval / 1000,
        gaps=tuple(tracker.gaps),
        gap_count=tracker.gap_count,
        missing=tracker.missing,
        duplicates=duplicates,
        out_of_order=out_of_order,
        falls=falls,
    )


def cumulative_registers(meter: Meter, registers: Sequence[str]) -> dict[int, str]:
    """Return the registers of cumulative energy, by their index in a row.

    A single value is one if ``falling`` is set. Source: ``pC_*`` under "The packet", and
    ``falling``, in docs/reference.md.
    """
    if meter.rules.power_from_energy is not None:
        # Each row has the energy of its own interval then.
        return {}
    counters = ("pC_",) if meter.rules.falling is None else ("pC_", VALUE)
    return {index: name for index, name in enumerate(registers) if name.startswith(counters)}


class CounterResets:
    """Search for falling values of a meter's `cumulative_registers`, in rows in order of time.

    Empty cells are skipped.
    """

    def __init__(self, meter: Meter, registers: Sequence[str]) -> None:
        self._meter = meter
        self._registers = cumulative_registers(meter, registers)
        self._values: dict[int, float] = {}
        self._counts = dict.fromkeys(self._registers, 0)
        self._named: dict[int, list[str]] = {index: [] for index in self._registers}
        self._is_problem = meter.rules.falling == "error"
        self.problems = [Problems(str(path)) for path in meter.files]
        columns = meter.rules.columns or tuple(registers)
        self._places = {
            index: column_number(columns.index(name), meter.rules.timestamp_columns)
            for index, name in self._registers.items()
        }

    def follow(self, rows: Sequence[Row]) -> None:
        """Take the next rows."""
        if not (rows and self._registers):
            return
        most = max(self._registers) + 1
        cells = [row.cells.split(",", most) for row in rows]
        for index in self._registers:
            column = [parts[index] for parts in cells]
            if "" not in column:
                # The usual case, at the speed of a block: no empty cell, and no value falls.
                values = list(map(float, column))
                before = [self._values.get(index, values[0]), *values]
                if not any(map(lt, values, before)):
                    self._values[index] = values[-1]
                    continue
            self._find_resets(index, column, rows)

    def _find_resets(self, index: int, column: Sequence[str], rows: Sequence[Row]) -> None:
        named = self._named[index]
        for cell, row in zip(column, rows, strict=True):
            if cell:
                value = float(cell)
                before = self._values.get(index, value)
                if value < before:
                    self._counts[index] += 1
                    if self._is_problem:
                        message = _FALLING.format(self._registers[index], quoted(cell), before)
                        place = row.line, self._places[index]
                        self.problems[row.file].add(*place, "range", message)
                    if len(named) < _NAMED:
                        named.append(f"{self._meter.files[row.file]}:{row.line}")
                self._values[index] = value

    def falls(self) -> dict[str, int]:
        """Return the number of falls of each cumulative register."""
        return {name: self._counts[index] for index, name in self._registers.items()}

    def notices(self) -> Iterator[str]:
        """Yield a line for each register that fell."""
        for index, register in self._registers.items():
            count, named = self._counts[index], self._named[index]
            if count and not self._is_problem:
                more = f" and {count - len(named)} more" if count > len(named) else ""
                yield (
                    f"{self._meter.id}: {register} is {_kind(register)}, but goes down at "
                    f"{', '.join(named)}{more}: expected it to grow; was the meter replaced or "
                    "reset?"
                )


def _kind(register: str) -> str:
    return "a counter" if register == VALUE else "cumulative energy"


_FALLING = (
    "{} goes down, and falling = error: found {} after {:g}, expected a counter to grow; was the "
    "meter replaced or reset?"
)
