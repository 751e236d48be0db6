"""The bytes of a CSV, whatever they come in: a file, gzip, a member of a zip, another encoding.

Text in an encoding in which ASCII characters are other bytes, such as UTF-16, is converted to UTF-8
here. All others are decoded line by line (`swarm.csv.cells`).
"""

import codecs
import errno
import gzip
import io
import os
import stat
import sys
import zlib
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from swarm.errors import StateError
from swarm.open_files import has_too_many, way_out

UTF8: Final = "utf-8"
_UTF16: Final = "utf-16"
Opened = io.BufferedReader | gzip.GzipFile
_BOMS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CHUNK: Final = 64 * 1024
#: Takes the place of what can't be converted.
REPLACED: Final = "\ufffd"
#: Members of an archive that some programs add.
_EXTRA: Final = ("__MACOSX/", ".DS_Store")

#: The errors of reading a file: missing, unreadable, a cut or damaged gzip or zip.
READ_ERRORS = (OSError, EOFError, zlib.error)


def is_compressed(path: Path) -> bool:
    """Return True if a file is read as gzip or zip, by its name."""
    return path.suffix.lower() in {".gz", ".zip"} or archive_of(path) is not None


def archive_of(path: Path) -> tuple[Path, str] | None:
    """Return the archive and the member that ``archive.zip/member`` names, None for other paths."""
    if ".zip" not in str(path).lower():
        return None
    for parent in path.parents:
        if parent.suffix.lower() == ".zip" and parent.is_file():
            return parent, path.relative_to(parent).as_posix()
    return None


def status_of(path: Path) -> os.stat_result:
    """Return the status of a file, or of the archive that it is in; raises OSError."""
    archive = archive_of(path)
    return os.stat(archive[0] if archive else path)  # noqa: PTH116 - for thousands of files


@cache
def is_ascii_compatible(encoding: str) -> bool:
    """Return True if ASCII characters are the same bytes in an encoding as in ASCII."""
    ascii_bytes = bytes(range(128))
    try:
        return ascii_bytes.decode(encoding) == ascii_bytes.decode("ascii")
    except UnicodeError:
        return False


def encoding_of_lines(encoding: str) -> str:
    """Return the encoding of the lines that `OpenSource` reads of a CSV in an encoding."""
    return encoding if is_ascii_compatible(encoding) else UTF8


class OpenSource:
    """The open bytes of a CSV: lines in an encoding that is compatible with ASCII.

    ``encoding`` is the one of the CSV; UTF-16 with a byte order mark is seen without it. If it
    ``is_direct``, positions are those of the file; else it has to be read from its beginning.
    Raises OSError, and `StateError` if this process may open no more files: that is no problem of
    the file.
    """

    def __init__(self, path: Path, encoding: str = UTF8) -> None:
        self._stack = ExitStack()
        #: The encoding that is converted to UTF-8, None if there is no need to.
        self.converted_from: str | None = None
        try:
            self._file = self._open(path, encoding)
        except OSError as error:
            self._stack.close()
            if has_too_many(error):
                raise StateError(f"{path}: can't be read: {way_out()}") from None
            raise
        except BaseException:
            self._stack.close()
            raise

    def _open(self, path: Path, encoding: str) -> Opened:
        archive = archive_of(path)
        name, member = archive or (path, "")
        mode = name.stat().st_mode
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, "is a folder")
        if not stat.S_ISREG(mode):
            # Opening a pipe would block, and its data can't be read twice.
            raise OSError(errno.EINVAL, "not a regular file")
        file: Opened = self._stack.enter_context(name.open("rb"))
        self.status = os.fstat(file.fileno())
        suffix = name.suffix.lower()
        if suffix == ".gz":
            file = self._stack.enter_context(gzip.GzipFile(fileobj=file))
        elif suffix == ".zip":
            file = self._stack.enter_context(_member(file, name, member))
        self.is_direct = suffix not in {".gz", ".zip"}
        if file.peek(2)[:2] in _BOMS:
            encoding = _UTF16
        if is_ascii_compatible(encoding):
            return file
        self.is_direct, self.converted_from = False, encoding
        return io.BufferedReader(_AsUtf8(file, encoding), _CHUNK)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def size(self) -> int:
        """The number of bytes when it was opened, if it is direct; else more than there are."""
        return self.status.st_size if self.is_direct else sys.maxsize

    def read(self, size: int) -> bytes:
        """Return the next bytes, as many as asked for unless it ends."""
        return self._file.read(size)

    def readline(self, size: int) -> bytes:
        """Return the next line, or its first ``size`` bytes."""
        return self._file.readline(size)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def skip_to(self, position: int) -> None:
        """Go to a position; only once, and not back."""
        if self.is_direct:
            self._file.seek(position)
            return
        while position > 0 and (data := self._file.read(min(position, _CHUNK))):
            position -= len(data)


def _member(file: Opened, path: Path, name: str) -> io.BufferedReader:
    """Open a member of a zip, its only one if no name is given; raises OSError."""
    from zipfile import BadZipFile, ZipFile  # for the few runs that need it

    try:
        archive = ZipFile(file)
        files = [
            each
            for each in archive.infolist()
            if not each.is_dir() and not each.filename.startswith(_EXTRA)
        ]
        names = ", ".join(each.filename for each in files)
        found = [each for each in files if each.filename == name or not name]
        if len(found) != 1:
            if not name and files:
                raise OSError(
                    errno.EINVAL,
                    f"a zip with several files: {names}; name one: {path}/{files[0].filename}",
                )
            has = f"it has {names}" if files else "it is empty"
            raise OSError(errno.EINVAL, f"no such file in the zip: {has}")
        if found[0].flag_bits & 1:
            raise OSError(errno.EINVAL, "an encrypted zip: expected one without a password")
        return io.BufferedReader(_ZipMember(archive.open(found[0])), _CHUNK)
    except (BadZipFile, NotImplementedError) as error:
        raise OSError(errno.EINVAL, f"a damaged or unknown zip file: {error}") from None


class _ZipMember(io.RawIOBase):
    """A member of a zip; a damaged one raises OSError."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file

    def readable(self) -> bool:
        """Return True: it can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill the buffer with the next bytes, 0 of them at the end."""
        from zipfile import BadZipFile

        try:
            data = self._file.read(len(buffer))
        except (BadZipFile, EOFError, zlib.error) as error:
            raise OSError(errno.EINVAL, f"a damaged zip file: {error}") from None
        buffer[: len(data)] = data
        return len(data)


class _AsUtf8(io.RawIOBase):
    """Text in another encoding as UTF-8; what can't be decoded becomes `REPLACED`."""

    def __init__(self, file: Opened, encoding: str) -> None:
        super().__init__()
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._pending = b""
        self._is_over = False

    def readable(self) -> bool:
        """Return True: it can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill the buffer with the next bytes, 0 of them at the end."""
        while not self._pending and not self._is_over:
            data = self._file.read(_CHUNK)
            self._is_over = not data
            text = self._decoder.decode(data, final=not data)
            self._pending = text.encode(UTF8, "replace")
        count = min(len(buffer), len(self._pending))
        buffer[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        return count
