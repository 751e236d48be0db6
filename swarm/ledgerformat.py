"""The bytes of a ledger: header, slot and records, each with its checksum.

All numbers are little-endian::

    header   64 bytes: magic, version, digest of the stream's ID, padding, CRC-32
    slot     64 bytes: the packet in flight: number of its record, instant, digest, time of
             sending, records that are synced, boot ID, whether all ended orderly, CRC-32
    records  24 bytes each: instant (ms), digest of the measurements, kind, CRC-32 seeded with the
             record's number
"""

import struct
import zlib
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from swarm.errors import StateError

VERSION = 1

_MAGIC = b"SWARMLDG"
_HEADER = struct.Struct("<8sI16s32s")
_SLOT = struct.Struct("<qqQdQ16sB3x")
_RECORD = struct.Struct("<qQI")
_CRC = struct.Struct("<I")

HEADER_BYTES = _HEADER.size + _CRC.size
SLOT_AT = HEADER_BYTES
SLOT_BYTES = _SLOT.size + _CRC.size
RECORDS_AT = SLOT_AT + SLOT_BYTES
RECORD_BYTES = _RECORD.size + _CRC.size


class Entry(NamedTuple):
    """One row that was settled: its instant (ms), the digest of its measurements, the kind."""

    instant: int
    digest: int
    kind: int


class Slot(NamedTuple):
    """The packet in flight: ``number`` counts records from 0, -1 before the first.

    ``sent_at`` is in Unix seconds; ``synced`` records were on the disk; ``is_clean`` says that the
    last run ended orderly with nothing in flight.
    """

    number: int
    instant: int
    digest: int
    sent_at: float
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


def header(stream: str) -> bytes:
    """Return the header of a stream's ledger."""
    return _sealed(_HEADER.pack(_MAGIC, VERSION, _owner(stream), bytes(32)))


def check_header(path: Path, data: bytes, stream: str) -> None:
    """Raise `StateError` unless this is the header of the stream's ledger."""
    if len(data) < HEADER_BYTES or not _is_sealed(data):
        raise damaged(path, "its header is not whole")
    magic, version, owner, _ = _HEADER.unpack(data[: _HEADER.size])
    if magic != _MAGIC:
        raise damaged(path, "it is not a checkpoint of swarm")
    if version > VERSION:
        raise StateError(
            f"{path}: written by a newer swarm (checkpoint version {version}, this one reads "
            f"{VERSION}): use that version; the file is kept"
        )
    if owner != _owner(stream):
        raise damaged(path, "it belongs to another stream")


def slot(content: Slot) -> bytes:
    """Return the bytes of a slot."""
    return _sealed(_SLOT.pack(*content))


def read_slot(path: Path, data: bytes) -> Slot:
    """Return the slot; damage raises `StateError`."""
    if len(data) < SLOT_BYTES or not _is_sealed(data):
        raise damaged(path, "its note of the packet in flight is not whole")
    *fields, is_clean = _SLOT.unpack(data[: _SLOT.size])
    return Slot._make((*fields, bool(is_clean)))


def record(number: int, instant: int, digest: int, kind: int) -> bytes:
    """Return the bytes of a record; ``number`` counts from 0."""
    return _sealed(_RECORD.pack(instant, digest, kind), number + 1)


def is_record(number: int, data: bytes) -> bool:
    """Tell whether these are the bytes of the record with this number."""
    return _is_sealed(data, number + 1)


def entry(data: bytes, at: int) -> Entry:
    """Return the entry whose record begins at ``at``."""
    return Entry._make(_RECORD.unpack_from(data, at))


def damaged(path: Path, what: str) -> StateError:
    """Return the error for a file that can't be trusted."""
    return StateError(
        f"{path}: the checkpoint is damaged: {what}. The file is kept. Restore it from a backup, "
        "or send the meter again with --restart"
    )


def _owner(stream: str) -> bytes:
    return blake2b(stream.encode(), digest_size=16).digest()


def _sealed(data: bytes, seed: int = 0) -> bytes:
    return data + _CRC.pack(zlib.crc32(data, seed & 0xFFFFFFFF))


def _is_sealed(data: bytes, seed: int = 0) -> bool:
    crc = zlib.crc32(data[: -_CRC.size], seed & 0xFFFFFFFF)
    return _CRC.pack(crc) == data[-_CRC.size :]
