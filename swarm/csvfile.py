"""A CSV file as blocks of whole lines, and whether it is still the file that was checked."""

import gzip
import os
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO, NamedTuple

from swarm.errors import FileChangedError

BLOCK_BYTES = 64 * 1024
LONGEST_LINE = 1024 * 1024
#: A last line without a newline waits while its file is younger than this, in seconds.
SETTLED_AFTER = 10.0
_BOM = b"\xef\xbb\xbf"


class Block(NamedTuple):
    """Some whole lines of a file; ``line`` is the number of the first, counted from 1."""

    line: int
    data: bytes


@dataclass(frozen=True)
class Checked:
    """What a check saw of a file: as much as is sent, and what it must still be when it is.

    ``size`` is in bytes of the file as text (unpacked for gzip); ``digests`` are of each block.
    """

    size: int
    inode: int
    device: int
    digests: tuple[bytes, ...]


class CsvFile:
    """One CSV file, read block by block.

    With ``checked`` the file is held to what an earlier pass saw: reading raises
    `FileChangedError` where it was replaced, shortened or altered, and ends where that pass ended.
    """

    def __init__(self, path: Path, checked: Checked | None = None) -> None:
        self.path = path
        self.held_back = False
        self._checked = checked
        self._digests: list[bytes] = []
        self._size = 0
        self._modified: int | None = None
        self._current: tuple[int, int] = (0, 0)

    def blocks(self) -> Iterator[Block]:
        """Yield the file's blocks; raises OSError or EOFError as reading does."""
        line = 1
        self._digests, self._size = [], 0
        with self._open() as file:
            status = os.fstat(file.fileno())
            self._inode, self._device = status.st_ino, status.st_dev
            self._modified = self._modified or status.st_mtime_ns
            self._hold()
            while data := self._next(file):
                self._current = (self._size, len(data))
                self._size += len(data)
                self._verify(data)
                yield Block(line, data.removeprefix(_BOM) if line == 1 else data)
                line += data.count(b"\n")
        if self._checked and self._size < self._checked.size:
            raise self._changed("it is shorter than it was")

    def checked(self) -> Checked:
        """Return what `blocks` has read to its end."""
        return Checked(self._size, self._inode, self._device, tuple(self._digests))

    def watch(self) -> None:
        """Raise `FileChangedError` if the file on disk is not what is being sent any more.

        Cheap while nothing touches the file. Once something did, the block in hand is compared;
        those to come are compared when they are read.
        """
        try:
            status = os.stat(self.path)
        except OSError as error:
            raise self._changed(f"it can't be read: {error.strerror}") from None
        if (status.st_ino, status.st_dev) != (self._inode, self._device):
            raise self._changed("another file stands in its place")
        if status.st_mtime_ns == self._modified:
            return
        self._modified = status.st_mtime_ns
        self._compare_current()

    def _compare_current(self) -> None:
        start, length = self._current
        with self._open() as file:
            file.seek(start)
            data = file.read(length)
        if not self._digests or self._digest(data) != self._digests[-1]:
            raise self._changed("rows that were checked have been altered")

    def _open(self) -> IO[bytes]:
        if self.path.suffix == ".gz":
            return gzip.open(self.path, "rb")
        return self.path.open("rb")

    def _next(self, file: IO[bytes]) -> bytes:
        limit = self._checked.size - self._size if self._checked else None
        data = file.read(BLOCK_BYTES if limit is None else min(BLOCK_BYTES, limit))
        if data and not data.endswith(b"\n"):
            rest = LONGEST_LINE if limit is None else min(LONGEST_LINE, limit - len(data))
            data += file.readline(rest) if rest else b""
        if not self._checked and data and not data.endswith(b"\n"):
            data = self._without_growing_line(file, data)
        return data

    def _without_growing_line(self, file: IO[bytes], data: bytes) -> bytes:
        """Leave out a last line that may still be being written (contract, section 4)."""
        age = time.time() - os.fstat(file.fileno()).st_mtime
        if self.path.suffix == ".gz" or age >= SETTLED_AFTER or len(data) >= LONGEST_LINE:
            return data
        self.held_back = True
        return data[: data.rfind(b"\n") + 1]

    def _hold(self) -> None:
        known = self._checked
        if known and (self._inode, self._device) != (known.inode, known.device):
            raise self._changed("another file stands in its place")

    def _verify(self, data: bytes) -> None:
        digest = self._digest(data)
        if self._checked:
            place = len(self._digests)
            if place >= len(self._checked.digests) or digest != self._checked.digests[place]:
                raise self._changed("rows that were checked have been altered")
        self._digests.append(digest)

    @staticmethod
    def _digest(data: bytes) -> bytes:
        return blake2b(data, digest_size=8).digest()

    def _changed(self, how: str) -> FileChangedError:
        return FileChangedError(
            f"{self.path}: the file changed after it was checked: {how}; run the command again"
        )


#: What reading a file can raise: missing, unreadable, a cut or damaged gzip.
READ_ERRORS = (OSError, EOFError, zlib.error)
