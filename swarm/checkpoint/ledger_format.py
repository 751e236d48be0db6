"""The bytes of a ledger: header, slot, notes and records, each with its checksum.

All numbers are little-endian::

    header   64 bytes: magic, version, digest of the stream's ID, what the collector held when the
             stream was begun anew, CRC-32
    slot     64 bytes: number of the record of the packet in flight; how many rows are noted, how
             many records are synced, boot ID, whether all ended orderly, CRC-32
    notes    from byte 4096: a ring of 2048 places of 32 bytes each: the rows that may go out next
    records  24 bytes each: instant (ms), digest of the measurements, kind, CRC-32 seeded with the
             record's number

A note says what the record with its number would say, and how to recognise the packet in the
collector's own words: the digest of its measurements as doubles, and which registers these are.
Version 1 has no notes: its records begin at byte 128, and its slot names the packet in flight.
"""

import struct
from collections.abc import Iterable
from enum import IntEnum
from functools import cache
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

HEADER_BYTES = _HEADER.size + _BASELINE.size + _CRC.size
IN_FLIGHT_AT = HEADER_BYTES
IN_FLIGHT_BYTES = _IN_FLIGHT[VERSION].size + _CRC.size
NOTES_AT = 4096
NOTE_BYTES = _NOTE.size + _CRC.size
#: Twice what may be noted at once: new notes take no place whose record may not be on the disk yet.
RING = 2048
RECORD_BYTES = _RECORD.size + _CRC.size
#: Where the records begin, by the version.
RECORDS_AT = {1: IN_FLIGHT_AT + IN_FLIGHT_BYTES, 2: NOTES_AT + RING * NOTE_BYTES}


class LedgerEntry(NamedTuple):
    """One row that was settled: its instant (ms), the digest of its measurements, the kind."""

    instant: int
    digest: int
    kind: int


class Note(NamedTuple):
    """One row that may be sent: instant (ms), digest of its measurements, `swarm.packet.Mark`.

    Without ``registers`` the packet is known by its instant alone.
    """

    instant: int
    digest: int
    values: int
    registers: int


class Begun(IntEnum):
    """The origin of a ledger: with the stream, or anew (``--restart``).

    `ANEW` has still to be told what the collector held then; `HELD` says that this is known.
    """

    WITH_THE_STREAM = 0
    ANEW = 1
    HELD = 2


class Baseline(NamedTuple):
    """The collector's last packet at the time when the stream was begun anew."""

    begun: Begun = Begun.WITH_THE_STREAM
    instant: int = 0
    values: int = 0
    registers: int = 0

    @property
    def held(self) -> Note | None:
        """That packet, as it would be noted; None where there was none, or it is not known."""
        is_held = self.begun is Begun.HELD
        return Note(self.instant, 0, self.values, self.registers) if is_held else None


#: The baseline of a ledger that began with its stream.
WITH_THE_STREAM = Baseline()


class Header(NamedTuple):
    """The header of a ledger that can be read."""

    version: int
    baseline: Baseline


class InFlight(NamedTuple):
    """The point that the stream's last run reached; records are counted from 0.

    ``number`` is that of the packet in flight, or of the last record where none is (-1 before the
    first). Rows below ``noted`` have a note, or are recorded; ``synced`` records were on the disk;
    ``is_clean`` says that the run ended orderly with nothing in flight.
    """

    number: int
    noted: int
    synced: int
    boot: bytes
    is_clean: bool


@cache
def boot_id() -> bytes:
    """Return 16 bytes that change when the machine starts, or zeros where none can be had."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
        return bytes.fromhex(text.strip().replace("-", ""))
    except (OSError, ValueError):
        return bytes(16)


def header(stream: str, baseline: Baseline) -> bytes:
    """Return the header of a stream's ledger."""
    return _sealed(_HEADER.pack(_MAGIC, VERSION, _owner(stream)) + _BASELINE.pack(*baseline))


def read_header(path: Path, data: bytes, stream: str) -> Header:
    """Return the header of the stream's ledger; raises `StateError` if this is none."""
    if len(data) < HEADER_BYTES or not _is_sealed(data):
        raise damaged(path, "its header is not whole")
    magic, version, owner = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise damaged(path, "it is not a checkpoint of swarm")
    if version not in RECORDS_AT:
        raise StateError(
            f"{path}: written by a newer swarm (checkpoint version {version}, this one reads "
            f"{VERSION}): use that version; the file is kept"
        )
    if owner != _owner(stream):
        raise damaged(path, "it belongs to another stream")
    begun, *held = _BASELINE.unpack_from(data, _HEADER.size)
    return Header(version, Baseline(Begun(begun), *held))


def in_flight(content: InFlight) -> bytes:
    """Return the bytes of a slot."""
    return _sealed(_IN_FLIGHT[VERSION].pack(*content))


def read_in_flight(path: Path, data: bytes, version: int = VERSION) -> tuple[InFlight, Note | None]:
    """Return the slot, and the packet in flight where the slot itself names it (version 1).

    Damage raises `StateError`.
    """
    if len(data) < IN_FLIGHT_BYTES or not _is_sealed(data):
        raise damaged(path, "its note of the packet in flight is not whole")
    fields = _IN_FLIGHT[version].unpack_from(data)
    if version > 1:
        *others, is_clean = fields
        return InFlight._make((*others, bool(is_clean))), None
    number, instant, digest, _, synced, boot, is_clean = fields
    named = Note(instant, digest, 0, 0) if (instant, digest) != (0, 0) else None
    return InFlight(number, number + 1, synced, boot, bool(is_clean)), named


def note_at(number: int) -> int:
    """Return where the note with this number stands, in bytes."""
    return NOTES_AT + number % RING * NOTE_BYTES


def notes(start: int, contents: Iterable[Note]) -> bytes:
    """Return the bytes of notes; ``start`` is the number of the first one's record to come."""
    parts: list[bytes] = []
    for number, content in enumerate(contents, start + 1):
        data = _NOTE.pack(*content)
        parts += (data, _CRC.pack(crc32(data, number & 0xFFFFFFFF)))
    return b"".join(parts)


def read_note(number: int, data: bytes) -> Note | None:
    """Return the note with this number; None if these are not its bytes."""
    if len(data) < NOTE_BYTES or not _is_sealed(data, number + 1):
        return None
    return Note._make(_NOTE.unpack_from(data))


def record(number: int, instant: int, digest: int, kind: int) -> bytes:
    """Return the bytes of a record; ``number`` counts from 0."""
    return _sealed(_RECORD.pack(instant, digest, kind), number + 1)


def is_record(number: int, data: bytes) -> bool:
    """Tell whether these are the bytes of the record with this number."""
    return _is_sealed(data, number + 1)


def entry(data: bytes, at: int) -> LedgerEntry:
    """Return the entry whose record begins at ``at``."""
    return LedgerEntry._make(_RECORD.unpack_from(data, at))


def damaged(path: Path, what: str) -> StateError:
    """Return the error for a file that can't be trusted."""
    return StateError(
        f"{path}: the checkpoint is damaged: {what}. The file is kept. Move it away and run the "
        "command with --adopt to go on behind the collector's last packet, or with --restart to "
        "send the meter again from its first row"
    )


def _owner(stream: str) -> bytes:
    return blake2b(stream.encode(), digest_size=16).digest()


def _sealed(data: bytes, seed: int = 0) -> bytes:
    return data + _CRC.pack(crc32(data, seed & 0xFFFFFFFF))


def _is_sealed(data: bytes, seed: int = 0) -> bool:
    crc = crc32(data[: -_CRC.size], seed & 0xFFFFFFFF)
    return _CRC.pack(crc) == data[-_CRC.size :]
