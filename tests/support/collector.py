"""A scripted loopback collector over raw sockets: real HTTP/1.1, and many kinds of failure.

    with Collector(script=[Reply(503), ResetAfterStoring()]) as collector:
        session.post(collector.url, packet)

A script is a queue of behaviours, one per request, or a callable that picks one for a request. If
it returns nothing (``None``, or an empty queue), the collector stores the packet and answers as the
real one does. Every request is recorded.
"""

import base64
import json
import re
import select
import socket
import ssl
import struct
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

PATH = "/measurements/v2/unifiedjson/"
_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)


@dataclass(slots=True, eq=False)
class Request:
    """One request as received: ``number`` is its order of arrival, ``head`` all before the body."""

    number: int
    connection: int
    method: str
    target: str
    head: bytes
    body: bytes
    stream: str | None

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        """The decoded query."""
        return parse_qs(urlsplit(self.target).query)

    @property
    def headers(self) -> dict[str, str]:
        """The headers, their names in lower case."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines)
        return {name.lower(): value.strip() for name, _, value in pairs}


@dataclass(frozen=True)
class Reply:
    """Answers after ``delay`` seconds.

    ``store`` says whether the packet is stored before that; by default it is stored if the status
    is 2xx. ``hang_up`` closes the connection after the answer without having announced it.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] | None = None
    store: bool | None = None
    delay: float = 0.0
    hang_up: bool = False


def redirect(url: str, status: int = 302) -> Reply:
    """Return the reply that redirects to another URL; nothing is stored."""
    return Reply(status, headers={"Location": url})


@dataclass(frozen=True)
class Raw:
    """Sends arbitrary bytes: ``head`` at once, then ``data`` (repeated ``times`` times).

    With an ``interval`` the data are sent byte by byte, that many seconds apart. After ``pause``
    seconds of silence the connection is kept, closed normally (FIN) or reset (RST). The packet is
    stored ``later`` seconds after its arrival.
    """

    data: bytes = b""
    store: bool = True
    end: Literal["keep", "fin", "reset"] = "fin"
    head: bytes = b""
    times: int = 1
    interval: float = 0.0
    pause: float = 0.0
    later: float = 0.0


#: Resets; nothing is stored.
ResetBeforeStoring = partial(Raw, store=False, end="reset")
#: Stores, then resets without an answer.
ResetAfterStoring = partial(Raw, end="reset")
#: Stores, then closes the connection normally without an answer.
CloseAfterStoring = partial(Raw)
#: Stores, sends a whole header and part of the body, then resets. A reset discards what the client
#: has not read yet, hence the pause.
ResetMidBody = partial(
    Raw, data=b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf", end="reset", pause=0.05
)
#: Stores, then closes in the middle of the answer's header.
TruncatedHeader = partial(Raw, data=b"HTTP/1.1 200 OK\r\nContent-Le")
#: Stores, then sends something that is not HTTP.
Garbage = partial(Raw, data=b"\x16\x03\x01 no HTTP at all\r\n\r\n")
#: Sends nothing for ``pause`` seconds, or until the client leaves; then closes.
Hang = partial(Raw, store=False, pause=60.0)
#: Stores, then answers byte by byte, one second apart.
Drip = partial(Raw, data=b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", end="keep", interval=1.0)
#: Stores, then answers with a body of 100 MB, until the client stops reading.
HugeBody = partial(
    Raw,
    data=b"x" * 1_000_000,
    head=b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n",
    times=100,
)

Behaviour = Reply | Raw
Script = Callable[[Request, "Collector"], Behaviour | None] | Iterable[Behaviour | None]


class Collector:
    """The server; a context manager.

    ``auth`` is the (username, password) that it requires, ``cookie`` a Set-Cookie value for clients
    without one. ``delay`` (seconds) precedes every answer. ``reset_on_accept`` returns True for the
    number (from 0) of a connection that is reset at once, ``handshake`` returns how long (seconds)
    a connection waits before TLS. By default the ``listener`` is on loopback. ``script`` may be
    replaced at any time.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        auth: tuple[str, str] | None = None,
        cookie: str | None = None,
        tls: ssl.SSLContext | None = None,
        delay: float = 0.0,
        reset_on_accept: Callable[[int], bool] = lambda number: False,
        handshake: Callable[[int], float] = lambda number: 0.0,
        listener: socket.socket | None = None,
    ) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.cookie = cookie
        self.delay = delay
        self.script = script
        self._auth = base64.b64encode(":".join(auth).encode()) if auth else None
        self._tls = tls
        self._reset_on_accept = reset_on_accept
        self.handshake = handshake
        self._lock = threading.Lock()
        self._stored: defaultdict[str, list[bytes]] = defaultdict(list)
        self._in_flight: defaultdict[str, set[_Connection]] = defaultdict(set)
        self._max_in_flight: defaultdict[str, int] = defaultdict(int)
        self._open: set[_Connection] = set()
        self._closing = False
        self._listener = listener or socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.host: str = self._listener.getsockname()[0]
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    @property
    def url(self) -> str:
        """The URL that packets are posted to."""
        return f"{'https' if self._tls else 'http'}://{self.host}:{self.port}{PATH}"

    @property
    def script(self) -> Script | None:
        """The behaviours for the next requests."""
        return self._script

    @script.setter
    def script(self, script: Script | None) -> None:
        self._script = script if script is None or callable(script) else deque(script)

    def bodies(self, stream: str) -> list[bytes]:
        """Return the stored packets of a stream, byte for byte, in order of arrival."""
        return list(self._stored.get(stream, ()))

    def take(self, stream: str, body: bytes) -> None:
        """Store a packet that was received elsewhere."""
        self._stored[stream].append(body)

    def packets(self, stream: str) -> list[dict[str, Any]]:
        """Return the stored packets of a stream, in order of arrival."""
        return [json.loads(body) for body in self.bodies(stream)]

    def max_in_flight(self, stream: str) -> int:
        """Return the largest number of requests of a stream that were under way at once."""
        return self._max_in_flight[stream]

    @property
    def in_flight(self) -> int:
        """The number of requests of streams under way."""
        return sum(map(len, list(self._in_flight.values())))

    def hang_up(self) -> None:
        """Close every open connection, as servers do with idle ones."""
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            connection.shut()
        for connection in connections:
            connection.join(5)

    def stop_listening(self) -> None:
        """Refuse connections from now on; open ones continue."""
        if not self._closing:
            self._closing = True
            # Closing a socket does not wake a thread that accepts on it.
            self._wake_acceptor()
            self._acceptor.join(5)
            self._listener.close()

    def _wake_acceptor(self) -> None:
        # The address may be one of another network namespace: only there it can be connected to.
        if sys.platform == "linux":
            self._listener.shutdown(socket.SHUT_RDWR)
        else:
            socket.create_connection((self.host, self.port)).close()

    def close(self) -> None:
        """Stop listening and end every connection."""
        self.stop_listening()
        self.hang_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return None
            if self._closing:
                return sock.close()
            number, self.connections = self.connections, self.connections + 1
            if self._reset_on_accept(number):
                _reset(sock)
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = _Connection(self, sock, number, self._tls)
            with self._lock:
                self._open.add(connection)
            connection.start()

    def _closed(self, connection: "_Connection") -> None:
        with self._lock:
            self._open.discard(connection)

    def _arrived(self, connection: "_Connection", head: bytes, body: bytes) -> Request:
        method, target, _ = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
        stream = _stream_of(method, target, body)
        with self._lock:
            number = len(self.requests)
            request = Request(number, connection.number, method, target, head, body, stream)
            self.requests.append(request)
            if stream is not None:
                in_flight = self._in_flight[stream]
                in_flight -= {other for other in in_flight if other.waits(0.0)}
                in_flight.add(connection)
                self._max_in_flight[stream] = max(self._max_in_flight[stream], len(in_flight))
        return request

    def _answered(self, connection: "_Connection", request: Request) -> None:
        if request.stream is not None:
            with self._lock:
                self._in_flight[request.stream].discard(connection)

    def _store(self, request: Request) -> None:
        if request.method == "POST" and request.stream is not None:
            self._stored[request.stream].append(request.body)

    def _behaviour(self, request: Request) -> Behaviour:
        if self._auth and request.headers.get("authorization") != f"Basic {self._auth.decode()}":
            return Reply(401, headers={"WWW-Authenticate": "Basic"})
        return self._scripted(request) or self._usual(request)

    def _scripted(self, request: Request) -> Behaviour | None:
        if callable(self._script):
            return self._script(request, self)
        if isinstance(self._script, deque):
            with suppress(IndexError):
                return self._script.popleft()
        return None

    def _usual(self, request: Request) -> Behaviour:
        if request.method == "POST":
            return Reply(200 if request.stream is not None else 400)
        last = self.bodies(request.stream or "")[-1:]
        return Reply(200, last[0]) if last else Reply(404)


class _Connection(threading.Thread):
    """One connection."""

    def __init__(
        self, collector: Collector, sock: socket.socket, number: int, tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(daemon=True)
        self.number = number
        self._collector = collector
        self._sock = sock
        self._tls = tls

    def run(self) -> None:
        # The client may leave at any point; half of the tests are about that.
        with suppress(OSError):
            time.sleep(self._collector.handshake(self.number))
            if self._tls:
                self._sock = self._tls.wrap_socket(self._sock, server_side=True)
            self._serve()
        self._sock.close()
        self._collector._closed(self)

    def shut(self) -> None:
        with suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def waits(self, seconds: float) -> bool:
        """Wait; return True early if the client leaves (clients here do not pipeline requests)."""
        poll = select.poll()
        with suppress(ValueError):  # closed already
            poll.register(self._sock, select.POLLIN)
            return bool(poll.poll(seconds * 1000))
        return True

    def _serve(self) -> None:
        for head, body in self._requests():
            request = self._collector._arrived(self, head, body)
            behaviour = self._collector._behaviour(request)
            try:
                if not self._play(behaviour, request):
                    return
            finally:
                self._collector._answered(self, request)

    def _requests(self) -> Iterator[tuple[bytes, bytes]]:
        ahead = b""
        while chunk := self._sock.recv(65536):
            ahead += chunk
            end = ahead.find(b"\r\n\r\n")
            length = _CONTENT_LENGTH.search(ahead, 0, end) if end >= 0 else None
            whole = end + 4 + (int(length[1]) if length else 0)
            if end >= 0 and len(ahead) >= whole:
                yield ahead[:end], ahead[end + 4 : whole]
                ahead = ahead[whole:]

    def _play(self, behaviour: Behaviour, request: Request) -> bool:
        if self._collector.delay:
            self.waits(self._collector.delay)
        if isinstance(behaviour, Reply):
            return self._reply(behaviour, request)
        return self._raw(behaviour, request)

    def _reply(self, reply: Reply, request: Request) -> bool:
        if reply.status < 300 if reply.store is None else reply.store:
            self._collector._store(request)
        if reply.delay:
            self.waits(reply.delay)
        lines = [f"HTTP/1.1 {reply.status} Status"]
        lines += [f"{name}: {value}" for name, value in (reply.headers or {}).items()]
        if self._collector.cookie and b"\r\nCookie:" not in request.head:
            lines.append(f"Set-Cookie: {self._collector.cookie}")
        if reply.status not in (204, 304):
            lines.append(f"Content-Length: {len(reply.body)}")
        # Count the request as answered before sending the answer: once the client has it, it may
        # send the next request on another connection.
        self._collector._answered(self, request)
        self._sock.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + reply.body)
        return not reply.hang_up

    def _raw(self, raw: Raw, request: Request) -> bool:
        if raw.store and raw.later:
            threading.Timer(raw.later, self._collector._store, [request]).start()
        elif raw.store:
            self._collector._store(request)
        pieces = [bytes([byte]) for byte in raw.data] if raw.interval else [raw.data] * raw.times
        for piece in [raw.head, *pieces]:
            self._sock.sendall(piece)
            if raw.interval and piece and self.waits(raw.interval):
                return False
        if raw.pause and self.waits(raw.pause):
            return False
        if raw.end == "reset":
            _reset(self._sock)
        return raw.end == "keep"


def _reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def _stream_of(method: str, target: str, body: bytes) -> str | None:
    if method == "GET":
        return parse_qs(urlsplit(target).query).get("stream", [None])[0]
    with suppress(ValueError):
        packet = json.loads(body)
        if isinstance(packet, dict) and isinstance(packet.get("id"), str):
            return str(packet["id"])
    return None
