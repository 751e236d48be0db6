"""Rows that the collector refused for good: kept as the CSV's own lines, with a log beside them."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from swarm.errors import StateError
from swarm.files import make_folder, open_private, sync_folder


class Rejects:
    """The rejects file of one stream; made when the first row comes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path.with_name(f"{path.stem}.log.jsonl")

    def add(self, file: str, line: int, text: str, status: int | None, reason: str) -> None:
        """Keep a row, and why it is here; both are on the disk when this returns.

        ``text`` is the ``line`` of the ``file``; the collector's answer had an HTTP ``status``,
        and gave the ``reason``.
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
            # A crash may have cut the last line short: this one is to stand alone.
            is_torn = not is_new and _last_byte(file) != b"\n"
            file.write(b"\n" * is_torn + line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_folder(path.parent)
    except OSError as error:
        raise StateError(
            f"{path}: can't be written: {error.strerror}; make it writable and run "
            "the command again"
        ) from None


def _last_byte(file: BinaryIO) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read()
