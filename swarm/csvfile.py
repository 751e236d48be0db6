"""A CSV file as blocks of whole lines."""

import errno
import gzip
import io
import os
import stat
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from swarm.errors import StateError
from swarm.openfiles import has_too_many, way_out

BLOCK_BYTES = 64 * 1024
#: A longer line is cut, for the row reader to refuse.
LONGEST_LINE = 1024 * 1024
#: A last line without a newline waits while its file is younger than this, in seconds.
SETTLED_AFTER = 10.0
_BOM = b"\xef\xbb\xbf"

#: What reading a file can raise: missing, unreadable, a cut or damaged gzip.
READ_ERRORS = (OSError, EOFError, zlib.error)

OpenFile = io.BufferedReader | gzip.GzipFile


class Block(NamedTuple):
    """Some whole lines of a file; ``line`` is the number of the first, counted from 1."""

    line: int
    data: bytes


@dataclass(frozen=True)
class Checked:
    """A file as a check saw it: the part that is sent, and what it must still be when it is.

    ``size`` is in bytes of the file as text (unpacked for gzip); ``digests`` are of each block.
    """

    size: int = 0
    inode: int = 0
    device: int = 0
    digests: tuple[bytes, ...] = ()


#: What a check saw of a file that can't be read.
NOTHING = Checked()


class CsvFile:
    """One CSV file, read block by block for a check.

    ``held_back`` tells, after that, that a last line was left out: it may still be being written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.held_back = False
        self._digests: list[bytes] = []
        self._size = 0
        self._status: os.stat_result | None = None

    def blocks(self) -> Iterator[Block]:
        """Yield the file's blocks; raises one of `READ_ERRORS`."""
        with open_csv(self.path) as file:
            self._status = os.fstat(file.fileno())
            # Not to an end that moves on while somebody writes: blocks would break anywhere.
            size = sys.maxsize if is_gzip(self.path) else self._status.st_size
            yield from numbered(map(self._settled, pieces(file, size)))

    def checked(self) -> Checked:
        """Return what `blocks` has read to its end."""
        if self._status is None:
            return NOTHING
        status = self._status
        return Checked(self._size, status.st_ino, status.st_dev, tuple(self._digests))

    def _settled(self, data: bytes) -> bytes:
        """Note a piece; leave out a last line that is still young.

        Source: "The CSV" in docs/reference.md.
        """
        if not data.endswith(b"\n") and self._is_young():
            self.held_back = True
            data = data[: data.rfind(b"\n") + 1]
        if data:
            self._size += len(data)
            self._digests.append(digest_of(data))
        return data

    def _is_young(self) -> bool:
        if self._status is None:
            return False
        # The time of modification can be set, also to one in years; the time of that can't.
        changed = min(self._status.st_mtime, self._status.st_ctime)
        return time.time() - changed < SETTLED_AFTER


def is_gzip(path: Path) -> bool:
    """Tell whether a file is read as gzip: its name ends in ``.gz``."""
    return path.suffix.lower() == ".gz"


def open_csv(path: Path) -> OpenFile:
    """Open a file for reading, unpacked.

    Raises OSError, and `StateError` where this process may open no more files: nothing is wrong
    with this one.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, "is a folder")
    if not stat.S_ISREG(mode):
        # A pipe would be waited for, and can't be read twice.
        raise OSError(errno.EINVAL, "not a regular file")
    try:
        return gzip.open(path, "rb") if is_gzip(path) else path.open("rb")
    except OSError as error:
        if has_too_many(error):
            raise StateError(f"{path}: can't be read: {way_out()}") from None
        raise


def pieces(file: OpenFile, left: int) -> Iterator[bytes]:
    """Yield the next ``left`` bytes of a file in pieces that end with a line.

    The last may lack a newline. Of a line longer than `LONGEST_LINE` only the beginning is kept.
    """
    while data := file.read(min(BLOCK_BYTES, left)):
        left -= len(data)
        if not data.endswith(b"\n"):
            rest = file.readline(min(LONGEST_LINE, left))
            left -= len(rest)
            data += rest
            while len(rest) == LONGEST_LINE and not rest.endswith(b"\n"):
                rest = file.readline(min(LONGEST_LINE, left))
                left -= len(rest)
            if rest.endswith(b"\n") and not data.endswith(b"\n"):
                data += b"\n"
        yield data


def numbered(data: Iterator[bytes]) -> Iterator[Block]:
    """Yield pieces of a file from its beginning as blocks, without a byte order mark."""
    line = 1
    for piece in data:
        yield Block(line, piece.removeprefix(_BOM) if line == 1 else piece)
        line += piece.count(b"\n")


def digest_of(data: bytes) -> bytes:
    """Return what tells a block from any other."""
    return blake2b(data, digest_size=8).digest()


def reason(error: Exception) -> str:
    """Return in words why a file can't be read: ``error`` is one of `READ_ERRORS`."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, OSError) and error.strerror:
        return f"can't be read: {error.strerror}"
    return f"not a whole gzip file: {error}"
