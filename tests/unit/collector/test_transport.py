"""Both HTTP engines fulfil the contract of `Session`, over real sockets."""

import base64
import contextlib
import datetime
import itertools
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import settings as search
from hypothesis import strategies as st

from swarm.collector.client import CollectorClient
from swarm.collector.retry import Verdict
from swarm.collector.transport import available, open_session, scheduler
from swarm.collector.transport.base import (
    BODY_LIMIT,
    Access,
    Answer,
    Engine,
    Session,
    printable,
)
from swarm.config.urls import checked_url
from swarm.errors import SettingsError, TransportFault, Unanswered, Unreachable, Untrusted
from swarm.scheduler import THREADS, Scheduler
from tests.support.collector import (
    CloseAfterStoring,
    Collector,
    Drip,
    Garbage,
    Hang,
    HugeBody,
    Raw,
    Reply,
    Request,
    ResetAfterStoring,
    ResetBeforeStoring,
    ResetMidBody,
    TruncatedHeader,
    redirect,
)
from tests.support.jobs import in_job
from tests.support.respelling import respelled

# Time limits are tested: a pause of the machine may make a test fail.
pytestmark = pytest.mark.flaky(reruns=2)

USER, PASSWORD = "acme", "pä:ss%wörd"
PACKET = b'{"id":"meter","tsISO8601":"2016-02-10T21:45:31.070+11:00","value":1.10}'

Opener = Callable[..., Session]


class InJobs:
    """A session whose requests are made in jobs of a scheduler."""

    def __init__(self, session: Session, jobs: Scheduler) -> None:
        self._session = session
        self._jobs = jobs

    def post(self, url: str, packet: bytes) -> Answer:
        """Post one packet."""
        return in_job(self._jobs, self._session.post, url, packet)

    def get(self, url: str) -> Answer:
        """Get a resource."""
        return in_job(self._jobs, self._session.get, url)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def __repr__(self) -> str:
        return repr(self._session)


@pytest.fixture(params=["curl", "loop", "requests"])
def way(request: pytest.FixtureRequest) -> str:
    """Return each engine in turn, libcurl in a thread and in a loop."""
    name: str = request.param
    return name


@pytest.fixture
def engine(way: str) -> Engine:
    """Return the way's engine."""
    return "requests" if way == "requests" else "curl"


@pytest.fixture
def jobs(way: str) -> Scheduler:
    """Return the scheduler in whose jobs requests are made."""
    return scheduler("curl") if way == "loop" else THREADS


@pytest.fixture
def opened(engine: Engine, jobs: Scheduler) -> Iterator[Opener]:
    """Open sessions with options of `Access`, and close them at the end."""
    with contextlib.ExitStack() as stack:

        def opener(**options: Any) -> Session:
            access = Access(USER, PASSWORD, **{"timeout": 5.0} | options)
            session = InJobs(open_session(engine, access, jobs), jobs)
            return stack.enter_context(contextlib.closing(session))

        yield opener


def bodies(collector: Collector) -> list[bytes]:
    """Return what was posted, stored or not."""
    return [request.body for request in collector.requests if request.method == "POST"]


def test_posts_go_over_one_connection(opened: Opener, collector: Collector) -> None:
    """The connection is kept open, whatever the answer's body."""
    session = opened()
    collector.script = [Reply(body=b"x" * size) for size in (0, 2, BODY_LIMIT)] + [Reply(204)]

    answers = [session.post(collector.url, PACKET).status for _ in range(20)]

    assert answers == [200, 200, 200, 204] + [200] * 16
    assert collector.connections == 1
    assert collector.bodies("meter") == [PACKET] * 20


def test_a_request_is_exact(opened: Opener, collector: Collector) -> None:
    """The packet is sent unchanged, with a length, unchunked, without Expect."""
    opened().post(collector.url, PACKET)

    (request,) = collector.requests
    assert (request.method, request.path, request.body) == (
        "POST",
        "/measurements/v2/unifiedjson/",
        PACKET,
    )
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-length"] == str(len(PACKET))
    assert request.headers["host"] == f"127.0.0.1:{collector.port}"
    assert request.headers["user-agent"].startswith("wattics-swarm/")
    assert {"expect", "transfer-encoding", "cookie"}.isdisjoint(request.headers)


def test_a_long_packet_arrives_whole(opened: Opener, collector: Collector) -> None:
    """A body beyond any buffer is sent in pieces, still with a length and without Expect."""
    packet = b'{"id":"meter","value":"' + b"0123456789" * 200_000 + b'"}'

    assert opened().post(collector.url, packet).status == 200

    assert collector.bodies("meter") == [packet]
    assert {"expect", "transfer-encoding"}.isdisjoint(collector.requests[0].headers)


def test_credentials_are_utf8(opened: Opener) -> None:
    """Basic auth transports colons and non-ASCII letters of a password."""
    with Collector(auth=(USER, PASSWORD)) as collector:
        assert opened().post(collector.url, PACKET).status == 200
        assert opened(ca_bundle=None).get(collector.url + "?stream=meter").body == PACKET


def test_another_password_is_refused(opened: Opener) -> None:
    """A 401 is an answer, and does not cause a second request."""
    with Collector(auth=(USER, "other")) as collector:
        assert opened().post(collector.url, PACKET).status == 401
        assert len(collector.requests) == 1


def test_cookies_are_sent_back(opened: Opener) -> None:
    """A cookie is stored, changed and deleted as the collector says."""
    with Collector() as collector:
        session = opened()
        for cookie in ("a=1; Path=/", "a=2; Path=/", "b=3", "a=; Path=/; Max-Age=0", None):
            headers = {"Set-Cookie": cookie} if cookie else None
            collector.script = [Reply(headers=headers)]
            session.post(collector.url, PACKET)

        seen = [request.headers.get("cookie") for request in collector.requests]
        assert seen[:3] == [None, "a=1", "a=2"]
        assert set((seen[3] or "").split("; ")) == {"a=2", "b=3"}
        assert seen[4] == "b=3"


def test_cookies_are_bounded(opened: Opener) -> None:
    """If a collector sets more and more cookies, the header has a limited size."""
    numbers = itertools.count()

    def many(_: Request, __: Collector) -> Reply:
        cookies = (f"c{next(numbers)}={'x' * 3000}; Path=/" for _ in range(20))
        return Reply(headers={"Set-Cookie": "\r\nSet-Cookie: ".join(cookies)})

    with Collector([Reply(headers={"Set-Cookie": "sid=1; Path=/"})]) as collector:
        session = opened()
        session.post(collector.url, PACKET)
        collector.script = many
        for _ in range(10):
            assert session.post(collector.url, PACKET).status == 200

        seen = [request.headers.get("cookie", "") for request in collector.requests]
        assert max(map(len, seen)) < 8300
        assert all(seen[2:])  # the engine chooses which cookies it keeps
        assert len(collector.requests[-1].head) < 9000


def test_cookies_change_within_their_bound(opened: Opener) -> None:
    """A large cookie is replaced by its next value, however many values came before."""
    with Collector() as collector:
        session = opened()
        for value in ("a" * 3000, "b" * 3000, "c" * 10):
            collector.script = [Reply(headers={"Set-Cookie": f"sid={value}; Path=/"})]
            session.post(collector.url, PACKET)
        session.post(collector.url, PACKET)
        assert f"sid={'c' * 10}" == collector.requests[-1].headers["cookie"]


def test_sessions_share_no_cookies(opened: Opener) -> None:
    """A new session has no cookies of another one."""
    with Collector(cookie="sid=1; Path=/") as collector:
        opened().post(collector.url, PACKET)
        opened().post(collector.url, PACKET)

        assert ["cookie" in request.headers for request in collector.requests] == [False, False]


@pytest.mark.parametrize("name", ["curl", "requests"])
@search(max_examples=15)
@given(spellings=st.lists(respelled(), min_size=5, max_size=5))
def test_urls_go_out_as_they_stand(name: Engine, spellings: list[tuple[str, str]]) -> None:
    """However a URL is spelled, both engines request the same target, as a proxy sees."""
    with Collector() as proxy:
        access = Access(USER, PASSWORD, proxy=f"http://127.0.0.1:{proxy.port}")
        with contextlib.closing(open_session(name, access)) as session:
            for pair in spellings:
                plain, other = (checked_url(url).replace("https:", "http:") for url in pair)
                session.post(plain, PACKET)
                session.post(other, PACKET)
                before, after = proxy.requests[-2:]
                assert (plain, plain) == (before.target, after.target)
                assert before.headers["host"] == after.headers["host"] in plain


def test_get_and_post_alternate(opened: Opener, collector: Collector) -> None:
    """GET with a query and POST alternate on one connection, each with its own headers."""
    session = opened()

    for _ in range(2):
        assert session.post(collector.url, PACKET) == Answer(200)
        assert session.get(f"{collector.url}?stream=meter") == Answer(200, PACKET)
        assert session.get(f"{collector.url}?stream=a%20%26b").status == 404

    get = collector.requests[2]
    assert (get.method, get.query, get.body) == ("GET", {"stream": ["a &b"]}, b"")
    assert {"content-type", "content-length"}.isdisjoint(get.headers)
    assert collector.connections == 1
    assert collector.bodies("meter") == [PACKET] * 2


def test_an_answer_tells_body_and_retry_after(opened: Opener, collector: Collector) -> None:
    """Body and Retry-After of an error status are returned."""
    collector.script = [Reply(429, b"slow down", {"Retry-After": "12"}), Reply(503)]
    session = opened()

    assert session.post(collector.url, PACKET) == Answer(429, b"slow down", "12")
    assert session.post(collector.url, PACKET) == Answer(503)


@pytest.mark.parametrize(
    "behaviour",
    [
        Hang(),
        Drip(interval=0.1),
        Raw(b"HTTP/1.1 100 Continue\r\n\r\n", pause=9),
        Raw(b"HTTP/1.1 200 OK\r\n", pause=9),
    ],
    ids=["hang", "drip", "continue", "header"],
)
@pytest.mark.parametrize("warm", [False, True], ids=["fresh", "kept"])
def test_the_whole_time_is_limited(
    opened: Opener, collector: Collector, behaviour: Raw, warm: bool
) -> None:
    """A request that takes too long ends, even if the collector sends a byte now and then."""
    session = opened(timeout=0.4)
    if warm:
        session.post(collector.url, PACKET)
    collector.script = [behaviour]

    started = time.monotonic()
    with pytest.raises(Unanswered, match=r"timed out after 0\.4 s"):
        session.post(collector.url, PACKET)

    assert 0.35 < time.monotonic() - started < 1.5
    assert session.post(collector.url, PACKET).status == 200


def test_a_timeout_holds_for_each_request(opened: Opener, collector: Collector) -> None:
    """The clock starts again with every request of a session."""
    collector.script = lambda request, server: Reply(delay=0.25)
    session = opened(timeout=0.4)

    assert [session.post(collector.url, PACKET).status for _ in range(4)] == [200] * 4


def test_timeouts_of_sessions_differ(opened: Opener, collector: Collector) -> None:
    """A short timeout of one session expires without effect on sessions with longer ones."""
    collector.script = lambda request, server: (
        Hang() if request.stream == "hang" else Reply(delay=0.6)
    )
    slow = opened(timeout=5.0)
    answers: list[Answer] = []
    other = threading.Thread(target=lambda: answers.append(slow.post(collector.url, PACKET)))
    other.start()

    started = time.monotonic()
    with pytest.raises(Unanswered):
        opened(timeout=0.3).post(collector.url, b'{"id":"hang"}')
    assert time.monotonic() - started < 0.6

    other.join()
    assert answers == [Answer(200)]


def test_a_dripping_body_is_an_answer(opened: Opener, collector: Collector) -> None:
    """With a complete header, the part of the body that came in time is returned."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    collector.script = [Raw(b"abcdefghij", head=head, interval=0.1)]

    started = time.monotonic()
    answer = opened(timeout=0.35).post(collector.url, PACKET)

    assert answer.status == 200
    assert 0 < len(answer.body) < 10
    assert b"abcdefghij".startswith(answer.body)
    assert time.monotonic() - started < 0.9


def test_a_redirect_is_not_followed(opened: Opener, collector: Collector) -> None:
    """A redirect is an answer like any other, even with an invalid target."""
    session = opened()
    with Collector() as elsewhere:
        for url in (elsewhere.url, "http://[:::/", "ftp://x/"):
            collector.script = [redirect(url)]
            assert session.post(collector.url, PACKET).status == 302

        assert elsewhere.connections == 0
        assert len(collector.requests) == 3


@pytest.mark.parametrize("warm", [False, True], ids=["fresh", "kept"])
@pytest.mark.parametrize(
    ("behaviour", "stored"),
    [
        (ResetBeforeStoring(), False),
        (ResetAfterStoring(), True),
        (CloseAfterStoring(), True),
        (TruncatedHeader(), True),
        (Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"), True),
        (Raw(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n"), True),
        (Garbage(), True),
        (Raw(b"200 OK\n\n"), True),
        (Raw(b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n"), True),
    ],
    ids=[
        "reset",
        "lost",
        "fin",
        "truncated",
        "no-blank-line",
        "hints",
        "garbage",
        "http-0.9",
        "bad-status",
    ],
)
def test_a_packet_is_sent_once(
    opened: Opener, collector: Collector, behaviour: Raw, stored: bool, warm: bool
) -> None:
    """Without a complete header the request is unanswered; the packet was sent only once."""
    session = opened()
    if warm:
        session.post(collector.url, b"{}")
    collector.script = [behaviour]

    with pytest.raises(Unanswered, match=rf"^no answer from 127.0.0.1:{collector.port}: \S"):
        session.post(collector.url, PACKET)

    assert bodies(collector).count(PACKET) == 1
    assert collector.bodies("meter") == ([PACKET] if stored else [])
    assert collector.connections == 1
    assert session.post(collector.url, PACKET).status == 200


def test_a_packet_that_went_out_is_never_unreachable(opened: Opener, collector: Collector) -> None:
    """If the collector ends after it got the packet, the packet is unanswered."""

    def vanish(request: Request, server: Collector) -> Raw:
        server.stop_listening()
        return ResetAfterStoring()

    session = opened()
    session.post(collector.url, b"{}")
    collector.script = vanish

    with pytest.raises(Unanswered):
        session.post(collector.url, PACKET)
    with pytest.raises(Unreachable):
        session.post(collector.url, PACKET)
    assert bodies(collector).count(PACKET) == 1


@pytest.mark.parametrize("pause", [0.05, 1.2], ids=["just", "long"])
def test_a_connection_closed_while_idle_is_replaced(
    opened: Opener, collector: Collector, pause: float
) -> None:
    """A packet is not sent over a connection that the collector has closed."""
    session = opened()
    session.post(collector.url, PACKET)
    collector.hang_up()
    time.sleep(pause)

    assert session.post(collector.url, PACKET).status == 200
    assert collector.connections == 2
    assert collector.bodies("meter") == [PACKET] * 2


def test_connections_closed_again_and_again_are_replaced(
    opened: Opener, collector: Collector
) -> None:
    """The latest connection is used, not one that was closed."""
    session = opened()
    for _ in range(30):
        assert session.post(collector.url, PACKET).status == 200
        assert session.post(collector.url, PACKET).status == 200
        collector.hang_up()

    assert collector.connections == 30
    assert collector.bodies("meter") == [PACKET] * 60


def test_a_close_that_was_announced_is_heeded(opened: Opener, collector: Collector) -> None:
    """After `Connection: close` the next request uses a new connection."""
    collector.script = [Reply(headers={"Connection": "close"}, hang_up=True)]
    session = opened()

    assert [session.post(collector.url, PACKET).status for _ in range(3)] == [200] * 3
    assert collector.connections == 2


def test_a_reset_on_accept_is_a_fault(opened: Opener) -> None:
    """A reset before or after sending is a fault, and the next request works."""
    with Collector(reset_on_accept=lambda number: number == 0) as collector:
        session = opened()
        with pytest.raises(TransportFault):
            session.post(collector.url, PACKET)

        assert session.post(collector.url, PACKET).status == 200


@pytest.mark.parametrize(
    "behaviour",
    [
        ResetMidBody(),
        Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"),
        Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n5\r\n"),
        Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nX-Trail"),
        Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\n"),
        Raw(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhalf"),
        Raw(b"HTTP/1.1 200 OK\nContent-Length: 4\n\nhalf", end="keep"),
    ],
    ids=["reset", "fin", "chunked", "trailer", "bad-chunk", "hints", "bare-lf"],
)
def test_a_complete_header_decides(opened: Opener, collector: Collector, behaviour: Raw) -> None:
    """With a complete header the answer counts, even if its body is incomplete."""
    collector.script = [behaviour]
    session = opened()

    assert session.post(collector.url, PACKET).status == 200
    assert bodies(collector) == [PACKET]
    assert session.post(collector.url, PACKET).status == 200


_PACKET = b'{"tsISO8601":"2023-01-01T00:00:00.000+00:00"}'


@pytest.mark.parametrize(
    ("data", "is_known", "is_stored"),
    [
        (b"Content-Length: 45\r\n\r\n", False, False),
        (b"Content-Length: 45\r\n\r\n" + _PACKET[:30], False, False),
        (b"Transfer-Encoding: chunked\r\n\r\n", False, False),
        (b"Content-Length: 99\r\n\r\n" + _PACKET, True, True),
        (b"Content-Length: 0\r\n\r\n", True, False),
        (b"\r\n", True, False),
    ],
    ids=["nothing", "half", "chunked", "all", "empty", "closed"],
)
def test_an_answer_that_was_cut_says_nothing_of_what_is_stored(
    engine: Engine, collector: Collector, data: bytes, *, is_known: bool, is_stored: bool
) -> None:
    """A cut answer to a request for the last packet does not mean "nothing is stored"."""
    collector.script = [Raw(b"HTTP/1.1 200 OK\r\n" + data)]
    client = CollectorClient(engine, Access("user", "password"))
    reply = client.last_packet(collector.url, "m")
    client.close()
    is_unsettled = reply.outcome.verdict is Verdict.UNSETTLED
    assert (is_known, is_stored) == (reply.is_known, reply.last is not None)
    assert is_unsettled is not is_known


@pytest.mark.parametrize("status", [200, 302, 500])
def test_a_huge_body_is_left(opened: Opener, collector: Collector, status: int) -> None:
    """At most `BODY_LIMIT` bytes of a body are read, without delay."""
    head = b"HTTP/1.1 %d Status\r\nLocation: /\r\nContent-Length: 100000000\r\n\r\n" % status
    collector.script = [HugeBody(head=head)]
    session = opened()

    started = time.monotonic()
    answer = session.post(collector.url, PACKET)

    assert (answer.status, len(answer.body)) == (status, BODY_LIMIT)
    assert time.monotonic() - started < 1
    assert session.post(collector.url, PACKET).status == 200


def test_a_port_that_refuses_is_unreachable(opened: Opener, collector: Collector) -> None:
    """Nothing was sent, and the message has the address and the reason."""
    collector.stop_listening()
    session = opened()

    expected = f"^could not connect to 127.0.0.1:{collector.port}: Connection refused$"
    with pytest.raises(Unreachable, match=expected):
        session.post(collector.url, PACKET)
    with pytest.raises(Unreachable, match=expected):
        session.get(collector.url)


def test_a_name_that_does_not_resolve_is_unreachable(opened: Opener) -> None:
    """Nothing was sent."""
    with pytest.raises(Unreachable, match=r"^could not connect to swarm\.invalid: .*\S"):
        opened(timeout=2.0).post("http://swarm.invalid/", PACKET)


def test_a_connection_that_does_not_come_about_is_unreachable(opened: Opener) -> None:
    """If the queue of connections is full, connecting times out; nothing was sent."""
    with full_queue() as port, pytest.raises(Unreachable, match="timed out"):
        opened(timeout=0.4).post(f"http://127.0.0.1:{port}/", PACKET)


@contextlib.contextmanager
def full_queue() -> Iterator[int]:
    """Listen on a port whose queue is full: connecting to it never ends."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=0) as server,
        contextlib.ExitStack() as held,
    ):
        for _ in range(3):
            waiting = held.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def resolve_to(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    """Make every name that the requests engine looks up resolve to these local ports."""
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))
        for port in ports
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


@pytest.mark.parametrize("timeout", [0.8, 30.0])
def test_an_address_that_is_dead_is_left(
    collector: Collector, monkeypatch: pytest.MonkeyPatch, timeout: float
) -> None:
    """If one of several addresses answers, it is used without a long delay."""
    with socket.create_server(("127.0.0.1", 0)) as closed, full_queue() as dead:
        refuses = closed.getsockname()[1]
        closed.close()
        for ports in ([dead, collector.port], [refuses, dead, dead, collector.port, dead]):
            resolve_to(monkeypatch, *ports)
            access = Access(USER, PASSWORD, timeout)
            with contextlib.closing(open_session("requests", access)) as session:
                started = time.monotonic()
                assert session.post("http://collector.example/", PACKET).status == 200
                assert time.monotonic() - started < 2
    assert collector.connections == 2


def test_no_address_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """One limit holds for all addresses; the error has the reason of the last one."""
    with socket.create_server(("127.0.0.1", 0)) as closed, full_queue() as dead:
        refuses = closed.getsockname()[1]
        closed.close()
        for ports, reason, longest in (
            ([dead] * 5, "timed out", 1.5),
            ([refuses] * 5, "Connection refused", 0.5),
        ):
            resolve_to(monkeypatch, *ports)
            with contextlib.closing(open_session("requests", Access(USER, PASSWORD, 1.0))) as one:
                started = time.monotonic()
                with pytest.raises(Unreachable, match=reason):
                    one.post("http://collector.example/", PACKET)
                assert time.monotonic() - started < longest


class Authority:
    """A certificate authority with the certificates that the tests need."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.bundle = str(folder / "ca.pem")
        self._ca.cert_pem.write_to_path(self.bundle)
        self.other = str(folder / "other.pem")
        trustme.CA().cert_pem.write_to_path(self.other)

    def server(self, host: str = "127.0.0.1", **options: Any) -> ssl.SSLContext:
        """Return the TLS context of a server with a certificate for this host."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._ca.issue_cert(host, **options).configure_cert(context)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return one authority for all tests of this module."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(authority: Authority) -> Iterator[Collector]:
    """Start a collector over TLS, with a valid certificate."""
    with Collector(tls=authority.server()) as server:
        yield server


def test_a_known_authority_is_trusted(
    opened: Opener, authority: Authority, secure: Collector
) -> None:
    """With its CA file, the collector is used over one TLS connection."""
    session = opened(ca_bundle=authority.bundle)

    assert [session.post(secure.url, PACKET).status for _ in range(5)] == [200] * 5
    assert session.get(f"{secure.url}?stream=meter").body == PACKET
    assert secure.connections == 1


def test_tls_connections_closed_while_idle_are_replaced(
    opened: Opener, authority: Authority, secure: Collector
) -> None:
    """A closed connection is detected over TLS too."""
    session = opened(ca_bundle=authority.bundle)
    for _ in range(3):
        assert session.post(secure.url, PACKET).status == 200
        secure.hang_up()
        time.sleep(0.05)

    assert secure.connections == 3
    assert secure.bodies("meter") == [PACKET] * 3


@pytest.mark.parametrize("behaviour", [Drip(interval=0.1), Hang()], ids=["drip", "hang"])
def test_the_whole_time_is_limited_over_tls(
    opened: Opener, authority: Authority, secure: Collector, behaviour: Raw
) -> None:
    """A slow answer over TLS times out too, and the session can be used again."""
    secure.script = [behaviour]
    session = opened(ca_bundle=authority.bundle, timeout=0.5)

    started = time.monotonic()
    with pytest.raises(Unanswered):
        session.post(secure.url, PACKET)

    assert time.monotonic() - started < 1.5
    assert session.post(secure.url, PACKET).status == 200


@pytest.mark.parametrize("case", ["unknown", "expired", "host", "public", "missing", "empty"])
def test_a_certificate_in_doubt_is_refused(
    opened: Opener, authority: Authority, tmp_path: Path, case: str
) -> None:
    """The fault is `Untrusted`, and neither credential nor packet was sent."""
    empty = tmp_path / "empty.pem"
    empty.touch()
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    context = {
        "expired": lambda: authority.server(not_after=past),
        "host": lambda: authority.server("example.org"),
    }.get(case, authority.server)()
    bundles: dict[str, str | None] = {
        "unknown": authority.other,
        "public": None,
        "missing": str(tmp_path / "missing.pem"),
        "empty": str(empty),
    }

    with Collector(tls=context) as collector:
        with pytest.raises(Untrusted, match=r"^the certificate of 127.0.0.1:\d+ was not accepted"):
            opened(ca_bundle=bundles.get(case, authority.bundle)).post(collector.url, PACKET)

        assert collector.requests == []


def test_a_failed_handshake_is_unreachable(
    opened: Opener, authority: Authority, collector: Collector
) -> None:
    """If the server does not answer the handshake, or closes it, nothing was sent."""
    silent = collector.url.replace("http:", "https:")
    with pytest.raises(Unreachable, match="timed out"):
        opened(ca_bundle=authority.bundle, timeout=0.4).post(silent, PACKET)

    cut = threading.Timer(0.1, collector.hang_up)
    cut.start()
    with pytest.raises(Unreachable):
        opened(ca_bundle=authority.bundle).post(silent, PACKET)
    cut.join()


class Tunnel:
    """A proxy that supports CONNECT; ``asked`` holds the heads of its requests."""

    def __init__(self, target: int) -> None:
        self.asked: list[bytes] = []
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait until the one tunnel has ended."""
        self._thread.join(5)
        self._listener.close()

    def _serve(self) -> None:
        client, _ = self._listener.accept()
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            self.asked.append(client.recv(65536))
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pour, args=(server, client), daemon=True)
            back.start()
            _pour(client, server)
            back.join(5)


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def test_a_tunnel_never_sees_the_credential(
    opened: Opener, authority: Authority, secure: Collector
) -> None:
    """HTTPS uses the proxy's tunnel; the proxy gets no credential."""
    access = Access(USER, PASSWORD)
    with contextlib.closing(Tunnel(secure.port)) as tunnel:
        session = opened(ca_bundle=authority.bundle, proxy=tunnel.url)
        assert [session.post(secure.url, PACKET).status for _ in range(3)] == [200] * 3
        session.close()

    (head,) = tunnel.asked
    assert head.startswith(b"CONNECT 127.0.0.1:%d HTTP/1." % secure.port)
    assert b"uthorization" not in head
    assert access.authorization.encode() not in head
    assert len(secure.requests) == 3


def test_a_tunnel_to_the_wrong_host_is_no_answer(
    opened: Opener, authority: Authority, secure: Collector
) -> None:
    """The proxy's 200 is not taken for the collector's answer if TLS fails afterwards."""
    with contextlib.closing(Tunnel(secure.port)) as tunnel:
        session = opened(ca_bundle=authority.other, proxy=tunnel.url)
        with pytest.raises(Untrusted):
            session.post(secure.url, PACKET)
        session.close()

    assert secure.requests == []


@pytest.mark.parametrize(
    "behaviour",
    [Reply(407), Reply(502), CloseAfterStoring(), Garbage(), Hang(), ResetBeforeStoring()],
    ids=["407", "502", "fin", "garbage", "hang", "reset"],
)
def test_a_proxy_that_opens_no_tunnel_is_unreachable(
    opened: Opener, collector: Collector, behaviour: Reply | Raw
) -> None:
    """A proxy's refusal to open the tunnel is no answer; nothing was sent."""
    collector.script = [behaviour]
    proxy = f"http://127.0.0.1:{collector.port}"

    with pytest.raises(
        Unreachable, match=rf"^could not connect to collector\.invalid.*{proxy[7:]}"
    ):
        opened(proxy=proxy, timeout=0.5).post("https://collector.invalid/", PACKET)

    assert "authorization" not in collector.requests[0].headers


def test_the_proxy_option_wins_over_the_environment(
    opened: Opener, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy option applies, whatever NO_PROXY says."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    session = opened(proxy=f"http://127.0.0.1:{collector.port}")

    assert session.post("http://collector.invalid/unifiedjson/", PACKET).status == 200
    assert collector.requests[0].target == "http://collector.invalid/unifiedjson/"


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Set environment variables that redirect programs which use them."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login thief password stolen\n")
    netrc.chmod(0o600)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "nowhere")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(tmp_path / "none.pem"))
    return monkeypatch


@pytest.mark.usefixtures("hostile")
def test_proxies_and_netrc_of_the_environment_are_ignored(
    opened: Opener, collector: Collector
) -> None:
    """Address and credential are those of the session."""
    session = opened()

    assert session.post(collector.url, PACKET).status == 200
    assert session.get(f"{collector.url}?stream=meter").status == 200
    expected = Access(USER, PASSWORD).authorization
    assert [request.headers["authorization"] for request in collector.requests] == [expected] * 2


def test_authorities_of_the_environment_are_ignored(
    opened: Opener, authority: Authority, secure: Collector, hostile: pytest.MonkeyPatch
) -> None:
    """Only the CA file of the session is trusted."""
    assert opened(ca_bundle=authority.bundle).post(secure.url, PACKET).status == 200

    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        hostile.setenv(name, authority.bundle)
    with pytest.raises(Untrusted):
        opened().post(secure.url, PACKET)


def test_no_message_shows_a_secret(
    opened: Opener, authority: Authority, collector: Collector, secure: Collector
) -> None:
    """No text of a fault, a session or an access has a password, plain or encoded."""
    proxy = "http://someone:pr0xy-s3cret@127.0.0.1:1"
    texts = [repr(Access(USER, PASSWORD))]
    for url, options in (
        ("http://127.0.0.1:1/", {}),
        ("http://swarm.invalid/", {}),
        (collector.url, {}),
        (secure.url, {"ca_bundle": authority.other}),
        ("https://swarm.invalid/", {"proxy": proxy}),
        ("https://swarm.invalid/", {"proxy": proxy.replace("http:", "gopher:")}),
        ("https://swarm.invalid/", {"proxy": proxy.replace("127.0.0.1", "proxy.invalid")}),
    ):
        collector.script = [Garbage()]
        session = opened(timeout=1.0, **options)
        texts.append(repr(session))
        with pytest.raises(TransportFault) as fault:
            session.post(url, PACKET)
        texts += [repr(session), str(fault.value), repr(fault.value)]
        assert fault.value.__cause__ is None

    encoded = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    for secret in (PASSWORD, encoded, "pr0xy-s3cret"):
        assert not [text for text in texts if secret in text]
    assert not [text for text in texts if "\n" in text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Connection refused", "Connection refused"),
        ("two\r\n lines\t", "two lines"),
        ("\x1b[31mred", "?[31mred"),
        ("user:s3cret@proxy:3128", "proxy:3128"),
        ("scheme of 'gopher://user:s3cret@proxy'", "scheme of 'proxy'"),
        ('at "http://user:s3cret@proxy"', 'at "proxy"'),
        ("user:s3'cret@proxy", "proxy"),
        ("http://user:s3@cret@proxy to b:s3cret@c", "proxy to c"),
        ("", ""),
    ],
)
def test_text_of_a_fault_is_one_line_without_credentials(text: str, expected: str) -> None:
    """A text from a library has no credential and no control character."""
    assert expected == printable(text)


def test_a_closed_session_leaves_nothing_open(opened: Opener, collector: Collector) -> None:
    """A closed session has closed its connection at once."""
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208 - the number is needed, no paths
    sessions = [opened() for _ in range(20)]
    for session in sessions:
        session.post(collector.url, PACKET)
        session.close()

    collector.hang_up()
    assert len(os.listdir("/dev/fd")) <= before + 1  # noqa: PTH208
    assert collector.bodies("meter") == [PACKET] * 20


def test_sessions_go_side_by_side(opened: Opener, collector: Collector) -> None:
    """Sessions in threads do not affect each other."""

    def send(number: int) -> None:
        session = opened()
        for _ in range(20):
            session.post(collector.url, b'{"id":"%d"}' % number)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [len(collector.bodies(str(number))) for number in range(16)] == [20] * 16
    assert {collector.max_in_flight(str(number)) for number in range(16)} == {1}
    assert collector.connections == 16


def test_auto_is_curl_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pycurl, auto means requests, and curl is an error."""
    assert [available(name) for name in ("auto", "curl", "requests")] == [
        "curl",
        "curl",
        "requests",
    ]
    monkeypatch.setitem(sys.modules, "swarm.collector.transport.curl", None)
    assert available("auto") == "requests"
    with pytest.raises(SettingsError, match=r"pip install .*'greenlet>=3' 'pycurl"):
        available("curl")
