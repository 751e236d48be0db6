"""The quality of a meter's data: findings that break no rule, but that a user should know."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import lt

from swarm.config.settings import Meter
from swarm.csv.gaps import Gap, IntervalTracker
from swarm.csv.rows import Batch, Row

_CHUNK = 4096
#: The number of rows that are named for each register; further ones are only counted.
_NAMED = 3


@dataclass(frozen=True)
class Quality:
    """The findings of a check of files without problems.

    ``interval`` is in seconds, as set for the meter or else the commonest step; None with fewer
    than two rows. ``gaps`` are the first of ``gap_count``, in the times of the packets;
    ``missing`` is the number of rows missing in all of them.
    """

    interval: float | None = None
    gaps: tuple[Gap, ...] = ()
    gap_count: int = 0
    missing: int = 0
    duplicates: int = 0
    out_of_order: int = 0


class Inspection:
    """Inspection of the rows of a meter, in the order and with the times in which they are sent."""

    def __init__(self, meter: Meter, registers: tuple[str, ...], interval: float | None) -> None:
        self.tracker = IntervalTracker(interval)
        self.resets = CounterResets(meter, registers)

    def through(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield the rows unchanged while inspecting them."""
        while chunk := list(islice(rows, _CHUNK)):
            self.tracker.follow(Batch(chunk))
            self.resets.follow(chunk)
            yield from chunk


def quality(tracker: IntervalTracker, duplicates: int, out_of_order: int) -> Quality:
    """Return the quality of a meter after the tracker has followed all of its rows."""
    return Quality(
        interval=None if tracker.interval is None else tracker.interval / 1000,
        gaps=tuple(tracker.gaps),
        gap_count=tracker.gap_count,
        missing=tracker.missing,
        duplicates=duplicates,
        out_of_order=out_of_order,
    )


def cumulative_registers(meter: Meter, registers: Sequence[str]) -> dict[int, str]:
    """Return the registers of cumulative energy, by their index in a row.

    Source: ``pC_*`` under "The packet" in docs/reference.md.
    """
    if meter.rules.power_from_energy is not None:
        # Each row has the energy of its own interval then.
        return {}
    return {index: name for index, name in enumerate(registers) if name.startswith("pC_")}


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
                if value < self._values.get(index, value):
                    self._counts[index] += 1
                    if len(named) < _NAMED:
                        named.append(f"{self._meter.files[row.file]}:{row.line}")
                self._values[index] = value

    def notices(self) -> Iterator[str]:
        """Yield a line for each register that fell."""
        for index, register in self._registers.items():
            count, named = self._counts[index], self._named[index]
            if count:
                more = f" and {count - len(named)} more" if count > len(named) else ""
                yield (
                    f"{self._meter.id}: {register} is cumulative energy, but goes down at "
                    f"{', '.join(named)}{more}: expected it to grow; was the meter replaced or "
                    "reset?"
                )
