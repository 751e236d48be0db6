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
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from itertools import chain, pairwise
from pathlib import Path

from swarm.checkpoint import doubts
from swarm.checkpoint import ledger_format as fmt
from swarm.checkpoint.ledger_file import LedgerFile, Snapshot
from swarm.checkpoint.ledger_format import Baseline, InFlight, LedgerEntry, Note, Origin
from swarm.errors import StateError
from swarm.scheduler import THREADS, Scheduler

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

    def __init__(
        self,
        file: LedgerFile,
        stream: str,
        clock: Callable[[], float] | None = None,
        scheduler: Scheduler = THREADS,
    ) -> None:
        self.path = file.path
        self.in_doubt: tuple[Note, ...] = ()
        self.unresolved: set[doubts.RowKey] = set()
        self.notice: str | None = None
        self.newest_at_open: int | None = None
        self.newest: int | None = None
        self.last_acknowledged: LedgerEntry | None = None
        self.baseline: Baseline = fmt.NO_BASELINE
        self._file = file
        self._stream = stream
        self._clock = clock or time.monotonic
        self._scheduler = scheduler
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
        self._stored_unresolved: frozenset[doubts.RowKey] = frozenset()
        self._last_instant: int | None = None
        try:
            self._load()
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
    ) -> "Ledger":
        """Create a ledger, or replace the one at ``path``, atomically and durably.

        The rows ``acknowledged`` (instant, digest) become its first records. With ``is_restart``,
        `set_baseline` must be called before the first packet is sent.
        """
        rows = enumerate(acknowledged)
        records = (fmt.record(number, *row, ACKNOWLEDGED) for number, row in rows)
        baseline = Baseline(Origin.RESTARTED) if is_restart else fmt.NO_BASELINE
        doubts.remove(path)
        file = LedgerFile.create(
            path, stream, records=records, baseline=baseline, scheduler=scheduler
        )
        return cls(file, stream, clock, scheduler)

    @classmethod
    def open(
        cls,
        path: Path,
        stream: str,
        clock: Callable[[], float] | None = None,
        scheduler: Scheduler = THREADS,
    ) -> "Ledger | None":
        """Open a stream's ledger; return None if there is none, raise `StateError` on damage."""
        file = LedgerFile.open(path)
        if file is None:
            return None
        ledger = cls(file, stream, clock, scheduler)
        return ledger.rewritten() if file.is_old else ledger

    @classmethod
    def view(cls, path: Path, stream: str) -> "Ledger | None":
        """Open a stream's ledger as `open` does, but read-only.

        No lock is needed: another process may write to the ledger meanwhile.
        """
        file = Snapshot.open(path)
        return None if file is None else cls(file, stream)

    def rewritten(self, acknowledged: Iterable[tuple[int, int]] = ()) -> "Ledger":
        """Close this ledger and return a copy in a new file, written atomically and durably.

        The rows in ``acknowledged`` (instant, digest) are appended to its records.
        """
        added = ((*row, ACKNOWLEDGED) for row in acknowledged)
        rows = enumerate(chain(self._read_entries(0, self._count), added))
        with closing(self._file):
            file = LedgerFile.create(
                self.path,
                self._stream,
                records=(fmt.record(number, *row) for number, row in rows),
                notes=self.in_doubt,
                baseline=self.baseline,
                scheduler=self._scheduler,
            )
        return Ledger(file, self._stream, self._clock, self._scheduler)

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
        self._scheduler.run_in_thread(self._file.sync)
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

    def entries(self) -> Iterator[LedgerEntry]:
        """Yield the records up to the last `freeze`, in order of time.

        The ledger is frozen when it is opened, and after `settle`. Rows sent late form separate
        runs after the others; the runs are merged. Of two records of the same instant, the first
        written comes first.
        """
        starts = (start for start in self._run_starts if start < self._frozen_count)
        bounds = [0, *starts, self._frozen_count]
        runs = [self._read_entries(start, end) for start, end in pairwise(bounds)]
        merged = heapq.merge(*runs, key=lambda entry: entry.instant)
        yield from merged if len(runs) > 1 else runs[0]

    def _read_entries(self, start: int, end: int) -> Iterator[LedgerEntry]:
        for number in range(start, end, _CHUNK):
            yield from _entries(self._file.records(number, min(number + _CHUNK, end)))

    def _write_mark(self, *, is_sent: bool) -> None:
        self._file.write_mark(self._count, is_sent=is_sent)
        self._mark = is_sent

    def _write_in_flight(self, number: int, *, is_clean: bool = False) -> None:
        boot = fmt.boot_id()
        self._file.write_in_flight(InFlight(number, self._noted, self._synced, boot, is_clean))

    def _store_unresolved(self) -> None:
        if self.unresolved != self._stored_unresolved:
            doubts.store(self.path, self.unresolved)
            self._stored_unresolved = frozenset(self.unresolved)

    def _load(self) -> None:
        self.baseline = self._file.read_header(self._stream)
        last, _ = self._file.read_in_flight()
        is_same_boot = last.boot == fmt.boot_id() and any(last.boot)
        whole, is_torn = self._file.size()
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
        self.unresolved = doubts.load(self.path)
        self._stored_unresolved = frozenset(self.unresolved)

    def _check_records(self, whole: int, synced: int | None) -> None:
        """Read all records; raise `StateError` if one is damaged.

        After a power cut, ``synced`` is the number of records that must be intact: reading ends at
        a damaged record after these. Without a power cut, ``synced`` is None.
        """
        for number in range(0, whole, _CHUNK):
            self._scheduler.yield_control()
            data = self._file.records(number, min(number + _CHUNK, whole))
            for offset in range(0, len(data), fmt.RECORD_BYTES):
                if not fmt.is_record(self._count, data[offset : offset + fmt.RECORD_BYTES]):
                    if synced is None or self._count < synced:
                        what = f"record {self._count + 1} of {whole} has a wrong checksum"
                        raise fmt.damaged(self.path, what)
                    return
                self._count_in(fmt.entry(data, offset))

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
                return Counter(entry.kind for entry in _entries(ledger_file.records(start, whole)))
    return Counter()


def _entries(data: bytes) -> Iterator[LedgerEntry]:
    return map(partial(fmt.entry, data), range(0, len(data), fmt.RECORD_BYTES))


class LedgerCursor:
    """A cursor over a ledger's entries, which is read in step with rows in order of time.

    ``has_other`` is True if the last row looked up is recorded with other values.
    """

    def __init__(self, entries: Iterable[LedgerEntry]) -> None:
        self.has_other = False
        self._entries = iter(entries)
        self._head = next(self._entries, None)

    def lookup(self, instant: int, digest: int) -> int | None:
        """Return the kind of a row's record; None if it has no record.

        If several values were acknowledged at this instant, the last ones count. They take
        precedence over rejected ones.
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
