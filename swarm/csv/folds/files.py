"""A meter's files in one repeated hour, turned so that rows and files run forward in time."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from swarm.csv.folds.direction import Part, runs_backward, turned

FIRST, SECOND = 0, 1


@dataclass(slots=True, eq=False)
class FoldRow:
    """A row of the hour; ``follows`` tells that it stands right behind the one before.

    ``reading`` is decided in the end, ``is_told`` where evidence, and not a free place, tells it.
    ``mark`` is the one reading that the row was sent with; ``is_firm`` that another row of its time
    was sent with the other.
    """

    wall: int
    file: int
    line: int
    digest: int
    follows: bool
    reading: int | None = None
    is_told: bool = False
    mark: int | None = None
    is_firm: bool = False


@dataclass(slots=True, eq=False)
class Edge:
    """The nearest row of the file ahead or behind; ``row`` where it is of the hour."""

    wall: int
    row: FoldRow | None = None


@dataclass(slots=True, eq=False)
class File:
    """The rows of one file in the hour, in the order of time.

    ``before`` and ``after`` are the wall times of the rows next to them in the file, ``ahead`` and
    ``behind`` the nearest rows of the files next to it. ``is_sure`` tells that there are rows
    outside of the hour to tell which way it runs, ``is_turned`` that it was turned.
    """

    number: int
    rows: list[FoldRow]
    before: int | None
    after: int | None
    is_sure: bool
    is_turned: bool = False
    is_decided: bool = False
    ahead: Edge | None = None
    behind: Edge | None = None

    def turn(self) -> None:
        """Turn the rows around."""
        follows = [row.follows for row in self.rows[1:]]
        self.rows.reverse()
        for row, is_next in zip(self.rows, [False, *reversed(follows)], strict=True):
            row.follows = is_next
        self.before, self.after = self.after, self.before
        self.is_turned = not self.is_turned

    @property
    def next_wall(self) -> int | None:
        """The wall time of the row that follows, there or in the next file."""
        return self.behind.wall if self.after is None and self.behind else self.after

    @property
    def previous_wall(self) -> int | None:
        """The wall time of the row ahead, there or in the file before."""
        return self.ahead.wall if self.before is None and self.ahead else self.before

    def readings(self) -> bytes:
        """Return how the rows are read, in the file's own order."""
        found = bytes(row.reading or FIRST for row in self.rows)
        return found[::-1] if self.is_turned else found


@dataclass(slots=True)
class Alone:
    """A file read by itself: its rows' ``readings``; the ``misfits`` are of neither pass.

    ``is_lone`` tells that no time occurs twice, and nothing goes back to begin a second pass.
    """

    readings: list[int]
    is_lone: bool = False
    misfits: list[FoldRow] = field(default_factory=list)


def alone(rows: Sequence[FoldRow]) -> Alone:
    """Read the rows of a file in their order.

    Where a time fits neither pass, the count decides: if every time came exactly twice, first is
    first; if every time came once, the file holds a single pass out of order.
    """
    readings, misfits = _in_order(rows)
    counts = set(Counter(row.wall for row in rows).values())
    if misfits and counts == {2}:
        seen: set[int] = set()
        readings = []
        for row in rows:
            readings.append(int(row.wall in seen))
            seen.add(row.wall)
        misfits = []
    is_lone = counts == {1} and (bool(misfits) or SECOND not in readings)
    return Alone(readings, is_lone, [] if is_lone else misfits)


def _in_order(rows: Iterable[FoldRow]) -> tuple[list[int], list[FoldRow]]:
    """Return the readings in the order of rows, and the rows that fit neither pass.

    Repeating a time begins the second pass, and so does going back from one row to the next; a time
    that comes back later, from somewhere else in the file, is just out of order.
    """
    readings, misfits = [], []
    seen: set[int] = set()
    last: int | None = None
    is_second = False
    for row in rows:
        goes_back = last is not None and row.follows and row.wall < last
        if not is_second:
            is_second = row.wall in seen or goes_back
        elif last is not None and row.wall <= last:
            misfits.append(row)
        seen.add(row.wall)
        last = row.wall
        readings.append(int(is_second))
    return readings, misfits


def by_wall(rows: Iterable[FoldRow]) -> dict[int, list[FoldRow]]:
    """Return the rows of each wall time."""
    found: defaultdict[int, list[FoldRow]] = defaultdict(list)
    for row in rows:
        found[row.wall].append(row)
    return found


class Files:
    """A meter's files around the hour: ``forward`` are those with rows in it, in order of time."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._is_turned = turned(parts)
        self._numbers = [number for number, part in enumerate(parts) if part.first is not None]
        if runs_backward(parts):
            self._numbers.reverse()
        self._files = {number: self._file(number) for number in self._numbers if parts[number].runs}
        self.forward = list(self._files.values())

    def link(self) -> None:
        """Let each file know the rows next to it in the files next to it."""
        for ahead, behind in pairwise(self._numbers):
            earlier, later = self._files.get(ahead), self._files.get(behind)
            if later is not None:
                later.ahead = self._edge(ahead, earlier, at_end=True)
            if earlier is not None:
                earlier.behind = self._edge(behind, later, at_end=False)

    def readings(self) -> tuple[bytes, ...]:
        """Return how the rows of every file are read, in its own order."""
        numbers = range(len(self._parts))
        return tuple(self._files[n].readings() if n in self._files else b"" for n in numbers)

    def _file(self, number: int) -> File:
        part = self._parts[number]
        rows = [
            FoldRow(wall, number, line, digest, follows=place > 0)
            for run in part.runs
            for place, (wall, line, digest) in enumerate(
                zip(run.walls, run.lines, run.digests, strict=True)
            )
        ]
        file = File(number, rows, part.runs[0].before, part.runs[-1].after, part.has_outside)
        if self._is_turned[number]:
            file.turn()
        return file

    def _edge(self, number: int, file: File | None, *, at_end: bool) -> Edge | None:
        """Return the last row of a file, or the first, in the order of time."""
        if file is not None and (file.after if at_end else file.before) is None:
            row = file.rows[-1 if at_end else 0]
            return Edge(row.wall, row)
        part = self._parts[number]
        is_turned = self._is_turned[number] if file is None else file.is_turned
        wall = part.last if at_end != is_turned else part.first
        return None if wall is None else Edge(wall)
