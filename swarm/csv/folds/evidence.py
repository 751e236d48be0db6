"""The evidence for the folds of rows: the rows that were sent, and the files decided before."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from swarm.csv.folds.files import FIRST, SECOND, File, FileFolds, FoldRow
from swarm.csv.folds.occurrences import NO_VALUES, Hour

#: The digests of the rows at each wall time, for each of the two folds.
Digests = tuple[Mapping[int, set[int]], Mapping[int, set[int]]]


#: Equal values are no coincidence if there are at least this many values and all differ.
_MANY_VALUES = 4


@dataclass(frozen=True, slots=True)
class Sent:
    """The rows of the hour that were sent, as recorded in the ledger.

    ``is_over`` is True if something at or after the end of the hour was sent, ``is_second`` if the
    newest row that was sent is of the second pass; ``has_grown`` if the files still begin no later
    than the rows that were sent.
    """

    digests: Digests = ({}, {})
    has_grown: bool = False
    is_over: bool = False
    is_second: bool = False


class Agreement(NamedTuple):
    """The agreement of a file's folds with the rows that were sent.

    ``as_sent`` counts the rows that keep the fold they were sent with, less those that do not;
    ``differing`` those whose time was sent with other values.
    """

    as_sent: int
    differing: int

    @property
    def total(self) -> int:
        """The agreement as one number; below 0 if more speaks against the folds."""
        return self.as_sent - self.differing


class Evidence:
    """The evidence for one fold of a row or the other.

    ``decided`` are the rows of the files that are decided, ``known`` those and the ``sent`` ones.
    """

    def __init__(self, hour: Hour, rows: Sequence[FoldRow], sent: Sent) -> None:
        self.sent = sent
        self.decided = (defaultdict[int, set[int]](set), defaultdict[int, set[int]](set))
        self.known = (defaultdict[int, set[int]](set), defaultdict[int, set[int]](set))
        for known, recorded in zip(self.known, sent.digests, strict=True):
            known.update((wall, set(digests)) for wall, digests in recorded.items())
        self._hour = hour
        self._counts = Counter((row.wall, row.digest) for row in rows)
        #: Rows of a first pass that a row from after the hour follows: the data have one pass.
        self._of_one_pass: set[tuple[int, int]] = set()
        #: True if of each time that was sent, the files still have a row that was sent.
        self._is_complete = all(
            any((wall, digest) in self._counts for digest in digests)
            for recorded in sent.digests
            for wall, digests in recorded.items()
        )
        walls: defaultdict[int, set[int]] = defaultdict(set)
        for wall, digest in self._counts:
            walls[digest].add(wall)
        for recorded in sent.digests:
            for wall, digests in recorded.items():
                for digest in digests:
                    walls[digest].add(wall)
        # Values that several times of the hour have say little of a row; if the hour has one time
        # only, no value says much.
        has_one_wall = len({wall for each in walls.values() for wall in each}) == 1
        self._common = {digest for digest, each in walls.items() if has_one_wall or len(each) > 1}
        self._values = set(walls) - {NO_VALUES}
        for row in rows:
            folds = _matching(sent.digests, row)
            if len(folds) == 1:
                row.sent_fold = folds[0]
                row.has_sent_twin = bool(sent.digests[1 - row.sent_fold].get(row.wall))

    def is_common(self, row: FoldRow) -> bool:
        """Return True if other times of the hour have a row's values too."""
        return row.digest in self._common

    @property
    def has_distinct_values(self) -> bool:
        """True if equal values are hardly ever a coincidence: there are many, and all differ."""
        return len(self._values) >= _MANY_VALUES and not self._common & self._values

    def is_certain(self, row: FoldRow, same_time: Sequence[FoldRow] = ()) -> bool:
        """Return True if a row certainly is the one that was sent, and not just equal to it.

        In an export that now begins later, a row of the second pass may have the values of a row of
        the first that was sent and is no longer in the file. ``same_time`` are the rows of its time
        in a file that holds both passes.
        """
        twins = [other for other in same_time if other is not row]
        if twins:
            is_alone = all(other.digest != row.digest for other in twins)
            return is_alone and (row.has_sent_twin or not self.is_common(row))
        is_alone = self._counts[row.wall, row.digest] == 1
        is_there = self.sent.has_grown or (self._is_complete and not self.is_common(row))
        return row.sent_fold is not None and (row.has_sent_twin or (is_alone and is_there))

    def agreement(self, file: File, found: FileFolds) -> Agreement:
        """Return the agreement of a file's folds; of a single pass, with the fold that fits better.

        A row that was sent counts only if no other row, and no other time, has its values.
        """
        options: list[Sequence[int]] = [found.folds]
        if found.is_single_pass:
            options = [[fold] * len(file.rows) for fold in (FIRST, SECOND)]
        agreements = []
        for folds in options:
            as_sent = differing = 0
            for row, fold in zip(file.rows, folds, strict=True):
                if row.sent_fold is None:
                    differing += self.differs(row, self.sent.digests, fold)
                elif self._counts[row.wall, row.digest] == 1 and not self.is_common(row):
                    as_sent += 1 if row.sent_fold == fold else -1
            agreements.append(Agreement(as_sent, differing))
        return max(agreements, key=lambda agreement: agreement.total)

    def is_before(self, wall: int | None) -> bool:
        """Return True if a row is before the hour."""
        return wall is not None and wall < self._hour.start

    def is_after(self, wall: int | None) -> bool:
        """Return True if a row is after the hour."""
        return wall is not None and wall >= self._hour.end

    def compare(
        self, rows: Sequence[FoldRow], digests: Digests
    ) -> tuple[tuple[list[FoldRow], list[FoldRow]], tuple[int, int]]:
        """Compare rows with ``digests``; return two results, each for both folds.

        The first are the rows that ``digests`` has with that fold only, the second the number of
        rows whose time it has with other values only.
        """
        same: tuple[list[FoldRow], list[FoldRow]] = ([], [])
        for row in rows:
            folds = _matching(digests, row)
            if len(folds) == 1:
                same[folds[0]].append(row)
        first, second = (
            sum(self.differs(row, digests, fold) for row in rows) for fold in (FIRST, SECOND)
        )
        return same, (first, second)

    def differs(self, row: FoldRow, digests: Digests, fold: int) -> bool:
        """Return True if ``digests`` has a row's time with other values only."""
        others = digests[fold].get(row.wall)
        return bool(others) and row.digest != NO_VALUES and row.digest not in (others or ())

    def count_gone(self, rows: Sequence[FoldRow], fold: int) -> int:
        """Count the rows whose time was sent with values that no file has any longer."""
        recorded = self.sent.digests[fold]
        return sum(
            all((row.wall, digest) not in self._counts for digest in recorded[row.wall])
            for row in rows
            if recorded.get(row.wall)
        )

    def have_one_pass(self, rows: Sequence[FoldRow]) -> bool:
        """Return True if rows are known to be of data that have only one pass."""
        was_sent = self.sent.is_over and not any(self.sent.digests[SECOND].values())
        return was_sent or any((row.wall, row.digest) in self._of_one_pass for row in rows)

    def decide(self, row: FoldRow, fold: int, *, has_evidence: bool) -> None:
        """Set the fold of a row, which becomes evidence for other rows."""
        row.fold, row.has_evidence = fold, has_evidence
        if row.digest != NO_VALUES:
            self.decided[fold][row.wall].add(row.digest)
            self.known[fold][row.wall].add(row.digest)

    def decide_file(self, file: File, fold: int, *, has_evidence: bool) -> None:
        """Set the fold of a file of a single pass; rows that were sent otherwise keep theirs."""
        for row in file.rows:
            own = fold if row.sent_fold is None or not self.is_certain(row) else row.sent_fold
            self.decide(row, own, has_evidence=has_evidence or own == row.sent_fold)
        if fold == FIRST and self.is_after(file.next_wall):
            self._of_one_pass |= {(row.wall, row.digest) for row in file.rows}
        file.is_decided = True


def _matching(digests: Digests, row: FoldRow) -> list[int]:
    """Return the folds with which ``digests`` has a row's time and values."""
    if row.digest == NO_VALUES:
        return []
    return [fold for fold in (FIRST, SECOND) if row.digest in digests[fold].get(row.wall, ())]
