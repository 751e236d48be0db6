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

    ``status`` is the HTTP status of the collector's answer, ``reason`` its text. If the row was
    rejected in an earlier run, ``is_again``, and the rejects file has it already.
    """

    file: str
    line: int
    text: str
    status: int | None
    reason: str
    is_again: bool = False


class Rejects:
    """The rejects file of one stream, created with its first row."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def log(self) -> Path:
        """The path of the log."""
        return self.path.with_name(f"{self.path.stem}.log.jsonl")

    def add(self, row: RejectedRow) -> None:
        """Store a row and the reason for its rejection; both are synced when this returns."""
        entry = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "file": row.file,
            "line": row.line,
            "status": row.status,
            "reason": row.reason,
            "row": row.text,
        }
        _append(self.log, json.dumps(entry, ensure_ascii=False))
        if not row.is_again:
            _append(self.path, row.text)


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
