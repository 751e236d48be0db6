"""What of a stream is acknowledged or rejected, row by row, durably: an append-only ledger.

The file, all numbers little-endian::

    header   64 bytes: magic, version, digest of the stream's ID, padding, CRC-32
    slot     64 bytes: the packet in flight: number of its record, instant, digest, time of
             sending, records that are synced, boot ID, whether all ended orderly, CRC-32
    records  24 bytes each: instant (ms), digest of the measurements, kind, CRC-32 seeded with the
             record's number

The slot is written before a packet is sent and the record after its answer: plain writes, which
survive a killed process in the page cache. Every `SYNC_RECORDS` records, every `SYNC_SECONDS` and
at the end they are synced; a power cut costs at most what came since, and `Pending` says so.
"""

import heapq
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, TypeVar

from swarm.errors import StateError

VERSION = 1
SYNC_RECORDS = 1000
SYNC_SECONDS = 5.0

ACKNOWLEDGED = 1
REJECTED = 2

_MAGIC = b"SWARMLDG"
_HEADER = struct.Struct("<8sI16s32s")
_SLOT = struct.Struct("<QqQdQ16sB3x")
_RECORD = struct.Struct("<qQI")
_CRC = struct.Struct("<I")
_SLOT_AT = _HEADER.size + _CRC.size
_RECORDS_AT = _SLOT_AT + _SLOT.size + _CRC.size
_RECORD_BYTES = _RECORD.size + _CRC.size
_CHUNK = 4096
_T = TypeVar("_T")


class Entry(NamedTuple):
    """One row that was settled: its instant (ms), the digest of its measurements, the kind."""

    instant: int
    digest: int
    kind: int


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


@cache
def boot_id() -> bytes:
    """Return 16 bytes that change when the machine starts, or zeros where none can be had."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
        return bytes.fromhex(text.strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)


class Ledger:
    """The open ledger of one stream; only who holds the stream's lock opens it to write."""

    def __init__(self, path: Path, fd: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self.last_acknowledged: int | None = None
        self.notice: str | None = None
        self._fd = fd
        self._clock = clock
        self._count = 0
        self._runs: list[int] = [0]
        self._synced = 0
        self._sync_due = clock() + SYNC_SECONDS
        self._newest = -(2**63)
        self._opened_with = 0
        self._begun = False
        self.pending: Pending | None = None
        self.last_recorded: int | None = None

    @classmethod
    def create(
        cls, path: Path, stream: str, clock: Callable[[], float] = time.monotonic
    ) -> "Ledger":
        """Make an empty ledger in place of whatever there was, durably."""
        fresh = path.with_name(path.name + ".new")
        fd = _guarded(path, lambda: _create(path, fresh, stream))
        return cls(path, fd, clock)

    @classmethod
    def open(
        cls, path: Path, stream: str, clock: Callable[[], float] = time.monotonic
    ) -> "Ledger | None":
        """Open a stream's ledger, None if there is none; damage raises `StateError`."""
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _state_error(path, error) from None
        ledger = cls(path, fd, clock)
        try:
            ledger.pending = _guarded(path, lambda: ledger._load(stream))
        except BaseException:
            os.close(fd)
            raise
        return ledger

    @property
    def count(self) -> int:
        """How many rows are recorded."""
        return self._count

    def begin(self, instant: int, digest: int) -> None:
        """Note the packet that is about to be sent."""
        self._write_slot(self._count, instant, digest, clean=False)
        if not self._begun:
            # A slot that still says "ended orderly" must not come back after a power cut.
            self.sync()
            self._begun = True

    def withdraw(self) -> None:
        """Note that nothing is in flight: the packet is known not to be stored."""
        self._write_slot(self._count - 1, 0, 0, clean=False)

    def record(self, instant: int, digest: int, kind: int) -> None:
        """Append a settled row; synced now and then, see the module's docstring."""
        data = _sealed(_RECORD.pack(instant, digest, kind), self._count + 1)
        self._append(data)
        self._count += 1
        if kind == ACKNOWLEDGED and instant > (self.last_acknowledged or instant - 1):
            self.last_acknowledged = instant
        if self._count - self._synced >= SYNC_RECORDS or self._clock() >= self._sync_due:
            self.sync()

    def freeze(self) -> None:
        """Let `entries` yield all that is recorded by now."""
        self._opened_with = self._count

    def sync(self) -> None:
        """Put all records on the disk."""
        _guarded(self.path, lambda: os.fsync(self._fd))
        self._synced = self._count
        self._sync_due = self._clock() + SYNC_SECONDS

    def close(self) -> None:
        """End orderly: nothing is in flight, or the slot says what."""
        try:
            if not self._in_flight():
                self._write_slot(self._count - 1, 0, 0, clean=True)
            self.sync()
        finally:
            os.close(self._fd)

    def abandon(self) -> None:
        """Close the file without a word in it, as a killed process would."""
        os.close(self._fd)

    def entries(self) -> Iterator[Entry]:
        """Yield what was recorded when the ledger was opened, in order of time, newest word last.

        Rows sent late stand in runs of their own behind the others; the runs are merged.
        """
        bounds = [*self._runs, self._opened_with]
        runs = [self._run(start, end) for start, end in zip(bounds, bounds[1:], strict=False)]
        yield from heapq.merge(*runs, key=lambda entry: entry.instant) if len(runs) > 1 else runs[0]

    def _run(self, start: int, end: int) -> Iterator[Entry]:
        for place in range(start, end, _CHUNK):
            size = min(_CHUNK, end - place) * _RECORD_BYTES
            data = os.pread(self._fd, size, _RECORDS_AT + place * _RECORD_BYTES)
            for at in range(0, len(data), _RECORD_BYTES):
                yield Entry._make(_RECORD.unpack_from(data, at))

    def _in_flight(self) -> bool:
        number, *_ = _SLOT.unpack(self._slot()[: _SLOT.size])
        return bool(number == self._count)

    def _slot(self) -> bytes:
        return os.pread(self._fd, _SLOT.size + _CRC.size, _SLOT_AT)

    def _write_slot(self, number: int, instant: int, digest: int, *, clean: bool) -> None:
        number = number if number >= 0 else 2**64 - 1
        slot = _SLOT.pack(number, instant, digest, time.time(), self._synced, boot_id(), clean)
        try:
            os.pwrite(self._fd, _sealed(slot, 0), _SLOT_AT)
        except OSError as error:
            raise _state_error(self.path, error) from None

    def _append(self, data: bytes) -> None:
        try:
            written = os.pwrite(self._fd, data, _RECORDS_AT + self._count * _RECORD_BYTES)
        except OSError as error:
            raise _state_error(self.path, error) from None
        if written < len(data):
            raise StateError(
                f"{self.path}: can't be written: the disk is full; free some room "
                "and run the command again"
            )

    def _load(self, stream: str) -> Pending | None:
        self._check_header(stream)
        number, instant, digest, sent_at, synced, boot, clean = self._read_slot()
        size = os.fstat(self._fd).st_size - _RECORDS_AT
        whole, torn = divmod(max(size, 0), _RECORD_BYTES)
        same_boot = boot == boot_id() and any(boot)
        self._scan(whole, None if same_boot else synced)
        if torn or self._count < whole:
            self.notice = f"{self.path}: a torn end, as a power cut leaves it: cut off"
            os.ftruncate(self._fd, _RECORDS_AT + self._count * _RECORD_BYTES)
        self._synced = self._opened_with = self._count
        number = -1 if number == 2**64 - 1 else number
        return self._unrecorded(
            number, instant, digest, sent_at, clean=bool(clean), same_boot=same_boot
        )

    def _unrecorded(  # noqa: PLR0913 - the fields of one slot
        self,
        number: int,
        instant: int,
        digest: int,
        sent_at: float,
        *,
        clean: bool,
        same_boot: bool,
    ) -> Pending | None:
        missing = number - self._count + (0 if clean else 1)
        if clean:
            missing = max(missing + 1, 0)
        elif not same_boot:
            # The slot itself may be older than what was sent.
            missing = max(missing, SYNC_RECORDS + 1)
        if missing <= 0:
            return None
        exact = missing == 1 and not clean and (instant, digest) != (0, 0)
        return Pending(missing, instant if exact else None, digest if exact else None, sent_at)

    def _check_header(self, stream: str) -> None:
        data = os.pread(self._fd, _SLOT_AT, 0)
        if len(data) < _SLOT_AT or not _is_sealed(data, 0):
            raise _damaged(self.path, "its header is not whole")
        magic, version, owner, _ = _HEADER.unpack(data[: _HEADER.size])
        if magic != _MAGIC:
            raise _damaged(self.path, "it is not a checkpoint of swarm")
        if version > VERSION:
            raise StateError(
                f"{self.path}: written by a newer swarm (checkpoint version {version}"
                f", this one reads {VERSION}): use that version; the file is kept"
            )
        if owner != _owner(stream):
            raise _damaged(self.path, "it belongs to another stream")

    def _read_slot(self) -> tuple[int, int, int, float, int, bytes, int]:
        data = self._slot()
        if len(data) < _SLOT.size + _CRC.size or not _is_sealed(data, 0):
            raise _damaged(self.path, "its slot of the packet in flight is not whole")
        fields: tuple[int, int, int, float, int, bytes, int] = _SLOT.unpack(data[: _SLOT.size])
        return fields

    def _scan(self, whole: int, synced: int | None) -> None:
        """Look at every record; ``synced`` is how many a power cut can't have taken, if one was."""
        for place in range(0, whole, _CHUNK):
            size = min(_CHUNK, whole - place) * _RECORD_BYTES
            data = os.pread(self._fd, size, _RECORDS_AT + place * _RECORD_BYTES)
            for at in range(0, len(data), _RECORD_BYTES):
                if not _is_sealed(data[at : at + _RECORD_BYTES], self._count + 1):
                    if synced is None or self._count < synced:
                        raise _damaged(
                            self.path,
                            f"record {self._count + 1} of {whole} is not what was written",
                        )
                    return
                self._note(*_RECORD.unpack_from(data, at))

    def _note(self, instant: int, _digest: int, kind: int) -> None:
        if instant <= self._newest:
            self._runs.append(self._count)
        self._newest = self.last_recorded = instant
        self._count += 1
        if kind == ACKNOWLEDGED and instant > (self.last_acknowledged or instant - 1):
            self.last_acknowledged = instant


def _owner(stream: str) -> bytes:
    return blake2b(stream.encode(), digest_size=16).digest()


def _sealed(data: bytes, seed: int) -> bytes:
    return data + _CRC.pack(zlib.crc32(data, seed & 0xFFFFFFFF))


def _is_sealed(data: bytes, seed: int) -> bool:
    body, crc = data[: -_CRC.size], data[-_CRC.size :]
    return _CRC.pack(zlib.crc32(body, seed & 0xFFFFFFFF)) == crc


def _create(path: Path, fresh: Path, stream: str) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        header = _sealed(_HEADER.pack(_MAGIC, VERSION, _owner(stream), bytes(32)), 0)
        slot = _sealed(_SLOT.pack(2**64 - 1, 0, 0, time.time(), 0, boot_id(), True), 0)
        os.pwrite(fd, header + slot, 0)
        os.fsync(fd)
        fresh.replace(path)
        _sync_folder(path.parent)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _guarded(path: Path, action: Callable[[], _T]) -> _T:
    try:
        return action()
    except OSError as error:
        raise _state_error(path, error) from None


def _state_error(path: Path, error: OSError) -> StateError:
    return StateError(
        f"{path}: can't be read or written: {error.strerror}; make it writable, or "
        "name another folder with 'state' under [swarm]"
    )


def _damaged(path: Path, what: str) -> StateError:
    return StateError(
        f"{path}: the checkpoint is damaged: {what}. The file is kept. Restore it "
        "from a backup, or send the meter again with --restart"
    )
