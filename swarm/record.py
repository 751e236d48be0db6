"""A cursor over the ledger, read in step with a meter's rows."""

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
        """Return what is recorded of a row: a kind, or None.

        Of the values that were acknowledged at an instant the last ones count; they win over what
        was rejected.
        """
        acknowledged: int | None = None
        rejected: int | None = None
        while (head := self._head) is not None and head.instant <= instant:
            if head.instant == instant:
                if head.kind == ACKNOWLEDGED:
                    acknowledged = head.digest
                elif head.digest == digest:
                    rejected = head.kind
            self._head = next(self._entries, None)
        self.has_other = acknowledged is not None and acknowledged != digest
        return ACKNOWLEDGED if acknowledged == digest else rejected
