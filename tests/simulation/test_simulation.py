"""Histories made by hypothesis: whatever happens, every true reading arrives once, in order.

Each seed runs in a process of its own: hypothesis' choices depend on the modules that are loaded,
and here the histories must be the same each time. `python -m tests.simulation` searches for others.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.history import History, Run
from tests.simulation.play import play

# Many histories take long on a busy machine.
pytestmark = pytest.mark.timeout(1200)

_ROOT = Path(__file__).parents[2]


def _play(*options: str) -> None:
    """Play histories with the command; a wrong one is printed as text."""
    # Coverage would double the cost.
    environment = {name: text for name, text in os.environ.items() if "COVERAGE" not in name}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--processes", "1", *options],
        cwd=_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout.splitlines()[-1:]) == (0, ["wrong: 0"]), (
        ended.stdout + ended.stderr
    )


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_every_reading_arrives_once_in_order(seed: int) -> None:
    """The collector has each reading at its true instant, and reports and status are true."""
    _play("--histories", "250", "--seed", str(seed))


@pytest.mark.parametrize("seed", [21, 22, 23])
def test_what_is_settled_is_told_as_if_it_was_read(seed: int) -> None:
    """Files that grow give the same output with and without ``--full-check``."""
    _play("--compare", "--histories", "80", "--seed", str(seed))


@pytest.mark.parametrize("seed", [11, 12, 13, 14])
def test_the_same_with_real_processes_and_sockets(seed: int) -> None:
    """The command over sockets and files, killed by signals, gives the same results."""
    _play("--real", "--histories", "8", "--seed", str(seed))


@pytest.mark.parametrize(
    "history",
    [
        History(
            start=5,
            runs=(
                Run(grow=2),
                Run(corrected=(2,), after="lose"),
                Run(),
                Run(faults=((0, "garbage"),), end="power cut", at=14),
            ),
        ),
        History(
            start=5,
            runs=(
                Run(grow=2, after="lose"),
                Run(corrected=(2,)),
                Run(faults=((2, "reset before storing"),)),
            ),
        ),
        History(
            start=5,
            runs=(
                Run(grow=1, after="backup"),
                Run(corrected=(1,), sends_late=True, after="restore"),
            ),
        ),
        History(
            start=5,
            runs=(
                Run(grow=1, after="backup"),
                Run(grow=1, after="restore"),
                Run(),
                Run(end="kill", at=1),
            ),
        ),
        History(start=5, runs=(Run(grow=3), Run(corrected=(2,)), Run(form="rolling", place=2))),
        History(
            start=5,
            stops_on_ambiguity=True,
            runs=(
                Run(grow=2, since=3, after="lose"),
                Run(),
                Run(faults=((1, "reset after storing"),)),
                Run(faults=((1, "reset after storing"),), end="interrupt", at=12),
            ),
        ),
    ],
    ids=[
        "the baseline of --restart is not known, and the power is cut",
        "what was there before --restart settles nothing",
        "a backup without the last corrected value",
        "a kill while a checkpoint is rewritten",
        "a corrected row of a repeated hour, in a file of two rows",
        "a row in doubt that is sent again, and the run is interrupted",
    ],
)
def test_histories_that_went_wrong(history: History) -> None:
    """Histories that went wrong before, each shortened, go well."""
    assert play(history).runs > len(history.runs)
