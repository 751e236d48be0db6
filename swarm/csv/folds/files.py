"""A meter's files in one repeated hour, with rows and files put in forward order of time."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from swarm.csv.folds.direction import Part, are_backward, is_newest_first

FIRST, SECOND = 0, 1


@dataclass(slots=True, eq=False)
class FoldRow:
    """A row of the hour.

    ``follows`` is True if it comes directly after the previous row in the file. ``fold`` is None
    until it is decided; ``has_evidence`` is False if it was decided only because the other pass was
    taken. ``sent_fold`` is the fold that the row was sent with, None if it was not sent, or with
    both; ``has_sent_twin`` is True if another row of its time was sent with the other fold.
    """

    wall: int
    file: int
    line: int
    digest: int
    follows: bool
    fold: int | None = None
    has_evidence: bool = False
    sent_fold: int | None = None
    has_sent_twin: bool = False


@dataclass(slots=True, eq=False)
class Edge:
    """The nearest row of the previous or next file; ``row`` is None outside of the hour."""

    wall: int
    row: FoldRow | None = None


@dataclass(slots=True, eq=False)
class File:
    """The rows of one file in the hour, in forward order of time.

    ``before`` and ``after`` are the wall times of the rows next to them in the file, ``previous``
    and ``next`` the nearest rows of the files next to it. ``is_sure`` is True if rows outside of
    the hour show the direction of the file, ``is_reversed`` if its rows were reversed.
    """

    index: int
    rows: list[FoldRow]
    before: int | None
    after: int | None
    is_sure: bool
    is_reversed: bool = False
    is_decided: bool = False
    previous: Edge | None = None
    next: Edge | None = None

    def reverse(self) -> None:
        """Reverse the order of the rows."""
        follows = [row.follows for row in self.rows[1:]]
        self.rows.reverse()
        for row, does_follow in zip(self.rows, [False, *reversed(follows)], strict=True):
            row.follows = does_follow
        self.before, self.after = self.after, self.before
        self.is_reversed = not self.is_reversed

    @property
    def next_wall(self) -> int | None:
        """The wall time of the row after the hour's rows, in this file or else in the next."""
        return self.next.wall if self.after is None and self.next else self.after

    @property
    def previous_wall(self) -> int | None:
        """The wall time of the row before the hour's rows, in this file or else in the previous."""
        return self.previous.wall if self.before is None and self.previous else self.before

    @property
    def previous_row(self) -> FoldRow | None:
        """The previous file's last row, if it is of the hour and directly before this file's."""
        return self.previous.row if self.previous is not None and self.before is None else None

    @property
    def next_row(self) -> FoldRow | None:
        """The next file's first row, if it is of the hour and directly after this file's."""
        return self.next.row if self.next is not None and self.after is None else None

    def folds(self) -> bytes:
        """Return the folds of the rows, in the file's own order."""
        found = bytes(row.fold or FIRST for row in self.rows)
        return found[::-1] if self.is_reversed else found


@dataclass(slots=True)
class FileFolds:
    """The ``folds`` of a file's rows, by their order alone; the ``misfits`` fit neither pass.

    ``is_single_pass`` is True if no time occurs twice and no step back begins the second pass: then
    the rows may as well all be of the second pass.
    """

    folds: list[int]
    is_single_pass: bool = False
    misfits: list[FoldRow] = field(default_factory=list)


def folds_by_order(rows: Sequence[FoldRow]) -> FileFolds:
    """Return the folds of a file's rows by their order.

    A repeated time begins the second pass, and so does a step back to a row that directly follows;
    an earlier time from elsewhere in the file is only out of order. If a time fits neither pass,
    the counts decide: if every time occurs exactly twice, its first row is of the first pass; if
    every time occurs once, the file holds a single pass out of order.
    """
    folds, misfits = [], []
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
        folds.append(int(is_second))
    counts = set(Counter(row.wall for row in rows).values())
    if misfits and counts == {2}:
        seen.clear()
        for index, row in enumerate(rows):
            folds[index] = int(row.wall in seen)
            seen.add(row.wall)
        misfits = []
    is_single_pass = counts == {1} and (bool(misfits) or SECOND not in folds)
    return FileFolds(folds, is_single_pass, [] if is_single_pass else misfits)


class Files:
    """A meter's files around the hour: ``forward`` are those with rows in it, in order of time."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._are_backward = are_backward(parts)
        self._indexes = [index for index, part in enumerate(parts) if part.first is not None]
        if is_newest_first(parts):
            self._indexes.reverse()
        self._files: dict[int, File] = {}
        for index in self._indexes:
            runs = parts[index].runs
            if runs:
                rows = [
                    FoldRow(wall, index, line, digest, follows=number > 0)
                    for run in runs
                    for number, (wall, line, digest) in enumerate(
                        zip(run.walls, run.lines, run.digests, strict=True)
                    )
                ]
                file = File(index, rows, runs[0].before, runs[-1].after, parts[index].has_outside)
                if self._are_backward[index]:
                    file.reverse()
                self._files[index] = file
        self.forward = list(self._files.values())

    def link(self) -> None:
        """Set ``previous`` and ``next`` of each file; call it once all directions are final."""
        for index, next_index in pairwise(self._indexes):
            earlier, later = self._files.get(index), self._files.get(next_index)
            if later is not None:
                later.previous = self._edge(index, earlier, at_end=True)
            if earlier is not None:
                earlier.next = self._edge(next_index, later, at_end=False)

    def folds(self) -> tuple[bytes, ...]:
        """Return the folds of the rows of every file, in its own order."""
        indexes = range(len(self._parts))
        return tuple(self._files[n].folds() if n in self._files else b"" for n in indexes)

    def _edge(self, index: int, file: File | None, *, at_end: bool) -> Edge | None:
        """Return the last row of a file, or the first, in forward order of time."""
        if file is not None and (file.after if at_end else file.before) is None:
            row = file.rows[-1 if at_end else 0]
            return Edge(row.wall, row)
        part = self._parts[index]
        is_reversed = self._are_backward[index] if file is None else file.is_reversed
        wall = part.last if at_end != is_reversed else part.first
        return None if wall is None else Edge(wall)
