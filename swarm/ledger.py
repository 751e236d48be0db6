"""What of a stream is acknowledged or rejected, row by row, durably: an append-only ledger.

The slot is written before a packet is sent and a record after its answer: plain writes, which
survive a killed process in the page cache. Every `SYNC_RECORDS` records, every `SYNC_SECONDS` and
at the end they are synced; a power cut costs at most what came since, and `Pending` says so.
"""

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from swarm import ledgerformat as fmt
from swarm.errors import StateError
from swarm.ledgerfile import LedgerFile, Snapshot
from swarm.ledgerformat import Entry, Slot
from swarm.scheduler import THREADS, Scheduler

SYNC_RECORDS = 1000
SYNC_SECONDS = 5.0

ACKNOWLEDGED = 1
REJECTED = 2

_CHUNK = 4096


@dataclass(frozen=True)
class Pending:
    """What an earlier run may have sent without recording it.

    ``window`` is how many of the next rows that can be; ``instant`` and ``digest`` name the packet
    in flight, where that is known; ``sent_at`` is when it was sent, in Unix seconds.
    """

    window: int
    instant: int | None
    digest: int | None
    sent_at: float


class Ledger:
    """The open ledger of one stream; only who holds the stream's lock opens it to write.

    ``pending`` is what an earlier run may have sent unrecorded; ``opened_at`` the newest instant
    that was acknowledged when the ledger was opened, ``newest`` the newest by now;
    ``last_acknowledged`` is the row that was acknowledged last.
    """

    def __init__(
        self,
        file: LedgerFile,
        clock: Callable[[], float] = time.monotonic,
        scheduler: Scheduler = THREADS,
    ) -> None:
        self.path = file.path
        self.pending: Pending | None = None
        self.notice: str | None = None
        self.opened_at: int | None = None
        self.newest: int | None = None
        self.last_acknowledged: Entry | None = None
        self._file = file
        self._clock = clock
        self._scheduler = scheduler
        self._count = 0
        self._opened_with = 0
        self._frozen = 0
        self._runs: list[int] = []
        self._synced = 0
        self._sync_due = clock() + SYNC_SECONDS
        self._has_begun = False
        self._last: int | None = None

    @classmethod
    def create(
        cls,
        path: Path,
        stream: str,
        clock: Callable[[], float] = time.monotonic,
        acknowledged: Iterable[tuple[int, int]] = (),
        scheduler: Scheduler = THREADS,
    ) -> "Ledger":
        """Make a ledger in place of whatever there was, durably: whole, or not at all.

        It begins with rows, each an instant and a digest, that count as ``acknowledged``.
        """
        rows = enumerate(acknowledged)
        records = (fmt.record(number, *row, ACKNOWLEDGED) for number, row in rows)
        file = LedgerFile.create(path, stream, records, scheduler)
        return cls._loaded(file, stream, clock, scheduler)

    @classmethod
    def open(
        cls,
        path: Path,
        stream: str,
        clock: Callable[[], float] = time.monotonic,
        scheduler: Scheduler = THREADS,
    ) -> "Ledger | None":
        """Open a stream's ledger, None if there is none; damage raises `StateError`."""
        file = LedgerFile.open(path)
        return None if file is None else cls._loaded(file, stream, clock, scheduler)

    @classmethod
    def view(cls, path: Path, stream: str) -> "Ledger | None":
        """Open a stream's ledger to look at it, as `open` does, without changing anything.

        Who looks needs no lock: the run that writes to it may go on.
        """
        file = Snapshot.open(path)
        return None if file is None else cls._loaded(file, stream, time.monotonic, THREADS)

    @classmethod
    def _loaded(
        cls, file: LedgerFile, stream: str, clock: Callable[[], float], scheduler: Scheduler
    ) -> "Ledger":
        ledger = cls(file, clock, scheduler)
        try:
            file.check_header(stream)
            ledger._load()
        except BaseException:
            file.close()
            raise
        return ledger

    @property
    def count(self) -> int:
        """How many rows are recorded."""
        return self._count

    def begin(self, instant: int, digest: int) -> None:
        """Note the packet that is about to be sent."""
        self._write_slot(self._count, instant, digest)
        if not self._has_begun:
            # A slot that still says "ended orderly" must not come back after a power cut.
            self.sync()
            self._has_begun = True

    def withdraw(self) -> None:
        """Note that nothing is in flight: the packet is known not to be stored."""
        self._write_slot(self._count - 1)

    def record(self, instant: int, digest: int, kind: int) -> None:
        """Append a settled row; synced now and then, see the module's docstring."""
        self._file.write_record(self._count, fmt.record(self._count, instant, digest, kind))
        self._note(Entry(instant, digest, kind))
        if self._count - self._synced >= SYNC_RECORDS or self._clock() >= self._sync_due:
            self.sync()

    def freeze(self) -> None:
        """Let `entries` and ``opened_at`` take in all that is recorded by now."""
        self._frozen = self._count
        self.opened_at = self.newest

    def sync(self) -> None:
        """Put all records on the disk."""
        self._scheduler.aside(self._file.sync)
        self._synced = self._count
        self._sync_due = self._clock() + SYNC_SECONDS

    def close(self) -> None:
        """End orderly: the slot says that nothing is in flight, or still says what."""
        try:
            slot = self._file.slot()
            if slot.is_clean and not self._has_begun and self._count == self._opened_with:
                return
            if not self._is_open_question(slot):
                self._write_slot(self._count - 1, is_clean=True)
            self.sync()
        finally:
            self._file.close()

    def _is_open_question(self, slot: Slot) -> bool:
        """Tell whether a packet may be stored without a record: sent now, or by an earlier run."""
        if self._has_begun or self.pending is None:
            return slot.number == self._count
        return self._count - self._opened_with < self.pending.window

    def entries(self) -> Iterator[Entry]:
        """Yield what was recorded when the ledger was opened, in order of time.

        Rows sent late stand in runs of their own behind the others; the runs are merged.
        """
        bounds = [0, *(start for start in self._runs if start < self._frozen), self._frozen]
        runs = [self._run(start, end) for start, end in pairwise(bounds)]
        merged = heapq.merge(*runs, key=lambda entry: entry.instant)
        yield from merged if len(runs) > 1 else runs[0]

    def _run(self, start: int, end: int) -> Iterator[Entry]:
        for number in range(start, end, _CHUNK):
            yield from _entries(self._file.records(number, min(number + _CHUNK, end)))

    def _write_slot(
        self, number: int, instant: int = 0, digest: int = 0, *, is_clean: bool = False
    ) -> None:
        boot = fmt.boot_id()
        slot = Slot(number, instant, digest, time.time(), self._synced, boot, is_clean)
        self._file.write_slot(slot)

    def _load(self) -> None:
        slot = self._file.slot()
        is_same_boot = slot.boot == fmt.boot_id() and any(slot.boot)
        whole, is_torn = self._file.size()
        self._scan(whole, None if is_same_boot else slot.synced)
        if is_torn or self._count < whole:
            self.notice = f"{self.path}: a torn end, as a power cut or a full disk leaves: cut off"
            self._file.cut(self._count)
        self._opened_with = self._count
        # What a killed run left may be in the page cache alone.
        self._synced = self._count if slot.is_clean else min(slot.synced, self._count)
        self.freeze()
        self.pending = _pending(slot, self._count, is_same_boot=is_same_boot)

    def _scan(self, whole: int, synced: int | None) -> None:
        """Look at every record; ``synced`` is how many a power cut can't have taken, if one was."""
        for number in range(0, whole, _CHUNK):
            self._scheduler.breathe()
            data = self._file.records(number, min(number + _CHUNK, whole))
            for at in range(0, len(data), fmt.RECORD_BYTES):
                if not fmt.is_record(self._count, data[at : at + fmt.RECORD_BYTES]):
                    if synced is None or self._count < synced:
                        what = f"record {self._count + 1} of {whole} is not what was written"
                        raise fmt.damaged(self.path, what)
                    return
                self._note(fmt.entry(data, at))

    def _note(self, entry: Entry) -> None:
        if self._last is not None and entry.instant <= self._last:
            self._runs.append(self._count)
        self._last = entry.instant
        self._count += 1
        if entry.kind == ACKNOWLEDGED:
            self.last_acknowledged = entry
            if self.newest is None or entry.instant > self.newest:
                self.newest = entry.instant


def recorded(path: Path, start: int) -> Counter[int]:
    """Return how many records of each kind a ledger holds from a number on, if it can be read."""
    with suppress(StateError):
        file = Snapshot.open(path)
        if file is not None:
            with closing(file):
                whole, _ = file.size()
                return Counter(entry.kind for entry in _entries(file.records(start, whole)))
    return Counter()


def _entries(data: bytes) -> Iterator[Entry]:
    return map(partial(fmt.entry, data), range(0, len(data), fmt.RECORD_BYTES))


def _pending(slot: Slot, count: int, *, is_same_boot: bool) -> Pending | None:
    """Return what the slot says may have been sent beyond the records that are there."""
    missing = slot.number + 1 - count
    if not slot.is_clean and not is_same_boot:
        # A power cut: the slot itself may be older than what was sent.
        missing = max(missing, SYNC_RECORDS + 1)
    if missing <= 0:
        return None
    is_exact = missing == 1 and not slot.is_clean and (slot.instant, slot.digest) != (0, 0)
    return Pending(
        missing,
        slot.instant if is_exact else None,
        slot.digest if is_exact else None,
        slot.sent_at,
    )
