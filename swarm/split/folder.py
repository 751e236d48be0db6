"""The folder of the new CSVs: all of them take their places at the end, or none does."""

import errno
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from swarm.checkpoint.paths import digest_of, file_name
from swarm.errors import SettingsError
from swarm.files import is_still_there, sync_folder
from swarm.text import pluralize

#: The names of folders that hold the files of a run until its end.
_PREFIX = ".swarm-split-"
#: The rows that are held in memory, in characters.
_MOST_HELD = 16 * 1024 * 1024
#: Without file locks, a folder of another run counts as left behind after this time (s).
_LEFT_AFTER = 24 * 3600
_NO_LOCKS = -1


class NewFiles:
    """CSVs that are not in their places yet; the rows of a meter are in the order of `add`.

    ``rows`` has the number of rows of each meter. A file is open only while rows are appended to
    it, so that the number of meters has no limit.
    """

    def __init__(self, folder: Path, place: Path) -> None:
        self.rows: Counter[str] = Counter()
        self._folder = folder
        self._place = place
        self._numbers: dict[str, int] = {}
        self._held: dict[str, list[str]] = {}
        self._characters = 0

    def add(self, meter: str, rows: Sequence[str]) -> None:
        """Append rows, which have no line ends, to the file of a meter; raises OSError."""
        text = "\n".join(rows) + "\n"
        self.rows[meter] += len(rows)
        self._held.setdefault(meter, []).append(text)
        self._characters += len(text)
        if self._characters >= _MOST_HELD:
            self._write()

    def paths(self) -> dict[str, Path]:
        """Return the path of each meter's file until `replace`; raises OSError."""
        self._write()
        return {meter: self._path(meter) for meter in self.rows}

    def targets(self) -> dict[str, Path]:
        """Return the path of each meter's file after `replace`."""
        return dict(zip(self.rows, csv_paths(self._folder, self.rows), strict=True))

    def replace(self, sources: Iterable[Path]) -> None:
        """Move every file to its place, once all are on the disk.

        Raises OSError, and `SettingsError` if that would replace one of the ``sources``.
        """
        self._write()
        targets = self.targets()
        read = {os.path.realpath(path): path for path in sources}
        for target in targets.values():
            if source := read.get(os.path.realpath(target)):
                raise SettingsError(
                    f"--into {self._folder}: {source} would be replaced by a part of itself; give "
                    "another folder"
                )
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, f"{target.name} is a folder")
        for meter in targets:
            with self._path(meter).open("rb") as file:
                os.fsync(file.fileno())
        done = 0
        try:
            for meter, target in targets.items():
                self._path(meter).replace(target)
                done += 1
            if os.name == "posix":
                sync_folder(self._folder)
        except OSError as error:
            raise SettingsError(
                f"--into {self._folder}: can't be written: {error.strerror}; {done} of "
                f"{pluralize(len(targets), 'file')} were replaced; run the command again"
            ) from None

    def _path(self, meter: str) -> Path:
        number = self._numbers.setdefault(meter, len(self._numbers))
        return self._place / f"{number}.csv"

    def _write(self) -> None:
        for meter, texts in self._held.items():
            with self._path(meter).open("ab") as file:
                file.write("".join(texts).encode())
        self._held.clear()
        self._characters = 0


def csv_paths(folder: Path, meters: Collection[str]) -> Iterator[Path]:
    """Yield the path of the CSV of each meter: its ID, percent-encoded.

    A file system may ignore case: if IDs differ in nothing else, those with capitals get a digest.
    """
    names = {meter: file_name(meter) for meter in meters}
    count = Counter(name.lower() for name in names.values())
    for meter, name in names.items():
        is_alone = count[name.lower()] == 1 or meter == meter.lower()
        yield folder / f"{name if is_alone else f'{name}~{digest_of(meter).hex()}'}.csv"


@contextmanager
def new_files(folder: Path) -> Iterator[NewFiles]:
    """Yield new files of a folder, which is created if it is missing.

    What has not been moved to its place at the end of the block is removed, and so is what killed
    runs left behind. Raises `SettingsError` if the folder can't be written.
    """
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_left_behind(folder)
        with _own_place(folder) as place:
            yield NewFiles(folder, place)
    except OSError as error:
        raise SettingsError(
            f"--into {folder}: can't be written: {error.strerror}; nothing was replaced"
        ) from None
    finally:
        if is_new:
            with suppress(OSError):
                folder.rmdir()  # it is empty if the run has failed


@contextmanager
def _own_place(folder: Path) -> Iterator[Path]:
    """Yield a hidden folder of this run, locked so that no other run removes it."""
    lock, place = None, folder
    while lock is None:
        place = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
        with suppress(BlockingIOError, FileNotFoundError):
            lock = _lock(place)
            if lock == _NO_LOCKS or is_still_there(lock, place):
                break
            os.close(lock)
            lock = None
        # Another run took it for left behind, before it was locked.
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        if lock is not None and lock != _NO_LOCKS:
            os.close(lock)


def _remove_left_behind(folder: Path) -> None:
    """Remove the folders of runs that were killed."""
    for place in folder.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            lock = _lock(place)
            if lock != _NO_LOCKS:
                shutil.rmtree(place, ignore_errors=True)
                os.close(lock)
            elif time.time() - place.stat().st_mtime > _LEFT_AFTER:
                shutil.rmtree(place, ignore_errors=True)


def _lock(place: Path) -> int:
    """Return a descriptor that locks a folder, `_NO_LOCKS` if the system has no such locks.

    Raises OSError, above all BlockingIOError if another run has locked it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return _NO_LOCKS
    fd = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd
