"""Decision of files that hold a single pass of a repeated hour, by the best evidence for each."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from swarm.csv.folds.evidence import Evidence
from swarm.csv.folds.files import FIRST, SECOND, File


class _Tier(NamedTuple):
    """One kind of evidence.

    ``has_evidence`` is False if the tier only takes the pass that is free. ``is_one_by_one`` is
    True if the better tiers are tried again after each decision, since it may be evidence for the
    other files.
    """

    fold: Callable[[File], int | None]
    has_evidence: bool = False
    is_one_by_one: bool = False


class Placing:
    """Decision of files whose rows, by their order alone, may be of either pass.

    ``files`` are all files with rows in the hour, in order of time.
    """

    def __init__(self, evidence: Evidence, files: Sequence[File]) -> None:
        self._evidence = evidence
        self._last = files[-1] if files else None
        self._tiers = (
            _Tier(self._by_ledger, has_evidence=True),
            _Tier(lambda file: self._by_row_before(file.before), has_evidence=True),
            _Tier(self._by_same_rows, has_evidence=True),
            _Tier(lambda file: self._by_row_after(file, file.after), has_evidence=True),
            _Tier(lambda file: self._by_row_before(file.previous_wall), has_evidence=True),
            _Tier(lambda file: self._by_row_after(file, file.next_wall), has_evidence=True),
            _Tier(lambda file: self._by_same_row(file) if evidence.has_distinct_values else None),
            _Tier(self._by_other_values),
            _Tier(self._by_neighbour),
            _Tier(self._by_same_row),
            _Tier(self._by_step_back),
            _Tier(self._by_default, is_one_by_one=True),
        )

    def place(self, files: Sequence[File]) -> list[File]:
        """Decide the files, and return those that fit neither pass."""
        left = list(files)
        while left and any(self._apply(tier, left) for tier in self._tiers):
            left = [file for file in left if not file.is_decided]
        return left

    def _apply(self, tier: _Tier, files: Sequence[File]) -> bool:
        """Decide the files for which a tier has evidence; return True if there are any."""
        has_any = False
        for file in files:
            fold = tier.fold(file)
            if fold is not None:
                self._evidence.decide_file(file, fold, has_evidence=tier.has_evidence)
                has_any = True
                if tier.is_one_by_one:
                    break
        return has_any

    def _by_ledger(self, file: File) -> int | None:
        """Take the fold that the rows were sent with.

        If the files begin later than what was sent, a single value that was sent with the first
        pass says little while the second pass is free: a meter may show the same value an hour
        later. And if more rows differ from rows that were sent and are no longer in the files, the
        few equal ones are a coincidence.
        """
        evidence = self._evidence
        counts, uncertain = [0, 0], []
        for row in file.rows:
            if row.sent_fold == FIRST and not evidence.is_certain(row):
                uncertain.append(row)
            elif row.sent_fold is not None:
                counts[row.sent_fold] += 1
        if len({row.digest for row in uncertain if not evidence.is_common(row)}) > 1:
            counts[FIRST] += len(uncertain)
        if counts[FIRST] == counts[SECOND]:
            return None
        fold = int(counts[SECOND] > counts[FIRST])
        return fold if counts[fold] >= evidence.count_gone(file.rows, fold) else None

    def _by_row_before(self, previous: int | None) -> int | None:
        """Take the first pass if the row before the file's rows is before the hour."""
        return FIRST if self._evidence.is_before(previous) else None

    def _by_same_rows(self, file: File) -> int | None:
        """Take the fold of the same rows in other files, if they have several values.

        One equal value may be a coincidence; several are none, unless more rows differ.
        """
        evidence = self._evidence
        same, differing = evidence.compare(file.rows, evidence.decided)
        for fold in (FIRST, SECOND):
            rows = same[fold]
            values = {row.digest for row in rows if not evidence.is_common(row)}
            is_most = len(rows) > len(same[1 - fold]) and len(rows) >= differing[fold]
            if len(values) > 1 and is_most:
                return fold
        return None

    def _by_row_after(self, file: File, following: int | None) -> int | None:
        """Take the second pass if the row after is after the hour, and the first pass is elsewhere.

        If the rows are known as a first pass that is followed directly by a row from after the
        hour, the data have one pass: then it is the first.
        """
        evidence = self._evidence
        if not evidence.is_after(following) or evidence.is_before(file.previous_wall):
            return None
        first = evidence.known[FIRST]
        if not any(first.get(row.wall) for row in file.rows):
            return None
        matching = [row for row in file.rows if row.digest in first.get(row.wall, ())]
        if not matching or any(evidence.differs(row, evidence.known, FIRST) for row in file.rows):
            return SECOND
        return FIRST if evidence.have_one_pass(matching) else SECOND

    def _by_same_row(self, file: File) -> int | None:
        """Take the fold of a single same row in other files, if no row differs."""
        evidence = self._evidence
        same, differing = evidence.compare(file.rows, evidence.decided)
        for fold in (FIRST, SECOND):
            is_rare = any(not evidence.is_common(row) for row in same[fold])
            if is_rare and not same[1 - fold] and not differing[fold]:
                return fold
        return None

    def _by_other_values(self, file: File) -> int | None:
        """Take a pass that is free, or has the same values, if the other pass has other values."""
        evidence = self._evidence
        same, differing = evidence.compare(file.rows, evidence.known)
        for fold in (FIRST, SECOND):
            other = 1 - fold
            if differing[other] > len(same[other]) and not differing[fold]:
                return fold if self._is_possible(file, fold) else None
        return None

    def _is_possible(self, file: File, fold: int) -> bool:
        """Return False for the second pass if no file has other values in the first.

        Values that were sent and are in no file any longer may have been corrected, so they do not
        put rows into the second pass.
        """
        decided = self._evidence.decided
        return fold == FIRST or any(
            self._evidence.differs(row, decided, FIRST) for row in file.rows
        )

    def _by_neighbour(self, file: File) -> int | None:
        """Continue the pass of the previous file, or of the next.

        The previous file's pass goes on if time does, or if it is the second. Likewise from this
        file to the next one; if the next file begins the second pass, this file is the first.
        """
        previous, following = file.previous_row, file.next_row
        if previous is not None and previous.fold is not None:
            goes_on = previous.wall < file.rows[0].wall
            if goes_on or previous.fold == SECOND:
                return previous.fold
        if following is not None and following.fold is not None:
            if file.rows[-1].wall < following.wall:
                return following.fold
            if following.wall <= file.rows[0].wall and following.fold == SECOND:
                return FIRST
        return None

    def _by_step_back(self, file: File) -> int | None:
        """Begin the second pass if time steps back from the previous file, or from the sent rows.

        A file that overlaps the previous one and goes on beyond it does not begin it. Nor does one
        at the end of the data that only repeats rows of the first pass.
        """
        first = self._evidence.known[FIRST]
        is_end = file.after is None and file.next_wall is None
        if is_end and all(row.digest in first.get(row.wall, ()) for row in file.rows):
            return None
        start, end = file.rows[0].wall, file.rows[-1].wall
        previous, following = file.previous_row, file.next_row
        if previous is not None and previous.fold == FIRST and start <= previous.wall:
            overlaps = any(row.wall in self._evidence.decided[FIRST] for row in file.rows)
            if not (overlaps and end > previous.wall):
                return SECOND
        # As the first pass, a file with the newest rows would have none that is new.
        sent = self._evidence.sent
        is_newest = file is self._last
        if following is not None and following.fold == SECOND:
            is_newest = start < following.wall
        if is_newest and sent.is_second:
            recorded = sent.digests[FIRST]
            if all(row.digest in recorded.get(row.wall, ()) for row in file.rows):
                return SECOND
        return None

    def _by_default(self, file: File) -> int | None:
        """Take the fold of the same rows, however weak that is, else the first pass.

        If only the second pass is free, take that.
        """
        evidence = self._evidence
        same, differing = evidence.compare(file.rows, evidence.known)
        if len(same[FIRST]) != len(same[SECOND]):
            fold = int(len(same[SECOND]) > len(same[FIRST]))
            if len(same[fold]) >= differing[fold]:
                return fold
        free = (fold for fold in (FIRST, SECOND) if not differing[fold])
        return next((fold for fold in free if self._is_possible(file, fold)), None)
