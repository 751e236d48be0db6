"""Sending with an `Agent`: order, the queue, several collectors, measurements that are refused."""

import threading
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from swarm import (
    Agent,
    AgentError,
    Config,
    ElectricityMeasurement,
    Measurement,
    MeasurementError,
    Response,
    SimpleMeasurement,
)
from swarm.collector.transport.base import Engine
from tests.support.agents import ROOT, START, at, codes, kept, minutes, scripted
from tests.support.collector import PATH, Collector, Reply, Request
from tests.support.processes import until

_SWARM = f"{ROOT}/swarm/*"


@pytest.mark.parametrize("transport", ["curl", "requests"])
def test_24_mixed_measurements(collector: Collector, config: Config, transport: Engine) -> None:
    """All are answered, each handler is called for each, and the packets are theirs."""
    group: list[Measurement] = []
    for minute in range(12):
        moment = START + timedelta(minutes=minute)
        group.append(SimpleMeasurement("gas", moment, minute))
        group.append(ElectricityMeasurement("power", moment, current_phase_a=minute))
    with Agent(4, transport=transport) as agent:
        answers = kept(agent)
        agent.send(group, config)
        assert agent.wait_until_last(20)
        assert set(group) == {measurement for measurement, _ in answers}
        assert [200] * 24 == codes(answers)
        assert (24, 0, 0) == (agent.sent, agent.refused, agent.waiting)
    for name, mine in (("gas", group[::2]), ("power", group[1::2])):
        assert [each.json.encode() for each in mine] == collector.bodies(name)
        assert collector.max_in_flight(name) == 1


@pytest.mark.parametrize("kind", [list, tuple, iter, lambda group: (each for each in group)])
def test_a_group_backwards_goes_in_order(
    collector: Collector, config: Config, agent: Agent, kind: Callable[[Any], Any]
) -> None:
    """Whatever it is given as: what waits is kept sorted."""
    agent.send(kind([at(minute) for minute in reversed(range(50))]), config)
    assert agent.wait_until_last(20)
    assert list(range(50)) == minutes(collector)


def test_one_slow_id_of_three(config: Config, collector: Collector) -> None:
    """1,000 measurements, 2 senders: all arrive in order, and the quick ids do not wait."""
    collector.script = scripted(200, stream="slow", delay=0.01)
    names = ("slow", "quick", "quicker")
    with Agent(2) as agent:
        agent.send([at(n // 3, n, names[n % 3]) for n in range(1000)], config)
        assert agent.wait_until_last(60)
        assert agent.sent == 1000
    for name in names:
        assert list(range(len(minutes(collector, name)))) == minutes(collector, name)
        assert collector.max_in_flight(name) == 1
    order = [request.stream for request in collector.requests]
    last = {name: len(order) - order[::-1].index(name) for name in names}
    assert max(last["quick"], last["quicker"]) < last["slow"] - 10


def test_a_500_becomes_a_200(collector: Collector, config: Config, agent: Agent) -> None:
    """It is asked for, sent again, and answered once."""
    collector.script = [Reply(500), None, Reply(503)]
    answers = kept(agent)
    agent.send(at(0), config)
    assert agent.wait_until_last(20)
    assert [200] == codes(answers)
    assert [0] == minutes(collector)
    assert ["POST", "GET", "POST", "GET", "POST"][:4] == [r.method for r in collector.requests][:4]


def test_a_refused_one_blocks_nobody(
    collector: Collector, config: Config, agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    """Handlers get its answer, it is logged and counted, and its stream goes on."""

    def script(request: Request, _: Collector) -> Reply | None:
        return Reply(400, b"no such meter") if b"13" in request.body else None

    collector.script = script
    answers = kept(agent)
    agent.send([at(0, 1), at(1, 13), at(2, 2), at(0, 3, "power")], config)
    assert agent.wait_until_last(20)
    assert (3, 1) == (agent.sent, agent.refused)
    assert [0, 2] == minutes(collector)
    refused = [(m, r) for m, r in answers if r is not None and not r.is_success]
    assert [(at(1, 13), Response(400, "HTTP 400: no such meter"))] == refused
    assert f"Could not send {at(1, 13)}: HTTP 400: no such meter" in caplog.text


def test_when_the_last_one_was_sent(config: Config, agent: Agent) -> None:
    """A time in UTC; None before the first."""
    first, before = agent.last_measurement_sent_time, datetime.now(UTC)
    agent.send(at(0), config)
    assert agent.wait_until_last(20)
    last = agent.last_measurement_sent_time
    assert first is None
    assert last is not None
    assert before <= last <= datetime.now(UTC)


def test_send_from_many_threads(collector: Collector, config: Config) -> None:
    """Nothing is lost, and nothing is sent twice."""
    with Agent(8, queue_size=50) as agent:

        def send(number: int) -> None:
            for minute in range(100):
                agent.send(at(minute, name=f"m{number}"), config)

        threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert agent.wait_until_last(30)
        assert agent.sent == 800
    for number in range(8):
        assert list(range(100)) == minutes(collector, f"m{number}")


def test_more_streams_than_senders(collector: Collector, config: Config) -> None:
    """Each has its turn: none is far ahead of another."""
    with Agent(2) as agent:
        collector.script = scripted(200, stream="m0", delay=0.3)  # until all are queued
        agent.send([at(minute, name=f"m{n}") for minute in range(1) for n in range(20)], config)
        agent.send([at(minute, name=f"m{n}") for n in range(20) for minute in range(1, 10)], config)
        collector.script = None
        assert agent.wait_until_last(20)
    ahead = [0] * 20
    for request in collector.requests:
        ahead[int((request.stream or "")[1:])] += 1
        others = ahead[1:]  # the first one is slow
        assert max(others) - min(others) <= 3
    assert collector.connections <= 2


def test_send_waits_while_the_queue_is_full(collector: Collector, config: Config) -> None:
    """One more gets in when one was answered."""
    gate = threading.Event()

    def script(request: Request, _: Collector) -> None:
        gate.wait(20)

    collector.script = script
    with Agent(1, queue_size=3) as agent:
        agent.send([at(0), at(1), at(2)], config)
        thread = threading.Thread(target=agent.send, args=(at(3), config))
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        assert agent.waiting == 3
        gate.set()
        thread.join(20)
        assert not thread.is_alive()
    assert list(range(4)) == minutes(collector)


def test_who_waits_for_room_is_told_of_the_end(collector: Collector, config: Config) -> None:
    """`send` raises when the agent is closed meanwhile, and ever after."""
    collector.script = scripted(200, delay=0.3)
    agent = Agent(1, queue_size=1)
    agent.send(at(0), config)
    errors: list[Exception] = []

    def send() -> None:
        try:
            agent.send(at(1), config)
        except AgentError as error:
            errors.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    thread.join(0.1)
    agent.close(0)
    thread.join(20)
    assert len(errors) == 1
    with pytest.raises(AgentError, match="closed"):
        agent.send(at(1), config)
    assert repr(agent) == "<Agent: 1 sent, 0 refused, 0 waiting>"


class _Forgetful(Collector):
    """A collector that keeps nothing, for looking at memory."""

    def _arrived(self, *args: Any) -> Request:
        request = super()._arrived(*args)
        self.requests.clear()
        return request

    def _store(self, request: Request) -> None:
        pass


def test_a_generator_in_flat_memory() -> None:
    """12,000 measurements need no more memory than the queue, about 1 kB each."""
    with _Forgetful() as collector, Agent(4, queue_size=500) as agent:
        config = Config(collector.url, "acme", "s3cr%et")
        agent.send((at(n, name=f"m{n % 8}") for n in range(2000)), config)
        assert agent.wait_until_last(30)
        tracemalloc.start()
        agent.send((at(n, name=f"m{n % 8}") for n in range(2000, 12_000)), config)
        assert agent.wait_until_last(60)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert agent.sent == 12_000
        assert peak < 2_000_000


def test_many_streams_in_flat_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that is done with leaves hardly anything behind."""
    monkeypatch.setattr("swarm.agent.queue.MOST_REMEMBERED", 100)
    with _Forgetful() as collector, Agent(4, queue_size=500) as agent:
        config = Config(collector.url, "acme", "s3cr%et")
        names = (f"m{n}" for n in range(8000))

        def send(count: int) -> None:
            agent.send((at(0, name=next(names)) for _ in range(count)), config)
            assert agent.wait_until_last(60)

        send(2000)
        tracemalloc.start()
        send(6000)
        snapshot = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, _SWARM)])
        tracemalloc.stop()
        assert agent.sent == 8000
        assert sum(each.size for each in snapshot.traces) < 200 * 6000


def test_an_older_one_is_sent_with_a_warning(
    collector: Collector, config: Config, agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    """Sent all the same, alone."""
    agent.send([at(5), at(6)], config)
    assert agent.wait_until_last(20)
    assert "older" not in caplog.text
    agent.send(at(3), config)
    assert agent.wait_until_last(20)
    assert [5, 6, 3] == minutes(collector)
    assert f"{at(3)} is older than a measurement that was sent before it" in caplog.text


def test_two_times_within_a_millisecond(
    collector: Collector, config: Config, agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    """Packets can't tell them apart: both are sent as they are, the second with a warning."""
    first, second = (
        SimpleMeasurement("gas", START + timedelta(microseconds=part), part) for part in (1, 999)
    )
    agent.send([first, second, at(1)], config)
    assert agent.wait_until_last(20)
    assert [1, 999, 1] == [packet["value"] for packet in collector.packets("gas")]
    assert [
        f"{second} has the same time, in milliseconds, as a measurement that was sent before it"
    ] == [record.getMessage() for record in caplog.records]


def test_a_time_out_of_the_calendar_is_refused_at_once(collector: Collector, agent: Agent) -> None:
    """`send` says so; of a list nothing is queued."""
    config = Config(collector.url, "acme", "s3cr%et", timezone="America/Chicago", route="utc")
    last = SimpleMeasurement("gas", datetime(9999, 12, 31, 23, 30), 1)
    for group in (last, [at(0), last]):
        with pytest.raises(MeasurementError, match="years 1 to 9999"):
            agent.send(group, config)
    assert agent.waiting == 0


def test_what_idle_streams_sent_is_remembered(
    config: Config, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of so many of them, those that sent last; late measurements of others go unnoticed."""
    monkeypatch.setattr("swarm.agent.queue.MOST_REMEMBERED", 2)
    with Agent(1) as agent:
        for name in ("a", "b", "a", "c"):
            agent.send(at(5, name=name), config)
            assert agent.wait_until_last(5)
        assert not agent._queue._streams
        caplog.clear()
        for name in ("a", "b", "c"):
            agent.send(at(3, name=name), config)
        assert agent.wait_until_last(5)
    assert 2 == caplog.text.count("is older than a measurement")
    assert f"{at(3, name='b')} is older" not in caplog.text


def test_several_configs() -> None:
    """Each collector gets its own credentials; a session keeps its cookies."""
    with (
        Collector(auth=("acme", "one"), cookie="seat=1") as first,
        Collector(auth=("zenith", "two")) as second,
        Agent(1) as agent,
    ):
        mine, yours = Config(first.url, "acme", "one"), Config(second.url, "zenith", "two")
        for minute in range(5):
            agent.send(at(minute), mine)
            agent.send(at(minute), yours)
        assert agent.wait_until_last(20)
        assert agent.sent == 10
        for collector in (first, second):
            assert list(range(5)) == minutes(collector)
            assert collector.connections == 1
        cookies = [request.headers.get("cookie") for request in first.requests]
        assert [None, *["seat=1"] * 4] == cookies


def test_credentials_that_change_within_a_stream(collector: Collector, config: Config) -> None:
    """A stream is its id and its collector: its order holds under any credentials and route."""
    other = Config(collector.url, "zenith", "two", route="utc")
    with Agent(4) as agent:
        for minute in range(20):
            agent.send(at(minute), (config, other)[minute % 2])
        assert agent.wait_until_last(20)
    assert list(range(20)) == minutes(collector)
    assert collector.max_in_flight("gas") == 1
    assert {PATH, PATH.replace("json", "json_utc")} == {r.path for r in collector.requests}


def test_idle_sessions_are_bounded(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many, those used longest ago are closed."""
    monkeypatch.setattr("swarm.agent.sessions.MOST_IDLE", 2)
    with Agent(1) as agent:
        for user in ("a", "b", "c", "c", "b", "a"):
            agent.send(at(0), Config(collector.url, user, "s3cr%et"))
            assert agent.wait_until_last(20)
        assert collector.connections == 4


def test_no_secret_is_told(
    collector: Collector, config: Config, agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the collector repeats it."""
    collector.script = [Reply(400, b"who is acme with s3cr%et?")]
    answers = kept(agent)
    agent.send(at(0), config)
    assert agent.wait_until_last(20)
    assert answers[0][1] == Response(400, "HTTP 400: who is acme with ***?")
    assert "s3cr" not in caplog.text


def test_what_is_no_measurement(config: Config, agent: Agent) -> None:
    """It is refused at once; of a group that has one, nothing is sent."""
    for group in ([at(0), "gas"], iter(["gas"]), {"gas": 1}, "gas"):
        with pytest.raises(MeasurementError, match="expected a measurement"):
            agent.send(group, config)  # type: ignore[arg-type]
    agent.send([], config)
    assert agent.waiting == 0


def test_all_senders_work(collector: Collector, config: Config) -> None:
    """As many streams at once as there are senders, and no more."""
    collector.delay = 0.2
    with Agent(3) as agent:
        agent.send([at(0, name=f"m{n}") for n in range(9)], config)
        until(lambda: collector.in_flight == 3)
        most = 0
        while not agent.wait_until_last(0.01):
            most = max(most, collector.in_flight)
    assert most == 3
    assert collector.connections == 3
