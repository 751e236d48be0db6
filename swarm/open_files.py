"""Too many open files: told as what it is, with the way out, wherever it shows."""

import errno

_ERRORS = frozenset({errno.EMFILE, errno.ENFILE})


def has_too_many(error: BaseException) -> bool:
    """Tell whether an error says that no more files may be open, here or on the whole system."""
    return isinstance(error, OSError) and error.errno in _ERRORS


def way_out() -> str:
    """Return what is wrong then, and what to do."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        f"too many open files: a process may have {soft} here; raise the limit with ulimit -n and "
        "run the command again"
    )
