"""Variables that other programs heed and swarm does not, and what is said where they are set."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: Names the file that TLS libraries write the keys of sessions to: with them, whoever has a
#: capture of the traffic reads the password of each request.
KEY_LOG: Final = "SSLKEYLOGFILE"
_PROXIES: Final = frozenset({"http_proxy", "https_proxy", "all_proxy"})


def key_log_notice() -> Iterator[str]:
    """Yield what is said of a file for TLS keys, where the environment names one."""
    if os.environ.get(KEY_LOG):
        yield f"{KEY_LOG} is set and ignored: no TLS keys are written"


def proxy_notices(how: str) -> Iterator[str]:
    """Yield what is said of the environment's proxies; ``how`` tells how to set one."""
    for variable in sorted(os.environ):
        if variable.lower() in _PROXIES and os.environ[variable]:
            yield f"{variable} is set and not used; to use a proxy, {how}"


def drop_key_log() -> None:
    """Take the file for TLS keys out of this process's environment, and of those to come."""
    os.environ.pop(KEY_LOG, None)


@contextmanager
def key_log_hidden() -> Iterator[None]:
    """Hide the file for TLS keys from C libraries; for Python it stays in `os.environ`."""
    if KEY_LOG in os.environ:
        os.unsetenv(KEY_LOG)
    try:
        yield
    finally:
        if KEY_LOG in os.environ:
            os.putenv(KEY_LOG, os.environ[KEY_LOG])
