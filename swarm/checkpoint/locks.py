"""Kernel locks on streams, which end with their process, whatever ends it.

A stream is locked twice. The parent of a run locks all chosen streams before the first packet, so
that a second run says `locked` at once. The worker that sends a stream locks it for as long as it
can send: so a killed parent leaves no stream open while one of its workers still lives. Both are
byte-range locks, a byte for each stream in one file: no lock can be stale.

A lock excludes only processes that open the same file. Where a lock file was removed or replaced,
another run would make a new one and lock that: so a lock is checked when it is taken, and at
intervals for as long as it is held.
"""

import os
import threading
from pathlib import Path

from swarm.checkpoint.paths import digest_of
from swarm.errors import StateError
from swarm.files import is_still_there, make_folder, open_private

_OFFSETS = 2**62


class StreamLocks:
    """Locks of this process on streams, all in one file.

    A process opens each such file once: closing any of its descriptors would end all of the
    process's locks on it (POSIX).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: set[str] = set()
        self._mutex = threading.Lock()
        self._fd = self._opened()

    def take(self, stream: str) -> bool:
        """Lock a stream; False if another process holds it.

        Raises `StateError` where there is no telling, as the file is not the one that others lock.
        """
        with self._mutex:
            while self._lock(stream):
                if self._is_there():
                    self._held.add(stream)
                    return True
                if self._held:
                    raise self._gone()
                # Nothing is locked yet: the file that is there now serves as well.
                os.close(self._fd)
                self._fd = self._opened()
            return False

    def release(self, stream: str) -> None:
        """Let go of a stream."""
        import fcntl

        with self._mutex:
            self._held.discard(stream)
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _offset(stream))

    def check(self) -> None:
        """Raise `StateError` if the file is not the one any more that other runs lock."""
        with self._mutex:
            if not self._is_there():
                raise self._gone()

    def close(self) -> None:
        """Let go of all."""
        os.close(self._fd)

    def _opened(self) -> int:
        try:
            make_folder(self._path.parent)
            return open_private(self._path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise self._error(error) from None

    def _lock(self, stream: str) -> bool:
        import fcntl

        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _offset(stream))
        except (BlockingIOError, PermissionError):
            return False
        except OSError as error:
            raise self._error(error) from None
        return True

    def _is_there(self) -> bool:
        try:
            return is_still_there(self._fd, self._path)
        except OSError as error:
            raise self._error(error) from None

    def _gone(self) -> StateError:
        places = (*reversed(self._path.parents), self._path)
        place = next((place for place in places if not place.exists()), self._path)
        return StateError(
            f"{place}: removed or replaced during the run, which can't keep other runs off its "
            "streams any more; put the state folder back, or name another with 'state' under "
            "[swarm], and run the command again"
        )

    def _error(self, error: OSError) -> StateError:
        return StateError(
            f"{self._path}: can't be locked: {error.strerror}; make the folder "
            "writable, or name another with 'state' under [swarm]"
        )


def _offset(stream: str) -> int:
    return int.from_bytes(digest_of(stream), "little") % _OFFSETS
