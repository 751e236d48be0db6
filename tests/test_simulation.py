"""Histories made by hypothesis: whatever happens, every true reading arrives once, in order.

They are the same ones each time; `python -m tests.simulation` looks for others.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, note, seed, settings
from hypothesis import strategies as st

from tests.simulation.history import HISTORIES, History
from tests.simulation.machine import Machine, Simulated
from tests.simulation.play import play

# Many histories take their time on a busy machine.
pytestmark = pytest.mark.timeout(1200)

#: Each is a seed: in parts, for tests that run side by side.
_PARTS = range(1, 5)


def play_all(
    part: int,
    count: int,
    histories: st.SearchStrategy[History],
    machine: Callable[[History, Path], Machine],
) -> None:
    """Play so many histories of a seed."""

    @seed(part)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(histories)
    def each(history: History) -> None:
        note(f"\n{history}")
        play(history, machine)

    each()


@pytest.mark.parametrize("part", _PARTS)
def test_every_reading_arrives_once_in_order(part: int) -> None:
    """The collector holds each at its true instant, and report and status say what is so."""
    play_all(part, 500, HISTORIES, Simulated)
