"""Which rows of a stream still need a packet: file and ledger, read in step in order of time."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Literal

from swarm.collector import Last
from swarm.contact import Expected
from swarm.events import Tally
from swarm.ledger import ACKNOWLEDGED, REJECTED, Ledger, Pending
from swarm.record import Record
from swarm.settlement import Settlement
from swarm.stream import Item, RowItem

_LISTED_LATE_ROWS = 20


class Resume:
    """Tells resumed, rejected and late rows from those to send, and counts them.

    ``late`` are the first late rows, ``altered`` how many of all were sent before with other
    values. No row is returned before it is settled what became of the
    packets that an earlier run left open (contract, section 5).
    """

    def __init__(
        self,
        ledger: Ledger,
        settlement: Settlement,
        tally: Tally,
        late: Literal["report", "send"],
    ) -> None:
        self.ledger = ledger
        self.late: list[RowItem] = []
        self.altered = 0
        self._is_altered = False
        self._settlement = settlement
        self._tally = tally
        self._sends_late = late == "send"
        self._newest: RowItem | None = None
        self._last: RowItem | None = None

    def to_send(self, items: Callable[[], Iterator[RowItem]]) -> Iterator[RowItem]:
        """Return the rows that need a packet; ``items`` begins a pass over the stream's rows.

        The collector is asked in this call, if at all.
        """
        pending = self.ledger.pending
        if pending is None:
            return self._timely(self._unrecorded(items()))
        if pending.digest is None:
            return self._after_window(pending, self._timely(self._unrecorded(items())))
        return self._timely(self._after_packet(pending, items))

    def acknowledged(self, item: RowItem) -> None:
        """Record a row that the collector took."""
        self.ledger.record(item.instant, item.digest, ACKNOWLEDGED)
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
        record = Record(self.ledger.entries())
        for item in items:
            known = record.at(item.instant, item.digest)
            if known == ACKNOWLEDGED:
                self._tally.resumed += 1
                self._remember(item)
                if (item.instant, item.digest, ACKNOWLEDGED) == self.ledger.last_acknowledged:
                    self._last = item
            elif known == REJECTED:
                self._tally.rejected += 1
            else:
                self._is_altered = record.has_other
                yield item

    def _timely(self, items: Iterator[RowItem]) -> Iterator[RowItem]:
        return (item for item in items if not self._is_late(item))

    def _is_late(self, item: RowItem) -> bool:
        last = self.ledger.opened_at
        if self._sends_late or last is None or item.instant > last:
            return False
        self._tally.late += 1
        self.altered += self._is_altered
        if len(self.late) < _LISTED_LATE_ROWS:
            self.late.append(item)
        return True

    def _remember(self, item: RowItem) -> None:
        if self._newest is None or item.instant >= self._newest.instant:
            self._newest = item

    # What an earlier run left open

    def _after_window(self, pending: Pending, unsent: Iterator[RowItem]) -> Iterator[RowItem]:
        """Ask which of the next rows were sent without a record, where any of them can be."""
        ahead = list(islice(unsent, pending.window))
        stored = self._settlement.stored_of(pending, ahead)
        for item in ahead[:stored]:
            self._found(item)
        return chain(ahead[stored:], unsent)

    def _after_packet(
        self, pending: Pending, items: Callable[[], Iterator[RowItem]]
    ) -> Iterator[RowItem]:
        """Ask what became of the packet in flight; rows may stand ahead of it by now."""
        unsent = self._unrecorded(items())
        ahead = next(unsent, None)
        if ahead is None:
            return iter(())
        flying = ahead if _is_of(pending, ahead) else _flying(pending, items())
        if not self._settlement.stored_of(pending, [flying]):
            return chain([ahead], unsent)
        if flying is not ahead:
            return self._anew(flying.instant, pending.digest or 0, items())
        self._found(ahead)
        return unsent

    def _found(self, item: RowItem) -> None:
        self.acknowledged(item)
        self._tally.base = self.ledger.count - self._tally.sent
        self._tally.resumed += 1

    def _anew(self, instant: int, digest: int, items: Iterable[RowItem]) -> Iterator[RowItem]:
        """Record the packet in flight, and begin again with it among the acknowledged."""
        self.ledger.record(instant, digest, ACKNOWLEDGED)
        self.ledger.freeze()
        self._tally.base = self.ledger.count - self._tally.sent
        self._tally.resumed = self._tally.rejected = 0
        self._newest = self._last = None
        return self._unrecorded(items)


class _Gone(Item):
    """A packet in flight whose row the file no longer has: known by its instant alone."""

    def is_same(self, last: Last) -> bool:
        return self.instant == last.instant


def _is_of(pending: Pending, item: RowItem) -> bool:
    return (item.instant, item.digest) == (pending.instant, pending.digest)


def _flying(pending: Pending, items: Iterable[RowItem]) -> Item:
    found = next((item for item in items if _is_of(pending, item)), None)
    return found or _Gone(pending.instant or 0, "")
