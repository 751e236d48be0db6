"""The rows of one file whose local time the clocks repeat: noted by the check, replayed after it.

Which of the two passes such a row is of shows only when all files of a meter are read (see
`swarm.csv.folds.decide`). The check reads it provisionally, in the order of the file, and keeps it.
"""

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

#: Stands for the values of a row that has none, and so is never sent.
NO_VALUES = 0


@dataclass(frozen=True, slots=True)
class Hour:
    """A stretch of local time that a clock change repeats, half an hour to two hours long.

    ``start`` is the wall time at which it begins, ``offsets`` those of its two passes; in ms.
    """

    start: int
    offsets: tuple[int, int]

    @property
    def end(self) -> int:
        """The wall time at which it is over."""
        return self.start + self.offsets[0] - self.offsets[1]


@dataclass(slots=True)
class Run:
    """Rows of one repeated hour that follow one another directly in their file.

    ``before`` and ``after`` are the wall times of the rows next to them, None where the file begins
    or ends. The rest has one entry a row; ``readings`` are provisional: 0 the first pass, 1 the
    second.
    """

    hour: Hour
    before: int | None = None
    after: int | None = None
    walls: "array[int]" = field(default_factory=lambda: array("q"))
    lines: "array[int]" = field(default_factory=lambda: array("q"))
    digests: "array[int]" = field(default_factory=lambda: array("Q"))
    readings: bytearray = field(default_factory=bytearray)

    @property
    def steps(self) -> int:
        """The number of steps from row to row, those next to the run included."""
        return len(self.walls) - 1 + sum(wall is not None for wall in (self.before, self.after))

    def instants(self, readings: bytes | bytearray) -> list[int]:
        """Return the instants of the rows."""
        offsets = self.hour.offsets
        return [wall - offsets[reading] for wall, reading in zip(self.walls, readings, strict=True)]

    def steps_back(self, readings: bytes | bytearray) -> int:
        """Return how many rows, the next one included, are earlier than the one before them."""
        instants = self.instants(readings)
        if self.before is not None:
            instants.insert(0, self._instant(self.before))
        if self.after is not None:
            instants.append(self._instant(self.after))
        return sum(later < earlier for earlier, later in pairwise(instants))

    def _instant(self, wall: int) -> int:
        """Return the instant of a row next to the hour, as far as comparing with the hour goes."""
        return wall - self.hour.offsets[wall >= self.hour.start]


class Recorder:
    """Notes the rows of repeated hours of one file, in its order; ``runs`` are those so far.

    ``is_open`` tells that the last row was one of them; ``first`` and ``last`` are the wall times
    of the file's first row and its last.
    """

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.is_open = False
        self.first: int | None = None
        self.last: int | None = None
        self._is_second: dict[int, bool] = {}

    def reading(self, line: int, wall: int, hour: Hour) -> int:
        """Note a row and return its provisional reading: going back begins the second pass."""
        run = self._run(hour, wall)
        self._extend(wall, wall)
        is_second = self._is_second.get(hour.start, False)
        is_second = is_second or bool(run.walls and wall <= run.walls[-1])
        self._is_second[hour.start] = is_second
        run.walls.append(wall)
        run.lines.append(line)
        run.digests.append(NO_VALUES)
        run.readings.append(is_second)
        return int(is_second)

    def values(self, digest: int) -> None:
        """Note the digest of what would be sent of the last row."""
        self.runs[-1].digests[-1] = digest

    def pass_by(self, first: int, last: int) -> None:
        """Note rows that are of no repeated hour: the wall times of the first and the last."""
        if self.is_open:
            self.runs[-1].after = first
            self.is_open = False
        self._extend(first, last)

    def _extend(self, first: int, last: int) -> None:
        if self.first is None:
            self.first = first
        self.last = last

    def _run(self, hour: Hour, wall: int) -> Run:
        if self.is_open and self.runs[-1].hour == hour:
            return self.runs[-1]
        if self.is_open:
            self.runs[-1].after = wall
        self.runs.append(Run(hour, self.last))
        self.is_open = True
        return self.runs[-1]


class Replay:
    """Reads the rows of repeated hours of one file as it was decided after the check.

    ``readings`` has for each hour, by its start, one byte a row in the order of the file.
    """

    is_open = False

    def __init__(self, readings: Mapping[int, bytes]) -> None:
        self._readings: dict[int, Iterator[int]] = {
            hour: iter(decided) for hour, decided in readings.items()
        }

    def reading(self, _line: int, _wall: int, hour: Hour) -> int:
        """Return the reading of the next row of an hour."""
        return next(self._readings[hour.start])

    def values(self, digest: int) -> None:
        """Take no note: all is known."""

    def pass_by(self, first: int, last: int) -> None:
        """Take no note: all is known."""
