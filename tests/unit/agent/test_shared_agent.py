"""The shared agent of a process: `get_instance` and `dispose`, also while others use it."""

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from swarm import Agent, AgentError, Config, Measurement, Response, SimpleMeasurement
from tests.support.agents import at, minutes, scripted, start_program
from tests.support.collector import Collector, Reply
from tests.support.processes import until


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
    """Packets that the old one could not wait for have ended before the new one sends."""
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


def test_the_instance_after_the_end_of_the_shared_agent_at_exit(collector: Collector) -> None:
    """Functions that run later at the exit get a new one, as after `dispose`."""
    program = start_program(
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
