"""Histories made by hypothesis: whatever happens, every true reading arrives once, in order.

Each seed is a process of its own: what hypothesis tries depends on the modules that are loaded, and
here the histories are to be the same each time. `python -m tests.simulation` looks for others.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Many histories take their time on a busy machine.
pytestmark = pytest.mark.timeout(1200)

_ROOT = Path(__file__).parents[1]


def _play(*options: str) -> None:
    """Play histories by the command; a wrong one is told as a story."""
    # Coverage would double what they cost.
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
    """The collector holds each at its true instant, and report and status say what is so."""
    _play("--histories", "300", "--seed", str(seed))
