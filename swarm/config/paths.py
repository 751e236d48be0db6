"""Names of files as an INI gives them -> paths."""

import glob
import re
from contextlib import suppress
from pathlib import Path

_STREAM = re.compile(r"/dev/stdin|(/dev|/proc/[^/]+)/fd/\d+")
_WILD = frozenset("*?[")


def is_pattern(text: str) -> bool:
    """Tell whether a name may mean several files."""
    return not _WILD.isdisjoint(text)


def home_expanded(text: str) -> str:
    """Return a name with its ``~`` expanded; one of a user who is not known stays as it is."""
    try:
        return str(Path(text).expanduser()) if text.startswith("~") else text
    except RuntimeError:
        return text


def is_stream(path: Path) -> bool:
    """Tell whether a path names a stream of this process: /dev/stdin, or the shell's <(...)."""
    return _STREAM.fullmatch(str(path)) is not None


def default_state() -> Path | None:
    """Return the user's own state folder; None where the user's home is not known."""
    import platformdirs

    with suppress(RuntimeError):
        path = platformdirs.user_state_path("swarm")
        # Older versions leave the name of a home that they don't know as it is.
        return None if path.parts[0].startswith("~") else path
    return None


def resolved(text: str, folder: Path) -> Path:
    """Return the path that a name means; it is relative to ``folder``."""
    return folder / home_expanded(text)


def matching(text: str, folder: Path) -> list[Path]:
    """Return the files that a name or glob means, sorted; one without a match stays a path.

    A file that really has such a name is meant by itself.
    """
    path = resolved(text, folder)
    if not is_pattern(text) or is_file(path):
        return [path]
    found = glob.glob(  # noqa: PTH207 - Path.glob refuses absolute patterns and finds hidden files
        home_expanded(text), root_dir=folder, recursive=True
    )
    return [folder / name for name in sorted(found)] or [path]


def is_file(path: Path) -> bool:
    """Tell whether there is such a file; False as well where that can't be known."""
    try:
        return path.is_file()
    except OSError:
        return False
