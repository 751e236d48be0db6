"""The error "too many open files", and the message that tells the user how to fix it."""

import errno

_ERRORS = frozenset({errno.EMFILE, errno.ENFILE})


def has_too_many(error: BaseException) -> bool:
    """Return True if an error means that the process or the system has too many open files."""
    return isinstance(error, OSError) and error.errno in _ERRORS


def way_out() -> str:
    """Return the message for such an error: the limit, and how to raise it."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        f"too many open files: a process may have {soft} here; raise the limit with ulimit -n and "
        "run the command again"
    )
