"""The cache beside a ledger: the part of a meter's files of which every row is acknowledged.

It is only a cache. It holds if the files and the ledger's records have the digests in it, and if
it was made under the same rules. If it is missing, damaged or does not hold, all rows are read. It
is therefore not synced: a power cut may cost the next run its time, and nothing else.
"""

import json
import os
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from swarm.checkpoint.ledger_format import LedgerEntry
from swarm.errors import StateError
from swarm.files import open_fresh, open_private

_MAGIC = b"SWARMSET"
_DIGEST_BYTES = 16


class LedgerSummary(NamedTuple):
    """The first ``records`` of a ledger, with the ``digest`` of their bytes.

    ``newest`` is the newest acknowledged instant, ``last`` the row that was acknowledged last,
    ``last_instant`` that of the last record. ``run_starts`` are the numbers of the records that are
    older than the record before them.
    """

    records: int
    digest: str
    newest: int
    last: LedgerEntry
    last_instant: int
    run_starts: tuple[int, ...]


class SettledFile(NamedTuple):
    """The content of the cache: a summary of the ledger, the files, the state of their check."""

    ledger: LedgerSummary
    files: tuple[str, ...]
    state: bytes


def load(ledger: Path, key: bytes) -> SettledFile | None:
    """Return the cache of a ledger; None if there is none for this key, or if it is damaged."""
    head = _MAGIC + _digest(key)
    with suppress(OSError, StateError, ValueError, TypeError):
        fd = open_private(_path(ledger), os.O_RDONLY)
        try:
            data = os.pread(fd, os.fstat(fd).st_size, 0)
        finally:
            os.close(fd)
        start = len(head) + _DIGEST_BYTES
        content = data[start:]
        if data[:start] != head + _digest(content):
            return None
        line, _, state = content.partition(b"\n")
        (records, digest, newest, last, last_instant, starts), files = json.loads(line)
        summary = LedgerSummary(
            records, digest, newest, LedgerEntry(*last), last_instant, tuple(starts)
        )
        return SettledFile(summary, tuple(files), state)
    return None


def store(ledger: Path, key: bytes, content: SettledFile) -> None:
    """Replace the cache of a ledger; if that fails, the next run reads all rows."""
    line = json.dumps([content.ledger, content.files]).encode()
    data = line + b"\n" + content.state
    path = _path(ledger)
    fresh = path.with_name(path.name + ".new")
    with suppress(OSError, StateError):
        fd = open_fresh(fresh)
        try:
            os.pwrite(fd, _MAGIC + _digest(key) + _digest(data) + data, 0)
        finally:
            os.close(fd)
        fresh.replace(path)


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=_DIGEST_BYTES).digest()


def _path(ledger: Path) -> Path:
    return ledger.with_name(f"{ledger.name}.settled")
