"""Signal handlers that raise, send, wait or close in the middle of an agent's methods."""

import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest

from swarm import Agent, AgentError, Config, Measurement
from swarm.collector.transport.base import Engine
from tests.support.agents import (
    InterruptionError,
    at,
    codes,
    interrupted,
    kept,
    minutes,
    start_program,
)
from tests.support.collector import Collector, Hang
from tests.support.processes import until


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
from tests.support.agents import InterruptionError, interrupted

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
    program = start_program(_FIRST_SENDS, collector.url, arguments=(handler, transport))
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
    with start_program(_ALARMS, collector.url, is_measured=False) as program:
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


def test_a_signal_while_send_waits_for_room(collector: Collector, config: Config) -> None:
    """The handler's error comes out as it is, also if the wait has just released its lock.

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


def test_ctrl_c_while_waiting(collector: Collector) -> None:
    """`wait_until_last` raises, and the agent is as usable as before."""
    collector.script = [Hang(pause=1.0)]
    program = start_program(
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
