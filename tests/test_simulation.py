"""Histories made by hypothesis: whatever happens, every true reading arrives once, in order.

They are the same ones each time; `python -m tests.simulation` looks for others.
"""

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings

from tests.simulation.history import HISTORIES, SHORT_HISTORIES, History
from tests.simulation.machine import Simulated
from tests.simulation.play import play
from tests.simulation.real import Real

#: In parts, for tests that run side by side.
_PARTS: Sequence[int] = range(4)
_EASY = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


@pytest.mark.parametrize("part", _PARTS)
@settings(
    max_examples=2000 // len(_PARTS),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=_EASY,
)
@given(history=HISTORIES)
def test_every_reading_arrives_once_in_order(part: int, history: History) -> None:
    """The collector holds each at its true instant, and report and status say what is so."""
    note(f"part {part}\n{history}")
    play(history, Simulated)


@pytest.mark.parametrize("part", _PARTS)
@settings(
    max_examples=40 // len(_PARTS),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=_EASY,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(history=SHORT_HISTORIES)
def test_the_simulation_is_true(part: int, history: History) -> None:
    """Histories go the same way with real processes, sockets, files and signals."""
    note(f"part {part}\n{history}")
    play(history, Real)
