"""Files and folders that belong to the user alone: opened, made and checked."""

import os
import shlex
import stat
from contextlib import suppress
from pathlib import Path

from swarm.errors import StateError


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, for this user alone, durably; raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Put a folder's names on the disk."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def open_private(path: Path, flags: int, mode: int = 0o600) -> int:
    """Open a file of swarm's own and return its descriptor, which no other program inherits.

    Raises OSError where it can't be opened, and `StateError` where it is not the regular file of
    this user or root that it should be, or lies in a folder that check_folder would refuse.
    """
    folder = _checked(path.parent)
    try:
        # Without O_NONBLOCK, a pipe in the file's place would be waited for.
        extra = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        fd = os.open(path, flags | extra, mode)
    except OSError:
        with suppress(OSError):
            _check_file(path, path.lstat())
        raise
    try:
        status = os.fstat(fd)
        _check_file(path, status)
        if folder is not None and folder.st_mode & stat.S_IWGRP and status.st_nlink > 1:
            raise _refused(path, "has a second name (a hard link), and a group can make those")
    except BaseException:
        os.close(fd)
        raise
    return fd


def check_private(path: Path) -> None:
    """Raise `StateError` where `open_private` would, for who opens a file by its name alone."""
    if os.name != "posix":
        return
    with suppress(FileNotFoundError):
        _check_file(path, path.lstat())


def open_fresh(path: Path) -> int:
    """Open a new file of swarm's own in place of whatever has its name, as `open_private` does."""
    path.unlink(missing_ok=True)
    return open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)


def is_still_there(fd: int, path: Path) -> bool:
    """Tell whether an open file is still the one that a path names; raises OSError."""
    ours = os.fstat(fd)
    try:
        there = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return ours.st_nlink > 0 and os.path.samestat(ours, there)


def _checked(folder: Path, *, may_be_link: bool = False) -> os.stat_result | None:
    """Return a folder's status, None if it is not there; raises `StateError` as `check_folder`."""
    try:
        status = folder.lstat()
        if may_be_link and stat.S_ISLNK(status.st_mode):
            _check_owner(folder, status, "the link")
            status = folder.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(folder, error) from None
    if stat.S_ISLNK(status.st_mode):
        raise _refused(folder, "is a link, and links in the state folder are not followed")
    if not stat.S_ISDIR(status.st_mode):
        raise _refused(folder, "is no folder")
    _check_owner(folder, status, "it")
    if status.st_mode & stat.S_IWOTH:
        mode = stat.S_IMODE(status.st_mode)
        raise StateError(
            f"{folder}: everybody can write to it (mode {mode:04o}), and so change what counts as "
            f"sent; run: chmod o-w {shlex.quote(str(folder))}, or name another folder with 'state' "
            "under [swarm]"
        )
    return status


def _check_file(path: Path, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise _refused(path, "is a link, and links in the state folder are not followed")
    if not stat.S_ISREG(status.st_mode):
        raise _refused(path, "is no regular file")
    _check_owner(path, status, "it")


def _check_owner(path: Path, status: os.stat_result, what: str) -> None:
    if status.st_uid in {0, os.geteuid()}:
        return
    owner = _user(status.st_uid)
    raise StateError(
        f"{path}: {what} belongs to {owner}, who could change what counts as sent, and "
        f"{_user(os.geteuid())} runs swarm; run it as {owner}, or name another folder with 'state' "
        "under [swarm]"
    )


def _warning(folder: Path, status: os.stat_result | None) -> str | None:
    if status is None or not status.st_mode & stat.S_IWGRP:
        return None
    mode = stat.S_IMODE(status.st_mode)
    return (
        f"{folder}: the group {_group(status.st_gid)} can write to it (mode {mode:04o}), and so "
        f"change what counts as sent; run: chmod g-w {shlex.quote(str(folder))}"
    )


def _refused(path: Path, why: str) -> StateError:
    return StateError(
        f"{path}: {why}; move it away, or name another folder with 'state' under [swarm]"
    )


def _unusable(folder: Path, error: OSError) -> StateError:
    return StateError(
        f"{folder}: can't be used as the state folder: {error.strerror}; make it writable, or name "
        "another with 'state' under [swarm]"
    )


def _user(number: int) -> str:
    import pwd

    with suppress(KeyError):
        return pwd.getpwuid(number).pw_name
    return f"user {number}"


def _group(number: int) -> str:
    import grp

    with suppress(KeyError):
        return grp.getgrgid(number).gr_name
    return str(number)
