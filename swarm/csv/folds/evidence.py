"""The evidence for rows of a repeated hour: the ledger, and the files decided before."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from swarm.csv.folds.files import FIRST, SECOND, File, FoldRow
from swarm.csv.folds.occurrences import NO_VALUES, Hour

#: The digests that are known at each wall time, for each of the two readings.
Known = tuple[Mapping[int, set[int]], Mapping[int, set[int]]]


#: Of so many values that all differ, none is taken to come again by chance.
_RICH = 4


@dataclass(frozen=True, slots=True)
class Sent:
    """The ledger's rows of the hour: digests by reading and wall time.

    ``is_over`` tells that something at or after the end of the hour is settled, ``is_second`` that
    the newest row that is stands in the second pass; ``has_grown`` that the files still begin as
    early as what was sent.
    """

    known: Known = ({}, {})
    has_grown: bool = False
    is_over: bool = False
    is_second: bool = False


class Evidence:
    """Tells what speaks for one reading of a row or the other.

    ``held`` is what is decided of the files, ``known`` that together with what was ``sent``.
    """

    def __init__(self, hour: Hour, rows: Sequence[FoldRow], sent: Sent) -> None:
        self.sent = sent
        self.held = (defaultdict[int, set[int]](set), defaultdict[int, set[int]](set))
        self.known = (defaultdict[int, set[int]](set), defaultdict[int, set[int]](set))
        for known, recorded in zip(self.known, sent.known, strict=True):
            known.update((wall, set(digests)) for wall, digests in recorded.items())
        self._hour = hour
        self._there = Counter((row.wall, row.digest) for row in rows)
        self._values: set[int] = set()
        self._common = self._common_digests()
        #: Rows of a first pass that one from after the hour follows: the data have one pass.
        self._single: set[tuple[int, int]] = set()
        self._is_complete = all(
            any((wall, digest) in self._there for digest in digests)
            for recorded in sent.known
            for wall, digests in recorded.items()
        )
        for row in rows:
            readings = _matching(sent.known, row)
            if len(readings) == 1:
                row.mark = readings[0]
                row.is_firm = bool(sent.known[1 - row.mark].get(row.wall))

    def _common_digests(self) -> set[int]:
        """Return the digests that say little of a row: several times of the hour have them.

        Where the hour has one time alone, each says little.
        """
        walls: defaultdict[int, set[int]] = defaultdict(set)
        for wall, digest in self._there:
            walls[digest].add(wall)
        for recorded in self.sent.known:
            for wall, digests in recorded.items():
                for digest in digests:
                    walls[digest].add(wall)
        self._values = set(walls) - {NO_VALUES}
        has_one = len({wall for each in walls.values() for wall in each}) == 1
        return {digest for digest, each in walls.items() if has_one or len(each) > 1}

    def is_common(self, row: FoldRow) -> bool:
        """Tell whether other times of the hour have a row's values too."""
        return row.digest in self._common

    def is_unique(self, row: FoldRow) -> bool:
        """Tell whether no other row of the files, and no other time, has a row's values."""
        return self._there[row.wall, row.digest] == 1 and not self.is_common(row)

    @property
    def is_rich(self) -> bool:
        """Whether values hardly ever come again by chance: there are many, and all differ."""
        return len(self._values) >= _RICH and not self._common & self._values

    def is_certain(self, row: FoldRow) -> bool:
        """Tell whether it is no chance that a row is the one that was sent.

        In an export that has rolled on, a row of the second pass may have the values that a row of
        the first, which is gone, was sent with.
        """
        is_alone = self._there[row.wall, row.digest] == 1
        is_there = self.sent.has_grown or (self._is_complete and not self.is_common(row))
        return row.mark is not None and (row.is_firm or (is_alone and is_there))

    def is_before(self, wall: int | None) -> bool:
        """Tell whether a row stands before the hour."""
        return wall is not None and wall < self._hour.start

    def is_after(self, wall: int | None) -> bool:
        """Tell whether a row stands after the hour."""
        return wall is not None and wall >= self._hour.end

    def same(self, rows: Iterable[FoldRow], known: Known) -> tuple[list[FoldRow], list[FoldRow]]:
        """Return the rows that are known with one reading alone, by it."""
        same: tuple[list[FoldRow], list[FoldRow]] = ([], [])
        for row in rows:
            readings = _matching(known, row)
            if len(readings) == 1:
                same[readings[0]].append(row)
        return same

    def differing(self, rows: Iterable[FoldRow], known: Known, reading: int) -> int:
        """Count the rows whose time is known with other values."""
        return sum(self.differs(row, known, reading) for row in rows)

    def differs(self, row: FoldRow, known: Known, reading: int) -> bool:
        """Tell whether a row's time is known with other values."""
        digests = known[reading].get(row.wall)
        return bool(digests) and row.digest != NO_VALUES and row.digest not in (digests or ())

    def gone(self, rows: Iterable[FoldRow], reading: int) -> int:
        """Count the rows whose time was sent with values that no file has any more."""
        recorded = self.sent.known[reading]
        return sum(
            all((row.wall, digest) not in self._there for digest in recorded[row.wall])
            for row in rows
            if recorded.get(row.wall)
        )

    def is_single(self, rows: Iterable[FoldRow]) -> bool:
        """Tell whether rows are known of data that have one pass alone."""
        was_sent = self.sent.is_over and not any(self.sent.known[SECOND].values())
        return was_sent or any((row.wall, row.digest) in self._single for row in rows)

    def hold(self, row: FoldRow, reading: int, *, is_told: bool) -> None:
        """Take a row for decided."""
        row.reading, row.is_told = reading, is_told
        if row.digest != NO_VALUES:
            self.held[reading][row.wall].add(row.digest)
            self.known[reading][row.wall].add(row.digest)

    def hold_lone(self, file: File, reading: int, *, is_told: bool) -> None:
        """Take a file of one pass for decided, but for rows that were sent with the other."""
        for row in file.rows:
            own = reading if row.mark is None or not self.is_certain(row) else row.mark
            self.hold(row, own, is_told=is_told or own == row.mark)
        if reading == FIRST and self.is_after(file.next_wall):
            self._single |= {(row.wall, row.digest) for row in file.rows}
        file.is_decided = True


def _matching(known: Known, row: FoldRow) -> list[int]:
    """Return the readings that a row's values are known with."""
    if row.digest == NO_VALUES:
        return []
    return [each for each in (FIRST, SECOND) if row.digest in known[each].get(row.wall, ())]
