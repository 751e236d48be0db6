"""An append-only ledger of a stream's acknowledged and rejected rows, durable row by row.

Rows are noted, durably and in batches, before any of them goes out. The slot is written before a
packet is sent and a record after its answer: plain writes, which survive a killed process in the
page cache. Every `SYNC_RECORDS` records, every `SYNC_SECONDS`, with each batch of notes and at the
end they are synced. What a power cut takes of the records is known from the notes: ``in_doubt``.
"""

import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

from swarm.checkpoint import doubts
from swarm.checkpoint import ledger_format as fmt
from swarm.checkpoint.ledger_file import LedgerFile, Snapshot
from swarm.checkpoint.ledger_format import Baseline, Begun, InFlight, LedgerEntry, Note
from swarm.errors import StateError
from swarm.scheduler import THREADS, Scheduler

SYNC_RECORDS = 1000
SYNC_SECONDS = 5.0
#: So many rows may be noted at once: with `SYNC_RECORDS` they have room in the ring of notes.
MOST_NOTES = 512

ACKNOWLEDGED = 1
REJECTED = 2

_CHUNK = 4096


class Ledger:
    """The open ledger of one stream; only the holder of the stream's lock opens it to write.

    ``in_doubt`` are the rows that an earlier run may have sent unrecorded, in the order of sending;
    ``doubts`` those (by instant and digest) of which no question could tell. ``opened_at`` is the
    newest instant that was acknowledged when the ledger was opened, ``newest`` the newest by now,
    ``last_acknowledged`` the row that was acknowledged last. ``baseline`` says what the collector
    held when the stream was begun anew.
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
        self.doubts: set[doubts.Row] = set()
        self.notice: str | None = None
        self.opened_at: int | None = None
        self.newest: int | None = None
        self.last_acknowledged: LedgerEntry | None = None
        self.baseline: Baseline = fmt.WITH_THE_STREAM
        self._file = file
        self._stream = stream
        self._clock = clock or time.monotonic
        self._scheduler = scheduler
        self._count = 0
        self._opened_with = 0
        self._frozen = 0
        self._runs: list[int] = []
        self._synced = 0
        self._sync_due = self._clock() + SYNC_SECONDS
        self._number = -1
        self._noted = 0
        self._has_noted = False
        self._known_doubts: frozenset[doubts.Row] = frozenset()
        self._last: int | None = None

    @classmethod
    def create(  # noqa: PLR0913 - how a ledger can begin
        cls,
        path: Path,
        stream: str,
        clock: Callable[[], float] | None = None,
        acknowledged: Iterable[tuple[int, int]] = (),
        scheduler: Scheduler = THREADS,
        *,
        anew: bool = False,
    ) -> "Ledger":
        """Make a ledger in place of whatever there was, durably: whole, or not at all.

        It begins with rows, each an instant and a digest, that count as ``acknowledged``. ``anew``
        asks for what the collector holds to be noted before the first packet goes out.
        """
        rows = enumerate(acknowledged)
        records = (fmt.record(number, *row, ACKNOWLEDGED) for number, row in rows)
        baseline = Baseline(Begun.ANEW) if anew else fmt.WITH_THE_STREAM
        doubts.remove(path)
        file = LedgerFile.create(
            path, stream, records=records, baseline=baseline, scheduler=scheduler
        )
        return cls._loaded(file, stream, clock, scheduler)

    @classmethod
    def open(
        cls,
        path: Path,
        stream: str,
        clock: Callable[[], float] | None = None,
        scheduler: Scheduler = THREADS,
    ) -> "Ledger | None":
        """Open a stream's ledger, None if there is none; damage raises `StateError`."""
        file = LedgerFile.open(path)
        if file is None:
            return None
        ledger = cls._loaded(file, stream, clock, scheduler)
        return ledger.rewritten() if file.is_old else ledger

    @classmethod
    def view(cls, path: Path, stream: str) -> "Ledger | None":
        """Open a stream's ledger to look at it, as `open` does, without changing anything.

        That needs no lock: the run that writes to it may go on.
        """
        file = Snapshot.open(path)
        return None if file is None else cls._loaded(file, stream, None, THREADS)

    @classmethod
    def _loaded(
        cls, file: LedgerFile, stream: str, clock: Callable[[], float] | None, scheduler: Scheduler
    ) -> "Ledger":
        ledger = cls(file, stream, clock, scheduler)
        try:
            ledger.baseline = file.read_header(stream)
            ledger._load()
        except BaseException:
            file.close()
            raise
        return ledger

    def rewritten(self, acknowledged: Iterable[tuple[int, int]] = ()) -> "Ledger":
        """Return the ledger in a new file, durably: whole, or not at all; this one is closed.

        Rows that count as ``acknowledged`` from now on are added at its end.
        """
        added = ((*row, ACKNOWLEDGED) for row in acknowledged)

        def records() -> Iterator[bytes]:
            number = 0
            for rows in (self._run(0, self._count), added):
                for row in rows:
                    yield fmt.record(number, *row)
                    number += 1

        with closing(self._file):
            file = LedgerFile.create(
                self.path,
                self._stream,
                records=records(),
                notes=self.in_doubt,
                baseline=self.baseline,
                scheduler=self._scheduler,
            )
        return Ledger._loaded(file, self._stream, self._clock, self._scheduler)

    @property
    def count(self) -> int:
        """The number of recorded rows."""
        return self._count

    def set_baseline(self, baseline: Baseline) -> None:
        """Note what the collector held when the stream was begun anew."""
        self.baseline = baseline
        self._file.write_header(self._stream, baseline)

    def note(self, rows: Sequence[Note]) -> None:
        """Note, durably, the rows that go out next, in the order of sending.

        They are `MOST_NOTES` at most, and the rows before them are recorded but for `MOST_NOTES`.
        """
        if self._noted + len(rows) - fmt.RING > self._synced:
            self.sync()
        self._file.write_notes(self._noted, rows)
        self._noted += len(rows)
        self._has_noted = True
        self._write_in_flight()
        self.sync()

    def mark_in_flight(self) -> None:
        """Say that the next row that was noted is about to be sent."""
        if self._noted <= self._count:
            raise RuntimeError("a row that was not noted may not be sent")
        self._number = self._count
        self._write_in_flight()

    def clear_in_flight(self) -> None:
        """Say that nothing is in flight: the packet is known not to be stored."""
        self._number = self._count - 1
        self._write_in_flight()

    def record(self, instant: int, digest: int, kind: int) -> None:
        """Append a settled row; a rejected one is synced at once, others now and then."""
        self._file.write_record(self._count, fmt.record(self._count, instant, digest, kind))
        self._note(LedgerEntry(instant, digest, kind))
        is_due = self._count - self._synced >= SYNC_RECORDS or self._clock() >= self._sync_due
        if is_due or kind == REJECTED:
            self.sync()

    def settle(self, stored: int, doubtful: Iterable[Note] = ()) -> None:
        """Record what became of the rows in doubt, durably: the first ones are ``stored``.

        Those that may be stored all the same are kept among the ``doubts``.
        """
        for note in self.in_doubt[:stored]:
            self.record(note.instant, note.digest, ACKNOWLEDGED)
        self.doubts |= {(note.instant, note.digest) for note in doubtful}
        self._keep_doubts()
        self.in_doubt = ()
        self._number = self._count - 1
        self._noted = self._count
        self._write_in_flight()
        self.sync()
        self.freeze()

    def freeze(self) -> None:
        """Let `entries` and ``opened_at`` take in all that is recorded by now."""
        self._frozen = self._count
        self.opened_at = self.newest

    def sync(self) -> None:
        """Put all records on the disk."""
        count = self._count
        self._scheduler.run_in_thread(self._file.sync)
        self._synced = max(count, self._synced)
        self._sync_due = self._clock() + SYNC_SECONDS

    def close(self) -> None:
        """End orderly: the slot says that nothing is in flight, or still says what."""
        try:
            self._keep_doubts()
            if self.in_doubt or not (self._has_noted or self._count > self._opened_with):
                return
            if self._number < self._count:
                self._number = self._count - 1
                self._noted = self._count
                self._write_in_flight(is_clean=True)
            self.sync()
        finally:
            self._file.close()

    def entries(self) -> Iterator[LedgerEntry]:
        """Yield what was recorded when the ledger was opened, in order of time.

        Rows sent late stand in runs of their own behind the others; the runs are merged: of one
        instant, what was recorded first comes first.
        """
        bounds = [0, *(start for start in self._runs if start < self._frozen), self._frozen]
        runs = [self._run(start, end) for start, end in pairwise(bounds)]
        merged = heapq.merge(*runs, key=lambda entry: entry.instant)
        yield from merged if len(runs) > 1 else runs[0]

    def _run(self, start: int, end: int) -> Iterator[LedgerEntry]:
        for number in range(start, end, _CHUNK):
            yield from _entries(self._file.records(number, min(number + _CHUNK, end)))

    def _write_in_flight(self, *, is_clean: bool = False) -> None:
        boot = fmt.boot_id()
        self._file.write_in_flight(
            InFlight(self._number, self._noted, self._synced, boot, is_clean)
        )

    def _keep_doubts(self) -> None:
        if self.doubts != self._known_doubts:
            doubts.store(self.path, self.doubts)
            self._known_doubts = frozenset(self.doubts)

    def _load(self) -> None:
        slot = self._file.read_in_flight()
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
        # After a power cut the slot itself may be older than what was sent, but no older than what
        # was noted.
        end = slot.number + 1 if slot.is_clean or is_same_boot else max(slot.noted, slot.number + 1)
        self.in_doubt = self._file.notes(self._count, end)
        missing = slot.number + 1 - self._count
        if missing > len(self.in_doubt):
            what = f"of {slot.number + 1} records the last {missing} are missing"
            raise fmt.damaged(self.path, what)
        self._number = self._count - 1
        self._noted = self._count
        self.doubts = doubts.load(self.path)
        self._known_doubts = frozenset(self.doubts)

    def _scan(self, whole: int, synced: int | None) -> None:
        """Look at every record; ``synced`` is how many a power cut can't have taken, if one was."""
        for number in range(0, whole, _CHUNK):
            self._scheduler.yield_control()
            data = self._file.records(number, min(number + _CHUNK, whole))
            for at in range(0, len(data), fmt.RECORD_BYTES):
                if not fmt.is_record(self._count, data[at : at + fmt.RECORD_BYTES]):
                    if synced is None or self._count < synced:
                        what = f"record {self._count + 1} of {whole} is not what was written"
                        raise fmt.damaged(self.path, what)
                    return
                self._note(fmt.entry(data, at))

    def _note(self, entry: LedgerEntry) -> None:
        if self._last is not None and entry.instant <= self._last:
            self._runs.append(self._count)
        self._last = entry.instant
        self._count += 1
        if entry.kind == ACKNOWLEDGED:
            self.last_acknowledged = entry
            if self.newest is None or entry.instant > self.newest:
                self.newest = entry.instant


def count_records(path: Path, start: int) -> Counter[int]:
    """Return how many records of each kind a ledger holds from a number on, if it can be read."""
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
    """A ledger's entries, read in step with rows in order of time.

    ``has_other`` tells whether the last row that was asked for is recorded with other values.
    """

    def __init__(self, entries: Iterable[LedgerEntry]) -> None:
        self.has_other = False
        self._entries = iter(entries)
        self._head = next(self._entries, None)

    def lookup(self, instant: int, digest: int) -> int | None:
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
