"""Answer only requests to a loopback name, as a protection against DNS rebinding.

A web page can make its own host name resolve to 127.0.0.1. The browser then takes swarm's server
for that page's own, and lets the page read what it shows, and send packets to a sandbox.
"""

import json
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

_NAMES: Final = "localhost, 127.0.0.1 and [::1]"


class LoopbackNames:
    """Middleware that answers 403 to requests whose ``Host`` is not a loopback name."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        hosts = [value for name, value in scope.get("headers", ()) if name == b"host"]
        if all(is_loopback(host.decode("latin-1")) for host in hosts):
            await self._app(scope, receive, send)
            return
        reason = f"the Host header names another host: only requests to {_NAMES} are answered"
        body = json.dumps({"status": "refused", "reason": reason}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ]
        await send({"type": "http.response.start", "status": 403, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Return True if a ``Host`` is a loopback name or address, with or without a port.

    >>> is_loopback("localhost:8080"), is_loopback("[::1]"), is_loopback("localhost.example.com")
    (True, True, False)
    """
    name, colon, port = host.rpartition(":")
    if not colon or port.endswith("]"):
        name = host
    elif not port.isdecimal():
        return False
    if name.lower() == "localhost":
        return True
    try:
        return ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False
