"""The chaos test, as long as the test command has time for."""

from pathlib import Path

import pytest

from tests.chaos import Chaos


@pytest.mark.timeout(300)
def test_kills_at_random_moments_cost_nothing(tmp_path: Path) -> None:
    """40 kills of workers, parents and groups: nothing lost, repeated or out of order."""
    figures = Chaos(tmp_path, seed=20).run(40)
    assert figures.is_sound, figures.lines()
    assert figures.in_flight >= 36, figures.lines()
    assert len(figures.kills) == 3
