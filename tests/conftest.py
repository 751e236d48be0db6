"""Fixtures for all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench import Bench
from tests.collector_server import Collector


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the machine's own variables and state out of the tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_COLOR", "SWARM_PROGRESS"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg-state"))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return a folder to run the command in."""
    return Bench(tmp_path)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Return a collector that stores what it gets."""
    with Collector() as server:
        yield server
