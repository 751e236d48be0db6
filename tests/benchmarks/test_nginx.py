"""The collector of the benchmarks, and the poor line to one."""

import json
import ssl
import sys
import time
from collections.abc import Iterator
from http.client import HTTPSConnection
from pathlib import Path

import pytest

from benchmarks.harness import commands, nginx
from benchmarks.harness.line import Quality
from benchmarks.harness.namespaces import FAR, namespaces
from benchmarks.harness.nginx import Nginx
from tests.benchmarks.test_suites import needs

CONNECT = """\
import json, socket, sys, time
times = []
for _ in range(20):
    started = time.monotonic()
    socket.create_connection(tuple(json.loads(sys.argv[1])), timeout=30).close()
    times.append(time.monotonic() - started)
print(json.dumps(times))
"""


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """Return a running nginx."""
    needs("https-64")
    with nginx.running(tmp_path_factory.mktemp("nginx") / "nginx") as running:
        yield running


def connect(collector: Nginx) -> HTTPSConnection:
    """Return a connection that verifies the certificate."""
    context = ssl.create_default_context(cafile=str(collector.ca))
    return HTTPSConnection(collector.address, collector.ports["https"], context=context)


def ask(connection: HTTPSConnection, method: str, url: str) -> tuple[int, bytes]:
    """Return the status and the body of an answer."""
    connection.request(method, "/" + url.split("/", 3)[3], body=b"{}" if method == "POST" else None)
    with connection.getresponse() as answer:
        return answer.status, answer.read()


def test_handshakes_are_counted_and_not_requests(collector: Nginx) -> None:
    """Two connections with three requests each are two handshakes."""
    before = collector.count_handshakes()
    for _ in range(2):
        connection = connect(collector)
        for _ in range(3):
            assert ask(connection, "POST", collector.url("https"))[0] == 200
        connection.close()
    assert collector.count_handshakes() - before == 2


def test_only_tls_1_3_is_spoken(collector: Nginx) -> None:
    """A client that speaks only TLS 1.2 is refused."""
    context = ssl.create_default_context(cafile=str(collector.ca))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    connection = HTTPSConnection(collector.address, collector.ports["https"], context=context)
    with pytest.raises(ssl.SSLError):
        connection.connect()


@pytest.mark.parametrize("delay_ms", [0, *nginx.DELAYS_MS])
def test_packets_are_answered_after_the_delay(collector: Nginx, delay_ms: int) -> None:
    """The delay is that of the URL."""
    connection, url = connect(collector), collector.url("https", delay_ms=delay_ms)
    ask(connection, "POST", url)
    started = time.monotonic()
    assert ask(connection, "POST", url)[0] == 200
    assert time.monotonic() - started >= delay_ms / 1000
    connection.close()


def test_the_last_packet_is_the_one_that_was_set(collector: Nginx) -> None:
    """Without one, the question is not offered."""
    connection, url = connect(collector), f"{collector.url('https')}?stream=stream-000"
    assert ask(connection, "GET", url)[0] == 405
    collector.set_last("stream-000", b'{"value":1}')
    assert ask(connection, "GET", url) == (200, b'{"value":1}')
    collector.set_last("stream-000", None)
    assert ask(connection, "GET", url)[0] == 405
    connection.close()


def test_the_times_of_packets_are_logged_where_that_is_asked_for(collector: Nginx) -> None:
    """Questions are no packets."""
    connection = connect(collector)
    collector.clear_packets()
    started = time.time()
    for logs, method in ((True, "POST"), (True, "POST"), (True, "GET"), (False, "POST")):
        ask(connection, method, collector.url("https", logs=logs))
    times = collector.packet_times()
    assert len(times) == 2
    assert started - 0.01 <= times[0] <= times[1] <= time.time()
    collector.clear_packets()
    assert collector.packet_times() == []
    connection.close()


def test_a_line_between_namespaces_delays_and_loses(tmp_path: Path) -> None:
    """A connection takes a round trip, or a second more if its first packet is lost."""
    needs("connections-poor-line")
    lossy = Quality(delay=0.04, loss=0.15, rate=125_000, seed=3)
    with namespaces() as both:
        within = both.within(both.far)
        with nginx.running(tmp_path / "nginx", FAR, within) as server, both.line(lossy, tmp_path):
            command = [sys.executable, "-c", CONNECT, json.dumps([FAR, server.ports["http"]])]
            setting = commands.Setting(within=both.within(both.near))
            times = json.loads(commands.run(command, tmp_path, setting=setting).out)
    assert min(times) >= 0.08
    assert max(times) >= 1.08
