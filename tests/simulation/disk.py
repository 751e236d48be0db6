"""A disk that loses unsynced data at a power cut, in every way that a file system may.

The files below a folder are real; all operations on them are recorded. After a cut each sector of a
file is in the synced state or in any state that the page cache had since then. Of the unsynced
changes of names in a folder, any subset remains. A sector of 512 bytes is written atomically.
"""

import os
import random
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

SECTOR = 512
_REPLAYS = 3

#: A write (offset and data), or a new size.
_Change = tuple[int, bytes] | int


@dataclass
class File:
    """The durable content of a file, and the changes since."""

    synced: bytearray = field(default_factory=bytearray)
    changes: list[_Change] = field(default_factory=list)

    @property
    def content(self) -> bytearray:
        """The content that a process reads."""
        return _applied(self.synced, self.changes)

    def sync(self, content: bytes) -> None:
        """Make all changes durable; the result is this content."""
        self.synced = bytearray(content)
        self.changes = []

    def survivor(self, rng: random.Random) -> bytes:
        """Return the content after a cut: each sector is from one of several moments."""
        moments = [rng.randint(0, len(self.changes)) for _ in range(_REPLAYS)]
        states = [_applied(self.synced, self.changes[:moment]) for moment in moments]
        kept = bytearray(rng.choice(states))
        for start in range(0, len(kept), SECTOR):
            piece = rng.choice(states)[start : start + SECTOR]
            end = min(start + SECTOR, len(kept))
            kept[start:end] = piece[: end - start].ljust(end - start, b"\0")
        return bytes(kept)


def _applied(before: bytearray, changes: list[_Change]) -> bytearray:
    data = bytearray(before)
    for change in changes:
        if isinstance(change, int):
            del data[change:]
            data.extend(bytes(change - len(data)))
        else:
            start, written = change
            data.extend(bytes(max(0, start - len(data))))
            data[start : start + len(written)] = written
    return data


class Names:
    """The files of some folders by their paths, and the durable state of these names."""

    def __init__(self) -> None:
        self.now: dict[str, File] = {}
        self._synced: dict[str, File] = {}
        self._changes: list[dict[str, File | None]] = []

    def reset(self, contents: dict[str, bytes]) -> None:
        """Set the durable files to these, and no others."""
        self.now = {name: File(bytearray(content)) for name, content in contents.items()}
        self._synced = dict(self.now)
        self._changes = []

    def opened(self, name: str) -> File:
        """Return the file of a name; create it if there is none."""
        if name not in self.now:
            self._change({name: File()})
        return self.now[name]

    def renamed(self, source: str, target: str) -> None:
        """Rename a file."""
        self._change({source: None, target: self.now[source]})

    def removed(self, name: str) -> None:
        """Remove a name."""
        self._change({name: None})

    def synced(self, folder: str) -> None:
        """Make the names in a folder durable."""
        left = []
        for change in self._changes:
            if str(Path(next(iter(change))).parent) == folder:
                _rename(self._synced, change)
            else:
                left.append(change)
        self._changes = left

    def survivors(self, rng: random.Random) -> dict[str, bytes]:
        """Return the files after a cut, with their content."""
        names = dict(self._synced)
        for change in self._changes:
            if rng.random() < 0.5:
                _rename(names, change)
        return {name: file.survivor(rng) for name, file in names.items()}

    def _change(self, change: dict[str, File | None]) -> None:
        _rename(self.now, change)
        self._changes.append(change)


def _rename(names: dict[str, File], change: dict[str, File | None]) -> None:
    for name, file in change.items():
        if file is None:
            names.pop(name, None)
        else:
            names[name] = file


def read_files(root: Path) -> dict[str, bytes]:
    """Return the content of all files below a folder, by their paths."""
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def write_files(root: Path, contents: dict[str, bytes]) -> None:
    """Write these files below a folder, and remove all others."""
    for name in {*read_files(root)} - {*contents}:
        Path(name).unlink()
    for name, content in contents.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        path = Path(name)
        path.write_bytes(content)
        path.chmod(0o600)


class Disk:
    """The files below ``root``; ``step`` is called before each change, and may raise.

    Changes of files with ``uncounted`` in their path are not steps.
    """

    def __init__(self, root: Path, step: Callable[[], None], uncounted: str | None = None) -> None:
        self.root = root
        self._step = step
        self._uncounted = uncounted
        self._names = Names()
        self._inodes: dict[int, File] = {}
        self._fds: dict[int, tuple[str, int]] = {}

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Record the operations below the root while the block runs."""
        real = {name: getattr(os, name) for name in _WATCHED}
        with ExitStack() as stack:
            for name in _WATCHED:
                stack.enter_context(mock.patch.object(os, name, self._watched(name, real)))
            yield

    def abandon(self) -> None:
        """Close the descriptors that a killed process had open."""
        for fd, (_, inode) in self._fds.items():
            # Some were closed by code that is not watched, and their numbers may be in use again.
            with suppress(OSError):
                if os.fstat(fd).st_ino == inode:
                    os.close(fd)
        self._fds.clear()

    def cut(self, rng: random.Random) -> None:
        """Simulate a power cut and a reboot."""
        self.abandon()
        write_files(self.root, self._names.survivors(rng))
        self.mark_durable()

    def mark_durable(self) -> None:
        """Treat the files in the folder as durable: after a cut, or after a test wrote them."""
        self._names.reset(read_files(self.root))

    def copy_to(self, folder: Path) -> None:
        """Copy the folder to a backup."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.root, folder)

    def restore(self, folder: Path) -> None:
        """Replace the folder by a backup."""
        shutil.rmtree(self.root)
        shutil.copytree(folder, self.root)
        self.mark_durable()

    def _watched(self, name: str, real: dict[str, Any]) -> Callable[..., Any]:
        """Return the function that replaces one of `os`."""
        action = real[name]
        note = getattr(self, f"_after_{name}")

        def acted(first: Any, *others: Any, **options: Any) -> Any:
            if not self._is_ours(first):
                return action(first, *others, **options)
            if name not in _HARMLESS and not self._is_uncounted(first):
                self._step()
            result = action(first, *others, **options)
            note(result, first, *others)
            return result

        return acted

    def _is_ours(self, first: Any) -> bool:
        if isinstance(first, int):
            return first in self._fds
        return str(os.fspath(first)).startswith(str(self.root))

    def _is_uncounted(self, first: Any) -> bool:
        path = self._fds[first][0] if isinstance(first, int) else str(os.fspath(first))
        return self._uncounted is not None and self._uncounted in path

    def _after_open(self, fd: int, path: Any, flags: int, *_: Any) -> None:
        name = str(path)
        status = os.fstat(fd)
        self._fds[fd] = name, status.st_ino
        if stat.S_ISREG(status.st_mode):
            self._inodes[status.st_ino] = self._names.opened(name)
            if flags & os.O_TRUNC:
                self._names.now[name].changes.append(0)

    def _after_close(self, _: None, fd: int) -> None:
        del self._fds[fd]

    def _after_pwrite(self, written: int, fd: int, data: bytes, offset: int) -> None:
        self._file(fd).changes.append((offset, bytes(data[:written])))

    def _after_ftruncate(self, _: None, fd: int, size: int) -> None:
        self._file(fd).changes.append(size)

    def _after_fsync(self, _: None, fd: int) -> None:
        folder, _inode = self._fds[fd]
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            self._names.synced(folder)
            return
        file = self._file(fd)
        name = next((name for name, each in self._names.now.items() if each is file), None)
        file.sync(Path(name).read_bytes() if name else b"")

    def _file(self, fd: int) -> File:
        """Return the file of a descriptor, whatever its current name."""
        return self._inodes[os.fstat(fd).st_ino]

    def _after_replace(self, _: None, source: Any, target: Any) -> None:
        self._names.renamed(str(source), str(target))

    def _after_unlink(self, _: None, path: Any) -> None:
        self._names.removed(str(path))


_WATCHED = ("open", "close", "pwrite", "fsync", "ftruncate", "replace", "unlink")
_HARMLESS = frozenset({"open", "close"})
