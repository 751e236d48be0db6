"""Fixtures for tests of `swarm.delivery`: a clock and a ledger."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarm.checkpoint import ledger_format
from swarm.checkpoint.ledger import Ledger
from swarm.collector import retry
from swarm.delivery import deliver, exchange, resume, settlement
from tests.simulation.collector import Clock
from tests.support.streams import STREAM

_BOOT, _NEXT_BOOT = b"a boot's own id.", b"the next boot's."


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return a clock that only waiting moves, in place of the machine's.

    The backoff is without jitter: 1, 2, 4 s and so on.
    """
    clock = Clock(1000.0)
    for module in (deliver, exchange, resume, settlement, retry):
        if hasattr(module, "time"):
            monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(retry, "backoff", lambda attempt: min(2.0**attempt, 60.0))
    return clock


@pytest.fixture
def power_cut(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that starts the machine anew: records that were not synced are in doubt."""
    monkeypatch.setattr(ledger_format, "boot_id", lambda: _BOOT)
    return lambda: monkeypatch.setattr(ledger_format, "boot_id", lambda: _NEXT_BOOT)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a ledger."""
    return tmp_path / "checkpoints" / "m.ledger"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    """Return a ledger without rows."""
    ledger = Ledger.create(path, STREAM)
    yield ledger
    ledger.close()
