"""Files and folders that only this user may write: create, open and check them."""

import os
import shlex
import stat
from contextlib import suppress
from pathlib import Path

from swarm.errors import StateError


def make_folder(folder: Path) -> None:
    """Create a folder and its parents with access for this user only, and sync them to the disk.

    Raises OSError if that is not possible.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Sync the entries of a folder to the disk; raises OSError.

    Without it, a power cut may lose a file that was just created or renamed.
    """
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def open_private(path: Path, flags: int, mode: int = 0o600) -> int:
    """Open one of swarm's own files and return its descriptor, which no child process inherits.

    Raises OSError if the file can't be opened. Raises `StateError` if it is not a regular file of
    this user or root, or if `folder_status` rejects its folder.
    """
    folder = folder_status(path.parent)
    try:
        # O_NONBLOCK: if the path is a named pipe, do not wait for its other end.
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
            raise _rejected(
                path, "has a second name (a hard link), and a group can create such names here"
            )
    except BaseException:
        os.close(fd)
        raise
    return fd


def check_private(path: Path) -> None:
    """Raise `StateError` as `open_private` does, for a library that opens the file by its name.

    A file that does not exist is fine.
    """
    if os.name != "posix":
        return
    with suppress(FileNotFoundError):
        _check_file(path, path.lstat())


def open_fresh(path: Path) -> int:
    """Open a new file as `open_private` does; delete first what has its name."""
    path.unlink(missing_ok=True)
    return open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)


def is_still_there(fd: int, path: Path) -> bool:
    """Return True if a path still names the file that is open as ``fd``; raises OSError."""
    opened = os.fstat(fd)
    try:
        named = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return opened.st_nlink > 0 and os.path.samestat(opened, named)


def folder_status(folder: Path, *, may_be_link: bool = False) -> os.stat_result | None:
    """Return the status of a state folder, None if it does not exist.

    Raises `StateError` if it belongs to another user than this one or root, everybody can write to
    it, it is no folder, or it is a link; if ``may_be_link``, a link of this user or root is
    followed.
    """
    try:
        status = folder.lstat()
        if may_be_link and stat.S_ISLNK(status.st_mode):
            _check_owner(folder, status, "the link")
            status = folder.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unusable_folder(folder, error) from None
    if stat.S_ISLNK(status.st_mode):
        raise _rejected(folder, "is a link, and links in the state folder are not followed")
    if not stat.S_ISDIR(status.st_mode):
        raise _rejected(folder, "is not a folder")
    _check_owner(folder, status, "it")
    if status.st_mode & stat.S_IWOTH:
        mode = stat.S_IMODE(status.st_mode)
        raise StateError(
            f"{folder}: everybody can write to it (mode {mode:04o}), and so change what counts as "
            f"sent; run: chmod o-w {shlex.quote(str(folder))}, or name another folder with 'state' "
            "under [swarm]"
        )
    return status


def group_warning(folder: Path, status: os.stat_result | None) -> str | None:
    """Return a warning if a group can write to a folder, else None."""
    if status is None or not status.st_mode & stat.S_IWGRP:
        return None
    import grp

    group = str(status.st_gid)
    with suppress(KeyError):
        group = grp.getgrgid(status.st_gid).gr_name
    mode = stat.S_IMODE(status.st_mode)
    return (
        f"{folder}: the group {group} can write to it (mode {mode:04o}), and so change what counts "
        f"as sent; run: chmod g-w {shlex.quote(str(folder))}"
    )


def unusable_folder(folder: Path, error: OSError) -> StateError:
    """Return the error for a state folder that the system does not let swarm use."""
    return StateError(
        f"{folder}: can't be used as the state folder: {error.strerror}; make it writable, or name "
        "another with 'state' under [swarm]"
    )


def _check_file(path: Path, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise _rejected(path, "is a link, and links in the state folder are not followed")
    if not stat.S_ISREG(status.st_mode):
        raise _rejected(path, "is not a regular file")
    _check_owner(path, status, "it")


def _check_owner(path: Path, status: os.stat_result, what: str) -> None:
    if status.st_uid in {0, os.geteuid()}:
        return
    owner = _user_name(status.st_uid)
    raise StateError(
        f"{path}: {what} belongs to {owner}, who could change what counts as sent, and "
        f"{_user_name(os.geteuid())} runs swarm; run it as {owner}, or name another folder with "
        "'state' under [swarm]"
    )


def _rejected(path: Path, reason: str) -> StateError:
    return StateError(
        f"{path}: {reason}; move it away, or name another folder with 'state' under [swarm]"
    )


def _user_name(uid: int) -> str:
    import pwd

    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return f"user {uid}"
