"""The storage of checkpoints: files of this computer, or those of another one in a cluster."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from swarm.checkpoint import doubts
from swarm.checkpoint.doubts import RowKey
from swarm.checkpoint.ledger_file import Contents, LedgerFile
from swarm.scheduler import THREADS, Scheduler


class Storage(Protocol):
    """Opens and creates the files of a stream's checkpoint; raises `StateError` on failure."""

    def create(
        self, path: Path, stream: str, contents: Contents, scheduler: Scheduler = THREADS
    ) -> LedgerFile:
        """Create the file of a ledger, or replace it, as `LedgerFile.create`."""

    def open(self, path: Path) -> LedgerFile | None:
        """Open the file of a ledger; return None if there is none."""

    def load_doubts(self, ledger: Path) -> set[RowKey]:
        """Return the rows in doubt of the stream with this ledger."""

    def store_doubts(self, ledger: Path, rows: Iterable[RowKey]) -> None:
        """Replace the rows in doubt atomically and durably."""

    def remove_doubts(self, ledger: Path) -> None:
        """Remove the rows in doubt, if there are any."""


class LocalStorage:
    """The files of this computer."""

    create = staticmethod(LedgerFile.create)
    open = staticmethod(LedgerFile.open)
    load_doubts = staticmethod(doubts.load)
    store_doubts = staticmethod(doubts.store)
    remove_doubts = staticmethod(doubts.remove)


#: The storage of a process that holds the state folder's locks.
LOCAL = LocalStorage()
