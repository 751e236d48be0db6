"""Fixtures for tests of the library's `Agent`, against a real collector on the loopback."""

from collections.abc import Iterator

import pytest

from swarm import Agent, Config
from tests.support.collector import Collector


@pytest.fixture(autouse=True)
def _quick_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait milliseconds, not minutes, before another try."""
    monkeypatch.setattr("swarm.collector.retry.BACKOFF_FIRST", 0.02)
    monkeypatch.setattr("swarm.collector.retry.BACKOFF_MOST", 0.05)


@pytest.fixture
def config(collector: Collector) -> Config:
    """Return a config for the collector."""
    return Config(collector.url, "acme", "s3cr%et")


@pytest.fixture
def agent() -> Iterator[Agent]:
    """Return an agent with four senders."""
    with Agent(4, settle=0.05) as agent:
        yield agent
