"""Fixtures of the tests of the benchmarks."""

import os

import pytest


@pytest.fixture(autouse=True)
def _unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no process of a benchmark record coverage, which would be most of its work."""
    for name in list(os.environ):
        if name.startswith("COVERAGE_"):
            monkeypatch.delenv(name)
