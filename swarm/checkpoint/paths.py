"""Where a run's state lies, and who may write it: paths, folders, and files opened safely.

Whoever can write to the state folder decides what counts as sent, and which files a run of another
user writes to. So it is used only where it belongs to this user or to root, and no link in it is
followed.
"""

import os
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

from swarm.files import folder_status, group_warning, make_folder, unusable_folder

_LONGEST_NAME = 200
#: The folders in a state folder that hold one for each collector.
_KINDS = ("checkpoints", "locks", "rejects")
_SANDBOX = "sandbox"


def file_name(stream: str) -> str:
    """Return a stream's ID, percent-encoded; a long one is cut, with a digest of the whole."""
    name = quote(stream, safe="")
    name = name.replace(".", "%2E", 1) if name.startswith(".") else name
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME]}~{digest_of(stream).hex()}"


def ledger_path(state: Path, collector: str, stream: str) -> Path:
    """Return the path of a stream's ledger.

    A file system may take ``Gas`` and ``gas`` for one name: capitals bring a digest into it.
    """
    name = file_name(stream)
    if stream != stream.lower() and len(name) <= _LONGEST_NAME:
        name = f"{name}~{digest_of(stream).hex()}"
    return state / "checkpoints" / collector / f"{name}.ledger"


def rejects_path(state: Path, collector: str, stream: str) -> Path:
    """Return the path of a stream's rejects file."""
    return state / "rejects" / collector / f"{file_name(stream)}.csv"


def runs_lock(state: Path, collector: str) -> Path:
    """Return the file whose bytes the runs on a collector lock."""
    return state / "locks" / collector / "runs.lock"


def senders_lock(state: Path, collector: str) -> Path:
    """Return the file whose bytes the workers lock that send to a collector."""
    return state / "locks" / collector / "senders.lock"


def sandbox_store(state: Path) -> Path:
    """Return the file in which the sandbox keeps its packets."""
    return state / _SANDBOX / "packets.sqlite"


def digest_of(stream: str) -> bytes:
    """Return what tells a stream's ID from any other, in few bytes."""
    return blake2b(stream.encode(), digest_size=8).digest()


def open_folder(state: Path, collector: str) -> str | None:
    """Make the state folder if it is not there, and check it as `check_folder` does."""
    try:
        make_folder(state)
    except OSError as error:
        raise unusable_folder(state, error) from None
    return check_folder(state, collector)


def check_folder(state: Path, collector: str) -> str | None:
    """Check who may write to the state folder, and to those in it that concern a collector.

    Each that is there has to belong to this user or to root, and must not be writable by
    everybody; else raises `StateError`. The state folder itself may be a link of this user's or
    root's, those in it may not. Returns a warning where a group can write.
    """
    if os.name != "posix":
        return None  # there owner and mode say nothing
    found = [folder_status(state, may_be_link=True)]
    found += [folder_status(folder) for folder in _folders(state, collector)]
    return next(filter(None, map(group_warning, (state, *_folders(state, collector)), found)), None)


def _folders(state: Path, collector: str) -> Iterator[Path]:
    """Yield the folders of swarm's own in a state folder."""
    for kind in _KINDS:
        yield state / kind
        yield state / kind / collector
    yield state / _SANDBOX
