"""The library's `Agent`, against a real collector on the loopback."""

import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from swarm import (
    Agent,
    AgentError,
    Config,
    ConfigError,
    ElectricityMeasurement,
    Measurement,
    MeasurementError,
    Response,
    SimpleMeasurement,
)
from swarm.agent.agent import sender_count
from swarm.collector.transport import _loop
from swarm.collector.transport.base import Engine
from tests.support.collector import (
    PATH,
    Collector,
    Hang,
    Reply,
    Request,
    ResetAfterStoring,
    ResetBeforeStoring,
    redirect,
)
from tests.support.processes import until

START = datetime(2023, 1, 1, tzinfo=UTC)
ROOT = str(Path(__file__).parents[3])
_SWARM = f"{ROOT}/swarm/*"

Answers = list[tuple[Measurement, Response | None]]


@pytest.fixture(autouse=True)
def _quick_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait milliseconds, not minutes, before another try."""
    monkeypatch.setattr("swarm.collector.retry.BACKOFF_FIRST", 0.02)
    monkeypatch.setattr("swarm.collector.retry.BACKOFF_MOST", 0.05)


@pytest.fixture
def config(collector: Collector) -> Config:
    """Return a config for the collector."""
    return Config(collector.url, "acme", "s3cr%et")


@pytest.fixture
def agent() -> Iterator[Agent]:
    """Return an agent with four senders."""
    with Agent(4, settle=0.05) as agent:
        yield agent


def at(minute: int, value: float = 1, name: str = "gas") -> SimpleMeasurement:
    """Return a measurement of a minute of the year."""
    return SimpleMeasurement(name, START + timedelta(minutes=minute), value)


def kept(agent: Agent) -> Answers:
    """Return a list that grows with the agent's answers."""
    answers: Answers = []
    agent.add_measurement_sent_handler(lambda *answer: answers.append(answer))
    return answers


def codes(answers: Answers) -> list[int | None]:
    """Return the answers' status codes."""
    return [None if response is None else response.code for _, response in answers]


def minutes(collector: Collector, name: str = "gas") -> list[int]:
    """Return the minutes that the collector holds of a stream, in the order they came."""
    times = [datetime.fromisoformat(each["tsISO8601"]) for each in collector.packets(name)]
    return [(moment - START) // timedelta(minutes=1) for moment in times]


def scripted(status: int, *, stream: str = "gas", **reply: Any) -> Callable[..., Reply | None]:
    """Return a script that answers a stream's packets with a status."""

    def script(request: Request, _: Collector) -> Reply | None:
        is_meant = request.method == "POST" and request.stream == stream
        return Reply(status, **reply) if is_meant else None

    return script


# What the forebears do


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


def test_the_shared_agent() -> None:
    """One for the process; after `dispose` there is a new one."""
    shared = Agent.get_instance(3)
    assert Agent.get_instance() is shared
    Agent.dispose()
    Agent.dispose()
    other = Agent.get_instance()
    assert other is not shared
    Agent.dispose(0)


@pytest.fixture
def shared() -> Iterator[Agent]:
    """Return the shared agent."""
    yield Agent.get_instance(4)
    Agent.dispose(5)


def in_thread(function: Callable[[], object]) -> threading.Thread:
    """Call a function in a thread of its own."""
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def test_a_handler_can_not_dispose(
    collector: Collector, config: Config, shared: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told so, and the shared agent stays what it is."""
    collector.script = scripted(200, delay=0.02)
    shared.add_measurement_sent_handler(lambda *_: Agent.dispose())
    for minute in range(10):
        Agent.get_instance().send(at(minute), config)
        time.sleep(0.01)
    assert shared.wait_until_last(20)
    assert Agent.get_instance() is shared
    assert caplog.text.count("AgentError: a handler can't wait") == 10
    assert list(range(10)) == minutes(collector)
    Agent.dispose()
    assert (10, 0) == (shared.sent, shared.waiting)


@pytest.mark.parametrize("end", ["dispose", "close", "with"])
def test_the_instance_while_it_is_closed(
    collector: Collector, config: Config, shared: Agent, end: str
) -> None:
    """A new one waits until the old one has ended: they never send side by side."""
    collector.script = scripted(200, delay=0.05)
    for minute in range(5):
        shared.send(at(minute), config)

    def leave() -> None:
        with shared:
            pass

    ways = {"dispose": Agent.dispose, "close": shared.close, "with": leave}
    closing = in_thread(ways[end])
    until(lambda: shared._is_closing)
    for minute in range(5, 10):
        Agent.get_instance(2).send(at(minute), config)
    closing.join(20)
    other = Agent.get_instance()
    assert other is not shared
    assert other.wait_until_last(20)
    assert list(range(10)) == minutes(collector)
    assert collector.max_in_flight("gas") == 1
    assert (5, 5) == (shared.sent, other.sent)


def test_the_instance_after_a_disposal_in_a_hurry(
    collector: Collector, config: Config, shared: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the old one could not wait for has ended before the new one sends."""
    monkeypatch.setattr("swarm.agent.agent._GRACE", 0.05)
    collector.script = [Reply(200, delay=0.5), Reply(200, delay=0.5)]
    shared.send([at(0), at(0, name="b"), at(1)], config)
    until(lambda: collector.in_flight == 2)
    Agent.dispose(0)
    Agent.get_instance().send([at(2), at(2, name="b")], config)
    Agent.dispose()
    assert [0, 2] == minutes(collector)
    assert [0, 2] == minutes(collector, "b")
    assert {1} == {collector.max_in_flight(name) for name in ("gas", "b")}


def test_a_handler_gets_the_instance_that_is_disposed_of(
    collector: Collector, config: Config, shared: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    """It can't wait for another: it sends with this one, and once that is closed it is told so."""
    collector.script = scripted(200, delay=0.02)

    def follow(measurement: Measurement, response: Response | None) -> None:
        until(lambda: shared._is_closing)
        if measurement.id == "gas":
            Agent.get_instance().send(SimpleMeasurement("copy", measurement.timestamp, 1), config)

    shared.add_measurement_sent_handler(follow)
    shared.send([at(0), at(1)], config)
    Agent.dispose()
    assert [0, 1] == minutes(collector, "copy")
    other = Agent.get_instance()
    collector.script = scripted(429)
    other.add_measurement_sent_handler(follow)
    other.send(at(2), config)
    Agent.dispose(0)
    assert "AgentError: the shared agent is being closed, and this thread can't wait" in caplog.text


def test_a_signals_handler_gets_the_instance_that_it_found_disposed_of(
    collector: Collector, config: Config, shared: Agent
) -> None:
    """Its thread disposes: it can't wait for that, and sends with this one."""
    gate = threading.Event()

    def script(*_: object) -> None:
        gate.wait(20)

    def send(*_: object) -> None:
        Agent.get_instance().send(at(1), config)
        gate.set()

    collector.script = script
    shared.send(at(0), config)
    former = signal.signal(signal.SIGALRM, send)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        Agent.dispose()
    finally:
        signal.signal(signal.SIGALRM, former)
    assert [0, 1] == minutes(collector)
    assert (2, 0) == (shared.sent, shared.waiting)


def test_many_threads_share_and_dispose(collector: Collector, config: Config) -> None:
    """All is sent once, in order, one at a time; nothing is stuck."""
    collector.delay = 0.005
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    is_over = threading.Event()

    def send(name: str) -> None:
        for minute in range(40):
            is_sent = False
            while not is_sent:
                with suppress(AgentError):  # it was closed between the two calls
                    Agent.get_instance(2).send(at(minute, name=name), config)
                    is_sent = True

    def dispose() -> None:
        while not is_over.wait(0.005):
            Agent.dispose()

    names = [f"m{number}" for number in range(6)]
    senders = [in_thread(lambda name=name: send(name)) for name in names]  # type: ignore[misc]
    disposers = [in_thread(dispose) for _ in range(2)]
    for thread in senders:
        thread.join(60)
    is_over.set()
    for thread in disposers:
        thread.join(20)
    sys.setswitchinterval(switch)
    assert not any(thread.is_alive() for thread in (*senders, *disposers))
    Agent.dispose()
    for name in names:
        assert list(range(40)) == minutes(collector, name)
        assert collector.max_in_flight(name) == 1


def test_when_the_last_one_was_sent(config: Config, agent: Agent) -> None:
    """A time in UTC; None before the first."""
    first, before = agent.last_measurement_sent_time, datetime.now(UTC)
    agent.send(at(0), config)
    assert agent.wait_until_last(20)
    last = agent.last_measurement_sent_time
    assert first is None
    assert last is not None
    assert before <= last <= datetime.now(UTC)


# Handlers


def test_a_decorated_handler_stays_of_use(config: Config, agent: Agent) -> None:
    """The name can be called, and removed."""
    seen: list[Measurement] = []

    @agent.add_measurement_sent_handler
    def note(measurement: Measurement, response: Response | None) -> None:
        """Note it."""
        seen.append(measurement)

    agent.send(at(0), config)
    assert agent.wait_until_last(20)
    note(at(9), None)
    note.remove()
    note.remove()
    agent.send(at(1), config)
    assert agent.wait_until_last(20)
    assert [at(0), at(9)] == seen
    assert note.__doc__ == "Note it."


def test_handlers_run_one_after_the_other(config: Config, agent: Agent) -> None:
    """Off the caller's thread, never two at once, those of one stream in order."""
    running: list[int] = []
    threads: set[threading.Thread] = set()
    order: list[Measurement] = []

    def slow(measurement: Measurement, _: Response | None) -> None:
        running.append(1)
        assert len(running) == 1
        time.sleep(0.002)
        threads.add(threading.current_thread())
        order.append(measurement)
        running.pop()

    agent.add_measurement_sent_handler(slow)
    agent.add_measurement_sent_handler(slow)
    group = [at(n, name=f"m{n % 4}") for n in range(40)]
    agent.send(group, config)
    assert agent.wait_until_last(20)
    assert len(order) == 80
    assert len(threads) == 1
    assert threading.current_thread() not in threads
    assert [m for m in group if m.id == "m1"] == [m for m in order[::2] if m.id == "m1"]


def test_a_handler_that_raises(
    config: Config, agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the others run; also where it means to end the program."""

    def fail(measurement: Measurement, _: Response | None) -> None:
        raise SystemExit("out of paper")

    agent.add_measurement_sent_handler(fail)
    answers = kept(agent)
    agent.send([at(0), at(1)], config)
    assert agent.wait_until_last(20)
    assert [200, 200] == codes(answers)
    assert "out of paper" in caplog.text


def test_a_handler_that_sends_more(collector: Collector, config: Config) -> None:
    """It never waits for room, not even in a queue of one."""
    with Agent(1, queue_size=1) as agent:

        @agent.add_measurement_sent_handler
        def copy(measurement: Measurement, _: Response | None) -> None:
            if measurement.id == "gas":
                copies = [at(n, name="copy") for n in range(3)]
                agent.send(copies[0], config)
                agent.send(iter(copies[1:]), config)

        for minute in range(5):
            agent.send(at(minute), config)
        assert agent.wait_until_last(20)
        assert agent.sent == 5 * 4
    assert list(range(5)) == minutes(collector)


def test_a_handler_can_not_wait(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    """It would wait for itself: it is told so."""
    with Agent(1) as agent:
        agent.add_measurement_sent_handler(lambda *_: agent.wait_until_last())
        agent.add_measurement_sent_handler(lambda *_: agent.close())
        agent.send(at(0), config)
    assert caplog.text.count("AgentError: a handler can't wait") == 2


class InterruptionError(Exception):
    """What the handler of a signal raises."""


def interrupted(step: int, handler: Callable[[], None], function: Callable[[], object]) -> bool:
    """Call a function, and a handler where it could run as a signal's, the so-manieth such place.

    Those are where functions begin, and where those in C have returned. Tell whether it was called.
    """
    left = step

    def profile(_frame: object, event: str, _arg: object) -> None:
        nonlocal left
        left -= event in {"call", "c_return"}
        if not left:
            left = -1
            sys.setprofile(None)
            handler()

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return left < 0


def _raise() -> None:
    raise InterruptionError


def sends(agent: Agent, *measurements: Measurement, config: Config) -> list[Callable[[], None]]:
    """Return the ways to send measurements."""
    return [
        lambda: agent.send(measurements[0], config),
        lambda: agent.send(measurements, config),
        lambda: agent.send(iter(measurements), config),
    ]


@pytest.mark.parametrize("transport", ["curl", "requests"])
@pytest.mark.parametrize("way", range(3))
def test_an_error_of_a_signals_handler(
    collector: Collector, config: Config, transport: Engine, way: int
) -> None:
    """Wherever in `send` it is raised: what was queued is sent, and the stream goes on."""
    with Agent(2, transport=transport) as agent:
        agent.send(at(0), config)
        assert agent.wait_until_last(5)
        for step in range(1, 200):
            name = f"m{step}"
            send = sends(agent, at(0, name=name), at(1, name=name), config=config)[way]
            with suppress(InterruptionError):
                if not interrupted(step, _raise, send):
                    break
        assert step > 10
        assert agent.wait_until_last(5)
        agent.send([at(2, name=f"m{n}") for n in range(1, step)], config)
        assert agent.wait_until_last(5)
        assert agent.waiting == 0
    for number in range(1, step):
        assert minutes(collector, f"m{number}") in ([0, 1, 2], [0, 2], [2])


_FIRST_SENDS = """
from swarm.scheduler import _caller
from swarm.collector.transport import _loop
from tests.unit.agent.test_agent import InterruptionError, interrupted

def fail(): raise InterruptionError
def wait(): agent.wait_until_last(5)
handler = {"fail": fail, "wait": wait}[sys.argv[1]]

def first_send():
    agent.send([at(0, f"m{step}"), at(1, f"m{step}")], config)

goes_on = True
step = 0
while goes_on:
    step += 1
    _loop.cache_clear()
    _caller.cache_clear()
    agent = Agent(1, transport=sys.argv[2])
    try:
        goes_on = interrupted(step, handler, first_send)
    except InterruptionError:
        pass
    agent.send(at(2, f"m{step}"), config)
    if not agent.wait_until_last(5) or agent.refused:
        print("step", step, agent)
print(step)
"""


@pytest.mark.parametrize("transport", ["curl", "requests"])
@pytest.mark.parametrize("handler", ["fail", "wait"])
def test_a_signal_in_the_first_send(collector: Collector, transport: Engine, handler: str) -> None:
    """Wherever it comes: the thread that sends is begun once, and what was queued is sent."""
    program = script(_FIRST_SENDS, collector.url, arguments=(handler, transport))
    out, err = program.communicate(timeout=60)
    *wrong, steps = out.splitlines() or [err]
    assert (0, []) == (program.returncode, wrong), err
    assert int(steps) > 20
    for step in range(1, int(steps) + 1):
        whole = minutes(collector, f"m{step}")
        assert whole in ([0, 1, 2], [0, 2], [2]), step
        assert handler == "fail" or whole == [0, 1, 2]


_ALARMS = """
import pycurl, random

def fail(*_): raise TimeoutError
signal.signal(signal.SIGALRM, fail)

def send(name):
    agent = Agent(4)
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00005, 0.0012))
        for minute in range(30):
            agent.send(at(minute, name), config)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except TimeoutError:
        pass
    for minute in range(30, 40):
        agent.send(at(minute, name), config)
    print(agent.wait_until_last(10), agent.refused, agent.waiting, flush=True)

for number in range(40):
    child = os.fork()
    if not child:
        send(f"m{number}")
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_an_alarm_in_the_first_send(collector: Collector) -> None:
    """A real signal, at random moments: nothing is refused, stuck, sent twice or out of order."""
    # An error that is raised in the midst of coverage's own code breaks that.
    with script(_ALARMS, collector.url, is_measured=False) as program:
        out, err = program.communicate(timeout=100)
    assert ["True 0 0"] * 40 == out.splitlines(), err
    for number in range(40):
        sent = minutes(collector, f"m{number}")
        assert sent == sorted(set(sent))
        assert sent[-10:] == list(range(30, 40))


@pytest.mark.parametrize("transport", ["curl", "requests"])
@pytest.mark.parametrize("timeout", [0.02, None])
def test_a_signals_handler_that_closes(
    config: Config, transport: Engine, timeout: float | None
) -> None:
    """Wherever in `send` it runs: it ends, and of what was queued handlers heard once."""

    def close_in(step: int) -> bool:
        agent = Agent(1, transport=transport)
        answers = kept(agent)
        agent.send(at(0), config)
        assert agent.wait_until_last(5)
        was_closed = True
        with suppress(AgentError):
            was_closed = interrupted(
                step, lambda: agent.close(timeout), lambda: agent.send(at(1), config)
            )
        agent.close(5)
        assert agent.waiting == codes(answers).count(None)
        assert [at(0), at(1)][: len(answers)] == [each for each, _ in answers]
        return was_closed

    def close() -> None:
        while close_in(steps[-1]):
            steps.append(steps[-1] + 1)
        steps.append(0)

    steps = [1]
    thread = threading.Thread(target=close, daemon=True)
    thread.start()
    thread.join(20)
    assert steps[-1] == 0, f"stuck in step {steps[-1]}"
    assert len(steps) > 10


def test_a_signals_handler_that_sends(collector: Collector, config: Config, agent: Agent) -> None:
    """Wherever in `send` it runs: both are sent, one at a time."""

    def send() -> None:
        step = 1
        while sent_twice(step):
            steps.append(step)
            step += 1

    def sent_twice(step: int) -> bool:
        first, second = at(0, name=f"m{step}"), at(1, name=f"m{step}")
        return interrupted(
            step, lambda: agent.send(first, config), lambda: agent.send(second, config)
        )

    steps: list[int] = []
    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert len(steps) > 10
    assert agent.wait_until_last(5)
    for step in steps:
        assert sorted(minutes(collector, f"m{step}")) == [0, 1]
        assert collector.max_in_flight(f"m{step}") == 1


def test_a_signals_handler_that_disposes() -> None:
    """It may interrupt `get_instance`."""
    done = threading.Event()

    def dispose() -> None:
        for step in range(1, 40):
            interrupted(step, lambda: Agent.dispose(0), Agent.get_instance)
        Agent.dispose(0)
        done.set()

    threading.Thread(target=dispose, daemon=True).start()
    assert done.wait(20)


def test_a_signals_handler_that_waits(collector: Collector, config: Config) -> None:
    """Wherever in `send` it runs, though the stream falls idle meanwhile: both are sent in turn."""
    steps: list[int] = []

    def send() -> None:
        while interrupted(len(steps) + 1, send_and_wait, lambda: agent.send(second(), config)):
            steps.append(1)

    def name() -> str:
        return f"m{len(steps) + 1}"

    def second() -> Measurement:
        return at(1, name=name())

    def send_and_wait() -> None:
        agent.send(at(0, name=name()), config)
        assert agent.wait_until_last(5)
        other.send(at(2, name="other"), config)

    with Agent(2) as agent, Agent(2) as other:
        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        thread.join(30)
        assert not thread.is_alive()
        assert len(steps) > 10
        assert agent.wait_until_last(5)
    for number in range(1, len(steps) + 1):
        assert sorted(minutes(collector, f"m{number}")) == [0, 1]
        assert collector.max_in_flight(f"m{number}") == 1


def test_a_signals_handler_that_gets_the_instance() -> None:
    """Wherever in `get_instance` it runs: it is one agent that both get."""
    steps: list[int] = []
    got: list[Agent] = []

    def get() -> None:
        got.append(Agent.get_instance())

    def get_both() -> None:
        while interrupted(len(steps) + 1, get, get):
            steps.append(len(set(got)))
            Agent.dispose(0)
            got.clear()

    thread = threading.Thread(target=get_both, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert len(steps) > 20
    assert set(steps) == {1}
    Agent.dispose(0)


class _Reports(logging.Handler):
    """Sends a measurement for each warning, and tries to wait for it."""

    def __init__(self, agent: Agent, config: Config) -> None:
        super().__init__(logging.WARNING)
        self._agent = agent
        self._config = config
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Report to the collector that there is trouble with it."""
        if "trying again" in record.getMessage():
            self._agent.send(at(0, name="trouble"), self._config)
            for wait in (self._agent.wait_until_last, self._agent.close):
                with pytest.raises(AgentError, match="can't wait") as caught:
                    wait()
                self.errors.append(str(caught.value))


@pytest.mark.parametrize("transport", ["curl", "requests"])
def test_a_logging_handler_that_sends(
    collector: Collector, config: Config, transport: Engine
) -> None:
    """It runs in a sender's thread: it never waits for room, and can't wait for an answer."""
    collector.script = [Reply(429)]
    with Agent(1, queue_size=1, settle=0, transport=transport) as agent:
        reports = _Reports(agent, config)
        logging.getLogger("swarm").addHandler(reports)
        try:
            agent.send(at(0), config)
            assert agent.wait_until_last(5)
        finally:
            logging.getLogger("swarm").removeHandler(reports)
        assert agent.sent == 2
    assert len(reports.errors) == 2


class _Broken(logging.Handler):
    """Raises whatever it is given."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(logging.WARNING)
        self.error = error
        self.calls = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Raise, for each of swarm's lines."""
        self.calls += 1
        raise self.error


@pytest.mark.parametrize("transport", ["curl", "requests"])
@pytest.mark.parametrize("error", [ValueError("disk full"), SystemExit("out of paper")])
def test_a_logging_handler_that_raises(
    collector: Collector,
    config: Config,
    transport: Engine,
    error: BaseException,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever is logged: no stream is stuck, nothing is refused for it, and stderr has it."""
    collector.script = [Reply(429), None, ResetBeforeStoring(), Reply(405), None, Reply(400)]
    broken = _Broken(error)
    logging.getLogger("swarm").addHandler(broken)
    try:
        with Agent(1, settle=0, transport=transport) as agent:
            answers = kept(agent)
            agent.add_measurement_sent_handler(lambda *_: 1 / 0)
            for minute in (1, 2, 3, 0, 4):
                agent.send(at(minute), config)
                assert agent.wait_until_last(5)
            assert (4, 1, 0) == (agent.sent, agent.refused, agent.waiting)
            assert [200, 200, 400, 200, 200] == codes(answers)
    finally:
        logging.getLogger("swarm").removeHandler(broken)
    assert [1, 2, 0, 4] == minutes(collector)
    assert broken.calls == 10  # twice tried again, unsure, refused, late; a handler five times
    assert capsys.readouterr().err.count(str(error)) == broken.calls


# Many at once


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


def test_a_signal_while_send_waits_for_room(collector: Collector, config: Config) -> None:
    """What its handler raises comes out as it is, also where the wait has just let go of its lock.

    So it does from other waits; the agent is as usable as before.
    """
    gate = threading.Event()

    def script(*_: object) -> None:
        gate.wait(20)

    def profile(_frame: object, event: str, function: object) -> None:
        if event == "c_return" and getattr(function, "__name__", "") == "_release_save":
            sys.setprofile(None)
            raise KeyboardInterrupt

    collector.script = script
    with Agent(1, queue_size=1) as agent:
        agent.send(at(0), config)
        for wait in (lambda: agent.send(at(1), config), agent.wait_until_last):
            sys.setprofile(profile)
            try:
                with pytest.raises(KeyboardInterrupt):
                    wait()
            finally:
                sys.setprofile(None)
        gate.set()
        agent.send(at(2), config)
        assert agent.wait_until_last(20)
    assert [0, 2] == minutes(collector)


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


# Trouble


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
    """What a generator yields is sent all the same, at once, also after that."""
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


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


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
    port = _free_port()
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
    url = f"http://127.0.0.1:{_free_port()}{PATH}"
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
    assert f"{at(3)} is older than one that was sent before it" in caplog.text


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
        f"{second} has the time of one that was sent before it: packets carry milliseconds"
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
    assert 2 == caplog.text.count("is older than one")
    assert f"{at(3, name='b')} is older" not in caplog.text


def test_a_bug_in_one_blocks_nobody(
    config: Config,
    agent: Agent,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What nobody thought of is logged, and counted as not sent."""
    monkeypatch.setattr("swarm.agent.sender.packet", lambda *_: 1 / 0)
    answers = kept(agent)
    agent.send(at(0), config)
    assert agent.wait_until_last(20)
    assert [None] == codes(answers)
    assert agent.refused == 1
    assert "ZeroDivisionError" in caplog.text


# Who sends, and what is told


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


def test_the_number_of_senders(caplog: pytest.LogCaptureFixture) -> None:
    """0 is twice the processors; above 256 it is cut, with a warning."""
    assert sender_count(0) == min(2 * (os.cpu_count() or 1), 256)
    assert not caplog.text
    with Agent(300):
        assert "300 parallel senders are too many: cut to 256" in caplog.text


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("maximum_parallel_senders", -1, "a whole number from 0 on"),
        ("maximum_parallel_senders", 2.0, "a whole number from 0 on"),
        ("queue_size", 0, "a whole number from 1 on"),
        ("queue_size", True, "a whole number from 1 on"),
        ("retry_for", "5m", "seconds or None"),
        ("retry_for", float("nan"), "seconds or None"),
        ("settle", -1, "seconds"),
        ("settle", float("inf"), "seconds"),
        ("transport", "x", "auto, curl, requests"),
    ],
)
def test_what_an_agent_can_not_be(name: str, value: Any, expected: str) -> None:
    """The parameter is named, with what was found and what is expected."""
    with pytest.raises(ConfigError) as caught:
        Agent(**{name: value})
    assert (f"{name}: found {value!r}, expected {expected}",) == caught.value.problems


def test_all_problems_of_an_agent_at_once() -> None:
    """One error has them all."""
    with pytest.raises(ConfigError) as caught:
        Agent(-1, queue_size=0, settle=-1)
    assert len(caught.value.problems) == 3


def test_an_engine_that_can_not_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the config that is wrong; no option of the command is named."""
    monkeypatch.setitem(sys.modules, "swarm.collector.transport.curl", None)
    with pytest.raises(ConfigError, match=r"^transport curl: pycurl can't be loaded"):
        Agent(transport="curl")


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


# The end


def test_leaving_waits(collector: Collector, config: Config) -> None:
    """The `with` block ends when all is answered."""
    collector.script = scripted(200, delay=0.01)
    with Agent(1) as agent:
        agent.send((at(minute) for minute in range(20)), config)
    assert (20, 0) == (agent.sent, agent.waiting)
    assert agent.wait_until_last()
    agent.close()


def test_waiting_has_its_limit(collector: Collector, config: Config) -> None:
    """After it `wait_until_last` tells that there is more to come."""
    collector.script = scripted(200, delay=0.3)
    with Agent(1) as agent:
        agent.send(at(0), config)
        assert not agent.wait_until_last(0.05)
        assert agent.wait_until_last(20)


def test_what_was_not_sent_is_said(
    collector: Collector, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    """What is under way ends; handlers get the rest without an answer; the log has a count."""
    collector.script = scripted(200, delay=0.3)
    agent = Agent(1)
    answers = kept(agent)
    agent.send([at(minute) for minute in range(5)], config)
    until(lambda: collector.in_flight)
    agent.close(0)
    assert [200, None, None, None, None] == codes(answers)
    assert (1, 4) == (agent.sent, agent.waiting)
    assert "4 measurements were not sent" in caplog.text


@pytest.mark.parametrize("transport", ["curl", "requests"])
def test_the_end_does_not_wait_for_an_answer(
    collector: Collector,
    config: Config,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    transport: Engine,
) -> None:
    """What is under way has a moment; its answer, if it comes later, is told to nobody."""
    monkeypatch.setattr("swarm.agent.agent._GRACE", 0.1)
    gate = threading.Event()

    def script(*_: object) -> None:
        gate.wait(20)

    collector.script = script
    agent = Agent(2, transport=transport)
    answers = kept(agent)
    agent.send([at(0), at(1), at(0, name="b")], config)
    until(lambda: collector.in_flight == 2)
    started = time.monotonic()
    agent.close(0.1)
    assert time.monotonic() - started < 1
    assert sorted([at(0), at(1), at(0, name="b")]) == sorted(each for each, _ in answers)
    gate.set()
    until(lambda: not agent._dispatcher._count)
    assert [None] * 3 == codes(answers)
    assert (0, 0, 3) == (agent.sent, agent.refused, agent.waiting)
    assert "1 measurements were not sent" in caplog.text
    assert "2 measurements were sent, but not answered" in caplog.text


def test_many_threads_close(caplog: pytest.LogCaptureFixture) -> None:
    """Handlers hear of each measurement once, and all threads return; none ends it twice."""
    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    agent = Agent(2)
    answers = kept(agent)
    down = Config(f"http://127.0.0.1:{_free_port()}{PATH}", "acme", "s3cr%et")
    group = [at(n, name=f"m{n % 7}") for n in range(2000)]
    agent.send(group, down)
    start = threading.Barrier(4)

    def close(timeout: float | None) -> None:
        start.wait()
        agent.close(timeout)

    threads = [threading.Thread(target=close, args=(t,)) for t in (0.05, 0.05, 0.05, None)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    sys.setswitchinterval(switch)
    assert not any(thread.is_alive() for thread in threads)
    assert agent.wait_until_last(0)
    assert sorted(group) == sorted(measurement for measurement, _ in answers)
    assert caplog.text.count("2000 measurements were not sent") == 1


def test_ending_while_streams_wait(
    collector: Collector, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    """Those in backoff end at once; what they had in hand counts as not sent."""
    collector.script = lambda *_: Reply(429, headers={"Retry-After": "60"})
    agent = Agent(2)
    agent.send([at(0, name=f"m{n}") for n in range(5)], config)
    until(lambda: len(collector.requests) == 5)
    started = time.monotonic()
    agent.close(0.05)
    assert time.monotonic() - started < 5
    assert "5 measurements were not sent" in caplog.text


def test_ctrl_c_does_not_wait(
    collector: Collector, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `with` block that it leaves ends without what waits."""
    monkeypatch.setattr("swarm.agent.agent._GRACE", 0.1)
    collector.script = [Hang(pause=5)]
    agent = Agent(1)

    def interrupted() -> None:
        with agent:
            agent.send([at(0), at(1)], config)
            until(lambda: collector.in_flight)
            raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert time.monotonic() - started < 2
    assert agent.waiting == 2


def script(
    text: str,
    url: str,
    *,
    arguments: tuple[str, ...] = (),
    is_measured: bool = True,
    **options: Any,
) -> "subprocess.Popen[str]":
    """Start a program that uses the library."""
    environment = {
        name: value for name, value in os.environ.items() if is_measured or "COVERAGE" not in name
    }
    head = f"""
import os, signal, sys, threading
from datetime import datetime, UTC
from swarm import Agent, AgentError, Config, SimpleMeasurement
config = Config({url!r}, "acme", "s3cr%et")
def at(minute, name="gas"):
    return SimpleMeasurement(name, datetime(2023, 1, 1, 0, minute, tzinfo=UTC), 1)
"""
    return subprocess.Popen(
        [sys.executable, "-c", head + text, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment, "PYTHONPATH": ROOT},
        **options,
    )


def test_at_the_interpreters_exit(collector: Collector) -> None:
    """What is unsent is logged with a count; the program is not held up, and ends well."""
    collector.script = lambda *_: Reply(503)
    program = script(
        "agent = Agent(2)\nagent.send([at(n) for n in range(7)], config)\nprint('done')",
        collector.url,
    )
    out, err = program.communicate(timeout=30)
    assert (0, "done\n") == (program.returncode, out)
    assert err.count("7 measurements were not sent") == 1
    assert "Traceback" not in err


_HANDLERS_AT_EXIT = """
import time
import swarm.agent.agent
swarm.agent.agent._PATIENCE_AT_EXIT = 0.5
agent = Agent(2, transport=sys.argv[1])
@agent.add_measurement_sent_handler
def note(measurement, response):
    time.sleep({seconds})
    print(response and response.code, measurement.timestamp.minute, flush=True)
agent.send([at(n) for n in range(7)], config)
sys.stdin.readline()
"""


@pytest.mark.parametrize("transport", ["curl", "requests"])
def test_handlers_at_the_interpreters_exit(collector: Collector, transport: Engine) -> None:
    """They are called once for each, as with `close`, however long all of them take together."""
    collector.script = [None, None, Reply(200, delay=0.5)]
    text = _HANDLERS_AT_EXIT.format(seconds=0.2)
    program = script(text, collector.url, arguments=(transport,), stdin=subprocess.PIPE)
    until(lambda: len(collector.requests) == 3)
    out, err = program.communicate("\n", timeout=30)
    assert ["200 0", "200 1", "200 2", *(f"None {n}" for n in range(3, 7))] == out.splitlines()
    assert program.returncode == 0
    assert err.count("4 measurements were not sent") == 1, err


def test_handlers_that_never_end_at_the_interpreters_exit(collector: Collector) -> None:
    """The program ends all the same, and says that they did not all run."""
    collector.script = scripted(429)
    text = _HANDLERS_AT_EXIT.format(seconds="60 if measurement.timestamp.minute else 0")
    started = time.monotonic()
    program = script(text, collector.url, arguments=("curl",), stdin=subprocess.PIPE)
    out, err = program.communicate("\n", timeout=30)
    assert (0, "None 0\n") == (program.returncode, out)
    assert "7 measurements were not sent" in err
    assert "the handlers of 6 measurements did not end before the program did" in err
    assert time.monotonic() - started < 20


def test_the_instance_after_the_end_of_the_shared_agent_at_exit(collector: Collector) -> None:
    """What runs later at the exit gets a new one, as after `dispose`."""
    program = script(
        """
import atexit
import pycurl

@atexit.register
def last():
    other = Agent.get_instance(1)
    print(other is shared, shared.sent)
    Agent.dispose()

shared = Agent.get_instance(1)
shared.send(at(0), config)
shared.wait_until_last()
""",
        collector.url,
    )
    out, err = program.communicate(timeout=60)
    assert (out, err) == ("False 1\n", "")


def test_after_a_fork(collector: Collector) -> None:
    """In the child `send` raises, and leaving the block neither waits nor tells of the parent's."""
    program = script(
        """
with Agent(1) as agent:
    Agent.get_instance()
    agent.send(at(0), config)
    child = os.fork()
    if not child:
        try:
            agent.send(at(1), config)
        except AgentError as error:
            print(error, flush=True)
        own = Agent.get_instance(1)
        own.send(at(2), config)
        print("own", own.wait_until_last(20), flush=True)
        sys.exit(0)
    os.waitpid(child, 0)
print(agent, flush=True)
""",
        collector.url,
    )
    out, err = program.communicate(timeout=60)
    assert out.splitlines() == [
        "the agent was made in another process; make one after the fork",
        "own True",
        "<Agent: 1 sent, 0 refused, 0 waiting>",
    ]
    assert "not sent" not in err


def test_forks_while_threads_share_and_dispose(collector: Collector) -> None:
    """Each child gets an agent of its own, whatever its parent's threads were about to do."""
    program = script(
        """
import time
is_over = threading.Event()

def share():
    while not is_over.is_set():
        Agent.get_instance(1)
        Agent.dispose(0)

threads = [threading.Thread(target=share) for _ in range(2)]
for thread in threads:
    thread.start()
ended = []
for number in range(30):
    child = os.fork()
    if not child:
        signal.alarm(10)
        Agent.get_instance(1).send(at(number), config)
        Agent.dispose()
        os._exit(0)
    ended.append(os.waitpid(child, 0)[1])
is_over.set()
for thread in threads:
    thread.join()
print(ended)
""",
        collector.url,
    )
    out, err = program.communicate(timeout=200)
    assert out == f"{[0] * 30}\n", err
    assert sorted(minutes(collector)) == list(range(30))


def test_a_fork_while_another_thread_has_the_agents_lock(collector: Collector) -> None:
    """The child may look at its parent's agent, close it, and have one of its own."""
    program = script(
        """
shared = Agent.get_instance(1)
held, done = threading.Event(), threading.Event()

def hold():
    with shared._queue._lock:
        held.set()
        done.wait()

thread = threading.Thread(target=hold)
thread.start()
held.wait()
child = os.fork()
if not child:
    signal.alarm(10)
    print(shared, shared.waiting, flush=True)
    shared.close()
    Agent.dispose()
    print(Agent.get_instance() is shared, flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1], flush=True)
done.set()
thread.join()
""",
        collector.url,
    )
    out, err = program.communicate(timeout=60)
    assert out == "<Agent: 0 sent, 0 refused, 0 waiting> 0\nFalse\n0\n", err


def test_a_fork_while_the_watchdog_has_its_lock(collector: Collector) -> None:
    """The child's sessions have a watchdog of their own."""
    program = script(
        """
from swarm.collector.transport import connection

held, done = threading.Event(), threading.Event()

def hold():
    with connection._WATCHDOG._changed:
        held.set()
        done.wait()

thread = threading.Thread(target=hold)
thread.start()
held.wait()
child = os.fork()
if not child:
    signal.alarm(20)
    agent = Agent(1, transport="requests")
    agent.send(at(0), config)
    print(agent.wait_until_last(10), agent.sent, flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1], flush=True)
done.set()
thread.join()
""",
        collector.url,
    )
    out, err = program.communicate(timeout=60)
    assert out == "True 1\n0\n", err


def test_a_fork_while_another_thread_reads_a_config(collector: Collector) -> None:
    """The child may use configs, also those of 3.11."""
    program = script(
        """
import swarm.agent.config
real = swarm.agent.config.collector_name
held, done = threading.Event(), threading.Event()

def slow(url):
    held.set()
    done.wait()
    return real(url)

swarm.agent.config.collector_name = slow
thread = threading.Thread(target=lambda: config.collector)
thread.start()
held.wait()
swarm.agent.config.collector_name = real
child = os.fork()
if not child:
    signal.alarm(10)
    print(Config("https://example.com/", "acme", "word").collector, flush=True)
    os._exit(0)
print(os.waitpid(child, 0)[1])
done.set()
thread.join()
""",
        collector.url,
    )
    out, err = program.communicate(timeout=60)
    assert out == "https%3A%2F%2Fexample.com\n0\n", err


@pytest.mark.parametrize("transport", ["curl", "requests"])
def test_senders_import_nothing(collector: Collector, transport: Engine) -> None:
    """A process that is forked while a module is imported could never import it."""
    program = script(
        """
agent = Agent(1, transport=sys.argv[1])
before = set(sys.modules)
agent.send(at(0), config)
print(agent.wait_until_last(20), set(sys.modules) - before)
agent.close()
""",
        collector.url,
        arguments=(transport,),
    )
    out, err = program.communicate(timeout=60)
    assert out == "True set()\n", err


def test_ctrl_c_while_waiting(collector: Collector) -> None:
    """`wait_until_last` raises, and the agent is as usable as before."""
    collector.script = [Hang(pause=1.0)]
    program = script(
        """
import signal
# A shell may have started the tests in the background, with SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
with Agent(1, settle=0) as agent:
    agent.send(at(0), config)
    try:
        print("waiting", flush=True)
        agent.wait_until_last()
    except KeyboardInterrupt:
        agent.send(at(1), config)
        print("again", agent.wait_until_last(30), agent.sent, flush=True)
""",
        collector.url,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "waiting\n"
    until(lambda: collector.requests)
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=60)
    assert out == "again True 2\n", err


def test_importing_stays_light() -> None:
    """`swarm` and its command line load no HTTP library; the names are all there."""
    code = """
import sys, swarm, swarm.cli.main
assert set(swarm.__all__) <= set(dir(swarm))
assert not {"requests", "urllib3", "pycurl", "swarm.agent.agent"} & sys.modules.keys()
for name in swarm.__all__:
    getattr(swarm, name)
assert not {"requests", "urllib3", "pycurl"} & sys.modules.keys()
try:
    swarm.nothing
except AttributeError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": ROOT},
    )
    assert done.stdout == "module 'swarm' has no attribute 'nothing'\n", done.stderr
