"""The rows of one file in repeated hours: recorded by the check, replayed by the sending pass.

The fold of such a row can be decided only after all files of a meter are read (see
`swarm.csv.folds.decide`). The check gives it a provisional fold, by the order of the rows in their
file, and records it.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

#: The digest of a row without values, which is never sent.
NO_VALUES = 0


@dataclass(frozen=True, slots=True)
class Hour:
    """A stretch of wall time that a clock change repeats, half an hour to two hours long.

    ``start`` is the wall time at which it begins, ``offsets`` those of its two passes; in ms.
    """

    start: int
    offsets: tuple[int, int]

    @property
    def end(self) -> int:
        """The wall time at which it ends."""
        return self.start + self.offsets[0] - self.offsets[1]


@dataclass(slots=True)
class Run:
    """Consecutive rows of a file that are all in one repeated hour.

    ``before`` and ``after`` are the wall times of the rows next to them, None at the start or the
    end of the file. The other fields have one entry a row; ``folds`` are provisional.
    """

    hour: Hour
    before: int | None = None
    after: int | None = None
    walls: "array[int]" = field(default_factory=lambda: array("q"))
    lines: "array[int]" = field(default_factory=lambda: array("q"))
    digests: "array[int]" = field(default_factory=lambda: array("Q"))
    folds: bytearray = field(default_factory=bytearray)

    @property
    def steps(self) -> int:
        """The number of steps from row to row, including the rows next to the run."""
        return len(self.walls) - 1 + sum(wall is not None for wall in (self.before, self.after))

    def instants(self, folds: bytes | bytearray) -> list[int]:
        """Return the instants of the rows, given their folds."""
        offsets = self.hour.offsets
        return [wall - offsets[fold] for wall, fold in zip(self.walls, folds, strict=True)]

    def steps_back(self, folds: bytes | bytearray) -> int:
        """Return the number of steps back in time, including the rows next to the run."""
        start, offsets = self.hour.start, self.hour.offsets
        instants = self.instants(folds)
        # A row outside the hour gets the offset of its side: exact enough for a comparison.
        if self.before is not None:
            instants.insert(0, self.before - offsets[self.before >= start])
        if self.after is not None:
            instants.append(self.after - offsets[self.after >= start])
        return sum(later < earlier for earlier, later in pairwise(instants))


class Recorder:
    """Recorder of the rows of one file in repeated hours: ``runs``, in the order of the file.

    ``is_open`` is True if the last row was one of them; ``first`` and ``last`` are the wall times
    of the file's first row and its last. The arguments are those of the rows before, which do not
    end in a repeated hour.
    """

    def __init__(
        self, runs: Sequence[Run] = (), first: int | None = None, last: int | None = None
    ) -> None:
        self.runs = list(runs)
        self.is_open = False
        self.first = first
        self.last = last
        self._in_second_pass = {run.hour.start for run in runs if 1 in run.folds}

    def fold(self, line: int, wall: int, hour: Hour) -> int:
        """Record a row and return its provisional fold: a step back begins the second pass."""
        if not (self.is_open and self.runs[-1].hour == hour):
            if self.is_open:
                self.runs[-1].after = wall
            self.runs.append(Run(hour, before=self.last))
            self.is_open = True
        self._extend(wall, wall)
        run = self.runs[-1]
        if run.walls and wall <= run.walls[-1]:
            self._in_second_pass.add(hour.start)
        fold = int(hour.start in self._in_second_pass)
        run.walls.append(wall)
        run.lines.append(line)
        run.digests.append(NO_VALUES)
        run.folds.append(fold)
        return fold

    def note_digest(self, digest: int) -> None:
        """Record the digest of the values that would be sent of the last row."""
        self.runs[-1].digests[-1] = digest

    def note_outside(self, first: int, last: int) -> None:
        """Take rows outside of repeated hours: the wall times of the first and the last."""
        if self.is_open:
            self.runs[-1].after = first
            self.is_open = False
        self._extend(first, last)

    def _extend(self, first: int, last: int) -> None:
        if self.first is None:
            self.first = first
        self.last = last


class Replay:
    """Replay of the decided folds of the rows of one file, in the order of the file.

    ``folds`` has one byte a row for each hour, by the start of the hour. The other methods do
    nothing: they stand in for those of `Recorder`.
    """

    is_open = False

    def __init__(self, folds: Mapping[int, bytes]) -> None:
        self._folds: dict[int, Iterator[int]] = {hour: iter(each) for hour, each in folds.items()}

    def fold(self, _line: int, _wall: int, hour: Hour) -> int:
        """Return the fold of the next row of an hour."""
        return next(self._folds[hour.start])

    def note_digest(self, digest: int) -> None:
        """Do nothing."""

    def note_outside(self, first: int, last: int) -> None:
        """Do nothing."""
