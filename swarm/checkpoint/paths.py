"""Paths of a run's state, and the check of the state folder's owner and permissions.

A user who can write to the state folder decides which rows count as sent, and which files a run of
another user writes to. Therefore the folder must belong to this user or to root, and links in it
are not followed.
"""

import os
from functools import cache
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

from swarm.files import folder_status, group_warning, make_folder, unusable_folder

_LONGEST_NAME = 200
#: Folders in the state folder that contain a folder for each collector.
_KINDS = ("checkpoints", "locks", "rejects")
_SANDBOX = "sandbox"


def file_name(stream: str) -> str:
    """Return a stream's ID, percent-encoded; a long name is shortened and ends in a digest.

    A leading dot is encoded as well: no file of a stream is hidden.
    """
    name = quote(stream, safe="")
    name = name.replace(".", "%2E", 1) if name.startswith(".") else name
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME]}~{digest_of(stream).hex()}"


def ledger_path(state: Path, collector: str, stream: str) -> Path:
    """Return the path of a stream's ledger.

    A file system may ignore case: a name with capitals gets a digest, so that ``Gas`` and ``gas``
    have different files.
    """
    name = file_name(stream)
    if stream != stream.lower() and len(name) <= _LONGEST_NAME:
        name = f"{name}~{digest_of(stream).hex()}"
    return _folder(state, "checkpoints", collector) / f"{name}.ledger"


def rejects_path(state: Path, collector: str, stream: str) -> Path:
    """Return the path of a stream's rejects file."""
    return _folder(state, "rejects", collector) / f"{file_name(stream)}.csv"


@cache
def _folder(state: Path, kind: str, collector: str) -> Path:
    """Return a collector's folder; there may be thousands of paths in it."""
    return state / kind / collector


def locks_folder(state: Path, collector: str) -> Path:
    """Return the path of the folder with the locks of a collector's streams."""
    return state / "locks" / collector


def runs_lock(state: Path, collector: str) -> Path:
    """Return the path of the file in which runs lock streams of a collector."""
    return locks_folder(state, collector) / "runs.lock"


def senders_lock(state: Path, collector: str) -> Path:
    """Return the path of the file in which worker processes lock streams of a collector."""
    return locks_folder(state, collector) / "senders.lock"


def sandbox_store(state: Path) -> Path:
    """Return the path of the file in which the sandbox stores its packets."""
    return state / _SANDBOX / "packets.sqlite"


def digest_of(stream: str) -> bytes:
    """Return a digest of a stream's ID, of 8 bytes."""
    return blake2b(stream.encode(), digest_size=8).digest()


def open_folder(state: Path, collector: str) -> str | None:
    """Create the state folder if it is missing, and check it with `check_folder`.

    Returns its warning. Raises `StateError` if the folder can't be made or used.
    """
    try:
        make_folder(state)
    except OSError as error:
        raise unusable_folder(state, error) from None
    return check_folder(state, collector)


def check_folder(state: Path, collector: str) -> str | None:
    """Check the owner and permissions of the state folder and of a collector's folders in it.

    Return a warning if a group can write to one of them. Raise `StateError` if one belongs neither
    to this user nor to root, or everybody can write to it. The state folder itself may be a link
    that belongs to this user or to root; a folder in it may not.
    """
    if os.name != "posix":
        return None  # Windows: owner and mode bits mean nothing.
    folders = [folder for kind in _KINDS for folder in (state / kind, state / kind / collector)]
    folders.append(state / _SANDBOX)
    statuses = [folder_status(state, may_be_link=True), *map(folder_status, folders)]
    return next(filter(None, map(group_warning, (state, *folders), statuses)), None)
