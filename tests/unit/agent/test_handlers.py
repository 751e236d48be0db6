"""Handlers of answers and of the log: their order, their errors, and what they may do."""

import logging
import threading
import time

import pytest

from swarm import Agent, AgentError, Config, Measurement, Response
from swarm.collector.transport.base import Engine
from tests.support.agents import at, codes, kept, minutes
from tests.support.collector import Collector, Reply, ResetBeforeStoring


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
