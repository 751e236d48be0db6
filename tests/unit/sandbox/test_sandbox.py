"""Tests of the rehearsal collector: its store, and the running process over real HTTP."""

import asyncio
import base64
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

import pytest
from starlette.types import Message, Receive, Send

from swarm.errors import SettingsError, StateError, SwarmError
from swarm.sandbox import server
from swarm.sandbox.app import SandboxSessions, create
from swarm.sandbox.server import Running, running
from swarm.sandbox.store import Store
from swarm.sandbox.validate import PARTIAL_PATH, PATH, UTC_PATH, Packet, as_text

USER = ("acme", "s3cr%et:ü")


def packet(minute: int, stream: str = "m", value: str = "1", offset: str = "+00:00") -> str:
    """Return a packet at a minute of a fixed hour."""
    at = f"2024-01-01T10:{minute:02}:00.000{offset}"
    return f'{{"id":"{stream}","tsISO8601":"{at}","value":{value}}}'


class Answer(NamedTuple):
    """An answer of the sandbox."""

    status: int
    body: str
    headers: http.client.HTTPMessage

    @property
    def reason(self) -> str:
        """The reason in the body of a refusal."""
        return str(json.loads(self.body)["reason"])


class Client:
    """A connection with one credential; it sends its cookie back if `keeps_cookies` is True."""

    def __init__(self, url: str, user: tuple[str, str] | None = USER, port: int = 0) -> None:
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port, timeout=20, source_address=("127.0.0.1", port)
        )
        self.headers = {"Content-Type": "application/json"}
        if user:
            pair = ":".join(user).encode()
            self.headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        self.keeps_cookies = True

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send one request; keywords add or replace headers."""
        changed = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body, {**self.headers, **changed})
        response = self.connection.getresponse()
        answer = Answer(response.status, response.read().decode(), response.headers)
        cookie = answer.headers["Set-Cookie"]
        if cookie and self.keeps_cookies:
            self.headers["Cookie"] = cookie.partition(";")[0]
        return answer

    def post(self, text: str, path: str = PATH) -> Answer:
        """Post a packet."""
        return self.ask("POST", path, text.encode())

    def last(self, stream: str, path: str = PATH) -> Answer:
        """Ask for the last packet of a stream."""
        return self.ask("GET", f"{path}?stream={quote(stream)}")


@contextmanager
def connected(url: str, user: tuple[str, str] | None = USER, port: int = 0) -> Iterator[Client]:
    """Yield a client, and close its connection at the end."""
    client = Client(url, user, port)
    with closing(client.connection):
        yield client


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    """Return the path of a sandbox's store."""
    return tmp_path / "sandbox.db"


@pytest.fixture(params=["httptools", "h11"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Have sandboxes use a parser: h11 as if neither httptools nor uvloop could be imported."""
    if request.param == "h11":
        hidden = tmp_path / "hidden"
        hidden.mkdir()
        for name in ("httptools", "uvloop"):
            (hidden / f"{name}.py").write_text("raise ImportError")
        monkeypatch.syspath_prepend(hidden)
    return str(request.param)


@pytest.fixture
def sandbox(store_path: Path, parser: str) -> Iterator[Running]:
    """Run a sandbox that accepts one user."""
    with running(store_path, {USER}) as sandbox:
        yield sandbox


@pytest.fixture
def client(sandbox: Running) -> Iterator[Client]:
    """Connect to the sandbox."""
    with connected(sandbox.url) as client:
        yield client


def gone(pid: int, within: float = 1.0) -> bool:
    """Return True if a process ends in time (s); a zombie has ended."""
    end = time.monotonic() + within
    ask = ["ps", "-o", "state=", "-p", str(pid)]
    while time.monotonic() < end:
        state = subprocess.run(ask, capture_output=True, encoding="ascii", check=False).stdout
        if state.strip() in ("", "Z", "Z+"):
            return True
    return False


# The store


def summaries(store: Store) -> list[tuple[str, int, int, int]]:
    """Return ID, packets, first and last instant of each stream, in the order of their IDs."""
    streams = [store.stream(name) for name in sorted(store.names())]
    return [stream[:4] for stream in streams if stream]


def test_a_store_keeps_its_packets(store_path: Path) -> None:
    """Counts, ends and the last packet are the same when the store is opened again."""
    with closing(Store(store_path)) as store:
        assert store.add(Packet("b", 1, "b1")) is None
        assert store.add(Packet("a", 1, "a1")) is None
        assert store.add(Packet("b", 5, "b5")) is None

    with closing(Store(store_path)) as store:
        assert store.count() == 3
        assert summaries(store) == [("a", 1, 1, 1), ("b", 2, 1, 5)]
        assert store.last("b") == "b5"
        assert store.last("c") is None


@pytest.mark.parametrize("instant", [5000, 4999, -1])
def test_order_may_be_asked_for(store_path: Path, instant: int) -> None:
    """A packet that is not newer is refused with both instants, and changes nothing."""
    with closing(Store(store_path, accept_late=False)) as store:
        store.add(Packet("m", 5000, "newest"))
        breach = store.add(Packet("m", instant, "late"))

        assert breach
        assert (breach.status, breach.stream) == (409, "m")
        assert "1970-01-01T00:00:05.000+00:00" in breach.reason
        assert store.last("m") == "newest"
        assert summaries(store) == [("m", 1, 5000, 5000)]


def test_late_packets_are_stored(store_path: Path) -> None:
    """The last packet is the one stored last, and each instant has one packet."""
    with closing(Store(store_path)) as store:
        for instant, text in ((1, "one"), (5, "five"), (3, "three"), (5, "five again"), (-1, "-")):
            assert store.add(Packet("m", instant, text)) is None

        assert store.last("m") == "-"
        assert summaries(store) == [("m", 4, -1, 5)]
        assert store.count() == 4

    with closing(Store(store_path)) as store:
        assert store.last("m") == "-"
        assert summaries(store) == [("m", 4, -1, 5)]


def test_a_store_forgets_streams(store_path: Path) -> None:
    """Only the named streams are deleted, on disk too; they can be sent again."""
    with closing(Store(store_path)) as store:
        for stream in "abc":
            store.add(Packet(stream, 5, stream))
        store.forget(["a", "c", "none"])

        assert (store.count(), store.last("a")) == (1, None)
        assert store.add(Packet("a", 1, "a1")) is None

    with closing(Store(store_path)) as store:
        assert summaries(store) == [("a", 1, 1, 1), ("b", 1, 5, 5)]


def test_a_store_is_for_one(store_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second sandbox on the same store is an error with advice."""
    monkeypatch.setattr("swarm.sandbox.store._LOCK_TIMEOUT", 0.05)

    advice = r"another sandbox .* wait until .* another 'state'"
    with closing(Store(store_path)), pytest.raises(StateError, match=advice):
        Store(store_path)


def test_a_store_that_is_none(tmp_path: Path) -> None:
    """A file that is no database, or a missing folder, is an error that names the path."""
    (tmp_path / "readme.txt").write_text("not a database" * 100)

    with pytest.raises(StateError, match=r"readme\.txt"):
        Store(tmp_path / "readme.txt")
    with pytest.raises(StateError, match="missing"):
        Store(tmp_path / "missing" / "sandbox.db")


# The API


def test_a_packet_comes_back_verbatim(sandbox: Running, client: Client) -> None:
    """Every digit and every blank is kept, on every route."""
    text = packet(1, value="1819.1300048828000000000000000000000001E-3 ", stream="gas, größe/1&2")

    assert client.post(text).status == 200
    for path in (PATH, UTC_PATH, PARTIAL_PATH):
        answer = client.last("gas, größe/1&2", path)
        assert (answer.status, answer.body) == (200, text)
        assert answer.headers["Content-Type"] == "application/json"
    assert sandbox.packets() == 1


def test_routes_share_their_streams(client: Client) -> None:
    """All routes store into the same streams; the UTC route accepts only UTC."""
    assert client.post(packet(1), UTC_PATH).status == 200
    assert client.post(packet(2), PARTIAL_PATH).status == 200
    assert client.post(packet(3, offset="-01:00"), UTC_PATH).status == 422
    assert client.post(packet(3, offset="-01:00"), PATH).status == 200
    assert client.last("m", UTC_PATH).body == packet(3, offset="-01:00")


def test_order_over_http(store_path: Path) -> None:
    """A repeated packet is out of order too; each stream has its own order."""
    with running(store_path, accept_late=False) as sandbox, connected(sandbox.url) as client:
        assert client.post(packet(5)).status == 200
        answer = client.post(packet(5))
        assert answer.status == 409
        assert "2024-01-01T10:05:00.000+00:00" in answer.reason
        assert client.post(packet(4)).status == 409
        assert client.post(packet(4, stream="n")).status == 200
        assert client.last("m").body == packet(5)
        assert sandbox.packets() == 2


def test_late_packets_over_http(store_path: Path) -> None:
    """By default, late packets and any credentials are accepted."""
    with (
        running(store_path) as sandbox,
        connected(sandbox.url, ("any", "one")) as client,
    ):
        for minute in (5, 4, 4):
            assert client.post(packet(minute)).status == 200
        assert client.last("m").body == packet(4)
        assert sandbox.packets() == 2


def test_nothing_stored_yet(client: Client) -> None:
    """A stream without packets is 404."""
    answer = client.last("unknown")

    assert answer.status == 404
    assert "nothing" in answer.reason


@pytest.mark.parametrize("query", ["", "?", "?stream=", "?stream=a&stream=b", "?id=m"])
def test_a_get_names_one_stream(client: Client, query: str) -> None:
    """A query that does not name exactly one stream is 400."""
    answer = client.ask("GET", PATH + query)

    assert answer.status == 400
    assert "?stream=ID" in answer.reason


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_other_methods(client: Client, method: str) -> None:
    """Other methods are 405; the answer names the two that are allowed."""
    answer = client.ask(method, PATH)

    assert answer.status == 405
    assert answer.headers["Allow"] == "GET, POST"


@pytest.mark.parametrize("path", ["/nowhere", PATH[:-1], f"{PATH}x"])
def test_other_paths(client: Client, path: str) -> None:
    """Other paths are 404 with the right path; never a redirect."""
    answer = client.post(packet(1), path)

    assert answer.status == 404
    assert PATH in answer.reason


def test_a_broken_rule_is_answered(client: Client) -> None:
    """The answer has the status and reason of the rule; the connection stays open."""
    assert client.post("{").status == 400
    assert client.post(packet(1, value='"1"')).reason == (
        "value must be a finite number, found a string"
    )
    assert client.ask("POST", PATH, packet(1).encode(), Content_Type="text/plain").status == 415
    assert client.post(packet(1)).status == 200


def test_headers_are_judged_before_the_body(client: Client) -> None:
    """Chunks and a large body are refused; the next request on the connection is answered."""
    assert client.ask("POST", PATH, iter([packet(1).encode()])).status == 411
    assert client.ask("POST", PATH, b" " * 1_000_000).status == 413
    assert client.post(packet(1)).status == 200


def test_expect_is_refused(client: Client) -> None:
    """The answer is 417, without a 100 before it."""
    client.connection.connect()
    client.connection.putrequest("POST", PATH)
    for name, value in {**client.headers, "Expect": "100-continue", "Content-Length": "9"}.items():
        client.connection.putheader(name, value)
    client.connection.endheaders()
    response = client.connection.getresponse()

    assert response.status == 417
    response.read()


def test_a_store_that_breaks_under_way(store_path: Path) -> None:
    """A failing store is 500 with the reason: the client must find out if its packet is stored."""
    store = Store(store_path)
    application = create(store, SandboxSessions(), None)
    store.close()
    sent: list[Any] = []
    asyncio.run(application(scope(packet(1)), received(packet(1)), collected(sent)))

    assert sent[0]["status"] == 500
    assert "the sandbox's store failed" in json.loads(sent[1]["body"])["reason"]


def test_a_store_that_fails_for_a_while(store_path: Path) -> None:
    """A packet whose commit fails is 500 and changes nothing; the next one is stored."""
    sessions = SandboxSessions()
    with closing(Store(store_path)) as store:
        application = create(store, sessions, None)

        def post(minute: int) -> int:
            sent: list[Any] = []
            text = packet(minute)
            asyncio.run(application(scope(text), received(text), collected(sent)))
            sessions.forget(("127.0.0.1", 1))
            return int(sent[0]["status"])

        assert post(1) == 200
        before = store.stream("m")
        store._database.execute("PRAGMA query_only = ON")
        assert [post(1), post(2)] == [500, 500]
        assert (store.last("m"), store.stream("m"), store.count()) == (packet(1), before, 1)
        store._database.execute("PRAGMA query_only = OFF")
        assert post(2) == 200

    with closing(Store(store_path)) as store:
        assert (store.last("m"), store.count()) == (packet(2), 2)


def scope(text: str) -> dict[str, Any]:
    """Return the ASGI scope of a post."""
    headers = {
        b"authorization": b"Basic " + base64.b64encode(b"any:one"),
        b"content-type": b"application/json",
        b"content-length": str(len(text)).encode(),
    }
    asked = {"type": "http", "method": "POST", "path": PATH, "query_string": b""}
    return {**asked, "client": ("127.0.0.1", 1), "headers": list(headers.items())}


def received(text: str) -> Receive:
    """Return a receiver of one body."""

    async def receive() -> Message:
        return {"type": "http.request", "body": text.encode()}

    return receive


def collected(sent: list[Any]) -> Send:
    """Return a sender into a list."""

    async def send(message: Message) -> None:
        sent.append(message)

    return send


# The connection


@contextmanager
def raw(url: str) -> Iterator[socket.socket]:
    """Open a connection for requests that no HTTP library would send."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as opened:
        yield opened


def to_the_end(connection: socket.socket) -> bytes:
    """Return all that is received until the sandbox closes the connection."""
    parts = []
    with suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_a_parser_is_used_only_if_it_can_be_imported(sandbox: Running, parser: str) -> None:
    """The process has loaded httptools and uvloop, or neither."""
    assert sandbox.packets() == 0  # it is ready before it has loaded everything
    loaded = Path(f"/proc/{sandbox.pid}/maps").read_text()
    for name in ("httptools", "uvloop"):
        assert (name in loaded) == (parser == "httptools")


def test_an_answer_arrives_at_once(sandbox: Running) -> None:
    """Head and body are one segment, which wakes the client once."""
    with raw(sandbox.url) as connection:
        for _ in range(10):
            connection.sendall(b"GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(65536).endswith(b'\r\n\r\n{"packets":0}')


def test_requests_that_do_not_wait_are_answered_in_order(sandbox: Running) -> None:
    """Pipelined requests are answered one after the other, and the last one ends the connection."""
    asked = b"GET %b HTTP/1.1\r\nHost: localhost\r\n%b\r\n"
    with raw(sandbox.url) as connection:
        paths = (b"/status", b"/nowhere", b"/status")
        ends = (b"", b"", b"Connection: close\r\n")
        connection.sendall(b"".join(asked % pair for pair in zip(paths, ends, strict=True)))
        found = re.findall(rb"HTTP/1.1 (\d+)", to_the_end(connection))
    assert found == [b"200", b"404", b"200"]


@pytest.mark.parametrize(
    "request_text",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: ten\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_a_malformed_request(sandbox: Running, client: Client, request_text: bytes) -> None:
    """It is answered with 400 and the connection ends; others go on."""
    with raw(sandbox.url) as connection:
        connection.sendall(request_text)
        assert to_the_end(connection).startswith(b"HTTP/1.1 400 ")
    assert client.post(packet(1)).status == 200


@pytest.mark.parametrize("part", [b"x" * 1000, b"x" * 1000 + b"\r\nX-Endless: "])
def test_an_endless_head(sandbox: Running, part: bytes) -> None:
    """It is answered with 400 before it fills the memory."""
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Endless: " + part * 20
    with raw(sandbox.url) as connection:
        connection.sendall(head[: 16 * 1024])
        time.sleep(0.2)
        connection.sendall(b"x")
        assert to_the_end(connection).startswith(b"HTTP/1.1 400 ")


def test_a_body_in_parts_is_no_endless_head(client: Client) -> None:
    """A body may be larger than any head, and arrive in parts."""
    text = packet(1, value="1" + " " * 60_000)
    client.connection.connect()
    client.connection.putrequest("POST", PATH)
    for name, value in {**client.headers, "Content-Length": str(len(text))}.items():
        client.connection.putheader(name, value)
    client.connection.endheaders()
    for start in range(0, len(text), 5000):
        client.connection.send(text[start : start + 5000].encode())
        time.sleep(0.01)
    answer = client.connection.getresponse()
    assert answer.status == 200
    answer.read()


def test_a_client_that_waits_for_100(sandbox: Running) -> None:
    """Outside of the API, a body that waits for a 100 gets it before it is sent."""
    head = (
        "POST /forget HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
        f"Authorization: Bearer {sandbox.client.key}\r\nExpect: 100-continue\r\n\r\n"
    )
    with raw(sandbox.url) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"[]")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


# Credentials and session


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (None, "is missing"),
        ("", "is missing"),
        ("Bearer abc", "is missing"),
        ("Basic", "empty"),
        ("Basic !!!", "base64"),
        (f"Basic {base64.b64encode('ü:ü'.encode('latin-1')).decode()}", "UTF-8"),
        (f"Basic {base64.b64encode(b'acme').decode()}", "empty"),
        (f"Basic {base64.b64encode(b':word').decode()}", "empty"),
        (f"Basic {base64.b64encode(b'acme:wrong').decode()}", "not accepted"),
        (f"Basic {base64.b64encode(b'other:word').decode()}", "not accepted"),
    ],
)
def test_wrong_credentials(sandbox: Running, authorization: str | None, reason: str) -> None:
    """401 with the reason and a challenge, for both methods, before any other check."""
    with connected(sandbox.url, user=None) as client:
        if authorization is not None:
            client.headers["Authorization"] = authorization
        for answer in (client.post("{"), client.last("m")):
            assert answer.status == 401
            assert reason in answer.reason
            assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")


def test_several_credentials(store_path: Path) -> None:
    """Each pair is accepted, and no mixture of pairs."""
    with running(store_path, [("a", "1"), ("b", "2")]) as sandbox:
        for user, status in ((("a", "1"), 404), (("b", "2"), 404), (("a", "2"), 401)):
            with connected(sandbox.url, user) as client:
                assert client.last("m").status == status


def test_the_session_cookie(client: Client) -> None:
    """The first answer sets a cookie, even if it is an error; later answers do not."""
    client.headers["Authorization"], right = "Basic none", client.headers["Authorization"]
    assert client.post(packet(1)).headers["Set-Cookie"]
    client.headers["Authorization"] = right

    assert client.post(packet(1)).headers["Set-Cookie"] is None


def test_a_cookie_that_is_not_sent_back(client: Client) -> None:
    """Every request without the cookie is 400, until one sends it."""
    client.keeps_cookies = False
    cookie = client.post(packet(1)).headers["Set-Cookie"].partition(";")[0]

    for answer in (client.post(packet(2)), client.last("m"), client.ask("GET", PATH, Cookie="a=b")):
        assert answer.status == 400
        assert "cookie" in answer.reason
    assert client.ask("GET", f"{PATH}?stream=m", Cookie=f"a=b; {cookie}").status == 200


def test_a_cookie_serves_for_another_connection(sandbox: Running, client: Client) -> None:
    """A session can continue on a new connection."""
    client.post(packet(1))
    with connected(sandbox.url) as another:
        another.headers = client.headers
        answer = another.post(packet(2))
        assert answer.status == 200
        assert answer.headers["Set-Cookie"] is None


def test_a_port_that_comes_again_is_another_connection(sandbox: Running) -> None:
    """A new connection from a port that was used before needs no cookie."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    for minute in (1, 2):
        with connected(sandbox.url, port=port) as client:
            client.connection.connect()
            # Without TIME_WAIT, the port is free again at once.
            client.connection.sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
            )
            assert client.post(packet(minute)).status == 200
        time.sleep(0.2)


# The process


def test_an_answer_outlives_a_kill(store_path: Path) -> None:
    """Packets that were answered survive a killed sandbox."""
    with running(store_path) as sandbox, connected(sandbox.url) as client:
        for minute in range(50):
            assert client.post(packet(minute)).status == 200
        os.kill(sandbox.pid, signal.SIGKILL)
        with pytest.raises((OSError, http.client.HTTPException)):
            client.post(packet(50))
        with pytest.raises(SwarmError, match="does not answer"):
            sandbox.packets()

    with running(store_path) as sandbox, connected(sandbox.url) as client:
        assert sandbox.packets() == 50
        assert client.last("m").body == packet(49)


def test_answers_of_many_connections_outlive_a_kill(store_path: Path, parser: str) -> None:
    """Whatever many connections have sent, each packet that was answered survives a kill."""
    answered: dict[str, int] = {}

    def send(url: str, stream: str) -> None:
        with connected(url) as client, suppress(OSError, http.client.HTTPException):
            for minute in range(1_000_000):
                text = f'{{"id":"{stream}","tsISO8601":"{as_text(minute * 60_000)}","value":1}}'
                assert client.post(text).status == 200
                answered[stream] = minute + 1

    with running(store_path) as sandbox:
        threads = [Thread(target=send, args=(sandbox.url, f"m{n}")) for n in range(24)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(answered) == 24 and sum(answered.values()) > 1000)
        os.kill(sandbox.pid, signal.SIGKILL)
        for thread in threads:
            thread.join()

    with closing(Store(store_path)) as store:
        for stream in filter(None, map(store.stream, store.names())):
            # The last packet may be stored without an answer.
            assert stream.packets - answered[stream.id] in (0, 1)
            assert stream.last == (stream.packets - 1) * 60_000


def wait_until(is_so: Callable[[], bool], within: float = 30.0) -> None:
    """Wait until a condition is met."""
    end = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_only_its_parent_has_a_sandbox_forget(sandbox: Running, client: Client) -> None:
    """Deleting needs the key: neither a password nor another token is enough."""
    client.post(packet(1))
    for headers in ({}, {"Authorization": "Bearer guessed"}):
        assert client.ask("POST", "/forget", b'["m"]', **headers).status == 401
    assert sandbox.packets() == 1

    sandbox.forget(["m"])
    assert sandbox.packets() == 0
    assert client.post(packet(1)).status == 200


def test_what_could_not_be_forgotten_is_told(
    sandbox: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed request to delete packets raises, so that the run sends nothing."""
    monkeypatch.setattr(sandbox, "client", replace(sandbox.client, key="another"))

    with pytest.raises(StateError, match="the key is wrong"):
        sandbox.forget(["m"])


def test_a_sandbox_is_left_alone_by_signals(sandbox: Running, client: Client) -> None:
    """It ignores SIGINT and SIGTERM, as its parent may have packets in flight; `stop` ends it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(sandbox.pid, number)
    time.sleep(0.3)
    assert client.post(packet(1)).status == 200

    sandbox.stop()
    sandbox.stop()
    with pytest.raises(OSError, match="refused"), connected(sandbox.url) as another:
        another.post(packet(2))


def test_a_sandbox_that_is_stuck_is_killed(
    sandbox: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`stop` kills a process that does not end in time."""
    monkeypatch.setattr(server, "_STOP_TIMEOUT", 0.1)
    os.kill(sandbox.pid, signal.SIGSTOP)

    sandbox.stop()

    assert gone(sandbox.pid, within=0.1)


@pytest.mark.flaky(reruns=2)
def test_a_sandbox_ends_with_a_request_half_sent(sandbox: Running) -> None:
    """A client that hangs does not delay `stop`."""
    with closing(half_sent(sandbox.url)):
        started = time.monotonic()
        sandbox.stop()
        assert time.monotonic() - started < 1.5


def half_sent(url: str) -> socket.socket:
    """Return a connection with a request whose body is incomplete."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 0))
    token = base64.b64encode(":".join(USER).encode()).decode()
    lines = (
        f"POST {PATH} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Basic {token}",
        "Content-Type: application/json",
        "Content-Length: 100",
        "",
        '{"id":',
    )
    connection.sendall("\r\n".join(lines).encode())
    time.sleep(0.2)
    return connection


@pytest.mark.flaky(reruns=2)
def test_answers_are_sent_at_once(client: Client) -> None:
    """No answer waits for the client's delayed acknowledgement, which would be 40 ms each."""
    started = time.monotonic()
    for minute in range(60):
        client.post(packet(minute))

    assert time.monotonic() - started < 1.5


def test_a_client_that_goes_away(client: Client, sandbox: Running) -> None:
    """An incomplete request is dropped when its connection ends."""
    half_sent(sandbox.url).close()

    assert client.post(packet(1)).status == 200
    assert sandbox.packets() == 1


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc")
def test_no_secret_is_public(sandbox: Running) -> None:
    """Neither command line nor environment of the process holds the password."""
    for name in ("cmdline", "environ"):
        assert USER[1].encode() not in Path(f"/proc/{sandbox.pid}/{name}").read_bytes()


def test_the_current_folder_is_not_imported_from(
    store_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sandbox does not import a `json.py` from the user's folder."""
    (tmp_path / "json.py").write_text("raise SystemExit('wrong json')")
    monkeypatch.chdir(tmp_path)

    with running(store_path) as sandbox:
        assert sandbox.packets() == 0


_PARENT = """
import sys, time
from pathlib import Path
from swarm.sandbox.server import running

with running(Path(sys.argv[1])) as sandbox:
    print(sandbox.url, sandbox.pid, flush=True)
    time.sleep(60)
"""


@contextmanager
def started(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run Python code as a process in its own group, as a shell does."""
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        process_group=0,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    """Wait for the first line that a process prints."""
    assert process.stdout
    return process.stdout.readline().strip()


def test_a_killed_parent_takes_its_sandbox_along(store_path: Path) -> None:
    """The sandbox ends within a second, and the answered packet is stored."""
    with started(_PARENT, str(store_path)) as parent:
        url, pid = first_line(parent).split()
        with connected(url) as client:
            assert client.post(packet(1)).status == 200
            parent.kill()
            assert gone(int(pid))

    with closing(Store(store_path)) as store:
        assert store.last("m") == packet(1)


def test_ctrl_c_ends_parent_and_sandbox(store_path: Path) -> None:
    """SIGINT goes to the whole group: the parent acts on it, and no process is left."""
    with started(_PARENT, str(store_path)) as parent:
        _, pid = first_line(parent).split()
        os.killpg(parent.pid, signal.SIGINT)
        _, problems = parent.communicate(timeout=10)

    assert problems.count("Traceback") == problems.count("KeyboardInterrupt") == 1
    assert gone(int(pid), within=0.1)


_HASTY_PARENT = """
import os, sys
from pathlib import Path
from swarm.sandbox import server
from swarm.sandbox.app import create

child = server.spawn()
print(child.pid, flush=True)
child.stdin.write(sys.argv[1] + chr(10))
child.stdin.flush()
os._exit(0)
"""


def test_a_parent_that_dies_at_once(store_path: Path) -> None:
    """A sandbox that is still starting ends with its parent too."""
    settings = json.dumps([str(store_path), None, False])
    with started(_HASTY_PARENT, settings) as parent:
        assert gone(int(first_line(parent)), within=20)
        assert parent.communicate() == ("", "")


def test_no_settings_no_sandbox() -> None:
    """Started by hand, the process prints the right command."""
    done = subprocess.run(
        [sys.executable, "-m", "swarm.sandbox"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert (done.returncode, done.stderr) == (2, "")
    assert "`swarm sandbox`" in done.stdout


def test_a_store_that_fails_at_the_start(tmp_path: Path) -> None:
    """The parent raises the child's error, with the same type."""
    with pytest.raises(StateError, match="unable to open"), running(tmp_path / "no" / "store"):
        pytest.fail("it must not start")


def test_a_child_that_does_not_start(store_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that fails is an error of one line."""
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(SwarmError, match="did not start"), running(store_path):
        pytest.fail("it must not start")


@pytest.mark.parametrize("missing", ["jinja2", "starlette", "uvicorn"])
def test_a_missing_extra(store_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    """The error names the command that installs the extra."""
    monkeypatch.setitem(sys.modules, missing, None)
    packages = re.escape("'jinja2>=3.1' 'starlette>=0.40' 'uvicorn>=0.41'")
    advice = f"the sandbox needs more packages; run: .*pip install .*{packages}"

    with pytest.raises(SettingsError, match=f"^{advice}$"), running(store_path):
        pytest.fail("it must not start")
    with pytest.raises(SettingsError, match=f"^{advice}$"):
        server.serve(store_path)


# In the foreground

_FOREGROUND = """
import sys
from pathlib import Path
from swarm.sandbox.server import serve

serve(Path(sys.argv[1]), on_ready=lambda url: print(url, flush=True))
print("ended")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_cleanly(store_path: Path, number: signal.Signals) -> None:
    """It ends without a traceback, with a client connected and one hanging; packets are kept."""
    with started(_FOREGROUND, str(store_path)) as process:
        url = first_line(process)
        with connected(url) as client, closing(half_sent(url)):
            assert client.post(packet(1)).status == 200
            process.send_signal(number)
            out, problems = process.communicate(timeout=10)

    assert (process.returncode, out, problems) == (0, "ended\n", "")
    assert not store_path.with_name(f"{store_path.name}-wal").exists()


def test_serve_gives_the_signals_back(store_path: Path) -> None:
    """The signal handlers are restored at the end; here the sandbox's own thread ends it."""
    before = signal.getsignal(signal.SIGINT)
    urls: list[str] = []

    def stop_at_once(url: str) -> None:
        urls.append(url)
        signal.raise_signal(signal.SIGINT)

    server.serve(store_path, on_ready=stop_at_once)

    assert signal.getsignal(signal.SIGINT) is before
    assert re.fullmatch(rf"http://127\.0\.0\.1:\d+{PATH}", urls[0])


@pytest.mark.parametrize("port", [None, -1, 65536])
def test_a_port_that_can_not_be_had(store_path: Path, port: int | None) -> None:
    """A port that is taken, or does not exist, is an error of one line that names it."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        number = int(taken.getsockname()[1]) if port is None else port
        with pytest.raises(SettingsError, match=f"can't listen on port {number} ") as caught:
            server.serve(store_path, number)

    assert len(caught.value.problems) == 1


def test_a_port_is_free_again_at_once(store_path: Path) -> None:
    """A restarted sandbox can listen on its port although old connections are still closing."""
    port = 0
    for minute in (1, 2):
        code = _FOREGROUND.replace("on_ready", f"port={port}, on_ready")
        with started(code, str(store_path)) as process:
            url = first_line(process)
            port = urlsplit(url).port or 0
            with connected(url) as client:
                assert client.post(packet(minute)).status == 200
                process.terminate()
                process.wait(timeout=10)
