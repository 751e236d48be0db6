"""The channel's start: the pool is never left waiting for it."""

import threading
from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

import pytest

from swarm.config.options import Upload
from swarm.run.shared import SharedState

channel = pytest.importorskip(
    "swarm.cluster.channel", reason="the extra 'cluster' is not installed"
)


class _Client:
    """A connection to a scheduler that ends before it has named its workers."""

    def __init__(self, *_: object, **__: object) -> None:
        self.scheduler = SimpleNamespace(identity=self._identity)

    def __await__(self) -> Generator[Any, None, "_Client"]:
        yield from ()
        return self

    async def _identity(self) -> None:
        raise OSError("the connection was closed")

    async def close(self) -> None:
        """Do nothing."""


def test_a_scheduler_that_is_lost_at_the_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the connection, and before the first look at its workers."""
    monkeypatch.setattr(channel.distributed, "Client", _Client)
    shared = SharedState.create(1)
    opening = channel.Opening("run", Upload(), ())
    cluster = channel.Cluster("tls://h:1", None, opening, shared, None, lambda _: None)
    errors: list[Exception] = []

    def start() -> None:
        try:
            cluster.start()
        except channel.ClusterError as error:
            errors.append(error)

    thread = threading.Thread(target=start, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert ["the scheduler at tls://h:1 can't be reached: it does not answer; is it running?"] == [
        str(error) for error in errors
    ]
    assert cluster.close()
    shared.close()
