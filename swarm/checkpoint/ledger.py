"""An append-only ledger of a stream's acknowledged and rejected rows, written row by row.

Rows are noted, durably and in batches, before the first of them is sent. A mark that the next row
is in flight is written before its packet is sent, and a record after its answer; the record of one
row and the mark of the next are one write. These are plain writes: the page cache keeps them if the
process is killed. Records are synced every `SYNC_RECORDS` records, every
`SYNC_SECONDS`, with each batch of notes, and at the end. A power cut may lose records that were
not synced; the notes show which rows these may be (``in_doubt``).
"""

import heapq
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import chain, pairwise
from operator import lt
from pathlib import Path
from typing import TYPE_CHECKING

from swarm.checkpoint import ledger_format as fmt
from swarm.checkpoint.ledger_file import Contents, LedgerFile, Snapshot
from swarm.checkpoint.ledger_format import (
    Baseline,
    Columns,
    InFlight,
    LedgerEntry,
    Note,
    Origin,
)
from swarm.checkpoint.settled import LedgerSummary
from swarm.checkpoint.storage import LOCAL, Storage
from swarm.errors import StateError
from swarm.scheduler import THREADS, Scheduler

if TYPE_CHECKING:
    from swarm.checkpoint.doubts import RowKey

SYNC_RECORDS = 1000
SYNC_SECONDS = 5.0
#: The limit of rows in one batch of notes: with `SYNC_RECORDS`, it fits into the ring of notes.
MOST_NOTES = 512

ACKNOWLEDGED = 1
REJECTED = 2

#: Records read at once.
_CHUNK = 4096


class Ledger:
    """The open ledger of one stream; only the holder of the stream's lock may open it for writing.

    ``in_doubt`` holds the rows that an earlier run may have sent without a record, in the order of
    sending; ``unresolved`` the rows (instant, digest) that were asked about in vain.
    ``newest_at_open`` is the newest acknowledged instant at the last `freeze`, ``newest`` that now,
    ``last_acknowledged`` the row that was acknowledged last. ``baseline`` holds what the collector
    had when the stream was restarted. ``notice`` is a message for the user, if there is one.
    """

    def __init__(  # noqa: PLR0913 - what a ledger works with
        self,
        file: LedgerFile,
        stream: str,
        clock: Callable[[], float] | None = None,
        scheduler: Scheduler = THREADS,
        known: LedgerSummary | None = None,
        *,
        storage: Storage = LOCAL,
    ) -> None:
        self.path = file.path
        self.in_doubt: tuple[Note, ...] = ()
        self.unresolved: set[RowKey] = set()
        self.notice: str | None = None
        self.newest_at_open: int | None = None
        self.newest: int | None = None
        self.last_acknowledged: LedgerEntry | None = None
        self.baseline: Baseline = fmt.NO_BASELINE
        self._file = file
        self._stream = stream
        self._clock = clock or time.monotonic
        self._scheduler = scheduler
        self._storage = storage
        self._count = 0
        self._opened_count = 0
        self._frozen_count = 0
        #: The numbers of records that are older than the record before them.
        self._run_starts: list[int] = []
        self._synced = 0
        self._sync_due = self._clock() + SYNC_SECONDS
        self._is_in_flight = False
        #: The mark in the file, whether the next row may be in flight; None if there is no mark.
        self._mark: bool | None = None
        self._noted = 0
        self._has_noted = False
        self._stored_unresolved: frozenset[RowKey] = frozenset()
        self._last_instant: int | None = None
        try:
            self._load(known)
        except BaseException:
            file.close()
            raise

    @classmethod
    def create(  # noqa: PLR0913 - the ways in which a ledger can begin
        cls,
        path: Path,
        stream: str,
        clock: Callable[[], float] | None = None,
        acknowledged: Iterable[tuple[int, int]] = (),
        scheduler: Scheduler = THREADS,
        *,
        is_restart: bool = False,
        storage: Storage = LOCAL,
    ) -> "Ledger":
        """Create a ledger, or replace the one at ``path``, atomically and durably.

        The rows ``acknowledged`` (instant, digest) become its first records. With ``is_restart``,
        `set_baseline` must be called before the first packet is sent.
        """
        rows = enumerate(acknowledged)
        records = (fmt.record(number, *row, ACKNOWLEDGED) for number, row in rows)
        baseline = Baseline(Origin.RESTARTED) if is_restart else fmt.NO_BASELINE
        storage.remove_doubts(path)
        contents = Contents(records, baseline=baseline)
        file = storage.create(path, stream, contents, scheduler)
        return cls(file, stream, clock, scheduler, storage=storage)

    @classmethod
    def open(  # noqa: PLR0913 - as for `__init__`
        cls,
        path: Path,
        stream: str,
        clock: Callable[[], float] | None = None,
        scheduler: Scheduler = THREADS,
        known: LedgerSummary | None = None,
        *,
        storage: Storage = LOCAL,
    ) -> "Ledger | None":
        """Open a stream's ledger; return None if there is none, raise `StateError` on damage.

        ``known`` is a summary of its first records that holds: they are not read.
        """
        file = storage.open(path)
        if file is None:
            return None
        ledger = cls(file, stream, clock, scheduler, known, storage=storage)
        return ledger.rewritten() if file.is_old else ledger

    @classmethod
    def view(cls, path: Path, stream: str, known: LedgerSummary | None = None) -> "Ledger | None":
        """Open a stream's ledger as `open` does, but read-only.

        No lock is needed: another process may write to the ledger meanwhile. Returns None as well
        if the summary ``known`` does not hold.
        """
        file = Snapshot.open(path)
        if file is None:
            return None
        try:
            holds = known is None or file.digest(known.records) == known.digest
        except BaseException:
            file.close()
            raise
        if not holds:
            file.close()
            return None
        return cls(file, stream, known=known)

    def rewritten(self, acknowledged: Iterable[tuple[int, int]] = ()) -> "Ledger":
        """Close this ledger and return a copy in a new file, written atomically and durably.

        The rows in ``acknowledged`` (instant, digest) are appended to its records.
        """
        added = ((*row, ACKNOWLEDGED) for row in acknowledged)
        rows = enumerate(chain(_entries(self._columns(0, self._count)), added))
        with closing(self._file):
            records = (fmt.record(number, *row) for number, row in rows)
            contents = Contents(records, self.in_doubt, self.baseline)
            file = self._storage.create(self.path, self._stream, contents, self._scheduler)
        return Ledger(file, self._stream, self._clock, self._scheduler, storage=self._storage)

    @property
    def count(self) -> int:
        """The number of records."""
        return self._count

    def set_baseline(self, baseline: Baseline) -> None:
        """Store what the collector held when the stream was restarted.

        It is part of the header, so that the next run knows it too. Raises `StateError`.
        """
        self.baseline = baseline
        self._file.write_header(self._stream, baseline)

    def note(self, rows: Sequence[Note]) -> None:
        """Note, durably, the rows that are sent next, in the order of sending.

        Pass at most `MOST_NOTES` rows; at most `MOST_NOTES` earlier rows may have no record yet.
        """
        if self._noted + len(rows) - fmt.RING > self._synced:
            self.sync()
        before = self._noted
        self._file.write_notes(before, rows)
        self._noted += len(rows)
        self._has_noted = True
        # Until the notes are on the disk, none of these rows may count as sent.
        self._write_in_flight(before - 1)
        self.sync()
        if self._mark is None:
            self._write_mark(is_sent=self._is_in_flight)
        self._write_in_flight(self._noted - 1)

    def mark_in_flight(self) -> None:
        """Mark the next noted row as about to be sent.

        Raises `RuntimeError` if no such row was noted, `StateError` if the mark can't be written.
        """
        if self._noted <= self._count:
            raise RuntimeError("a row that was not noted may not be sent")
        self._is_in_flight = True
        if not self._mark:
            self._write_mark(is_sent=True)

    def clear_in_flight(self) -> None:
        """Clear the mark: the packet is known not to be stored.

        Raises `StateError` if it can't be written.
        """
        self._is_in_flight = False
        if self._mark:
            self._write_mark(is_sent=False)

    def record(self, instant: int, digest: int, kind: int, *, sends_next: bool = False) -> None:
        """Append a settled row; sync at once if it was rejected, else when a sync is due.

        With ``sends_next`` the next row, if it was noted, is marked as in flight in the same write.
        Raises `StateError` if it can't be written, for example on a full disk.
        """
        number = self._count
        self._mark = sends_next and self._noted > number + 1
        data = fmt.record_and_mark(number, instant, digest, kind, is_sent=self._mark)
        self._file.write_record(number, data)
        self._is_in_flight = False
        self._count_in(LedgerEntry(instant, digest, kind))
        if (
            self._count - self._synced >= SYNC_RECORDS
            or self._clock() >= self._sync_due
            or kind == REJECTED
        ):
            self.sync()

    def settle(self, stored: int, doubtful: Iterable[Note] = ()) -> None:
        """Record, durably, that of the rows in doubt the first ``stored`` ones are stored.

        Rows in ``doubtful`` may be stored all the same: they are added to ``unresolved``.
        """
        for note in self.in_doubt[:stored]:
            # Without a mark: it would say that the rows after this one are not in doubt.
            entry = LedgerEntry(note.instant, note.digest, ACKNOWLEDGED)
            self._file.write_record(self._count, fmt.record(self._count, *entry))
            self._count_in(entry)
        self.unresolved |= {(note.instant, note.digest) for note in doubtful}
        self._store_unresolved()
        self.in_doubt = ()
        self._noted = self._count
        self._write_mark(is_sent=False)
        self._write_in_flight(self._count - 1)
        self.sync()
        self.freeze()

    def freeze(self) -> None:
        """Let `entries` and ``newest_at_open`` cover all present records."""
        self._frozen_count = self._count
        self.newest_at_open = self.newest

    def sync(self) -> None:
        """Sync all records to disk.

        Other jobs of the scheduler run meanwhile. Raises `StateError` if the disk refuses.
        """
        count = self._count
        self._file.sync(self._scheduler)
        self._synced = max(count, self._synced)
        self._sync_due = self._clock() + SYNC_SECONDS

    def close(self) -> None:
        """Sync what was written, and close; a packet in flight stays so for the next run."""
        try:
            self._store_unresolved()
            if self.in_doubt or not (self._has_noted or self._count > self._opened_count):
                return
            if not self._is_in_flight:
                self._noted = self._count
                self._write_in_flight(self._count - 1, is_clean=True)
                self._file.remove_mark(self._count)
            self.sync()
        finally:
            self._file.close()

    def summary(self) -> LedgerSummary | None:
        """Return a summary of all records; None if no row was acknowledged."""
        last, newest = self.last_acknowledged, self.newest
        if last is None or newest is None or self._last_instant is None:
            return None
        count = self._count
        digest = self._scheduler.run_in_thread(self._file.digest, count)
        starts = tuple(self._run_starts)
        return LedgerSummary(count, digest, newest, last, self._last_instant, starts)

    def appended(self, known: LedgerSummary) -> Iterator[LedgerEntry]:
        """Yield the records after those of a summary, in the order in which they were written."""
        return _entries(self._columns(known.records, self._count))

    def runs(self, after: int | None = None) -> list[Iterator[Columns]]:
        """Return the records up to the last `freeze` as runs, each in order of time, in parts.

        With ``after``, an instant in ms, only those of later instants. The ledger is frozen when it
        is opened, and after `settle`. Rows sent late form separate runs after the others.
        """
        starts = (start for start in self._run_starts if start < self._frozen_count)
        bounds = [0, *starts, self._frozen_count]
        return [
            self._columns(self._after(after, start, end), end) for start, end in pairwise(bounds)
        ]

    def entries(self) -> Iterator[LedgerEntry]:
        """Yield the records of `runs` one by one, in order of time.

        Of two records of the same instant, the first written comes first.
        """
        runs = [_entries(run) for run in self.runs()]
        return heapq.merge(*runs, key=lambda entry: entry.instant)

    def _after(self, instant: int | None, start: int, end: int) -> int:
        """Return the first number from ``start`` to ``end`` of a record after an instant.

        The records between are in order of time.
        """
        if instant is None:
            return start
        return bisect_right(range(end), instant, start, end, key=self._instant)

    def _instant(self, number: int) -> int:
        return fmt.columns(self._file.records(number, number + 1)).instants[0]

    def _columns(self, start: int, end: int) -> Iterator[Columns]:
        for number in range(start, end, _CHUNK):
            yield fmt.columns(self._file.records(number, min(number + _CHUNK, end)))

    def _write_mark(self, *, is_sent: bool) -> None:
        self._file.write_mark(self._count, is_sent=is_sent)
        self._mark = is_sent

    def _write_in_flight(self, number: int, *, is_clean: bool = False) -> None:
        boot = fmt.boot_id()
        self._file.write_in_flight(InFlight(number, self._noted, self._synced, boot, is_clean))

    def _store_unresolved(self) -> None:
        if self.unresolved != self._stored_unresolved:
            self._storage.store_doubts(self.path, self.unresolved)
            self._stored_unresolved = frozenset(self.unresolved)

    def _load(self, known: LedgerSummary | None) -> None:
        self.baseline = self._file.read_header(self._stream)
        last, _ = self._file.read_in_flight()
        is_same_boot = last.boot == fmt.boot_id() and any(last.boot)
        whole, is_torn = self._file.size()
        if known is not None and known.records <= whole:
            self._count = known.records
            self.newest, self.last_acknowledged = known.newest, known.last
            self._last_instant = known.last_instant
            self._run_starts = list(known.run_starts)
        self._check_records(whole, None if is_same_boot else last.synced)
        if is_torn or self._count < whole:
            self.notice = (
                f"{self.path}: removed an incomplete record at its end, which a power cut or a "
                "full disk can leave"
            )
            self._file.cut(self._count)
        self._opened_count = self._count
        # After a killed run, later records may be in the page cache only.
        self._synced = self._count if last.is_clean else min(last.synced, self._count)
        self.freeze()
        begun = end = last.number + 1
        if not (last.is_clean or is_same_boot):
            # After a power cut the in-flight block and the mark may be older than the last packet
            # sent. The notes are not: they were synced before.
            end = max(last.noted, begun)
        elif not last.is_clean and (mark := self._file.mark(self._count)) is not None:
            begun = end = self._count + mark
        self.in_doubt = self._file.notes(self._count, end)
        missing = begun - self._count
        if missing > len(self.in_doubt):
            what = f"the last {missing} of {begun} records are missing"
            raise fmt.damaged(self.path, what)
        self._noted = self._count
        self.unresolved = self._storage.load_doubts(self.path)
        self._stored_unresolved = frozenset(self.unresolved)

    def _check_records(self, whole: int, synced: int | None) -> None:
        """Read the records that are not known yet; raise `StateError` if one is damaged.

        After a power cut, ``synced`` is the number of records that must be intact: reading ends at
        a damaged record after these. Without a power cut, ``synced`` is None.
        """
        for number in range(self._count, whole, _CHUNK):
            self._scheduler.yield_control()
            end = min(number + _CHUNK, whole)
            data = self._file.records(number, end)
            intact = fmt.intact(number, data)
            self._count_all(fmt.columns(data[: intact * fmt.RECORD_BYTES]))
            if self._count < end:
                if synced is None or self._count < synced:
                    what = f"record {self._count + 1} of {whole} has a wrong checksum"
                    raise fmt.damaged(self.path, what)
                return

    def _count_all(self, records: Columns) -> None:
        """Count records, as `_count_in` counts one."""
        instants, digests, kinds = records
        before = instants if self._last_instant is None else [self._last_instant, *instants]
        if not all(map(lt, before, before[1:])):
            numbers = range(
                self._count + len(instants) - len(before) + 1, self._count + len(instants)
            )
            steps = zip(numbers, pairwise(before), strict=True)
            self._run_starts += [number for number, (one, other) in steps if other <= one]
        self._last_instant = before[-1] if before else None
        self._count += len(instants)
        acknowledged = instants
        if kinds.count(ACKNOWLEDGED) < len(kinds):
            pairs = zip(instants, kinds, strict=True)
            acknowledged = [instant for instant, kind in pairs if kind == ACKNOWLEDGED]
        if acknowledged:
            last = kinds.rfind(ACKNOWLEDGED)
            self.last_acknowledged = LedgerEntry(instants[last], digests[last], ACKNOWLEDGED)
            newest = max(acknowledged)
            self.newest = newest if self.newest is None else max(newest, self.newest)

    def _count_in(self, entry: LedgerEntry) -> None:
        if self._last_instant is not None and entry.instant <= self._last_instant:
            self._run_starts.append(self._count)
        self._last_instant = entry.instant
        self._count += 1
        if entry.kind == ACKNOWLEDGED:
            self.last_acknowledged = entry
            if self.newest is None or entry.instant > self.newest:
                self.newest = entry.instant


def count_records(path: Path, start: int) -> Counter[int]:
    """Return the number of records of each kind from the record ``start`` on.

    The result is empty if the ledger is missing or can't be read.
    """
    with suppress(StateError):
        ledger_file = Snapshot.open(path)
        if ledger_file is not None:
            with closing(ledger_file):
                whole, _ = ledger_file.size()
                return Counter(fmt.columns(ledger_file.records(start, whole)).kinds)
    return Counter()


def _entries(run: Iterable[Columns]) -> Iterator[LedgerEntry]:
    return chain.from_iterable(records.entries() for records in run)
