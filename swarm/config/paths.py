"""File names and patterns of an INI -> paths, and questions about paths."""

import glob
import os
import re
import stat
from contextlib import suppress
from pathlib import Path

_STREAM = re.compile(r"/dev/stdin|(/dev|/proc/[^/]+)/fd/\d+")
_WILD = frozenset("*?[")


def is_pattern(text: str) -> bool:
    """Return True if a name contains wildcards."""
    return not _WILD.isdisjoint(text)


def home_expanded(text: str) -> str:
    """Return a name with its ``~`` expanded, unchanged if the user's home is not known."""
    try:
        return str(Path(text).expanduser()) if text.startswith("~") else text
    except RuntimeError:
        return text


def is_stream(path: Path) -> bool:
    """Return True if a path is a stream of this process: /dev/stdin, or the shell's <(...)."""
    return _STREAM.fullmatch(str(path)) is not None


def default_state() -> Path | None:
    """Return the user's state folder, None if the user's home is not known."""
    import platformdirs

    with suppress(RuntimeError):
        path = platformdirs.user_state_path("swarm")
        # Older versions of platformdirs return "~" for a home that they don't know.
        return None if path.parts[0].startswith("~") else path
    return None


def resolved(text: str, folder: Path) -> Path:
    """Return the path of a name, which is relative to ``folder`` unless it is absolute."""
    return folder / home_expanded(text)


def matching(text: str, folder: Path) -> list[Path]:
    """Return the files that match a name or glob pattern, sorted.

    If a file with exactly that name exists, the name is not a pattern. A pattern without a match
    is returned as a path.
    """
    path = resolved(text, folder)
    if not is_pattern(text) or is_file(path):
        return [path]
    found = glob.glob(  # noqa: PTH207 - Path.glob refuses absolute patterns and finds hidden files
        home_expanded(text), root_dir=folder, recursive=True
    )
    return [folder / name for name in sorted(found)] or [path]


def is_file(path: Path) -> bool:
    """Return True if a file exists, False as well if that can't be found out.

    That is so if a folder on the way can't be searched.
    """
    try:
        return path.is_file()
    except OSError:
        return False


def is_readable_by_others(path: Path) -> bool:
    """Return True if users other than the owner may read a file, as far as its mode says."""
    if os.name != "posix":
        return False  # file modes have no such meaning there
    try:
        return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False
