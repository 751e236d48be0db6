"""Environment variables that other programs use and swarm ignores, and notices about them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

#: Names the file that TLS libraries write session keys to. With these keys, anyone with a capture
#: of the traffic can read the password of each request.
KEY_LOG: Final = "SSLKEYLOGFILE"
_PROXIES: Final = frozenset({"http_proxy", "https_proxy", "all_proxy"})


def key_log_notice() -> Iterator[str]:
    """Yield a notice if the environment names a file for TLS keys."""
    if os.environ.get(KEY_LOG):
        yield f"{KEY_LOG} is set and ignored: no TLS keys are written"


def proxy_notices(how: str) -> Iterator[str]:
    """Yield a notice for each proxy variable that is set; ``how`` says how to set a proxy."""
    for variable in sorted(os.environ):
        if variable.lower() in _PROXIES and os.environ[variable]:
            yield f"{variable} is set and not used; to use a proxy, {how}"


def drop_key_log() -> None:
    """Remove the file for TLS keys from the environment of this process and its children."""
    os.environ.pop(KEY_LOG, None)


@contextmanager
def key_log_hidden() -> Iterator[None]:
    """Hide the file for TLS keys from C libraries; `os.environ` still has it."""
    if KEY_LOG in os.environ:
        os.unsetenv(KEY_LOG)
    try:
        yield
    finally:
        if KEY_LOG in os.environ:
            os.putenv(KEY_LOG, os.environ[KEY_LOG])
