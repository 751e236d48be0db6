"""The connection under the requests engine: a deadline for all of an exchange, and no cut headers.

A server that sends a byte a second never lets a socket's own timeout strike. One thread per process
shuts the sockets of exchanges whose time is up: whoever waits for them then sees their end.
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

#: To connect takes no longer than this (s), even where a whole request may.
CONNECT_LIMIT = 10.0

#: So long (s) an address is tried before the next one is tried beside it: RFC 8305, 5.
_HEAD_START = 0.25
_IDLE = float("inf")


class Deadline:
    """The exchange that a session is in: its time limit, and the socket that is shut at its end.

    ``sent`` tells whether the request has begun to go out.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.sent = False
        self.socket: socket.socket | None = None
        self._end = _IDLE
        self._lock = threading.Lock()
        _WATCHDOG.watch(self)

    def start(self) -> None:
        """Begin, with nothing sent yet."""
        self.sent = False
        self._end = time.monotonic() + self.timeout

    def stop(self) -> None:
        """End it; past this its socket is no longer shut."""
        with self._lock:
            self._end = _IDLE

    def remaining(self) -> float:
        """Return the seconds that are left; raise `TimeoutError` where none are."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def expired(self) -> bool:
        """Tell whether the exchange's time is up."""
        return time.monotonic() >= self._end

    def check(self, now: float) -> float:
        """Shut the socket if its time is up; return how soon to check again.

        An exchange that begins later than now has all its time still to run.
        """
        with self._lock:
            if now < self._end:
                return min(self._end - now, self.timeout)
            with suppress(OSError):  # the peer was quicker
                if self.socket:
                    # Not SSLSocket's own shutdown: what is written next would go in the clear.
                    socket.socket.shutdown(self.socket, socket.SHUT_RDWR)
            return self.timeout


class _Watchdog:
    """One thread for all sessions of the process; it sleeps until the next deadline there can be.

    An exchange costs it nothing: it looks again about once in the length of a timeout.
    """

    def __init__(self) -> None:
        self._begin()
        # A forked process has not the thread, which may have held the lock.
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._exchanges: WeakSet[Deadline] = WeakSet()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def watch(self, exchange: Deadline) -> None:
        """Watch a session from now on, for as long as it lives."""
        with self._changed:
            self._exchanges.add(exchange)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                pause = min((each.check(now) for each in self._exchanges), default=None)
                self._changed.wait(pause)


_WATCHDOG = _Watchdog()


class _HeaderReader(io.BufferedReader):
    """http.client takes a header that is cut off for a whole one; with this it does not."""

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n"):
            raise http.client.HTTPException("the answer ended before its header did")
        return line


class _Response(http.client.HTTPResponse):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fp = _HeaderReader(self.fp.detach())

    def begin(self) -> None:
        """Read on until the header is the answer's; http.client itself skips none but 100."""
        super().begin()
        while self.status < 200:
            self.headers = self.msg = cast(http.client.HTTPMessage, None)
            super().begin()


class Connection(HTTPConnection):
    """A connection that shows its socket to the exchange, and when it begins to send."""

    response_class = _Response

    def __init__(self, exchange: Deadline, *args: Any, **options: Any) -> None:
        self._exchange = exchange
        super().__init__(*args, **options)

    def _new_conn(self) -> socket.socket:
        try:
            limit = min(self._exchange.remaining(), CONNECT_LIMIT)
            sock = _dialled(self.host, self.port, time.monotonic() + limit)
            self._exchange.socket = sock
            # What limits the TLS handshake, in which the watchdog can't reach the socket.
            sock.settimeout(min(self._exchange.remaining(), CONNECT_LIMIT))
        except OSError as error:
            # A plain one may be taken for one that came while sending, and is then passed over.
            raise NewConnectionError(self, str(error)) from error
        return sock

    def connect(self) -> None:
        """Connect, by way of the proxy and with TLS where there are any."""
        super().connect()
        self._exchange.socket = self.sock
        self._exchange.remaining()

    def request(self, *args: Any, **options: Any) -> None:
        """Send a request; from here on nobody knows whether it was stored."""
        if self.sock is None:
            self.connect()
        self._exchange.sent = True
        super().request(*args, **options)


class TLSConnection(Connection, HTTPSConnection):
    """The same over TLS."""


def _dialled(host: str, port: int, limit: float) -> socket.socket:
    """Connect to the first address that answers; one limit for all of them together.

    An address that has not answered after a moment is not waited for alone: the next is tried
    beside it (RFC 8305).
    """
    addresses = deque(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM))
    with ExitStack() as open_ones, selectors.DefaultSelector() as dialling:
        error: OSError = TimeoutError("timed out")
        while addresses or dialling.get_map():
            if addresses:
                try:
                    sock = _dialling(*addresses.popleft())
                except OSError as failure:
                    error = failure
                    continue
                open_ones.callback(sock.close)
                dialling.register(sock, selectors.EVENT_WRITE)
            left = limit - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            for key, _ in dialling.select(min(left, _HEAD_START) if addresses else left):
                sock = cast(socket.socket, key.fileobj)
                dialling.unregister(sock)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code:
                    return socket.socket(sock.family, sock.type, sock.proto, sock.detach())
                error = OSError(code, os.strerror(code))
        raise error


def _dialling(family: int, kind: int, protocol: int, _name: str, address: Any) -> socket.socket:
    """Begin to connect."""
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
