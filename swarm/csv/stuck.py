"""Values that stay the same for days, the sign of a dead sensor, in rows in order of time."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from swarm.csv.rows import Batch
from swarm.csv.timestamps import Moment
from swarm.localtime import DAY_MS
from swarm.packet import VALUE, timestamp
from swarm.text import format_time, pluralize

#: A value that stays for this many days, and this many rows, is told.
DAYS = 3
_FEWEST_ROWS = 12
#: Samples in the time of `DAYS`: only what stays the same from one to the next is looked at.
_SAMPLES = 4


@dataclass
class _Run:
    """Consecutive rows with one value of a register."""

    value: str
    start: Moment
    end: Moment
    rows: int = 1

    @property
    def length(self) -> int:
        """The time (ms) from the first row to the last one."""
        return self.end[0] - self.start[0]


class StuckValues:
    """Search for values other than zero that stay the same for `DAYS` or longer.

    A run that is shorter than `DAYS` and a quarter may be missed.
    """

    def __init__(self) -> None:
        self._open: dict[int, _Run] = {}
        self._longest: dict[int, _Run] = {}

    def follow(self, batch: Batch, step: float | None) -> None:
        """Take the next rows; ``step`` is the time (ms) between two, None if it is not known."""
        if not batch.size:
            return
        every = 1
        if step:
            every = max(int(DAYS * DAY_MS / step / _SAMPLES), 1)
        places = [*range(0, batch.size - 1, every), batch.size - 1]
        samples = [batch.cells_of(place).split(",") for place in places]
        for index, column in enumerate(zip(*samples, strict=True)):
            known = self._open.get(index)
            is_same = known is not None and known.value == column[0]
            if is_same or any(a == b for a, b in pairwise(column)):
                cells = batch.cells()
                self._look(index, batch, [row.split(",", index + 1)[index] for row in cells])
            else:
                last = batch.moment(batch.size - 1)
                self._open[index] = _Run(column[-1], last, last)

    def notices(
        self, meter: str, registers: Sequence[str], counters: Collection[int]
    ) -> Iterator[str]:
        """Yield a notice for each register with the longest time for which its value stayed.

        ``counters`` are the indices of registers that are left out: they stay if nothing is used.
        """
        for index, run in sorted(self._longest.items()):
            if index not in counters:
                name = "the value" if registers[index] == VALUE else registers[index]
                start, end = (format_time(timestamp(*each)) for each in (run.start, run.end))
                days = pluralize(run.length // DAY_MS, "day")
                yield (
                    f"{meter}: {name} stays {run.value} for {days}, from {start} to {end}: is the "
                    "sensor dead?"
                )

    def _look(self, index: int, batch: Batch, column: Sequence[str]) -> None:
        """Follow the runs of a register through all rows of a batch."""
        start = 0
        for value, group in groupby(column):
            end = start + sum(1 for _ in group)
            run = self._open.get(index)
            last = batch.moment(end - 1)
            if run is not None and run.value == value:
                run.end, run.rows = last, run.rows + end - start
            else:
                run = self._open[index] = _Run(value, batch.moment(start), last, end - start)
            self._keep(index, run)
            start = end

    def _keep(self, index: int, run: _Run) -> None:
        if run.length < DAYS * DAY_MS or run.rows < _FEWEST_ROWS:
            return
        longest = self._longest.get(index)
        if (longest is None or run.length > longest.length) and run.value and float(run.value):
            self._longest[index] = _Run(run.value, run.start, run.end, run.rows)
