"""The state of streams in a seat: every change goes to the command, which keeps the files.

A stream's ledger is a working copy in a temporary file. A sync of it returns when the command has
synced the ledger itself: so no row is sent that the command has not noted durably.
"""

import itertools
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from swarm.checkpoint.doubts import RowKey
from swarm.checkpoint.ledger import Ledger
from swarm.checkpoint.ledger_file import Contents, LedgerFile
from swarm.checkpoint.ledger_format import InFlight
from swarm.checkpoint.rejects import RejectedRow
from swarm.checkpoint.settled import LedgerSummary
from swarm.cluster.messages import UNANSWERED, Answer, Call, Write
from swarm.config.settings import Meter
from swarm.csv import CheckResult, CheckState, Row, SentRows
from swarm.errors import StateError
from swarm.scheduler import THREADS, Event, Scheduler

#: No computer's boot: what was written before a seat was lost may lack an end, as after a power
#: cut, whoever opens the ledger next.
_NO_BOOT = bytes(16)


class SeatClosedError(StateError):
    """The seat has ended, so that the command can't be asked any more."""


class Relay:
    """Carries writes and calls to the command; ``wake`` is called when something should go soon."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._mutex = threading.Lock()
        self._items: list[Write | Call] = []
        self._last: dict[str, tuple[int, bytearray]] = {}
        self._numbers = itertools.count()
        self._waiting: dict[int, tuple[Event, list[Any]]] = {}
        self._is_closed = False

    def write(self, stream: str, offset: int, data: bytes | bytearray) -> None:
        """Relay a write; one that continues or replaces the end of the last one joins it."""
        with self._mutex:
            start, last = self._last.get(stream, (0, None))
            if last is not None and start <= offset <= start + len(last):
                last[offset - start : offset - start + len(data)] = data
                return
            content = bytearray(data)
            self._last[stream] = offset, content
            self._items.append(Write(stream, offset, content))

    def cut(self, stream: str, size: int) -> None:
        """Relay that a file was cut at a size."""
        with self._mutex:
            self._last.pop(stream, None)
            self._items.append(Write(stream, size, None))

    def call(self, scheduler: Scheduler, operation: str, stream: str, *arguments: Any) -> Any:
        """Ask the command to do something, and wait for the result while other jobs run.

        Raises the error of the operation, or `SeatClosedError`.
        """
        event, found = scheduler.event(), list[Any]()
        with self._mutex:
            if self._is_closed:
                raise SeatClosedError("the run has ended")
            number = next(self._numbers)
            self._waiting[number] = event, found
            self._last.pop(stream, None)
            self._items.append(Call(number, operation, stream, arguments))
        self._wake()
        event.wait()
        (result,) = found
        if isinstance(result, Exception):
            raise result
        return result

    def tell(self, operation: str, stream: str) -> None:
        """Ask the command to do something, without a result."""
        with self._mutex:
            self._last.pop(stream, None)
            self._items.append(Call(UNANSWERED, operation, stream, ()))

    def drain(self) -> list[Write | Call]:
        """Return what is to go to the command, in order."""
        with self._mutex:
            items, self._items = self._items, []
            self._last.clear()
        return items

    def answer(self, answers: Iterable[Answer]) -> None:
        """Take in the command's answers."""
        for number, result in answers:
            with self._mutex:
                event, found = self._waiting.pop(number)
            found.append(result)
            event.set()

    def close(self) -> None:
        """End all calls: nothing will be answered any more."""
        with self._mutex:
            self._is_closed = True
            waiting = list(self._waiting)
        self.answer(Answer(number, SeatClosedError("the run has ended")) for number in waiting)


class _Draft(LedgerFile):
    """The first content of a ledger, in a temporary folder of the seat."""

    def write_in_flight(self, in_flight: InFlight) -> None:
        super().write_in_flight(in_flight._replace(boot=_NO_BOOT))


class RelayedFile(_Draft):
    """The working copy of a ledger's file; ``path`` is that of the file itself."""

    def __init__(self, path: Path, fd: int, stream: str, relay: Relay) -> None:
        super().__init__(path, fd)
        self._relayed = stream
        self._relay = relay

    def write(self, data: bytes | bytearray, offset: int) -> None:
        """Write a part of the file."""
        super().write(data, offset)
        self._relay.write(self._relayed, offset, data)

    def truncate(self, size: int) -> None:
        """Cut the file at a size."""
        super().truncate(size)
        self._relay.cut(self._relayed, size)

    def sync(self, scheduler: Scheduler = THREADS) -> None:
        """Return when the command has synced the ledger."""
        self._relay.call(scheduler, "sync", self._relayed)


class RelayedStorage:
    """The `swarm.checkpoint.storage.Storage` of one stream, for a job of a scheduler."""

    def __init__(self, stream: str, relay: Relay, scheduler: Scheduler) -> None:
        self._stream = stream
        self._relay = relay
        self._scheduler = scheduler
        self._content: bytes | None = None
        self._doubts: set[RowKey] = set()

    def ask(self) -> LedgerSummary | None:
        """Get the ledger's content; return a summary of its settled records, if there is one."""
        found = self._relay.call(self._scheduler, "open", self._stream)
        self._content, self._doubts, known = found
        summary: LedgerSummary | None = known
        return summary

    def open(self, path: Path) -> LedgerFile | None:
        """Return a working copy of the ledger; None if there is none."""
        if self._content is None:
            return None
        return RelayedFile(path, _temporary(self._content), self._stream, self._relay)

    def create(
        self, path: Path, stream: str, contents: Contents, scheduler: Scheduler = THREADS
    ) -> LedgerFile:
        """Have the command create the ledger, or replace it; return a working copy."""
        with tempfile.TemporaryDirectory(prefix="swarm-") as folder:
            draft = _Draft.create(Path(folder) / "ledger", stream, contents)
            content = draft.content()
            draft.close()
        self._relay.call(scheduler, "create", self._stream, content)
        return RelayedFile(path, _temporary(content), self._stream, self._relay)

    def load_doubts(self, _ledger: Path) -> set[RowKey]:
        """Return the rows in doubt."""
        return set(self._doubts)

    def store_doubts(self, _ledger: Path, rows: Iterable[RowKey]) -> None:
        """Have the command store the rows in doubt."""
        self._doubts = set(rows)
        self._relay.call(self._scheduler, "doubts", self._stream, self._doubts)

    def remove_doubts(self, ledger: Path) -> None:
        """Have the command remove the rows in doubt, if there are any."""
        self.store_doubts(ledger, ())


class RelayedState:
    """The `swarm.delivery.state.StreamState` of a seat."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def load_settled(self, meter: Meter, _path: Path) -> tuple[CheckState, LedgerSummary] | None:
        """Ask for the state from which the check of a meter can go on."""
        found: tuple[CheckState, LedgerSummary] | None
        found = self._relay.call(THREADS, "load_settled", meter.id)
        return found

    def sent_rows(
        self,
        _path: Path,
        stream: str,
        known: LedgerSummary | None,
        periods: Sequence[tuple[int, int]],
    ) -> SentRows:
        """Ask for the recorded rows of some periods (ms)."""
        found: SentRows = self._relay.call(THREADS, "sent_rows", stream, known, periods)
        return found

    def has_begun(
        self, _path: Path, stream: str, registers: tuple[str, ...], padding: Row, first: Row
    ) -> bool:
        """Ask whether a stream has begun without its padding packet."""
        found: bool = self._relay.call(THREADS, "has_begun", stream, registers, padding, first)
        return found

    def open_ledger(
        self, meter: Meter, _checked: CheckResult, path: Path, scheduler: Scheduler
    ) -> Ledger | None:
        """Open a working copy of a stream's ledger; return None if there is none."""
        storage = RelayedStorage(meter.id, self._relay, scheduler)
        known = storage.ask()
        return Ledger.open(path, meter.id, scheduler=scheduler, known=known, storage=storage)

    def create_ledger(
        self, stream: str, path: Path, acknowledged: Iterable[tuple[int, int]], scheduler: Scheduler
    ) -> Ledger:
        """Have a stream's ledger created; return a working copy."""
        storage = RelayedStorage(stream, self._relay, scheduler)
        return Ledger.create(
            path, stream, acknowledged=acknowledged, scheduler=scheduler, storage=storage
        )

    def store_settled(self, meter: Meter, _checked: CheckResult, ledger: Ledger) -> None:
        """Have the state of the check stored, once the ledger is complete."""
        ledger.sync()
        self._relay.tell("settled", meter.id)

    def add_reject(self, stream: str, _path: Path, row: RejectedRow) -> None:
        """Have a rejected row stored durably."""
        self._relay.call(THREADS, "reject", stream, row)


def _temporary(content: bytes) -> int:
    """Return the descriptor of an unnamed temporary file with this content."""
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        return os.dup(file.fileno())
