"""Checking a meter's files in a worker: the first job of every run."""

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from swarm.errors import StateError
from swarm.ledger import Ledger
from swarm.meterfile import Settled, Survey, Window, survey
from swarm.settings import Meter


@dataclass(frozen=True)
class CheckTask:
    """One meter to check; ``with_quality`` also looks at how regular its rows are.

    ``ledger`` is where it is recorded what was sent; a check by itself goes without.
    """

    meter: Meter
    window: Window
    with_quality: bool = False
    ledger: Path | None = None


def check(task: CheckTask, _context: object) -> Survey:
    """Check one meter's files."""
    sent = partial(_sent, task.ledger, task.meter.id) if task.ledger else None
    return survey(task.meter, task.window, sent, with_quality=task.with_quality)


def _sent(path: Path, stream: str, periods: Sequence[tuple[int, int]]) -> Settled:
    """Return what is recorded; a damaged ledger is for the upload to tell."""
    found: dict[int, set[int]] = {}
    oldest: int | None = None
    newest: int | None = None
    # Periods don't overlap: an instant is in one where an odd number of their ends is behind it.
    ends = sorted(end for period in periods for end in period)
    with suppress(StateError):
        ledger = Ledger.view(path, stream)
        if ledger is not None:
            with closing(ledger):
                for entry in ledger.entries():
                    if newest is None or entry.instant > newest:
                        newest = entry.instant
                    if oldest is None or entry.instant < oldest:
                        oldest = entry.instant
                    if bisect_right(ends, entry.instant) % 2:
                        found.setdefault(entry.instant, set()).add(entry.digest)
    return Settled(found, oldest, newest)
