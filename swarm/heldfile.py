"""A CSV file that was checked, read again for sending: it must still be what was checked."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from swarm.csvfile import (
    READ_ERRORS,
    Block,
    Checked,
    OpenFile,
    digest_of,
    is_gzip,
    numbered,
    open_csv,
    pieces,
    reason,
)
from swarm.errors import FileChangedError
from swarm.scheduler import THREADS, Scheduler

_ALTERED = "rows that were checked have been altered"


class HeldFile:
    """One file, held to what a check saw of it.

    Reading raises `FileChangedError` where the file was replaced, shortened or altered, and ends
    where the check ended: what was appended since then waits for the next run.
    """

    def __init__(self, path: Path, checked: Checked, scheduler: Scheduler = THREADS) -> None:
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
            self._scheduler.aside(self._compare_all)
        elif self._watched_at != known:
            self._scheduler.aside(self._compare_piece, self._place - 1, *self._current)

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
