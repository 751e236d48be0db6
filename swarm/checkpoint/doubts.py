"""The rows of a stream that the collector may hold, although it could not say so: a file of them.

They are rows that an earlier run may have sent and that no question could settle. What is sent
again of them counts as a possible duplicate, in whichever run that is.
"""

import errno
import json
import os
from collections.abc import Iterable
from pathlib import Path

from swarm.errors import StateError
from swarm.files import open_fresh, open_private, sync_folder

#: A row by its instant (ms) and the digest of its measurements.
Row = tuple[int, int]


def load(ledger: Path) -> set[Row]:
    """Return the rows in doubt of the stream with this ledger; raises `StateError`."""
    path = _path(ledger)
    try:
        fd = open_private(path, os.O_RDONLY)
    except FileNotFoundError:
        return set()
    except OSError as error:
        raise _error(path, error) from None
    try:
        data = os.pread(fd, os.fstat(fd).st_size, 0)
    except OSError as error:
        raise _error(path, error) from None
    finally:
        os.close(fd)
    try:
        return {(int(instant), int(digest)) for instant, digest in json.loads(data)}
    except (ValueError, TypeError):
        raise StateError(
            f"{path}: the list of rows that may be stored already is damaged; remove it: what is "
            "sent twice of them is then not counted"
        ) from None


def remove(ledger: Path) -> None:
    """Forget the rows in doubt."""
    path = _path(ledger)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _error(path, error) from None


def store(ledger: Path, rows: Iterable[Row]) -> None:
    """Keep the rows in doubt, durably: whole, or as they were before; without any, no file."""
    path = _path(ledger)
    try:
        kept = sorted(rows)
        if not kept:
            path.unlink(missing_ok=True)
        else:
            _write(path, json.dumps(kept).encode())
        sync_folder(path.parent)
    except OSError as error:
        raise _error(path, error) from None


def _path(ledger: Path) -> Path:
    return ledger.with_name(f"{ledger.name}.doubts")


def _write(path: Path, data: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    fd = open_fresh(fresh)
    try:
        if os.pwrite(fd, data, 0) < len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(fd)
    finally:
        os.close(fd)
    fresh.replace(path)


def _error(path: Path, error: OSError) -> StateError:
    return StateError(
        f"{path}: can't be read or written: {error.strerror}; make it writable, or name another "
        "folder with 'state' under [swarm]"
    )
