"""The file of a ledger: create, open, read, write and sync it; every failure is a `StateError`."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, Self

from swarm.checkpoint import ledger_format as fmt
from swarm.checkpoint.ledger_format import Baseline, InFlight, Note
from swarm.errors import StateError
from swarm.files import is_still_there, make_folder, open_fresh, open_private, sync_folder
from swarm.open_files import has_too_many, way_out
from swarm.scheduler import THREADS, Scheduler

#: Retries of a read that may meet a write by another process, and the seconds between them.
_RETRIES = 5
_RETRY_PAUSE = 0.01
_CLOSED = -1
#: Records that are read at once for their digest: a megabyte.
_DIGESTED_RECORDS = 43_690
_DIGEST_BYTES = 16


@contextmanager
def state_errors(path: Path) -> Iterator[None]:
    """Raise a `StateError` that names ``path`` in place of an `OSError`.

    Too many open files get a message of their own, with the way to raise the limit.
    """
    try:
        yield
    except OSError as error:
        raise _state_error(path, error) from None


def remove(path: Path) -> None:
    """Remove a ledger, if there is one."""
    with state_errors(path):
        path.unlink(missing_ok=True)


class Contents(NamedTuple):
    """The first contents of a ledger; ``notes`` are the rows after the records.

    These may have been sent.
    """

    records: Iterable[bytes] = ()
    notes: Sequence[Note] = ()
    baseline: Baseline = fmt.NO_BASELINE


class LedgerFile:
    """The open file of a ledger."""

    _ACCESS = os.O_RDWR

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd
        self._version = fmt.VERSION

    @classmethod
    def create(
        cls, path: Path, stream: str, contents: Contents, scheduler: Scheduler = THREADS
    ) -> Self:
        """Create a ledger, or replace the one at ``path``, atomically and durably."""

        def write(file: Self) -> None:
            records, notes, baseline = contents
            count = 0
            for count, record in enumerate(records, 1):
                file.write_record(count - 1, record)
            file.write_notes(count, notes)
            file.write_header(stream, baseline)
            last = count + len(notes) - 1
            file.write_in_flight(InFlight(last, last + 1, 0, fmt.boot_id(), is_clean=not notes))

        return cls._replaced(path, write, scheduler)

    @classmethod
    def replaced(cls, path: Path, content: bytes) -> Self:
        """Create a ledger with this content, or replace the one at ``path``, as `create`."""
        return cls._replaced(path, lambda file: file.write(content, 0), THREADS)

    @classmethod
    def _replaced(cls, path: Path, write: Callable[[Self], None], scheduler: Scheduler) -> Self:
        def sync_and_replace() -> None:
            os.fsync(fd)
            fresh.replace(path)
            sync_folder(path.parent)

        with state_errors(path):
            make_folder(path.parent)
            fresh = path.with_name(path.name + ".new")
            fd = open_fresh(fresh)
            try:
                file = cls(path, fd)
                write(file)
                scheduler.run_in_thread(sync_and_replace)
            except BaseException:
                os.close(fd)
                raise
            return file

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """Open the file of a ledger; return None if there is none.

        Raises `StateError` if it can't be opened, or belongs to another user.
        """
        with state_errors(path):
            try:
                return cls(path, open_private(path, cls._ACCESS))
            except FileNotFoundError:
                return None

    def close(self) -> None:
        """Close the file if it is open; later writes through this object fail."""
        fd, self._fd = self._fd, _CLOSED
        if fd != _CLOSED:
            os.close(fd)

    @property
    def is_old(self) -> bool:
        """True if the file has an earlier version of the format, which is read but not written."""
        return self._version < fmt.VERSION

    def read_header(self, stream: str) -> Baseline:
        """Return the baseline; raise `StateError` if this is not the stream's ledger."""
        header = fmt.read_header(self.path, self._read(fmt.HEADER_BYTES, 0), stream)
        self._version = header.version
        return header.baseline

    def write_header(self, stream: str, baseline: Baseline) -> None:
        """Write the header."""
        self.write(fmt.header(stream, baseline), 0)

    def read_in_flight(self) -> tuple[InFlight, Note | None]:
        """Return the in-flight block, and the packet that it names in version 1."""
        data = self._read(fmt.IN_FLIGHT_BYTES, fmt.IN_FLIGHT_AT)
        return fmt.read_in_flight(self.path, data, self._version)

    def write_in_flight(self, in_flight: InFlight) -> None:
        """Write the in-flight block."""
        self.write(fmt.in_flight(in_flight), fmt.IN_FLIGHT_AT)

    def notes(self, start: int, end: int) -> tuple[Note, ...]:
        """Return the notes from ``start`` to ``end`` - 1, up to the first missing one."""
        if self.is_old:
            _, named = self.read_in_flight()
            return () if named is None or end - start != 1 else (named,)
        found = []
        for number in range(start, min(end, start + fmt.RING)):
            note = fmt.read_note(number, self._read(fmt.NOTE_BYTES, fmt.note_at(number)))
            if note is None:
                break
            found.append(note)
        return tuple(found)

    def write_notes(self, start: int, notes: Sequence[Note]) -> None:
        """Write at most `ledger_format.RING` notes; the first has the number ``start``.

        Raises `StateError` if they can't be written.
        """
        # Notes that reach the end of the ring continue at its beginning.
        fitting = min(-start % fmt.RING or fmt.RING, len(notes))
        for first, part in ((start, notes[:fitting]), (start + fitting, notes[fitting:])):
            if part:
                self.write(fmt.notes(first, part), fmt.note_at(first))

    def size(self) -> tuple[int, bool]:
        """Return the number of whole records, and True if a part of a record follows them.

        Raises `StateError` if the file can't be read.
        """
        with state_errors(self.path):
            size = os.fstat(self._fd).st_size - self._record_at(0)
        whole, part = divmod(max(size, 0), fmt.RECORD_BYTES)
        return whole, part > 0 and (part != fmt.MARK_BYTES or self.mark(whole) is None)

    def records(self, start: int, end: int) -> bytes:
        """Return the bytes of the records ``start`` to ``end`` - 1."""
        return self._read((end - start) * fmt.RECORD_BYTES, self._record_at(start))

    def digest(self, count: int) -> str:
        """Return a digest of the first ``count`` records."""
        digest = blake2b(digest_size=_DIGEST_BYTES)
        for start in range(0, count, _DIGESTED_RECORDS):
            digest.update(self.records(start, min(start + _DIGESTED_RECORDS, count)))
        return digest.hexdigest()

    def write_record(self, number: int, data: bytes) -> None:
        """Write a record, or a record and the mark that follows it."""
        self.write(data, fmt.RECORDS_AT[fmt.VERSION] + number * fmt.RECORD_BYTES)

    def mark(self, number: int) -> bool | None:
        """Return True if the mark says that this row may be in flight; None if there is no mark."""
        return fmt.read_mark(number, self._read(fmt.MARK_BYTES, self._record_at(number)))

    def write_mark(self, number: int, *, is_sent: bool) -> None:
        """Write the mark after the last record: whether the row with this number is in flight."""
        self.write(fmt.mark(number, is_sent=is_sent), self._record_at(number))

    def remove_mark(self, number: int) -> None:
        """Remove the mark in place of the record with this number."""
        self.truncate(self._record_at(number))

    def cut(self, count: int) -> None:
        """Keep the first ``count`` records, durably, so that new data can't mix with a torn end."""
        self.truncate(self._record_at(count))
        with state_errors(self.path):
            os.fsync(self._fd)

    def sync(self, scheduler: Scheduler = THREADS) -> None:
        """Sync the file to disk; raise `StateError` also if its path names another file now.

        Other jobs of the scheduler run meanwhile.
        """
        scheduler.run_in_thread(self._sync)

    def _sync(self) -> None:
        with state_errors(self.path):
            os.fsync(self._fd)
            is_in_place = is_still_there(self._fd, self.path)
        if not is_in_place:
            raise StateError(
                f"{self.path}: the checkpoint was removed or replaced while it was in use: what "
                "was sent since then may not be recorded; put the state folder back, or run the "
                "command with --adopt, which asks the collector what it holds"
            )

    def _record_at(self, number: int) -> int:
        return fmt.RECORDS_AT[self._version] + number * fmt.RECORD_BYTES

    def _read(self, size: int, offset: int) -> bytes:
        with state_errors(self.path):
            return os.pread(self._fd, size, offset)

    def content(self) -> bytes:
        """Return the whole content of the file."""
        with state_errors(self.path):
            return os.pread(self._fd, os.fstat(self._fd).st_size, 0)

    def write(self, data: bytes | bytearray, offset: int) -> None:
        """Write a part of the file; raises `StateError`, also on a full disk."""
        # Called for each packet: the context manager `state_errors` would cost as much as the
        # write.
        try:
            written = os.pwrite(self._fd, data, offset)
        except OSError as error:
            raise _state_error(self.path, error) from None
        if written < len(data):
            raise StateError(
                f"{self.path}: can't be written: the disk is full; free some space and run the "
                "command again"
            )

    def truncate(self, size: int) -> None:
        """Cut the file at a size, or fill it up."""
        with state_errors(self.path):
            os.ftruncate(self._fd, size)


class Snapshot(LedgerFile):
    """A ledger's file opened read-only, while another process may write to it.

    A snapshot changes nothing: the next run that sends repairs a torn end.
    """

    _ACCESS = os.O_RDONLY

    def read_in_flight(self) -> tuple[InFlight, Note | None]:
        """Return the in-flight block; read it again if another process is writing it."""
        for _ in range(_RETRIES):
            with suppress(StateError):
                return super().read_in_flight()
            time.sleep(_RETRY_PAUSE)
        return super().read_in_flight()

    def size(self) -> tuple[int, bool]:
        """Return the size as `LedgerFile.size`; wait for a last record that is being written."""
        whole, is_torn = super().size()
        for _ in range(_RETRIES):
            if not whole or fmt.intact(whole - 1, self.records(whole - 1, whole)):
                break
            time.sleep(_RETRY_PAUSE)
        return whole, is_torn

    def cut(self, count: int) -> None:
        """Do nothing: a snapshot keeps all records."""


def _state_error(path: Path, error: OSError) -> StateError:
    if has_too_many(error):
        return StateError(f"{path}: can't be opened: {way_out()}")
    return StateError(
        f"{path}: can't be read or written: {error.strerror}; make it writable, or name another "
        "folder with 'state' under [swarm]"
    )
