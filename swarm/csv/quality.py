"""The quality of a meter's data: what no rule forbids, and a user should know before sending."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import lt

from swarm.config.settings import Meter
from swarm.csv.gaps import Gap, IntervalTracker
from swarm.csv.rows import Batch, Row

_CHUNK = 4096


@dataclass(frozen=True)
class Quality:
    """The findings of a check in sound files.

    ``interval`` is in seconds, as set for the meter or else the commonest step; None with fewer
    than two rows. ``gaps`` are the first of ``gap_count``, in the times of the packets;
    ``missing`` are the rows that all of them lack.
    """

    interval: float | None = None
    gaps: tuple[Gap, ...] = ()
    gap_count: int = 0
    missing: int = 0
    duplicates: int = 0
    out_of_order: int = 0


class Inspection:
    """Looks at a meter's rows on their way, in the order and the times in which they are sent."""

    def __init__(self, meter: Meter, registers: tuple[str, ...], interval: float | None) -> None:
        self.pace = IntervalTracker(interval)
        self._falling = CounterResets(meter, registers)

    def through(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield the rows, and take note of them."""
        while chunk := list(islice(rows, _CHUNK)):
            self.pace.follow(Batch([row.instant for row in chunk], chunk.copy))
            self._falling.follow(chunk)
            yield from chunk

    def notices(self) -> Iterator[str]:
        """Yield what the user should know, one line each."""
        yield from self._falling.notices()


def quality(pace: IntervalTracker, duplicates: int, out_of_order: int) -> Quality:
    """Return what is known once all rows were followed."""
    return Quality(
        interval=None if pace.interval is None else pace.interval / 1000,
        gaps=tuple(pace.gaps),
        gap_count=pace.gap_count,
        missing=pace.missing,
        duplicates=duplicates,
        out_of_order=out_of_order,
    )


#: So many rows are named for each register; the rest are counted.
_NAMED = 3


def counter_resets(meter: Meter, registers: Sequence[str]) -> dict[int, str]:
    """Return the registers that count energy since the beginning, by their place in a row."""
    if meter.rules.power_from_energy is not None:
        # Each row has the energy of its own slot there.
        return {}
    return {place: name for place, name in enumerate(registers) if name.startswith("pC_")}


class CounterResets:
    """Watches a meter's `counters` in rows in order of time; empty cells are passed over."""

    def __init__(self, meter: Meter, registers: Sequence[str]) -> None:
        self._meter = meter
        self._registers = counter_resets(meter, registers)
        self._values: dict[int, float] = {}
        self._counts = dict.fromkeys(self._registers, 0)
        self._named: dict[int, list[str]] = {place: [] for place in self._registers}

    def follow(self, rows: Sequence[Row]) -> None:
        """Take note of the next rows."""
        if not (rows and self._registers):
            return
        most = max(self._registers) + 1
        cells = [row.cells.split(",", most) for row in rows]
        for place in self._registers:
            column = [parts[place] for parts in cells]
            if "" in column or not self._only_grows(place, column):
                self._look(place, column, rows)

    def _only_grows(self, place: int, column: Sequence[str]) -> bool:
        """Tell, at the speed of a block, whether a register without empty cells never falls."""
        values = list(map(float, column))
        before = [self._values.get(place, values[0]), *values]
        if any(map(lt, values, before)):
            return False
        self._values[place] = values[-1]
        return True

    def _look(self, place: int, column: Sequence[str], rows: Sequence[Row]) -> None:
        for cell, row in zip(column, rows, strict=True):
            if cell:
                value = float(cell)
                if value < self._values.get(place, value):
                    self._note(place, row)
                self._values[place] = value

    def notices(self) -> Iterator[str]:
        """Yield a line for each register that fell."""
        for place, register in self._registers.items():
            count, named = self._counts[place], self._named[place]
            if count:
                more = f" and {count - len(named)} more" if count > len(named) else ""
                yield (
                    f"{self._meter.id}: {register} is cumulative energy, and goes down at "
                    f"{', '.join(named)}{more}: expected it to grow; was the meter replaced or "
                    "reset?"
                )

    def _note(self, place: int, row: Row) -> None:
        self._counts[place] += 1
        if len(self._named[place]) < _NAMED:
            self._named[place].append(f"{self._meter.files[row.file]}:{row.line}")
