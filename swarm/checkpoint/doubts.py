"""The file of a stream's rows in doubt: rows that the collector may hold, but could not confirm.

An earlier run may have sent these rows, and no request to the collector could settle whether they
were stored. If a run sends one of them again, it counts as a possible duplicate.
"""

import errno
import json
import os
from collections.abc import Iterable
from pathlib import Path

from swarm.checkpoint.ledger_file import state_errors
from swarm.errors import StateError
from swarm.files import open_fresh, open_private, sync_folder

#: A row's instant (ms) and the digest of its measurements.
RowKey = tuple[int, int]


def load(ledger: Path) -> set[RowKey]:
    """Return the rows in doubt of the stream with this ledger; raise `StateError` on failure."""
    path = _path(ledger)
    with state_errors(path):
        try:
            fd = open_private(path, os.O_RDONLY)
        except FileNotFoundError:
            return set()
        try:
            data = os.pread(fd, os.fstat(fd).st_size, 0)
        finally:
            os.close(fd)
    try:
        return {(int(instant), int(digest)) for instant, digest in json.loads(data)}
    except (ValueError, TypeError):
        raise StateError(
            f"{path}: the list of rows that may already be stored is damaged; remove the file: "
            "rows of it that are sent again are then not counted as possible duplicates"
        ) from None


def remove(ledger: Path) -> None:
    """Remove the file of rows in doubt, if there is one."""
    path = _path(ledger)
    with state_errors(path):
        path.unlink(missing_ok=True)


def store(ledger: Path, rows: Iterable[RowKey]) -> None:
    """Replace the rows in doubt atomically and durably; without rows, remove the file."""
    path = _path(ledger)
    with state_errors(path):
        kept = sorted(rows)
        if kept:
            data = json.dumps(kept).encode()
            fresh = path.with_name(path.name + ".new")
            fd = open_fresh(fresh)
            try:
                if os.pwrite(fd, data, 0) < len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(fd)
            finally:
                os.close(fd)
            fresh.replace(path)
        else:
            path.unlink(missing_ok=True)
        sync_folder(path.parent)


def _path(ledger: Path) -> Path:
    return ledger.with_name(f"{ledger.name}.doubts")
