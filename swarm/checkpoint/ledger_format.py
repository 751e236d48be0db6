"""The bytes of a ledger: header, in-flight block, notes and records, each with its checksum.

All numbers are little-endian::

    header     64 bytes: magic, version, digest of the stream's ID, what the collector held when the
               stream was restarted, CRC-32
    in-flight  64 bytes: record number of the packet in flight, number of noted rows, number of
               synced records, boot ID, clean end or not, CRC-32
    notes      from byte 4096: a ring of 2048 notes of 32 bytes each: the rows that are sent next
    records    24 bytes each: instant (ms), digest of the measurements, kind, CRC-32 seeded with the
               record's number
    mark       8 bytes after the last record: whether the next noted row may be in flight, CRC-32
               seeded as that of its record; missing after a clean end

A note has the content of the record with its number, and what identifies the packet in an answer of
the collector: the digest of its measurements as doubles, and a mask of its registers. Version 1 has
no notes: its records begin at byte 128, and its in-flight block names the packet in flight.

While a run sends, the in-flight block names the last noted row, and the mark says which of these
rows may really be in flight. It is written together with the record before it, in one write. If
there is no mark, as in ledgers of earlier versions, the in-flight block counts.
"""

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator
from enum import IntEnum
from functools import cache, lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from swarm.errors import StateError

VERSION = 2

_MAGIC = b"SWARMLDG"
_HEADER = struct.Struct("<8sI16s")
_BASELINE = struct.Struct("<BqQI11x")
_IN_FLIGHT = {1: struct.Struct("<qqQdQ16sB3x"), 2: struct.Struct("<qQQ16sB19x")}
_NOTE = struct.Struct("<qQQI")
_RECORD = struct.Struct("<qQI")
_CRC = struct.Struct("<I")
_CHECKED_RECORD = struct.Struct("<qQII")
_RECORD_AND_MARK = struct.Struct("<qQII4sI")
_CHECKED_MARK = struct.Struct("<4sI")
#: The content of a mark: the row may be in flight, or it is not.
_SENT, _IDLE = b"SENT", b"IDLE"

HEADER_BYTES = _HEADER.size + _BASELINE.size + _CRC.size
IN_FLIGHT_AT = HEADER_BYTES
IN_FLIGHT_BYTES = _IN_FLIGHT[VERSION].size + _CRC.size
NOTES_AT = 4096
NOTE_BYTES = _NOTE.size + _CRC.size
#: Notes in the ring. A new note must not overwrite one whose record may not be synced yet.
RING = 2048
RECORD_BYTES = _RECORD.size + _CRC.size
#: A record has three words of 8 bytes: instant, digest, and the kind with the checksum.
_RECORD_WORDS = 3
#: Offset of the kind's lowest byte; the others are zero.
_KIND_AT = 16
#: The CRC-32 of data that end with their own CRC-32, whatever the data and the seed.
_RESIDUE = 0x2144DF1C
MARK_BYTES = _CHECKED_MARK.size
#: Offset of the first record, by version.
RECORDS_AT = {1: IN_FLIGHT_AT + IN_FLIGHT_BYTES, 2: NOTES_AT + RING * NOTE_BYTES}


class LedgerEntry(NamedTuple):
    """A settled row: its instant (ms), the digest of its measurements, the kind of its record."""

    instant: int
    digest: int
    kind: int


class Columns(NamedTuple):
    """Consecutive records as columns: instants (ms), digests, and kinds, each in a byte."""

    instants: list[int]
    digests: list[int]
    kinds: bytes

    def entries(self) -> Iterator[LedgerEntry]:
        """Yield the records one by one."""
        return map(LedgerEntry._make, zip(*self, strict=True))


class Note(NamedTuple):
    """A row that may be sent: instant (ms), digest of its measurements, `swarm.packet.Mark`.

    If ``registers`` is 0, only the instant identifies the packet.
    """

    instant: int
    digest: int
    values: int
    registers: int


class Origin(IntEnum):
    """The beginning of a ledger: with its stream, or by a restart of the stream (``--restart``).

    After a restart, what the collector held then is not known yet (`RESTARTED`) or known (`HELD`).
    """

    WITH_THE_STREAM = 0
    RESTARTED = 1
    HELD = 2


class Baseline(NamedTuple):
    """The collector's last packet at the time when the stream was restarted."""

    origin: Origin = Origin.WITH_THE_STREAM
    instant: int = 0
    values: int = 0
    registers: int = 0

    @property
    def held(self) -> Note | None:
        """The packet as a `Note`; None if there was none or it is not known."""
        is_held = self.origin is Origin.HELD
        return Note(self.instant, 0, self.values, self.registers) if is_held else None


#: The baseline of a ledger that began with its stream.
NO_BASELINE = Baseline()


class Header(NamedTuple):
    """The header of a ledger."""

    version: int
    baseline: Baseline


class InFlight(NamedTuple):
    """The in-flight block: the point that the stream's last run reached; records count from 0.

    ``number`` is the highest record number of a packet that may be in flight, if no mark says more;
    without one, of the last record (-1 if there is none). All rows before ``noted`` have a note or
    a record. ``synced`` records were on the disk. ``is_clean`` is True if the run closed the ledger
    with nothing in flight.
    """

    number: int
    noted: int
    synced: int
    boot: bytes
    is_clean: bool


@cache
def boot_id() -> bytes:
    """Return 16 bytes that change at each start of the machine; zeros if they are not available.

    They come from ``/proc/sys/kernel/random/boot_id``, which Linux has.
    """
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
        return bytes.fromhex(text.strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)


def header(stream: str, baseline: Baseline) -> bytes:
    """Return the bytes of the header of a stream's ledger."""
    return _with_checksum(
        _HEADER.pack(_MAGIC, VERSION, _stream_digest(stream)) + _BASELINE.pack(*baseline)
    )


def read_header(path: Path, data: bytes, stream: str) -> Header:
    """Return the header; raise `StateError` if the data are not of this stream's ledger."""
    if len(data) < HEADER_BYTES or not _has_checksum(data):
        raise damaged(path, "its header is incomplete or has a wrong checksum")
    magic, version, digest = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise damaged(path, "it is not a checkpoint of swarm")
    if version not in RECORDS_AT:
        raise StateError(
            f"{path}: written by a newer swarm (checkpoint version {version}, this one reads "
            f"{VERSION}): use that version; the file is kept"
        )
    if digest != _stream_digest(stream):
        raise damaged(path, "it belongs to another stream")
    begun, *packet = _BASELINE.unpack_from(data, _HEADER.size)
    return Header(version, Baseline(Origin(begun), *packet))


def in_flight(content: InFlight) -> bytes:
    """Return the bytes of an in-flight block."""
    return _with_checksum(_IN_FLIGHT[VERSION].pack(*content))


def read_in_flight(path: Path, data: bytes, version: int = VERSION) -> tuple[InFlight, Note | None]:
    """Return the in-flight block, and the packet that it names (version 1 only).

    Raise `StateError` if the block is damaged.
    """
    if len(data) < IN_FLIGHT_BYTES or not _has_checksum(data):
        raise damaged(
            path, "its record of the packet in flight is incomplete or has a wrong checksum"
        )
    fields = _IN_FLIGHT[version].unpack_from(data)
    if version > 1:
        *others, is_clean = fields
        return InFlight._make((*others, bool(is_clean))), None
    number, instant, digest, _, synced, boot, is_clean = fields
    named = Note(instant, digest, 0, 0) if (instant, digest) != (0, 0) else None
    return InFlight(number, number + 1, synced, boot, bool(is_clean)), named


def note_at(number: int) -> int:
    """Return the offset of the note with this number, in bytes."""
    return NOTES_AT + number % RING * NOTE_BYTES


def notes(start: int, contents: Iterable[Note]) -> bytes:
    """Return the bytes of notes; the first has the number ``start``.

    Each is followed by a CRC-32 that begins with its number, so that an old note is not valid.
    """
    parts: list[bytes] = []
    for number, content in enumerate(contents, start + 1):
        data = _NOTE.pack(*content)
        parts += (data, _CRC.pack(crc32(data, number & 0xFFFFFFFF)))
    return b"".join(parts)


def read_note(number: int, data: bytes) -> Note | None:
    """Return the note with this number; None if the data are not of this note."""
    if len(data) < NOTE_BYTES or not _has_checksum(data, number + 1):
        return None
    return Note._make(_NOTE.unpack_from(data))


def record(number: int, instant: int, digest: int, kind: int) -> bytes:
    """Return the bytes of a record; ``number`` counts from 0."""
    data = _RECORD.pack(instant, digest, kind)
    return _CHECKED_RECORD.pack(instant, digest, kind, crc32(data, number + 1 & 0xFFFFFFFF))


def record_and_mark(number: int, instant: int, digest: int, kind: int, *, is_sent: bool) -> bytes:
    """Return the bytes of a record, and of the mark of the row after it."""
    seed = number + 1 & 0xFFFFFFFF
    content = _SENT if is_sent else _IDLE
    return _RECORD_AND_MARK.pack(
        instant,
        digest,
        kind,
        crc32(_RECORD.pack(instant, digest, kind), seed),
        content,
        crc32(content, seed + 1 & 0xFFFFFFFF),
    )


def mark(number: int, *, is_sent: bool) -> bytes:
    """Return the bytes of the mark in place of the record with this number."""
    content = _SENT if is_sent else _IDLE
    return _CHECKED_MARK.pack(content, crc32(content, number + 1 & 0xFFFFFFFF))


def read_mark(number: int, data: bytes) -> bool | None:
    """Return True if the row with this number may be in flight; None if the data are no mark."""
    for is_sent in (True, False):
        if data == mark(number, is_sent=is_sent):
            return is_sent
    return None


def intact(number: int, data: bytes) -> int:
    """Return how many records at the beginning of the data are intact.

    ``number`` is that of the first one.
    """
    count = len(data) // RECORD_BYTES
    records = _split_records(count).unpack_from(data)
    residues = list(map(crc32, records, range(number + 1, number + 1 + count)))
    if residues.count(_RESIDUE) == count:
        return count
    return next(index for index, residue in enumerate(residues) if residue != _RESIDUE)


def columns(data: bytes) -> Columns:
    """Return the content of whole records."""
    instants, digests = array("q", data), array("Q", data)
    if sys.byteorder == "big":
        instants.byteswap()
        digests.byteswap()
    return Columns(
        instants[::_RECORD_WORDS].tolist(),
        digests[1::_RECORD_WORDS].tolist(),
        data[_KIND_AT::RECORD_BYTES],
    )


@lru_cache(maxsize=2)
def _split_records(count: int) -> struct.Struct:
    """Return the format of so many records, each as its bytes."""
    return struct.Struct(f"{RECORD_BYTES}s" * count)


def damaged(path: Path, what: str) -> StateError:
    """Return the error for a damaged ledger.

    ``what`` says which part of it is wrong. Swarm never deletes such a file.
    """
    return StateError(
        f"{path}: the checkpoint is damaged: {what}. The file is kept. Move it away and run the "
        "command with --adopt to continue after the collector's last packet, or with --restart to "
        "send the meter again from its first row"
    )


def _stream_digest(stream: str) -> bytes:
    return blake2b(stream.encode(), digest_size=16).digest()


def _with_checksum(data: bytes, seed: int = 0) -> bytes:
    return data + _CRC.pack(crc32(data, seed & 0xFFFFFFFF))


def _has_checksum(data: bytes, seed: int = 0) -> bool:
    crc = crc32(data[: -_CRC.size], seed & 0xFFFFFFFF)
    return _CRC.pack(crc) == data[-_CRC.size :]
