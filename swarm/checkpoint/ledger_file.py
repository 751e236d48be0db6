"""The file of a ledger: made, read, written and synced; every failure is a `StateError`."""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from swarm.checkpoint import ledger_format as fmt
from swarm.checkpoint.ledger_format import Baseline, InFlight, Note
from swarm.errors import StateError
from swarm.files import is_still_there, make_folder, open_fresh, open_private, sync_folder
from swarm.open_files import has_too_many, way_out
from swarm.scheduler import THREADS, Scheduler

#: How often what another process may be writing is looked at, and the seconds between.
_LOOKS = 5
_BETWEEN_LOOKS = 0.01
_CLOSED = -1


def remove(path: Path) -> None:
    """Remove a ledger, if there is one."""
    with _describe(path):
        path.unlink(missing_ok=True)


class LedgerFile:
    """An open ledger's file."""

    _ACCESS = os.O_RDWR

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd
        self._version = fmt.VERSION

    @classmethod
    def create(  # noqa: PLR0913 - the parts of a ledger
        cls,
        path: Path,
        stream: str,
        *,
        records: Iterable[bytes] = (),
        notes: Sequence[Note] = (),
        baseline: Baseline = fmt.WITH_THE_STREAM,
        scheduler: Scheduler = THREADS,
    ) -> "LedgerFile":
        """Make a ledger in place of whatever there was, durably: whole, or not at all.

        ``notes`` are the rows beyond the records that may have been sent.
        """
        with _describe(path):
            make_folder(path.parent)
            fresh = path.with_name(path.name + ".new")
            fd = open_fresh(fresh)
            try:
                file = cls(path, fd)
                count = file._write_records(records)
                file.write_notes(count, notes)
                file.write_header(stream, baseline)
                last = count + len(notes) - 1
                file.write_in_flight(InFlight(last, last + 1, 0, fmt.boot_id(), is_clean=not notes))
                scheduler.run_in_thread(_put_in_place, fd, fresh, path)
            except BaseException:
                os.close(fd)
                raise
            return file

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """Open a ledger's file, None if there is none."""
        with _describe(path):
            try:
                return cls(path, open_private(path, cls._ACCESS))
            except FileNotFoundError:
                return None

    def close(self) -> None:
        """Close it, if it is open: who still has it may not write any more."""
        fd, self._fd = self._fd, _CLOSED
        if fd != _CLOSED:
            os.close(fd)

    @property
    def is_old(self) -> bool:
        """Whether it is of an earlier version, which is only read."""
        return self._version < fmt.VERSION

    def read_header(self, stream: str) -> Baseline:
        """Return what the header says; raises `StateError` unless this is the stream's ledger."""
        header = fmt.read_header(self.path, self._read(fmt.HEADER_BYTES, 0), stream)
        self._version = header.version
        return header.baseline

    def write_header(self, stream: str, baseline: Baseline) -> None:
        """Write the header."""
        _write(self.path, self._fd, fmt.header(stream, baseline), 0)

    def read_in_flight(self) -> InFlight:
        """Return the slot."""
        return self._read_in_flight()[0]

    def write_in_flight(self, slot: InFlight) -> None:
        """Write the slot."""
        _write(self.path, self._fd, fmt.in_flight(slot), fmt.IN_FLIGHT_AT)

    def notes(self, start: int, end: int) -> tuple[Note, ...]:
        """Return the notes with these numbers, as far as they are there."""
        if self.is_old:
            _, named = self._read_in_flight()
            return () if named is None or end - start != 1 else (named,)
        found = []
        for number in range(start, min(end, start + fmt.RING)):
            note = fmt.read_note(number, self._read(fmt.NOTE_BYTES, fmt.note_at(number)))
            if note is None:
                break
            found.append(note)
        return tuple(found)

    def write_notes(self, start: int, notes: Sequence[Note]) -> None:
        """Write notes, the first with the number ``start``; at most `ledgerformat.RING`."""
        # The ring's end parts them.
        turn = min(-start % fmt.RING or fmt.RING, len(notes))
        for first, part in ((start, notes[:turn]), (start + turn, notes[turn:])):
            if part:
                _write(self.path, self._fd, fmt.notes(first, part), fmt.note_at(first))

    def size(self) -> tuple[int, bool]:
        """Return how many whole records there are, and whether a part of one follows."""
        with _describe(self.path):
            size = os.fstat(self._fd).st_size - self._place(0)
        whole, part = divmod(max(size, 0), fmt.RECORD_BYTES)
        return whole, part > 0

    def records(self, start: int, end: int) -> bytes:
        """Return the bytes of records."""
        return self._read((end - start) * fmt.RECORD_BYTES, self._place(start))

    def write_record(self, number: int, data: bytes) -> None:
        """Write a record."""
        _write(self.path, self._fd, data, self._place(number))

    def cut(self, count: int) -> None:
        """Leave so many records, durably: what comes next must not be mixed with what was there."""
        with _describe(self.path):
            os.ftruncate(self._fd, self._place(count))
            os.fsync(self._fd)

    def sync(self) -> None:
        """Put all on the disk; raises `StateError` also where the file is not in its place now."""
        with _describe(self.path):
            os.fsync(self._fd)
            is_in_place = is_still_there(self._fd, self.path)
        if not is_in_place:
            raise StateError(
                f"{self.path}: the checkpoint was removed or replaced while it was in use: what "
                "was sent since then may not be recorded; put the state folder back, or run the "
                "command with --adopt, which asks the collector what it holds"
            )

    def _read_in_flight(self) -> tuple[InFlight, Note | None]:
        data = self._read(fmt.IN_FLIGHT_BYTES, fmt.IN_FLIGHT_AT)
        return fmt.read_in_flight(self.path, data, self._version)

    def _write_records(self, records: Iterable[bytes]) -> int:
        count = 0
        for record in records:
            self.write_record(count, record)
            count += 1
        return count

    def _place(self, number: int) -> int:
        return fmt.RECORDS_AT[self._version] + number * fmt.RECORD_BYTES

    def _read(self, size: int, place: int) -> bytes:
        with _describe(self.path):
            return os.pread(self._fd, size, place)


class Snapshot(LedgerFile):
    """A ledger's file for reading alone, while another process may be writing to it.

    What would be written is left: a torn end is there still for the run that sends next.
    """

    _ACCESS = os.O_RDONLY

    def _read_in_flight(self) -> tuple[InFlight, Note | None]:
        """Return the slot; one that is being written is read again."""
        for _ in range(_LOOKS):
            with suppress(StateError):
                return super()._read_in_flight()
            time.sleep(_BETWEEN_LOOKS)
        return super()._read_in_flight()

    def size(self) -> tuple[int, bool]:
        """Return how many whole records there are; the last may be about to become one."""
        whole, is_torn = super().size()
        for _ in range(_LOOKS):
            if not whole or fmt.is_record(whole - 1, self.records(whole - 1, whole)):
                break
            time.sleep(_BETWEEN_LOOKS)
        return whole, is_torn

    def cut(self, count: int) -> None:
        """Leave all records."""


def _put_in_place(fd: int, fresh: Path, path: Path) -> None:
    os.fsync(fd)
    fresh.replace(path)
    sync_folder(path.parent)


def _write(path: Path, fd: int, data: bytes, place: int) -> None:
    # Twice for each packet: a context manager would cost as much as the write.
    try:
        written = os.pwrite(fd, data, place)
    except OSError as error:
        raise _state_error(path, error) from None
    if written < len(data):
        raise StateError(
            f"{path}: can't be written: the disk is full; free some room and run the command again"
        )


@contextmanager
def _describe(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _state_error(path, error) from None


def _state_error(path: Path, error: OSError) -> StateError:
    if has_too_many(error):
        return StateError(f"{path}: can't be opened: {way_out()}")
    return StateError(
        f"{path}: can't be read or written: {error.strerror}; make it writable, or name another "
        "folder with 'state' under [swarm]"
    )
