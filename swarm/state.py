"""Where a run's state lies, and who may write it: paths and kernel locks.

A stream is locked twice. The parent of a run locks all chosen streams before the first packet, so
that a second run says `locked` at once. The worker that sends a stream locks it for as long as it
can send: so a killed parent leaves no stream open while one of its workers still lives. Both are
byte-range locks of the kernel, a byte for each stream: they end with their process, whatever ends
it, and no lock can be stale.
"""

import os
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

from swarm.errors import StateError

_LONGEST_NAME = 200
_OFFSETS = 2**62


def file_name(stream: str) -> str:
    """Return a stream's ID, percent-encoded; a long one is cut, with a digest of the whole."""
    name = quote(stream, safe="")
    name = name.replace(".", "%2E", 1) if name.startswith(".") else name
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME]}~{_digest(stream).hex()}"


def ledger_path(state: Path, collector: str, stream: str) -> Path:
    """Return the path of a stream's ledger.

    A file system may take ``Gas`` and ``gas`` for one name: capitals bring a digest into it.
    """
    name = file_name(stream)
    if stream != stream.lower() and len(name) <= _LONGEST_NAME:
        name = f"{name}~{_digest(stream).hex()}"
    return state / "checkpoints" / collector / f"{name}.ledger"


def rejects_path(state: Path, collector: str, stream: str) -> Path:
    """Return the path of a stream's rejects file."""
    return state / "rejects" / collector / f"{file_name(stream)}.csv"


def runs_lock(state: Path, collector: str) -> Path:
    """Return the file whose bytes the runs on a collector lock."""
    return state / "locks" / collector / "runs.lock"


def senders_lock(state: Path, collector: str) -> Path:
    """Return the file whose bytes the workers lock that send to a collector."""
    return state / "locks" / collector / "senders.lock"


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, for this user alone, durably; raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Put a folder's names on the disk."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class StreamLocks:
    """Locks of this process on streams, all in one file.

    A process opens each such file once: closing any of its descriptors would end all of the
    process's locks on it (POSIX).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            make_folder(path.parent)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._error(error) from None

    def take(self, stream: str) -> bool:
        """Lock a stream; False if another process holds it."""
        import fcntl

        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _offset(stream))
        except (BlockingIOError, PermissionError):
            return False
        except OSError as error:
            raise self._error(error) from None
        return True

    def release(self, stream: str) -> None:
        """Let go of a stream."""
        import fcntl

        fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _offset(stream))

    def close(self) -> None:
        """Let go of all."""
        os.close(self._fd)

    def _error(self, error: OSError) -> StateError:
        return StateError(
            f"{self._path}: can't be locked: {error.strerror}; make the folder "
            "writable, or name another with 'state' under [swarm]"
        )


def _digest(stream: str) -> bytes:
    return blake2b(stream.encode(), digest_size=8).digest()


def _offset(stream: str) -> int:
    return int.from_bytes(_digest(stream), "little") % _OFFSETS
