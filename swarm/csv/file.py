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
from typing import NamedTuple, NoReturn

from swarm.errors import FileChangedError, StateError
from swarm.open_files import has_too_many, way_out
from swarm.scheduler import THREADS, Scheduler

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
class Fingerprint:
    """A file as a check saw it: the part that is sent, and what it must still be when it is.

    ``size`` is in bytes of the file as text (unpacked for gzip); ``digests`` are of each block.
    """

    size: int = 0
    inode: int = 0
    device: int = 0
    digests: tuple[bytes, ...] = ()


#: What a check saw of a file that can't be read.
NOTHING = Fingerprint()


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

    def checked(self) -> Fingerprint:
        """Return what `blocks` has read to its end."""
        if self._status is None:
            return NOTHING
        status = self._status
        return Fingerprint(self._size, status.st_ino, status.st_dev, tuple(self._digests))

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


_ALTERED = "rows that were checked have been altered"


class VerifiedFile:
    """One file, held to what a check saw of it.

    Reading raises `FileChangedError` where the file was replaced, shortened or altered, and ends
    where the check ended: what was appended since then waits for the next run.
    """

    def __init__(self, path: Path, checked: Fingerprint, scheduler: Scheduler = THREADS) -> None:
        self._path = path
        self._scheduler = scheduler
        self._checked = checked
        self._read = 0
        self._place = 0
        self._current = (0, 0)
        self._is_whole_line = True
        self._is_read = False
        self._opened_at = 0
        self._watched_at = 0

    def blocks(self) -> Iterator[Block]:
        """Yield the file's blocks."""
        try:
            yield from numbered(map(self._compared, self._pieces()))
            self._is_read = True
            self._compare_with_disk(self._opened_at)
        except READ_ERRORS as error:
            self._changed(reason(error))

    def _pieces(self) -> Iterator[bytes]:
        """Yield the file's pieces; it is open while one is read, and no longer.

        Many files may be merged at a time. What is packed stays open: to find one's place in it
        again, all that is ahead has to be unpacked.
        """
        size = self._checked.size
        if is_gzip(self._path):
            with open_csv(self._path) as file:
                self._begin(os.fstat(file.fileno()))
                yield from pieces(file, size)
                self._compare_end(file)
            return
        place = 0
        while True:
            with open_csv(self._path) as file:
                status = os.fstat(file.fileno())
                self._begin(status) if place == 0 else self._compare_place(status)
                file.seek(place)
                piece = next(pieces(file, size - place), None)
                place = file.tell()
                if piece is None:
                    self._compare_end(file)
                    return
            yield piece

    def watch(self) -> None:
        """Compare the file on disk with what is being sent.

        Cheap while nothing touches the file. Once something did, the block in hand is compared;
        those to come are compared when they are read, and all of them again at the end.
        """
        try:
            self._compare_with_disk(self._watched_at)
        except READ_ERRORS as error:
            self._changed(reason(error))

    def _begin(self, status: os.stat_result) -> None:
        self._compare_place(status)
        self._opened_at = self._watched_at = status.st_mtime_ns

    def _compare_with_disk(self, known: int) -> None:
        """Compare if the file was touched since ``known`` (ns): all that was read to its end."""
        status = self._path.stat()
        self._compare_place(status)
        self._watched_at = status.st_mtime_ns
        if self._watched_at != known and self._is_read:
            self._scheduler.run_in_thread(self._compare_all)
        elif self._watched_at != known:
            self._scheduler.run_in_thread(self._compare_piece, self._place - 1, *self._current)

    def _compare_place(self, status: os.stat_result) -> None:
        known = self._checked
        if (status.st_ino, status.st_dev) != (known.inode, known.device):
            self._changed("another file stands in its place")
        if not is_gzip(self._path) and status.st_size < known.size:
            self._changed("it is shorter than it was")

    def _compared(self, data: bytes) -> bytes:
        """Note that a block is in hand, once it proves to be the one that was checked."""
        self._current = (self._read, len(data))
        self._compare(self._place, data)
        self._read += len(data)
        self._place += 1
        self._is_whole_line = data.endswith(b"\n")
        return data

    def _compare(self, place: int, data: bytes) -> None:
        if self._checked.digests[place : place + 1] != (digest_of(data),):
            self._changed(_ALTERED)

    def _compare_end(self, file: OpenFile) -> None:
        """See that the last line still ends where it ended when it was checked."""
        if self._read < self._checked.size:
            self._changed("it is shorter than it was")
        if not self._is_whole_line and file.read(1) not in {b"", b"\n", b"\r"}:
            self._changed("its last line has grown")

    def _compare_piece(self, place: int, start: int, length: int) -> None:
        if not length:
            return
        with open_csv(self._path) as file:
            file.seek(start)
            self._compare(place, file.read(length))

    def _compare_all(self) -> None:
        with open_csv(self._path) as file:
            found = map(digest_of, pieces(file, self._checked.size))
            if tuple(found) != self._checked.digests:
                self._changed(_ALTERED)

    def _changed(self, how: str) -> NoReturn:
        raise FileChangedError(
            f"{self._path}: the file changed after it was checked: {how}; run the command again"
        )
