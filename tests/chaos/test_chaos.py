"""The chaos test, shortened for the test suite."""

from pathlib import Path

import pytest

from tests.chaos.__main__ import Chaos


@pytest.mark.parametrize("seed", [20, 21, 22])
def test_kills_at_random_moments_cost_nothing(tmp_path: Path, seed: int) -> None:
    """40 kills of workers, parents and groups: nothing lost, repeated or out of order."""
    figures = Chaos(tmp_path, seed).run(10)
    assert figures.is_sound, figures.lines()
    assert figures.in_flight >= 9, figures.lines()
    assert len(figures.kills) >= 2
