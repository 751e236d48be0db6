"""Agents and forks: children of a process that has an agent, at any moment."""

import textwrap

from tests.support.agents import minutes, start_program
from tests.support.collector import Collector


def test_after_a_fork(collector: Collector) -> None:
    """In the child `send` raises, and leaving the block neither waits nor tells of the parent's."""
    program = start_program(
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
        "the agent was created in another process; create one after the fork",
        "own True",
        "<Agent: 1 sent, 0 refused, 0 waiting>",
    ]
    assert "not sent" not in err


def test_forks_while_threads_share_and_dispose(collector: Collector) -> None:
    """Each child gets an agent of its own, whatever its parent's threads were about to do."""
    program = start_program(
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


def fork_beside_lock(lock: str, child: str) -> str:
    """Return a program that forks while a thread holds a lock; ``child`` is the child's code."""
    return f"""
held, done = threading.Event(), threading.Event()

def hold():
    with {lock}:
        held.set()
        done.wait()

thread = threading.Thread(target=hold)
thread.start()
held.wait()
child = os.fork()
if not child:
{textwrap.indent(textwrap.dedent(child), "    ")}
    os._exit(0)
print(os.waitpid(child, 0)[1], flush=True)
done.set()
thread.join()
"""


def test_a_fork_while_another_thread_has_the_agents_lock(collector: Collector) -> None:
    """The child may look at its parent's agent, close it, and have one of its own."""
    child = """
        signal.alarm(10)
        print(shared, shared.waiting, flush=True)
        shared.close()
        Agent.dispose()
        print(Agent.get_instance() is shared, flush=True)
    """
    forking = fork_beside_lock("shared._queue._lock", child)
    program = start_program(f"shared = Agent.get_instance(1)\n{forking}", collector.url)
    out, err = program.communicate(timeout=60)
    assert out == "<Agent: 0 sent, 0 refused, 0 waiting> 0\nFalse\n0\n", err


def test_a_fork_while_the_watchdog_has_its_lock(collector: Collector) -> None:
    """The child's sessions have a watchdog of their own."""
    child = """
        signal.alarm(20)
        agent = Agent(1, transport="requests")
        agent.send(at(0), config)
        print(agent.wait_until_last(10), agent.sent, flush=True)
    """
    forking = fork_beside_lock("connection._WATCHDOG._changed", child)
    program = start_program(
        f"from swarm.collector.transport import connection\n{forking}", collector.url
    )
    out, err = program.communicate(timeout=60)
    assert out == "True 1\n0\n", err


def test_a_fork_while_another_thread_reads_a_config(collector: Collector) -> None:
    """The child may use configs, also those of 3.11."""
    program = start_program(
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
