"""Kernel locks on streams; the kernel releases them when their process ends.

A stream is locked twice. The parent process of a run locks all chosen streams before the first
packet, so that a second run reports `locked` at once. The worker process that sends a stream locks
it for as long as it may send: if the parent is killed, its streams stay locked until its workers
have ended. Both are byte-range locks, one byte per stream in one file, so no lock can be stale.

A lock excludes only processes that open the same file. If the lock file is removed or replaced,
another run creates a new one and locks that. Therefore the file is checked when a lock is taken,
and at intervals while it is held.
"""

import os
import threading
from collections.abc import Iterable
from pathlib import Path

from swarm.checkpoint.paths import digest_of
from swarm.errors import StateError
from swarm.files import is_still_there, make_folder, open_private

_OFFSETS = 2**62


class StreamLocks:
    """Locks of this process on streams, all in one file.

    A process must open each lock file only once: with POSIX locks, closing any descriptor of a file
    releases all locks of the process on it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: set[str] = set()
        self._mutex = threading.Lock()
        self._fd = self._open()

    def take(self, stream: str) -> bool:
        """Lock a stream; return False if another process holds it.

        Raise `StateError` if the file can't be locked, or is no longer the one that others lock.
        """
        return stream in self.take_all([stream])

    def take_all(self, streams: Iterable[str]) -> set[str]:
        """Lock many streams as `take` does; return those that no other process holds."""
        import fcntl

        streams = list(streams)
        with self._mutex:
            while True:
                taken = set()
                for stream in streams:
                    try:
                        fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _offset(stream))
                    except (BlockingIOError, PermissionError):
                        continue
                    except OSError as error:
                        raise self._error(error) from None
                    taken.add(stream)
                if self._is_in_place():
                    self._held |= taken
                    return taken
                if self._held:
                    raise self._gone()
                # This process holds no lock yet, so it can change to the file that is there now.
                os.close(self._fd)
                self._fd = self._open()

    def release_all(self) -> None:
        """Release the locks on all streams."""
        import fcntl

        with self._mutex:
            self._held.clear()
            fcntl.lockf(self._fd, fcntl.LOCK_UN)

    def release(self, stream: str) -> None:
        """Release the lock on a stream.

        The kernel also releases it when the process ends.
        """
        import fcntl

        with self._mutex:
            self._held.discard(stream)
            fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, _offset(stream))

    def check(self) -> None:
        """Raise `StateError` if the file was removed or replaced: other runs lock another one.

        Raises `StateError`, too, if the file can't be looked at.
        """
        with self._mutex:
            if not self._is_in_place():
                raise self._gone()

    def close(self) -> None:
        """Release all locks."""
        os.close(self._fd)

    def _open(self) -> int:
        try:
            make_folder(self._path.parent)
            return open_private(self._path, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise self._error(error) from None

    def _is_in_place(self) -> bool:
        try:
            return is_still_there(self._fd, self._path)
        except OSError as error:
            raise self._error(error) from None

    def _gone(self) -> StateError:
        paths = (*reversed(self._path.parents), self._path)
        missing = next((path for path in paths if not path.exists()), self._path)
        return StateError(
            f"{missing}: removed or replaced during the run, so other runs may send the same "
            "streams; put the state folder back, or name another with 'state' under [swarm], and "
            "run the command again"
        )

    def _error(self, error: OSError) -> StateError:
        return StateError(
            f"{self._path}: can't be locked: {error.strerror}; make the folder "
            "writable, or name another with 'state' under [swarm]"
        )


def _offset(stream: str) -> int:
    return int.from_bytes(digest_of(stream), "little") % _OFFSETS
