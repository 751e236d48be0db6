"""Finds the rows of a stream that still need a packet: reads file and ledger in step."""

import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal

from swarm.checkpoint.ledger import (
    ACKNOWLEDGED,
    MOST_NOTES,
    REJECTED,
    SYNC_SECONDS,
    Ledger,
    LedgerCursor,
)
from swarm.delivery.result import Tally
from swarm.delivery.task import RowItem
from swarm.delivery.verify import Expected
from swarm.errors import FileChangedError
from swarm.text import pluralize

_LISTED_LATE_ROWS = 20
#: How many rows are noted first; then as many as are sent between two syncs.
_FIRST_NOTES = 32
_FASTEST_GROWTH = 4


class Resume:
    """Tells resumed, rejected and late rows from those to send, and counts them.

    ``late`` are the first late rows, ``altered`` how many of all were sent before with other
    values.
    """

    def __init__(self, ledger: Ledger, tally: Tally, late: Literal["report", "send"]) -> None:
        self.ledger = ledger
        self.late: list[RowItem] = []
        self.altered = 0
        self._is_altered = False
        self._tally = tally
        self._sends_late = late == "send"
        self._newest: RowItem | None = None
        self._last: RowItem | None = None

    def to_send(self, items: Iterable[RowItem]) -> Iterator[RowItem]:
        """Yield the rows, of all in order of time, that need a packet."""
        return (item for item in self._unrecorded(items) if not self._is_late(item))

    def is_in_doubt(self, item: RowItem) -> bool:
        """Tell whether an earlier run may have sent a row."""
        return (item.instant, item.digest) in self.ledger.doubts

    def acknowledged(self, item: RowItem) -> None:
        """Record a row that the collector took."""
        self.ledger.record(item.instant, item.digest, ACKNOWLEDGED)
        self._is_settled(item)
        self._remember(item)
        self._last = item

    def expected(self) -> Expected:
        """Return what the collector's last packet can be: the newest row, or that sent last."""
        expected: Expected = {}
        newest, last = self.ledger.newest, self.ledger.last_acknowledged
        if newest is not None:
            is_here = self._newest is not None and self._newest.instant == newest
            expected[newest] = self._newest if is_here else None
        if last is not None:
            expected[last.instant] = self._last
        return expected

    def _unrecorded(self, items: Iterable[RowItem]) -> Iterator[RowItem]:
        record = LedgerCursor(self.ledger.entries())
        for item in items:
            known = record.lookup(item.instant, item.digest)
            if known == ACKNOWLEDGED:
                self._tally.resumed += 1
                self._is_settled(item)
                self._remember(item)
                if (item.instant, item.digest, ACKNOWLEDGED) == self.ledger.last_acknowledged:
                    self._last = item
            elif known == REJECTED:
                self._tally.rejected += 1
            else:
                self._is_altered = record.has_other
                yield item

    def _is_late(self, item: RowItem) -> bool:
        last = self.ledger.opened_at
        if self._sends_late or last is None or item.instant > last:
            return False
        self._tally.late += 1
        self.altered += self._is_altered
        if len(self.late) < _LISTED_LATE_ROWS:
            self.late.append(item)
        return True

    def _is_settled(self, item: RowItem) -> None:
        """Take note that a row is recorded: whether an earlier run has sent it is no question."""
        self.ledger.doubts.discard((item.instant, item.digest))

    def _remember(self, item: RowItem) -> None:
        if self._newest is None or item.instant >= self._newest.instant:
            self._newest = item


def changed_series(altered: int, resumed: int, outcome: str) -> str | None:
    """Return a message where a stream's rules have probably changed; None where they have not.

    So it is where many rows are ``altered``, sent before with other values, and hardly any are
    ``resumed``, sent as they are now.
    """
    if altered < _FEWEST_ALTERED or altered < _ALTERED_TO_RESUMED * resumed:
        return None
    return (
        f"{pluralize(altered, 'row')} sent before with other values, and {resumed:,} as they are "
        f"now: {outcome}. What has changed is probably the timezone, the timestamp or shift, the "
        "columns or their unit, or which meter the files are of: set back what was right before. "
        "If it is right now, --late send sends all of it anew; what was sent under other times "
        "stays with the collector"
    )


_FEWEST_ALTERED = 10


_ALTERED_TO_RESUMED = 10


def noted_before_sending(ledger: Ledger, items: Iterator[RowItem]) -> Iterator[RowItem]:
    """Yield items, each once it is noted in the ledger, durably, that it is about to go out.

    They are noted in batches: each costs a sync, and the memory for its rows.
    """
    size = _FIRST_NOTES
    while True:
        start = time.monotonic()
        batch, failure = _gathered(items, size)
        if batch:
            ledger.note([item.note for item in batch])
            yield from batch
        if failure is not None:
            raise failure
        if len(batch) < size:
            return
        fitting = int(size * SYNC_SECONDS / max(time.monotonic() - start, 0.001))
        size = min(max(fitting, _FIRST_NOTES), _FASTEST_GROWTH * size, MOST_NOTES)


def _gathered(items: Iterator[RowItem], size: int) -> tuple[list[RowItem], FileChangedError | None]:
    """Return the next items; where the file changed, those before, and the error."""
    batch: list[RowItem] = []
    try:
        batch.extend(islice(items, size))
    except FileChangedError as error:
        return batch, error
    return batch, None
