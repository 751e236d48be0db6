"""The error "too many open files", and the message that tells the user how to fix it."""

import errno
import os

_ERRORS = frozenset({errno.EMFILE, errno.ENFILE})


def has_too_many(error: BaseException) -> bool:
    """Return True if an error means that the process or the system has too many open files."""
    return isinstance(error, OSError) and error.errno in _ERRORS


def can_open(count: int) -> bool:
    """Return True if this process may open this many more files now."""
    opened: list[int] = []
    try:
        for _ in range(count):
            opened.append(os.open(os.devnull, os.O_RDONLY))  # noqa: PERF401 - closed if one fails
    except OSError as error:
        if not has_too_many(error):
            raise
        return False
    finally:
        for fd in opened:
            os.close(fd)
    return True


def way_out() -> str:
    """Return the message for such an error: the limit, and how to raise it."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        f"too many open files: a process may have {soft} here; raise the limit with ulimit -n and "
        "run the command again"
    )
