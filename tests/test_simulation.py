"""Histories found by hypothesis: whatever happens, every true reading arrives once, in order."""

import os

from hypothesis import HealthCheck, given, note, settings

from tests.simulation.history import HISTORIES, History
from tests.simulation.play import play

_HISTORIES = int(os.environ.get("SWARM_HISTORIES", "2000"))


@settings(
    max_examples=_HISTORIES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
@given(HISTORIES)
def test_every_reading_arrives_once_in_order(history: History) -> None:
    """The collector holds each at its true instant, and report and status say what is so."""
    note(f"\n{history}")
    play(history)
