"""Places files that hold a single pass of a repeated hour: each by the best evidence there is."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from swarm.csv.folds.evidence import Evidence
from swarm.csv.folds.files import FIRST, SECOND, File, FoldRow


class _Tier(NamedTuple):
    """One kind of evidence.

    ``is_told`` where it tells, and does not only take what is left; ``is_single`` where one
    decision at a time is taken by it, as that may be better evidence for the others.
    """

    reading: Callable[[File], int | None]
    is_told: bool = False
    is_single: bool = False


class Placing:
    """Decides files of a single pass, of which one alone may be any part."""

    def __init__(self, evidence: Evidence, files: Sequence[File]) -> None:
        self._evidence = evidence
        self._last = files[-1] if files else None
        self._tiers = (
            _Tier(self._by_ledger, is_told=True),
            _Tier(self._by_row_before, is_told=True),
            _Tier(self._by_same_rows, is_told=True),
            _Tier(self._by_row_after, is_told=True),
            _Tier(self._by_file_before, is_told=True),
            _Tier(self._by_file_after, is_told=True),
            _Tier(self._by_rare_row),
            _Tier(self._by_other_rows),
            _Tier(self._by_neighbour),
            _Tier(self._by_same_row),
            _Tier(self._by_going_back),
            _Tier(self._by_default, is_single=True),
        )

    def place(self, lone: Sequence[File]) -> list[File]:
        """Decide the files, and return those that fit nowhere."""
        left = list(lone)
        while left and self._decides_any(left):
            left = [file for file in left if not file.is_decided]
        return left

    def _decides_any(self, lone: Sequence[File]) -> bool:
        """Decide what the best evidence decides that decides anything."""
        for tier in self._tiers:
            has_any = False
            for file in lone:
                reading = tier.reading(file)
                if reading is not None:
                    self._evidence.hold_lone(file, reading, is_told=tier.is_told)
                    has_any = True
                    if tier.is_single:
                        break
            if has_any:
                return True
        return False

    def _by_ledger(self, file: File) -> int | None:
        """Follow the rows that were sent.

        One value alone that was sent with the first pass says little while the second is free, and
        the files have rolled on: a meter may show the same again an hour later. And where more rows
        have other values than what was sent and is gone, the few that have the same have them by
        chance.
        """
        counts, values, free = [0, 0], set(), 0
        for row in file.rows:
            if row.mark == SECOND or (row.mark == FIRST and self._evidence.is_certain(row)):
                counts[row.mark] += 1
            elif row.mark == FIRST:
                free += 1
                if not self._evidence.is_common(row):
                    values.add(row.digest)
        if len(values) > 1:
            counts[FIRST] += free
        if counts[FIRST] == counts[SECOND]:
            return None
        reading = int(counts[SECOND] > counts[FIRST])
        return reading if counts[reading] >= self._evidence.gone(file.rows, reading) else None

    def _by_row_before(self, file: File) -> int | None:
        """Take rows that one from before the hour precedes for the first."""
        return FIRST if self._evidence.is_before(file.before) else None

    def _by_same_rows(self, file: File) -> int | None:
        """Follow the same rows of other files, where chance can't have made them so."""
        evidence = self._evidence
        same = evidence.same(file.rows, evidence.held)
        for reading in (FIRST, SECOND):
            rows = same[reading]
            values = {row.digest for row in rows if not evidence.is_common(row)}
            differing = evidence.differing(file.rows, evidence.held, reading)
            if len(values) > 1 and len(rows) > len(same[1 - reading]) and len(rows) >= differing:
                return reading
        return None

    def _by_row_after(self, file: File) -> int | None:
        return self._by_after(file, file.after)

    def _by_file_before(self, file: File) -> int | None:
        return FIRST if self._evidence.is_before(file.previous_wall) else None

    def _by_file_after(self, file: File) -> int | None:
        return self._by_after(file, file.next_wall)

    def _by_after(self, file: File, after: int | None) -> int | None:
        """Take rows that one from after the hour follows for the second, if the first is elsewhere.

        They are the first all the same where that is known to stand so as well, with nothing
        between it and the end of the hour: then the data have one pass.
        """
        evidence = self._evidence
        if not evidence.is_after(after) or evidence.is_before(file.previous_wall):
            return None
        first = evidence.known[FIRST]
        if not any(first.get(row.wall) for row in file.rows):
            return None
        matching = [row for row in file.rows if row.digest in first.get(row.wall, ())]
        is_same = matching and not evidence.differing(file.rows, evidence.known, FIRST)
        return FIRST if is_same and evidence.is_single(matching) else SECOND

    def _by_rare_row(self, file: File) -> int | None:
        return self._by_same_row(file) if self._evidence.is_rich else None

    def _by_same_row(self, file: File) -> int | None:
        """Follow a single row of other files that is the same, where no row differs."""
        evidence = self._evidence
        same = evidence.same(file.rows, evidence.held)
        for reading in (FIRST, SECOND):
            is_alone = bool(same[reading]) and not same[1 - reading]
            is_rare = any(not evidence.is_common(row) for row in same[reading])
            if is_alone and is_rare and not evidence.differing(file.rows, evidence.held, reading):
                return reading
        return None

    def _by_other_rows(self, file: File) -> int | None:
        """Take the pass that is free, or the same, where the other has other values."""
        evidence = self._evidence
        same = evidence.same(file.rows, evidence.known)
        differing = [
            evidence.differing(file.rows, evidence.known, reading) for reading in (FIRST, SECOND)
        ]
        for reading in (FIRST, SECOND):
            other = 1 - reading
            if differing[other] > len(same[other]) and not differing[reading]:
                return reading if self._may_be(file, reading) else None
        return None

    def _may_be(self, file: File, reading: int) -> bool:
        """Tell whether other values in the first pass can put rows into the second.

        Those that were sent, and are in no file any more, may have been corrected.
        """
        evidence = self._evidence
        return reading == FIRST or bool(evidence.differing(file.rows, evidence.held, FIRST))

    def _by_neighbour(self, file: File) -> int | None:
        """Go on in the pass of the file ahead, where time goes forward from it or it is the second.

        Likewise from the file to the one behind; if that begins the second pass, this is the first.
        """
        ahead, behind = _ahead(file), _behind(file)
        if ahead is not None and ahead.reading is not None:
            goes_on = ahead.wall < file.rows[0].wall
            if goes_on or ahead.reading == SECOND:
                return ahead.reading
        if behind is not None and behind.reading is not None:
            if file.rows[-1].wall < behind.wall:
                return behind.reading
            if behind.wall <= file.rows[0].wall and behind.reading == SECOND:
                return FIRST
        return None

    def _by_going_back(self, file: File) -> int | None:
        """Begin the second pass where time goes back from the file ahead, or from what was sent.

        It does not where a file overlaps the one ahead and goes on beyond it, nor where it repeats
        known rows and nothing follows yet that would tell.
        """
        if self._only_repeats(file):
            return None
        ahead, first = _ahead(file), self._evidence.held[FIRST]
        if ahead is not None and ahead.reading == FIRST and file.rows[0].wall <= ahead.wall:
            is_beyond = file.rows[-1].wall > ahead.wall
            if not (is_beyond and any(row.wall in first for row in file.rows)):
                return SECOND
        return SECOND if self._is_older(file) else None

    def _only_repeats(self, file: File) -> bool:
        """Tell whether a file that ends the data has rows of the first pass alone, unchanged."""
        first = self._evidence.known[FIRST]
        is_last = file.after is None and file.next_wall is None
        return is_last and all(row.digest in first.get(row.wall, ()) for row in file.rows)

    def _is_older(self, file: File) -> bool:
        """Tell whether a file that holds the newest rows would, as the first pass, hold none."""
        sent, behind = self._evidence.sent, _behind(file)
        first = sent.known[FIRST]
        is_known = all(row.digest in first.get(row.wall, ()) for row in file.rows)
        is_newest = file is self._last
        if behind is not None and behind.reading == SECOND:
            is_newest = file.rows[0].wall < behind.wall
        return is_newest and sent.is_second and is_known

    def _by_default(self, file: File) -> int | None:
        """Follow the same rows, whatever they are worth, else take a lone occurrence for the first.

        Where only the second pass is free, it is that.
        """
        evidence = self._evidence
        same = evidence.same(file.rows, evidence.known)
        differing = [
            evidence.differing(file.rows, evidence.known, reading) for reading in (FIRST, SECOND)
        ]
        if len(same[FIRST]) != len(same[SECOND]):
            reading = int(len(same[SECOND]) > len(same[FIRST]))
            if len(same[reading]) >= differing[reading]:
                return reading
        free = (reading for reading in (FIRST, SECOND) if not differing[reading])
        return next((reading for reading in free if self._may_be(file, reading)), None)


def _ahead(file: File) -> FoldRow | None:
    """Return the last row of the file ahead, where it is of the hour and next to this file's."""
    return file.ahead.row if file.ahead is not None and file.before is None else None


def _behind(file: File) -> FoldRow | None:
    """Return the first row of the file behind, where it is of the hour and next to this file's."""
    return file.behind.row if file.behind is not None and file.after is None else None
