"""The connections of the sandbox: uvicorn's, with httptools if it is installed, else with h11.

With h11, a packet takes twice the CPU time.
"""

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as _Uvicorn

    from swarm.sandbox.app import SandboxSessions
else:
    _Uvicorn = object

# The same as h11's: httptools has no limit of its own.
_HEAD_LIMIT: Final = 16 * 1024
_CONTINUE: Final = b"HTTP/1.1 100 "


def protocol(sessions: "SandboxSessions") -> type[asyncio.Protocol]:
    """Return the class of the connections; a session is forgotten when its connection ends."""
    bases: tuple[type, ...]
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

        bases = (_HeadLimit, _Connection, HttpToolsProtocol)
    except ImportError:
        from uvicorn.protocols.http.h11_impl import H11Protocol

        bases = (_Connection, H11Protocol)
    return type("Connection", bases, {"sessions": sessions})


class _Answers:
    """A transport that holds an answer until it is complete, or until the loop's next turn.

    uvicorn writes head and body separately: two system calls, and two wake-ups of the client. Parts
    of an answer that goes on, such as server-sent events, are not held any longer.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: list[bytes] = []
        self._call_soon = asyncio.get_running_loop().call_soon
        self.is_closing = transport.is_closing  # called several times for each request

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Hold data; only a 100 is sent at once, since the client waits for it."""
        if data.startswith(_CONTINUE):
            self._transport.write(data)
        else:
            if not self._held:
                self._call_soon(self.flush)
            self._held.append(data)

    def flush(self) -> None:
        """Send what is held."""
        held, self._held = self._held, []
        if held:
            self._transport.write(b"".join(held))

    def close(self) -> None:
        """Send what is held, and close the connection."""
        self.flush()
        self._transport.close()


class _Connection(_Uvicorn):
    """The sandbox's part of a connection, with either parser."""

    sessions: ClassVar["SandboxSessions"]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin a connection."""
        self._answers = _Answers(cast(asyncio.Transport, transport))
        super().connection_made(cast(asyncio.Transport, self._answers))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the session."""
        self.sessions.forget(self.client)
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Send the answer."""
        self._answers.flush()
        super().on_response_complete()


class _HeadLimit(_Uvicorn):
    """A limit for the size of an incomplete head (request line and headers)."""

    _is_in_head = False
    _size = 0

    def data_received(self, data: bytes) -> None:
        """Parse data; an endless head is answered with 400."""
        super().data_received(data)
        self._size = self._size + len(data) if self._is_in_head else 0
        if self._size > _HEAD_LIMIT and not self.transport.is_closing():
            self.send_400_response("Invalid HTTP request received.")

    def on_message_begin(self) -> None:
        """Begin a head."""
        self._is_in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """End a head."""
        self._is_in_head = False
        super().on_headers_complete()
