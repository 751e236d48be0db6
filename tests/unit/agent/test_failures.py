"""Collectors that fail, refuse or can't be reached, threads that can't be had, and bugs."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from swarm import Agent, Config, Measurement
from swarm.collector.transport import _loop
from swarm.collector.transport.base import Engine
from tests.support.agents import at, codes, free_port, kept, minutes, scripted
from tests.support.collector import (
    PATH,
    Collector,
    Reply,
    Request,
    ResetAfterStoring,
    ResetBeforeStoring,
    redirect,
)
from tests.support.processes import until


def test_a_lost_answer_is_asked_for(collector: Collector, config: Config, agent: Agent) -> None:
    """The collector holds it: it is not sent again, and counts as sent."""
    collector.script = [ResetAfterStoring()]
    answers = kept(agent)
    agent.send(at(0), config)
    assert agent.wait_until_last(20)
    assert [200] == codes(answers)
    assert ["POST", "GET"] == [request.method for request in collector.requests]
    assert (1, 0) == (agent.sent, agent.refused)


def test_what_can_not_be_settled_is_sent_again(
    collector: Collector, config: Config, agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    """And said, since it may be there twice."""
    collector.script = [ResetBeforeStoring(), Reply(405)]
    agent.send(at(0), config)
    assert agent.wait_until_last(20)
    assert [0] == minutes(collector)
    assert "it may be sent twice" in caplog.text


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 501])
def test_refused_for_good(collector: Collector, config: Config, agent: Agent, status: int) -> None:
    """The answer is final, whatever the code; 401 has one more try with a fresh session."""
    collector.script = scripted(status)
    answers = kept(agent)
    agent.send([at(0), at(1)], config)
    assert agent.wait_until_last(20)
    assert [status, status] == codes(answers)
    assert agent.refused == 2
    assert len(collector.requests) == (4 if status == 401 else 2)


def test_redirects_are_not_followed(collector: Collector, config: Config, agent: Agent) -> None:
    """They are refusals: credentials stay where they belong."""
    collector.script = [redirect(collector.url)]
    answers = kept(agent)
    agent.send(at(0), config)
    assert agent.wait_until_last(20)
    assert [302] == codes(answers)
    assert len(collector.requests) == 1


def test_a_certificate_that_is_not_accepted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is final, without an answer: no credential was sent; ``ca_bundle`` names another."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    with Collector(tls=context) as collector, Agent(1) as agent:
        answers = kept(agent)
        agent.send(at(0), Config(collector.url, "acme", "s3cr%et"))
        agent.send(at(1), Config(collector.url, "acme", "s3cr%et", ca_bundle=str(bundle)))
        assert agent.wait_until_last(20)
        assert [None, 200] == codes(answers)
        assert [1] == minutes(collector)
    assert "certificate" in caplog.text


def test_a_waiting_stream_gives_its_place_away(
    collector: Collector, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    """With one sender, others are sent while one waits as the collector asks."""
    collector.script = [Reply(429, headers={"Retry-After": "1"})]
    with Agent(1) as agent:
        agent.send(at(0), config)
        until(lambda: "trying again: HTTP 429" in caplog.text)
        agent.send([at(n, name="other") for n in range(20)], config)
        assert agent.wait_until_last(20)
    assert [0] == minutes(collector)
    assert ["gas", "other"] == [request.stream for request in collector.requests][:2]


def test_a_stream_in_trouble_goes_in_order(
    collector: Collector, config: Config, agent: Agent
) -> None:
    """Nothing overtakes what is tried again."""

    def script(request: Request, _: Collector) -> Any:
        if request.method == "GET" or request.number % 3:
            return None
        return (Reply(503), ResetBeforeStoring(), Reply(425), ResetAfterStoring())[
            request.number // 3 % 4
        ]

    collector.script = script
    agent.send([at(minute) for minute in range(12)], config)
    assert agent.wait_until_last(30)
    assert list(range(12)) == minutes(collector)
    assert (12, 1) == (agent.sent, collector.max_in_flight("gas"))


def test_many_streams_in_trouble(
    collector: Collector, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than may wait at once: another collector's go on, and in the end all arrive."""
    monkeypatch.setattr("swarm.agent.dispatcher.MOST_WAITING", 2)
    collector.script = lambda request, _: Reply(503) if request.method == "POST" else None
    with Collector() as sound, Agent(2, settle=0.05) as agent:
        agent.send([at(minute, name=f"m{n}") for n in range(10) for minute in range(3)], config)
        until(lambda: len(collector.requests) > 8)
        agent.send([at(minute) for minute in range(20)], Config(sound.url, "acme", "s3cr%et"))
        until(lambda: agent.sent == 20)
        assert agent.waiting == 30
        collector.script = None
        assert agent.wait_until_last(20)
    assert all([0, 1, 2] == minutes(collector, f"m{n}") for n in range(10))


@pytest.mark.parametrize("transport", ["curl", "requests"])
def test_no_more_threads_to_be_had(
    collector: Collector, config: Config, monkeypatch: pytest.MonkeyPatch, transport: Engine
) -> None:
    """Then those there are send all; with none at all, `send` says so."""
    real = threading.Thread.start
    granted = [1]

    def start(thread: threading.Thread) -> None:
        if thread.name == "swarm":
            if not granted:
                raise RuntimeError("can't start new thread")
            granted.pop()
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    _loop.cache_clear()
    with Agent(4, transport=transport) as agent:
        agent.send([at(minute, name=f"m{minute % 4}") for minute in range(40)], config)
        assert agent.wait_until_last(20)
        assert agent.sent == 40
    _loop.cache_clear()
    agent = Agent(4, transport=transport)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        agent.send(at(0), config)
    agent.close(0)
    _loop.cache_clear()


@pytest.mark.parametrize("transport", ["curl", "requests"])
def test_no_thread_for_a_rest(
    collector: Collector, config: Config, monkeypatch: pytest.MonkeyPatch, transport: Engine
) -> None:
    """The measurements of a generator are sent all the same, at once, also after that."""
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if sender.sent:
            raise RuntimeError("can't start new thread")
        real(thread)

    def slow() -> Iterator[Measurement]:
        yield at(1)
        until(lambda: sender.sent == 2)
        yield at(2)

    with Agent(1, transport=transport) as sender:
        sender.send(at(0), config)
        assert sender.wait_until_last(5)
        monkeypatch.setattr(threading.Thread, "start", start)
        sender.send(slow(), config)
        assert sender.wait_until_last(5)
        monkeypatch.undo()
    assert [0, 1, 2] == minutes(collector)


class _Late(BaseHTTPRequestHandler):
    """A collector that is started when its clients wait for it already."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


def test_a_collector_out_of_reach(
    collector: Collector, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    """Its measurements are tried for ever; those for others go on; none is lost."""
    port = free_port()
    with Agent(1) as agent:
        answers = kept(agent)
        down = Config(f"http://127.0.0.1:{port}{PATH}", "acme", "s3cr%et")
        agent.send([at(0, name="a"), at(0, name="b"), at(1, name="b")], down)
        agent.send([at(minute) for minute in range(10)], config)
        until(lambda: agent.sent == 10)
        assert agent.waiting == 3
        assert f"Could not send {at(0, name='a')}, trying again: could not connect" in caplog.text
        with HTTPServer(("127.0.0.1", port), _Late) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            assert agent.wait_until_last(20)
            server.shutdown()
            thread.join()
    assert [204] * 3 == [code for code in codes(answers) if code != 200]


@pytest.mark.parametrize("on", ["agent", "config"])
def test_given_up(on: str, caplog: pytest.LogCaptureFixture) -> None:
    """With ``retry_for`` a measurement is given up: no answer, counted, logged."""
    url = f"http://127.0.0.1:{free_port()}{PATH}"
    config = Config(url, "acme", "s3cr%et", retry_for=0.2 if on == "config" else None)
    with Agent(2, retry_for=0.2 if on == "agent" else None) as agent:
        answers = kept(agent)
        agent.send([at(0), at(0, name="b")], config)
        assert agent.wait_until_last(20)
        assert (0, 2) == (agent.sent, agent.refused)
    assert [None, None] == codes(answers)
    assert f"Could not send {at(0)}, given up after 0.2 s: could not connect" in caplog.text


def test_given_up_while_it_is_settled(collector: Collector, config: Config) -> None:
    """The last answer counts, also where it came to the question."""
    collector.script = lambda request, _: Reply(503 if request.method == "POST" else 500)
    with Agent(1, retry_for=0.3, settle=0) as agent:
        answers = kept(agent)
        agent.send(at(0), config)
        assert agent.wait_until_last(20)
    assert [500] == codes(answers)


def test_a_bug_in_one_blocks_nobody(
    config: Config,
    agent: Agent,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An unexpected error is logged, and its measurement is counted as not sent."""
    monkeypatch.setattr("swarm.agent.sender.packet", lambda *_: 1 / 0)
    answers = kept(agent)
    agent.send(at(0), config)
    assert agent.wait_until_last(20)
    assert [None] == codes(answers)
    assert agent.refused == 1
    assert "ZeroDivisionError" in caplog.text
