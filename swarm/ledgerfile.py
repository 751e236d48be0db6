"""The file of a ledger: made, read, written and synced; every failure is a `StateError`."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from swarm import ledgerformat as fmt
from swarm.errors import StateError
from swarm.ledgerformat import Slot
from swarm.scheduler import THREADS, Scheduler
from swarm.state import make_folder, sync_folder

#: How often what another process may be writing is looked at, and the seconds between.
_LOOKS = 5
_BETWEEN_LOOKS = 0.01


def remove(path: Path) -> None:
    """Remove a ledger, if there is one."""
    with _told(path):
        path.unlink(missing_ok=True)


class LedgerFile:
    """An open ledger's file."""

    _ACCESS = os.O_RDWR

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self._fd = fd

    @classmethod
    def create(
        cls,
        path: Path,
        stream: str,
        records: Iterable[bytes] = (),
        scheduler: Scheduler = THREADS,
    ) -> "LedgerFile":
        """Make a ledger in place of whatever there was, durably: whole, or not at all."""
        with _told(path):
            make_folder(path.parent)
            fresh = path.with_name(path.name + ".new")
            fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                slot = Slot(-1, 0, 0, time.time(), 0, fmt.boot_id(), is_clean=True)
                _write(path, fd, fmt.header(stream) + fmt.slot(slot), 0)
                for number, record in enumerate(records):
                    _write(path, fd, record, _place(number))
                scheduler.aside(_put_in_place, fd, fresh, path)
            except BaseException:
                os.close(fd)
                raise
            return cls(path, fd)

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """Open a ledger's file, None if there is none."""
        with _told(path):
            try:
                return cls(path, os.open(path, cls._ACCESS | os.O_CLOEXEC))
            except FileNotFoundError:
                return None

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)

    def check_header(self, stream: str) -> None:
        """Raise `StateError` unless this is the stream's ledger."""
        fmt.check_header(self.path, self._read(fmt.HEADER_BYTES, 0), stream)

    def slot(self) -> Slot:
        """Return the slot."""
        return fmt.read_slot(self.path, self._read(fmt.SLOT_BYTES, fmt.SLOT_AT))

    def write_slot(self, slot: Slot) -> None:
        """Write the slot."""
        _write(self.path, self._fd, fmt.slot(slot), fmt.SLOT_AT)

    def size(self) -> tuple[int, bool]:
        """Return how many whole records there are, and whether a part of one follows."""
        with _told(self.path):
            size = os.fstat(self._fd).st_size - fmt.RECORDS_AT
        whole, part = divmod(max(size, 0), fmt.RECORD_BYTES)
        return whole, part > 0

    def records(self, start: int, end: int) -> bytes:
        """Return the bytes of records."""
        return self._read((end - start) * fmt.RECORD_BYTES, _place(start))

    def write_record(self, number: int, data: bytes) -> None:
        """Write a record."""
        _write(self.path, self._fd, data, _place(number))

    def cut(self, count: int) -> None:
        """Leave so many records."""
        with _told(self.path):
            os.ftruncate(self._fd, _place(count))

    def sync(self) -> None:
        """Put all on the disk."""
        with _told(self.path):
            os.fsync(self._fd)

    def _read(self, size: int, place: int) -> bytes:
        with _told(self.path):
            return os.pread(self._fd, size, place)


class Snapshot(LedgerFile):
    """A ledger's file for reading alone, while another process may be writing to it.

    What would be written is left: a torn end is there still for the run that sends next.
    """

    _ACCESS = os.O_RDONLY

    def slot(self) -> Slot:
        """Return the slot; one that is being written is read again."""
        for _ in range(_LOOKS):
            with suppress(StateError):
                return super().slot()
            time.sleep(_BETWEEN_LOOKS)
        return super().slot()

    def size(self) -> tuple[int, bool]:
        """Return how many whole records there are; the last may be about to become one."""
        whole, is_torn = super().size()
        for _ in range(_LOOKS):
            if not whole or fmt.is_record(whole - 1, self.records(whole - 1, whole)):
                break
            time.sleep(_BETWEEN_LOOKS)
        return whole, is_torn

    def write_slot(self, slot: Slot) -> None:
        """Leave the slot."""

    def cut(self, count: int) -> None:
        """Leave all records."""

    def sync(self) -> None:
        """Leave that to who writes."""


def _put_in_place(fd: int, fresh: Path, path: Path) -> None:
    os.fsync(fd)
    fresh.replace(path)
    sync_folder(path.parent)


def _place(number: int) -> int:
    return fmt.RECORDS_AT + number * fmt.RECORD_BYTES


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
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _state_error(path, error) from None


def _state_error(path: Path, error: OSError) -> StateError:
    return StateError(
        f"{path}: can't be read or written: {error.strerror}; make it writable, or name another "
        "folder with 'state' under [swarm]"
    )
