"""Finds the rows of a stream that need a packet, by reading rows and ledger in step."""

import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import groupby, islice

from swarm.checkpoint.cursor import ALTERED, LedgerCursor
from swarm.checkpoint.ledger import ACKNOWLEDGED, MOST_NOTES, REJECTED, SYNC_SECONDS, Ledger
from swarm.config.options import Upload
from swarm.delivery.result import OpenDays, Tally
from swarm.delivery.task import ItemBatch, RowItem, notes_of
from swarm.delivery.verify import Expected
from swarm.errors import FileChangedError
from swarm.text import pluralize

_LISTED_LATE_ROWS = 20
#: The size of the first batch of notes; later ones hold as many rows as are sent between two syncs.
_FIRST_NOTES = 32
_FASTEST_GROWTH = 4
#: At least this many rows have other values than when they were sent ...
_FEWEST_ALTERED = 10
#: ... and this many times as many as have the same: then the meter's rules have changed.
_ALTERED_TO_RESUMED = 10


class Resume:
    """Separates resumed, rejected and late rows from those to send, and counts them.

    ``late`` holds the first late rows; ``altered`` is the number of late rows that were sent
    before with other values. The rows up to the instant ``settled_until`` (ms) are not looked at.
    ``days`` gets the days of rejected and late rows.
    """

    def __init__(
        self,
        ledger: Ledger,
        tally: Tally,
        upload: Upload,
        settled_until: int | None = None,
        days: OpenDays | None = None,
    ) -> None:
        self.ledger = ledger
        self._days = days or OpenDays()
        self._settled_until = settled_until
        self.late: list[RowItem] = []
        self.altered = 0
        self._tally = tally
        self._sends_late = upload.late == "send"
        self._sends_rejected = upload.rejected == "send"
        #: Instant and digest of the rows that were yielded although they were rejected before.
        self._tried_again: set[tuple[int, int]] = set()
        self._newest: RowItem | None = None
        self._last: RowItem | None = None

    def to_send(self, batches: Iterable[ItemBatch]) -> Iterator[RowItem]:
        """Yield the rows that need a packet; ``batches`` have all others in order of time."""
        cursor = LedgerCursor(self.ledger.runs(self._settled_until))
        newest = None if self._sends_late else self.ledger.newest_at_open
        for batch in batches:
            # The rows before this one are late if they are not settled.
            first_new = 0 if newest is None else bisect_right(batch.instants, newest)
            end = 0
            for kind, group in groupby(cursor.lookup(batch.instants, batch.digests)):
                start, end = end, end + sum(1 for _ in group)
                if kind == ACKNOWLEDGED:
                    self._resume(batch, start, end)
                elif kind == REJECTED and self._sends_rejected:
                    # Also those older than the last acknowledged row: that is what it is for.
                    for index in range(start, end):
                        self._tried_again.add((batch.instants[index], batch.digests[index]))
                        yield batch.item(index)
                elif kind == REJECTED:
                    self._tally.rejected += end - start
                    self._days.rejected.update(map(batch.day, range(start, end)))
                else:
                    for index in range(start, end):
                        if index >= first_new:
                            yield batch.item(index)
                        else:
                            self._add_late(batch, index, is_altered=kind == ALTERED)
            # Only one batch is in memory when the next one is read.
            del batch

    def may_be_stored(self, item: RowItem) -> bool:
        """Return True if an earlier run may have sent a row."""
        return (item.instant, item.digest) in self.ledger.unresolved

    def is_rejected_again(self, item: RowItem) -> bool:
        """Return True if a row that is rejected now was rejected in an earlier run."""
        return (item.instant, item.digest) in self._tried_again

    def acknowledged(self, item: RowItem, *, sends_next: bool = False) -> None:
        """Record a row that the collector acknowledged; ``sends_next`` as for `Ledger.record`."""
        self.ledger.record(item.instant, item.digest, ACKNOWLEDGED, sends_next=sends_next)
        if self.ledger.unresolved:
            self.ledger.unresolved.discard((item.instant, item.digest))
        if self._newest is None or item.instant >= self._newest.instant:
            self._newest = item
        self._last = item

    def expected(self) -> Expected:
        """Return what the collector's last packet can be: the newest row, or the one sent last."""
        expected: Expected = {}
        newest, last = self.ledger.newest, self.ledger.last_acknowledged
        if newest is not None:
            is_here = self._newest is not None and self._newest.instant == newest
            expected[newest] = self._newest if is_here else None
        if last is not None:
            expected[last.instant] = self._last
        return expected

    def _resume(self, batch: ItemBatch, start: int, end: int) -> None:
        """Count and remember acknowledged rows, from ``start`` to ``end`` - 1 of a batch."""
        self._tally.resumed += end - start
        if self.ledger.unresolved:
            self.ledger.unresolved.difference_update(
                zip(batch.instants[start:end], batch.digests[start:end], strict=True)
            )
        if self._newest is None or batch.instants[end - 1] >= self._newest.instant:
            self._newest = batch.item(end - 1)
        last = self.ledger.last_acknowledged
        if last is not None:
            index = bisect_left(batch.instants, last.instant, start, end)
            if index < end and (batch.instants[index], batch.digests[index]) == last[:2]:
                self._last = batch.item(index)

    def _add_late(self, batch: ItemBatch, index: int, *, is_altered: bool) -> None:
        self._tally.late += 1
        self._days.late[batch.day(index)] += 1
        self.altered += is_altered
        if len(self.late) < _LISTED_LATE_ROWS:
            self.late.append(batch.item(index))


def changed_series(altered: int, resumed: int, outcome: str) -> str | None:
    """Return a message if the rules of a meter have probably changed, else None.

    That is so if many rows were sent with other values (``altered``), and hardly any with the
    values that they have now (``resumed``).
    """
    if altered < _FEWEST_ALTERED or altered < _ALTERED_TO_RESUMED * resumed:
        return None
    return (
        f"{pluralize(altered, 'row')} sent before with other values, and {resumed:,} as they are "
        f"now: {outcome}. Probably the timezone, the timestamp or shift, the columns or their "
        "unit, or the files of the meter have changed: undo the change. If the settings are right "
        "now, --late send sends everything again; packets that were sent with other times stay in "
        "the collector"
    )


def noted_before_sending(ledger: Ledger, items: Iterator[RowItem]) -> Iterator[RowItem]:
    """Yield rows, each after the ledger has a durable note that it is about to be sent.

    Notes are written in batches: each batch costs a sync, and the memory for its rows.
    """
    size = _FIRST_NOTES
    while True:
        start = time.monotonic()
        batch: list[RowItem] = []
        failure: FileChangedError | None = None
        try:
            batch.extend(islice(items, size))
        except FileChangedError as error:
            failure = error
        if batch:
            ledger.note(notes_of(batch))
            yield from batch
        if failure is not None:
            raise failure
        if len(batch) < size:
            return
        fitting = int(size * SYNC_SECONDS / max(time.monotonic() - start, 0.001))
        size = min(max(fitting, _FIRST_NOTES), _FASTEST_GROWTH * size, MOST_NOTES)
