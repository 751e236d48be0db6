"""Servers of pages in processes of their own: socket, environment, and headers of a page."""

import os
import secrets
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from swarm.errors import SettingsError

HOST: Final = "127.0.0.1"
#: Headers of every answer of a page.
HEADERS: Final = {
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'nonce-{}'; style-src 'unsafe-inline'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page_headers() -> tuple[str, dict[str, str]]:
    """Return a new nonce for a page's script, and the page's headers, which allow only that one."""
    nonce = secrets.token_urlsafe(16)
    return nonce, {**HEADERS, "content-security-policy": _POLICY.format(nonce)}


def listen(port: int, server: str, backlog: int) -> socket.socket:
    """Return a socket that listens on loopback; 0 takes a free port.

    Raises `SettingsError`, which begins with the name of the ``server``, if the port is taken.
    """
    # asyncio sets TCP_NODELAY only if the protocol is given explicitly: without that, each answer
    # would wait 40 ms for an acknowledgement.
    listener = socket.socket(proto=socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # on Windows, two servers could share a port with it
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(backlog)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"{server} can't listen on port {port} of {HOST}: {reason}") from error
    return listener


def child_environment() -> dict[str, str]:
    """Return the environment for ``python -P`` that imports the same modules as this process.

    It imports none from the current folder.
    """
    folder = ""
    with suppress(OSError):  # the current folder may have been removed
        folder = str(Path.cwd())
    path = os.pathsep.join(filter(None, (entry or folder for entry in sys.path)))
    return {**os.environ, "PYTHONPATH": path}
