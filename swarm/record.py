"""What the ledger says of rows, read in step with them."""

from collections.abc import Iterable

from swarm.ledger import ACKNOWLEDGED
from swarm.ledgerformat import Entry


class Record:
    """A ledger's entries, read in step with rows in order of time.

    ``has_other`` tells whether the last row that was asked for is recorded with other values.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.has_other = False
        self._entries = iter(entries)
        self._head = next(self._entries, None)

    def at(self, instant: int, digest: int) -> int | None:
        """Return what is recorded of a row: a kind, or None. Acknowledged wins over rejected."""
        known: int | None = None
        self.has_other = False
        while (head := self._head) is not None and head.instant <= instant:
            if head.instant == instant:
                if head.digest != digest:
                    self.has_other |= head.kind == ACKNOWLEDGED
                elif known != ACKNOWLEDGED:
                    known = head.kind
            self._head = next(self._entries, None)
        return known
