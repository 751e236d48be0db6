"""Imports: the modules that `import swarm` and the sending threads load, and when."""

import os
import subprocess
import sys

import pytest

from swarm.collector.transport.base import Engine
from tests.support.agents import ROOT, start_program
from tests.support.collector import Collector


@pytest.mark.parametrize("transport", ["curl", "requests"])
def test_senders_import_nothing(collector: Collector, transport: Engine) -> None:
    """A process that is forked while a module is imported could never import it."""
    program = start_program(
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
