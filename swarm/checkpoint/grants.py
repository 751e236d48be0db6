"""The note of when the last lease of a run's seats ends, so that a later run waits for that time.

The command writes the note, durably, before it grants a lease beyond it. It holds a lock on the
file while it runs, so that a note without a lock is one of a run that was killed.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from swarm.checkpoint.ledger_file import state_errors
from swarm.checkpoint.ledger_format import boot_id
from swarm.errors import StateError
from swarm.files import make_folder, open_private, sync_folder

#: A worker of a cluster may send for so long (s) without news from the command.
LEASE_SECONDS = 10.0
#: A clock that also counts while the computer is suspended: no lease survives that. On macOS, the
#: monotonic clock does.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
#: Each note is this much (s) ahead of what is needed, so that it is written about so often.
_AHEAD = 3.0
_SUFFIX = ".grants"


def boottime() -> float:
    """Return the time (s) by which leases are measured; each computer has its own."""
    return time.clock_gettime(_CLOCK)


class Grants:
    """The note of this run; raises `StateError` if it can't be written."""

    def __init__(self, folder: Path, run: str) -> None:
        import fcntl

        self._path = folder / f"{run}{_SUFFIX}"
        self._until = 0.0
        with state_errors(self._path):
            make_folder(folder)
            self._fd = open_private(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            sync_folder(folder)

    def cover(self, until: float) -> None:
        """Make sure that the note covers leases until a time of `boottime`."""
        if until <= self._until:
            return
        self._until = until + _AHEAD
        wall = time.time() + self._until - boottime()
        note = {"until": self._until, "boot": boot_id().hex(), "wall": wall}
        with state_errors(self._path):
            os.pwrite(self._fd, json.dumps(note).encode().ljust(256), 0)
            os.fsync(self._fd)

    def close(self, *, is_over: bool) -> None:
        """Release the note; remove it if all leases are over."""
        if is_over:
            with suppress(OSError):
                self._path.unlink()
        os.close(self._fd)


def unexpired(folder: Path) -> Iterator[tuple[Path, float]]:
    """Yield the notes of runs that were killed, with the time (s) until their leases are over."""
    import fcntl

    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        with suppress(FileNotFoundError, StateError):
            fd = open_private(path, os.O_RDWR)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield path, _left(os.pread(fd, 256, 0))
            except BlockingIOError:
                continue
            finally:
                os.close(fd)


def _left(data: bytes) -> float:
    """Return how long (s) the leases of a note may run; a whole one if it can't be read."""
    longest = LEASE_SECONDS + _AHEAD
    try:
        note = json.loads(data)
        is_same_boot = note["boot"] == boot_id().hex() and any(boot_id())
        left = note["until"] - boottime() if is_same_boot else note["wall"] - time.time()
    except (ValueError, KeyError, TypeError):
        return longest
    return min(max(float(left), 0.0), longest)
