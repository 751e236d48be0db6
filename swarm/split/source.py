"""The text of one export as chunks of whole lines, in flat memory."""

import codecs
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from swarm.csv.file import (
    LONGEST_LINE,
    READ_ERRORS,
    SETTLED_AFTER,
    OpenFile,
    is_gzip,
    open_csv,
    reason,
)
from swarm.csv.problems import Problems
from swarm.text import quoted

#: The delimiters that are detected.
DELIMITERS = (",", ";", "\t", "|")
CHUNK_BYTES = 1024 * 1024
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UTF8 = "utf-8"


class Chunk(NamedTuple):
    """Whole lines of a file, without the last line end; ``line`` is the number of the first."""

    line: int
    text: str


class Source:
    """One file of the command line, read once.

    After `chunks`, ``held_back`` is True if a last line was left out that may still be being
    written. ``delimiter`` is that of the cells, as soon as it is known. What can't be read or
    decoded is added to ``problems`` and ends the file.
    """

    def __init__(self, path: Path, encoding: str | None, problems: Problems) -> None:
        self.held_back = False
        self.delimiter: str | None = None
        self._path = path
        self._encoding = encoding
        self._problems = problems

    def chunks(self) -> Iterator[Chunk]:
        """Yield the file's lines, without a byte order mark and with LF between them."""
        try:
            with open_csv(self._path) as file:
                status = os.fstat(file.fileno())
                # A file that grows is read up to the size that it had when it was opened.
                left = sys.maxsize if is_gzip(self._path) else status.st_size
                is_recent = time.time() - min(status.st_mtime, status.st_ctime) < SETTLED_AFTER
                yield from self._decoded(_pieces(file, left), is_recent=is_recent)
        except READ_ERRORS as error:
            self._problems.add_first("file", reason(error))

    def _decoded(self, pieces: Iterator[bytes], *, is_recent: bool) -> Iterator[Chunk]:
        line, rest, text = 1, "", ""
        decoder: codecs.IncrementalDecoder | None = None
        for piece in pieces:
            decoder = decoder or codecs.getincrementaldecoder(self._encoding_of(piece))()
            try:
                text = rest + decoder.decode(piece, not piece)
            except UnicodeDecodeError as error:
                self._add_undecodable(line, rest, error)
                return
            if not piece:
                break
            whole, end, rest = text.rpartition("\n")
            if end:
                whole = whole.removeprefix("\ufeff") if line == 1 else whole
                yield Chunk(line, _with_plain_ends(whole))
                line += whole.count("\n") + 1
            if len(rest) > LONGEST_LINE:
                message = f"a line of more than {LONGEST_LINE:,} characters: expected rows"
                self._problems.add(line, 1, "line", message)
                return
        if text.strip() and is_recent:
            self.held_back = True
        elif text:
            text = text.removeprefix("\ufeff") if line == 1 else text
            yield Chunk(line, _with_plain_ends(text))

    def _encoding_of(self, beginning: bytes) -> str:
        """Return the encoding that was given, else that of the byte order mark, else UTF-8."""
        marked = (name for mark, name in _BOMS if beginning.startswith(mark))
        return self._encoding or next(marked, _UTF8)

    def _add_undecodable(self, line: int, rest: str, error: UnicodeDecodeError) -> None:
        before = rest + error.object[: error.start].decode(error.encoding, "replace")
        found = f"0x{error.object[error.start]:02x}"
        if "utf-16" in error.encoding.lower():
            found = quoted(error.reason)
        message = (
            f"bytes that are not {error.encoding}: found {found}; name the file's encoding with "
            "--encoding, such as cp1252"
        )
        # In the first chunk, it is not known yet.
        delimiter = self.delimiter or max(DELIMITERS, key=before.count)
        column = before.rpartition("\n")[2].count(delimiter) + 1
        self._problems.add(line + before.count("\n"), column, "encoding", message)


def _pieces(file: OpenFile, left: int) -> Iterator[bytes]:
    """Yield the next ``left`` bytes of a file in pieces, then an empty one."""
    while data := file.read(min(CHUNK_BYTES, left)):
        left -= len(data)
        yield data
    yield b""


def _with_plain_ends(text: str) -> str:
    return text.replace("\r\n", "\n").removesuffix("\r") if "\r" in text else text
