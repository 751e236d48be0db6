"""The connection of the requests engine: a deadline for a whole request, and no incomplete headers.

The timeout of a socket never expires while a server sends a byte now and then. Therefore one thread
per process shuts down the sockets of requests whose time is up; the waiting thread then sees the
end of the connection.
"""

import http.client
import io
import os
import selectors
import socket
import threading
import time
from collections import deque
from contextlib import ExitStack, suppress
from typing import Any, cast
from weakref import WeakSet

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError

from swarm.collector.transport.base import CONNECT_LIMIT, INCOMPLETE_HEADER

#: Delay before the next address is tried in parallel (s): RFC 8305, section 5.
_ATTEMPT_DELAY = 0.25
_IDLE = float("inf")


class Deadline:
    """The time limit of a session's present request, with the socket to shut down when it expires.

    ``sent`` is True once the request has begun to go out.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.sent = False
        self.socket: socket.socket | None = None
        self._end = _IDLE
        self._lock = threading.Lock()
        _WATCHDOG.watch(self)

    def start(self) -> None:
        """Start the clock for a request of which nothing was sent yet."""
        self.sent = False
        self._end = time.monotonic() + self.timeout

    def stop(self) -> None:
        """Stop the clock; the watchdog no longer shuts down the socket."""
        with self._lock:
            self._end = _IDLE

    def remaining(self) -> float:
        """Return the time left (s); raise `TimeoutError` if there is none.

        The limit is that of the whole exchange, not of one call of the socket.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def expired(self) -> bool:
        """Return True if the time is up."""
        return time.monotonic() >= self._end

    def check(self, now: float) -> float:
        """Shut down the socket if the time is up; return the time until the next check (s).

        A request that starts after ``now`` can't expire before a whole timeout has passed.
        """
        with self._lock:
            if now < self._end:
                return min(self._end - now, self.timeout)
            with suppress(OSError):  # the peer may have closed it
                if self.socket:
                    # SSLSocket.shutdown would drop the TLS layer: later writes would be plain text.
                    socket.socket.shutdown(self.socket, socket.SHUT_RDWR)
            return self.timeout


class _Watchdog:
    """One thread for all sessions of the process; it sleeps until the earliest possible deadline.

    It wakes about once per timeout, however many requests are sent meanwhile.
    """

    def __init__(self) -> None:
        self._begin()
        # A forked process has no such thread, and the lock may have been held at the fork.
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._deadlines: WeakSet[Deadline] = WeakSet()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def watch(self, deadline: Deadline) -> None:
        """Watch a session's deadline until it is garbage-collected."""
        with self._changed:
            self._deadlines.add(deadline)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                pause = min((deadline.check(now) for deadline in self._deadlines), default=None)
                self._changed.wait(pause)


_WATCHDOG = _Watchdog()


class _HeaderReader(io.BufferedReader):
    """A reader that rejects an incomplete header, which http.client takes for a complete one."""

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n"):
            raise http.client.HTTPException(INCOMPLETE_HEADER)
        return line


class _Response(http.client.HTTPResponse):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fp = _HeaderReader(self.fp.detach())

    def begin(self) -> None:
        """Read the header of the answer; skip all 1xx headers, where http.client skips only 100.

        Source: RFC 9110, 15.2 (a client must be able to parse 1xx answers).
        """
        super().begin()
        while self.status < 200:
            self.headers = self.msg = cast(http.client.HTTPMessage, None)
            super().begin()


class Connection(HTTPConnection):
    """A connection that passes its socket, and the begin of sending, to the deadline."""

    response_class = _Response

    def __init__(self, deadline: Deadline, *args: Any, **options: Any) -> None:
        self._deadline = deadline
        super().__init__(*args, **options)

    def _new_conn(self) -> socket.socket:
        try:
            limit = min(self._deadline.remaining(), CONNECT_LIMIT)
            sock = _connect_to_any(self.host, self.port, time.monotonic() + limit)
            self._deadline.socket = sock
            # This limits the TLS handshake, during which the watchdog can't reach the socket.
            sock.settimeout(min(self._deadline.remaining(), CONNECT_LIMIT))
        except OSError as error:
            # urllib3 ignores a plain OSError that it takes for an error while sending.
            raise NewConnectionError(self, str(error)) from error
        return sock

    def connect(self) -> None:
        """Connect, through the proxy and with TLS if these are used."""
        super().connect()
        self._deadline.socket = self.sock
        self._deadline.remaining()

    def request(self, *args: Any, **options: Any) -> None:
        """Send a request; from the first byte on it is unknown whether it was stored."""
        if self.sock is None:
            self.connect()
        self._deadline.sent = True
        super().request(*args, **options)


class TLSConnection(Connection, HTTPSConnection):
    """A `Connection` over TLS."""


def _connect_to_any(host: str, port: int, limit: float) -> socket.socket:
    """Return a socket connected to the first address that answers ("happy eyeballs", RFC 8305).

    If an address does not answer within `_ATTEMPT_DELAY`, the next one is tried in parallel. Raise
    `OSError` if none answers before ``limit`` (monotonic time, s), which holds for all together.
    """
    addresses = deque(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        error: OSError = TimeoutError("timed out")
        while addresses or selector.get_map():
            if addresses:
                try:
                    sock = _start_connecting(*addresses.popleft())
                except OSError as failure:
                    error = failure
                    continue
                stack.callback(sock.close)
                selector.register(sock, selectors.EVENT_WRITE)
            left = limit - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            for key, _ in selector.select(min(left, _ATTEMPT_DELAY) if addresses else left):
                sock = cast(socket.socket, key.fileobj)
                selector.unregister(sock)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code:
                    return socket.socket(sock.family, sock.type, sock.proto, sock.detach())
                error = OSError(code, os.strerror(code))
        raise error


def _start_connecting(
    family: int, kind: int, protocol: int, _name: str, address: Any
) -> socket.socket:
    """Return a non-blocking socket that is connecting to an address."""
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(BlockingIOError):
            sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock
