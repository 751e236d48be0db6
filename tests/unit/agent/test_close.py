"""The end of an agent: `close`, the `with` block, Ctrl-C, and the interpreter's exit."""

import subprocess
import sys
import threading
import time

import pytest

from swarm import Agent, Config
from swarm.collector.transport.base import Engine
from tests.support.agents import at, codes, free_port, kept, scripted, start_program
from tests.support.collector import PATH, Collector, Hang, Reply
from tests.support.processes import until


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
    """The packet under way ends; handlers get the rest without an answer; the log has a count."""
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
    """Packets under way have a moment; no handler gets an answer that comes later."""
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
    down = Config(f"http://127.0.0.1:{free_port()}{PATH}", "acme", "s3cr%et")
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


def test_at_the_interpreters_exit(collector: Collector) -> None:
    """Unsent measurements are logged with a count; the program is not held up, and ends well."""
    collector.script = lambda *_: Reply(503)
    program = start_program(
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
    program = start_program(text, collector.url, arguments=(transport,), stdin=subprocess.PIPE)
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
    program = start_program(text, collector.url, arguments=("curl",), stdin=subprocess.PIPE)
    out, err = program.communicate("\n", timeout=30)
    assert (0, "None 0\n") == (program.returncode, out)
    assert "7 measurements were not sent" in err
    assert "the handlers of 6 measurements were not finished when the program ended" in err
    assert time.monotonic() - started < 20
