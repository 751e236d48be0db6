"""A CSV file as blocks of whole lines: for the check, and verified against it for sending."""

import os
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import NamedTuple, NoReturn

from swarm.csv.source import READ_ERRORS, UTF8, OpenSource, status_of
from swarm.errors import FileChangedError
from swarm.scheduler import THREADS, Scheduler

BLOCK_BYTES = 64 * 1024
#: A longer line is cut; the row reader reports it as a problem.
LONGEST_LINE = 1024 * 1024
#: A last line without a newline is left out if its file changed less than this many seconds ago.
SETTLED_AFTER = 10.0
_BOM = b"\xef\xbb\xbf"


class Place(NamedTuple):
    """The place of a block in its file.

    ``number`` counts blocks from 0, ``line`` lines from 1, ``start`` bytes.
    """

    number: int = 0
    line: int = 1
    start: int = 0


#: The place of the first block.
BEGIN = Place()


class Block(NamedTuple):
    """Whole lines of a file; ``line`` is the number of the first one, counted from 1.

    ``place`` is that of the block in the file.
    """

    line: int
    data: bytes
    place: Place = BEGIN


@dataclass(frozen=True)
class Fingerprint:
    """The identity and the content of a file when it was checked.

    ``size`` is the number of bytes that were checked, uncompressed; ``digests`` has one for each
    block. ``modified`` is the time of modification, in ns. If it ``is_direct``, positions are those
    of the file itself.
    """

    size: int = 0
    inode: int = 0
    device: int = 0
    digests: tuple[bytes, ...] = ()
    modified: int = 0
    is_direct: bool = True


#: The fingerprint of a file that can't be read.
NOTHING = Fingerprint()


class NotSettledError(Exception):
    """The beginning of a file is not the one that was settled."""


class CsvFile:
    """One CSV file, read block by block for a check.

    After that, ``end`` is the place after the last block, and ``held_back`` is True if a last line
    was left out that may still be being written.
    The blocks before ``begin`` are not read again, only compared with the digests in ``settled``.
    """

    def __init__(
        self,
        path: Path,
        encoding: str = UTF8,
        settled: Fingerprint = NOTHING,
        begin: Place = BEGIN,
    ) -> None:
        self.path = path
        self._encoding = encoding
        self._is_direct = True
        self.held_back = False
        self.end = begin
        self._settled = settled
        self._begin = begin
        self._digests: list[bytes] = []
        self._status: os.stat_result | None = None

    def blocks(self) -> Iterator[Block]:
        """Yield the file's blocks; raises one of `READ_ERRORS`, or `NotSettledError`."""
        with OpenSource(self.path, self._encoding) as file:
            self._status, self._is_direct = file.status, file.is_direct
            status = file.status
            # A program can set mtime to any value, even in the future, but not ctime.
            changed = min(status.st_mtime, status.st_ctime)
            # Stop at the size seen at open: a growing file would split blocks at arbitrary places.
            data = self._recorded(pieces(file, file.size), changed)
            for _ in islice(data, self._begin.number):
                pass
            if tuple(self._digests) != self._settled.digests:
                raise NotSettledError
            self.end = yield from numbered(data, self._begin)

    def _recorded(self, data: Iterator[bytes], changed: float) -> Iterator[bytes]:
        """Record each piece of the file; leave out a last line that may be incomplete.

        ``changed`` is when the file changed last, in seconds. Source: "The CSV" in
        docs/reference.md.
        """
        for piece in data:
            kept = piece
            if not piece.endswith(b"\n") and time.time() - changed < SETTLED_AFTER:
                self.held_back = True
                kept = piece[: piece.rfind(b"\n") + 1]
            if kept:
                self._digests.append(digest_of(kept))
            yield kept

    def fingerprint(self, before: Place | None = None) -> Fingerprint:
        """Return the fingerprint of the file, once `blocks` has read it to its end.

        The next reader compares the file with it, block by block. With ``before``, it is that of
        the blocks before this place.
        """
        if self._status is None:
            return NOTHING
        status, end = self._status, before or self.end
        digests = tuple(self._digests[: end.number])
        identity = status.st_ino, status.st_dev
        return Fingerprint(
            end.start, *identity, digests, status.st_mtime_ns, is_direct=self._is_direct
        )


def pieces(file: OpenSource, left: int) -> Iterator[bytes]:
    """Yield the next ``left`` bytes of a file in pieces of whole lines.

    The last piece may lack a newline. Only the beginning of a line longer than `LONGEST_LINE` is
    kept.
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


def numbered(data: Iterator[bytes], begin: Place) -> Generator[Block, None, Place]:
    """Yield the pieces of a file as blocks, without a byte order mark.

    They begin at the place ``begin``; the place after them is returned.
    """
    number, line, start = begin
    for piece in data:
        content = piece.removeprefix(_BOM) if line == 1 else piece
        yield Block(line, content, Place(number, line, start))
        number, line, start = number + 1, line + piece.count(b"\n"), start + len(piece)
    return Place(number, line, start)


def digest_of(data: bytes) -> bytes:
    """Return the digest of a block, in 8 bytes."""
    return blake2b(data, digest_size=8).digest()


def reason(error: Exception) -> str:
    """Return the text of one of `READ_ERRORS`, for a message.

    The message does not name the file: the problem does.
    """
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, OSError) and error.strerror:
        return f"can't be read: {error.strerror}"
    return f"an incomplete or damaged gzip file: {error}"


_ALTERED = "rows that were checked have been altered"


def here(path: Path, known: Fingerprint, encoding: str = UTF8) -> Fingerprint:
    """Return the fingerprint of a file that another computer has checked, for its copy here.

    Raises `FileChangedError` if it does not have the content that was checked.
    """
    try:
        status = status_of(path)
    except OSError as error:
        raise FileChangedError(
            f"{path}: {reason(error)}; every worker needs the files under the same paths"
        ) from None
    found = replace(known, inode=status.st_ino, device=status.st_dev, modified=status.st_mtime_ns)
    try:
        for _ in VerifiedFile(path, found, encoding=encoding).blocks():
            pass
    except FileChangedError:
        raise FileChangedError(
            f"{path}: its content is not the one that was checked: every worker needs the same "
            "files; if the file has changed since, run the command again"
        ) from None
    return found


class VerifiedFile:
    """One file, verified block by block against its fingerprint.

    Reading raises `FileChangedError` if the file was replaced, shortened or altered. It starts at
    the place ``begin``, and ends where the check ended: rows that were appended since then are left
    to the next run.
    """

    def __init__(
        self,
        path: Path,
        known: Fingerprint,
        scheduler: Scheduler = THREADS,
        begin: Place = BEGIN,
        encoding: str = UTF8,
    ) -> None:
        self._path = path
        self._encoding = encoding
        self._scheduler = scheduler
        self._known = known
        self._begin = begin
        # The number of blocks and bytes read so far, and of the bytes of the newest block.
        self._blocks = begin.number
        self._bytes = begin.start
        self._newest = 0
        self._is_whole_line = True
        self._is_read = False
        # Times of modification in ns: at the beginning, and when `watch` compared last.
        self._opened_at = 0
        self._watched_at = 0

    def blocks(self) -> Iterator[Block]:
        """Yield the file's blocks."""
        try:
            yield from numbered(map(self._verified, self._pieces()), self._begin)
            self._is_read = True
            # Blocks before the first one were compared by the check.
            self._compare_with_disk(self._known.modified if self._begin.number else self._opened_at)
        except READ_ERRORS as error:
            self._raise_changed(reason(error))

    def compare(self) -> None:
        """Raise `FileChangedError` if the file, which is not read, has changed since the check."""
        self._blocks, self._bytes = len(self._known.digests), self._known.size
        self._is_read = True
        try:
            self._compare_with_disk(self._known.modified)
        except READ_ERRORS as error:
            self._raise_changed(reason(error))

    def watch(self) -> None:
        """Raise `FileChangedError` if the file on disk is not the one that was checked.

        This is cheap unless the file was modified. Then it compares the newest block, or all
        blocks if all have been read; blocks that follow are compared when they are read.
        """
        try:
            self._compare_with_disk(self._watched_at)
        except READ_ERRORS as error:
            self._raise_changed(reason(error))

    def _pieces(self) -> Iterator[bytes]:
        """Yield the file's pieces; it is open only while one is read, as many may be merged.

        A compressed file stays open: seeking in it would decompress all before the position.
        """
        size, position = self._known.size, self._begin.start
        while True:
            with OpenSource(self._path, self._encoding) as file:
                self._compare_status(file.status)
                if position == self._begin.start:
                    self._opened_at = self._watched_at = file.status.st_mtime_ns
                file.skip_to(position)
                if not file.is_direct:
                    yield from pieces(file, size - position)
                    piece = None
                else:
                    piece = next(pieces(file, size - position), None)
                    position = file.tell()
                if piece is None:
                    if self._bytes < size:
                        self._raise_changed("it is shorter than it was")
                    # The last line must still end where it ended when it was checked.
                    if not self._is_whole_line and file.read(1) not in {b"", b"\n", b"\r"}:
                        self._raise_changed("its last line has become longer")
                    return
            yield piece

    def _verified(self, data: bytes) -> bytes:
        """Return the next block if it is the one that was checked."""
        if self._known.digests[self._blocks : self._blocks + 1] != (digest_of(data),):
            self._raise_changed(_ALTERED)
        self._blocks += 1
        self._bytes += len(data)
        self._newest = len(data)
        self._is_whole_line = data.endswith(b"\n")
        return data

    def _compare_with_disk(self, modified: int) -> None:
        """Compare the newest block, or all, if the file was modified since ``modified`` (ns)."""
        status = status_of(self._path)
        self._compare_status(status)
        self._watched_at = status.st_mtime_ns
        if self._watched_at == modified or self._blocks == self._begin.number:
            return
        first, start = self._blocks - 1, self._bytes - self._newest
        if self._is_read:
            first, start = 0, 0
        digests = self._known.digests[first : self._blocks]
        self._scheduler.run_in_thread(self._compare_again, digests, start, self._bytes - start)

    def _compare_status(self, status: os.stat_result) -> None:
        if (status.st_ino, status.st_dev) != (self._known.inode, self._known.device):
            self._raise_changed("it was replaced by another file")
        if self._known.is_direct and status.st_size < self._known.size:
            self._raise_changed("it is shorter than it was")

    def _compare_again(self, digests: tuple[bytes, ...], start: int, length: int) -> None:
        """Compare blocks that were verified with the same part of the file on disk."""
        with OpenSource(self._path, self._encoding) as file:
            file.skip_to(start)
            if tuple(map(digest_of, pieces(file, length))) != digests:
                self._raise_changed(_ALTERED)

    def _raise_changed(self, how: str) -> NoReturn:
        raise FileChangedError(
            f"{self._path}: the file changed after it was checked: {how}; run the command again"
        )
