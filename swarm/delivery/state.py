"""The state of streams, as their jobs use it: checkpoints, caches beside them, rejected rows."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from swarm.checkpoint.ledger import Ledger
from swarm.checkpoint.rejects import RejectedRow, Rejects
from swarm.checkpoint.settled import LedgerSummary
from swarm.config.settings import Meter
from swarm.csv import CheckResult, CheckState, Row, SentRows
from swarm.delivery import recorded, settled
from swarm.scheduler import Scheduler


class StreamState(Protocol):
    """The state of streams; a stream is known by its ID, and by the path of its ledger.

    Every method but `sent_rows`, `load_settled` and `has_begun` raises `StateError` on failure.
    """

    def load_settled(self, meter: Meter, path: Path) -> tuple[CheckState, LedgerSummary] | None:
        """Return the state from which the check of a meter can go on; None if there is none."""

    def sent_rows(
        self,
        path: Path,
        stream: str,
        known: LedgerSummary | None,
        periods: Sequence[tuple[int, int]],
    ) -> SentRows:
        """Return the recorded rows of some periods (ms), which do not overlap."""

    def has_begun(
        self, path: Path, stream: str, registers: tuple[str, ...], padding: Row, first: Row
    ) -> bool:
        """Return True if a stream has begun without the padding packet that it now asks for."""

    def open_ledger(
        self, meter: Meter, checked: CheckResult, path: Path, scheduler: Scheduler
    ) -> Ledger | None:
        """Open a stream's ledger; return None if there is none."""

    def create_ledger(
        self, stream: str, path: Path, acknowledged: Iterable[tuple[int, int]], scheduler: Scheduler
    ) -> Ledger:
        """Create a stream's ledger; the rows ``acknowledged`` become its first records."""

    def store_settled(self, meter: Meter, checked: CheckResult, ledger: Ledger) -> None:
        """Store the state of a check, for the next one; all rows are acknowledged."""

    def add_reject(self, stream: str, path: Path, row: RejectedRow) -> None:
        """Store a rejected row durably; ``path`` is that of the stream's rejects file."""


class LocalState:
    """The state in the state folder of this computer."""

    load_settled = staticmethod(settled.load_settled)
    sent_rows = staticmethod(recorded.sent_rows)
    has_begun = staticmethod(recorded.has_begun)
    store_settled = staticmethod(settled.store_settled)

    @staticmethod
    def open_ledger(
        meter: Meter, checked: CheckResult, path: Path, scheduler: Scheduler
    ) -> Ledger | None:
        """Open a stream's ledger; the check has compared its records of the settled part."""
        known = settled.known_records(meter, path) if checked.settled else None
        return Ledger.open(path, meter.id, scheduler=scheduler, known=known)

    @staticmethod
    def create_ledger(
        stream: str, path: Path, acknowledged: Iterable[tuple[int, int]], scheduler: Scheduler
    ) -> Ledger:
        """Create a stream's ledger."""
        return Ledger.create(path, stream, acknowledged=acknowledged, scheduler=scheduler)

    @staticmethod
    def add_reject(_stream: str, path: Path, row: RejectedRow) -> None:
        """Store a rejected row."""
        Rejects(path).add(row)


#: The state of a process that holds the state folder's locks.
LOCAL = LocalState()
