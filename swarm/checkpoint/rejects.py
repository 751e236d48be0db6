"""Rows that the collector rejected, stored as lines of the CSV, with a log of the reasons."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from swarm.errors import StateError
from swarm.files import make_folder, open_private, sync_folder


class RejectedRow(NamedTuple):
    """A rejected row: ``text`` is the content of the ``line`` in the ``file``.

    ``status`` is the HTTP status of the collector's answer, ``reason`` its text.
    """

    file: str
    line: int
    text: str
    status: int | None
    reason: str


class Rejects:
    """The rejects file of one stream, created with its first row."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def log(self) -> Path:
        """The path of the log."""
        return self.path.with_name(f"{self.path.stem}.log.jsonl")

    def add(self, file: str, line: int, text: str, status: int | None, reason: str) -> None:
        """Store a row and the reason for its rejection; both are synced when this returns.

        ``text`` is the content of the ``line`` in the ``file``; ``status`` is the HTTP status of
        the collector's answer, ``reason`` its text.
        """
        entry = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "file": file,
            "line": line,
            "status": status,
            "reason": reason,
            "row": text,
        }
        _append(self.log, json.dumps(entry, ensure_ascii=False))
        _append(self.path, text)


def _append(path: Path, line: str) -> None:
    try:
        make_folder(path.parent)
        with os.fdopen(open_private(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "ab+") as file:
            is_new = file.tell() == 0
            if not is_new:
                file.seek(-1, os.SEEK_END)
                # A crash may have cut the last line short: begin a new line after it.
                if file.read() != b"\n":
                    file.write(b"\n")
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_folder(path.parent)
    except OSError as error:
        raise StateError(
            f"{path}: can't be written: {error.strerror}; make it writable and run "
            "the command again"
        ) from None
