"""Checking a meter's files in a worker: the first job of every run."""

from collections.abc import Collection, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from swarm.errors import StateError
from swarm.ledger import Ledger
from swarm.meterfile import Survey, Window, survey
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


def _sent(path: Path, stream: str, instants: Collection[int]) -> Mapping[int, Collection[int]]:
    """Return the digests that are recorded; a damaged ledger is for the upload to tell."""
    found: dict[int, set[int]] = {}
    with suppress(StateError):
        ledger = Ledger.view(path, stream)
        if ledger is not None:
            with closing(ledger):
                # What an earlier run may have sent keeps its reading as well.
                for instant, digest, *_ in chain(ledger.entries(), ledger.in_doubt):
                    if instant in instants:
                        found.setdefault(instant, set()).add(digest)
    return found
