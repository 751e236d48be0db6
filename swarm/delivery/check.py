"""Checking a meter's files in a worker: the first job of every run."""

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, takewhile
from pathlib import Path

from swarm.checkpoint.ledger import ACKNOWLEDGED, Ledger
from swarm.config.settings import Meter
from swarm.csv import CheckResult, Row, SentRows, Window, check_files
from swarm.errors import StateError
from swarm.packet import body, digest


@dataclass(frozen=True)
class CheckTask:
    """One meter to check; ``with_quality`` also looks at how regular its rows are.

    ``ledger`` is where it is recorded what was sent; a check by itself goes without.
    """

    meter: Meter
    window: Window
    with_quality: bool = False
    ledger: Path | None = None


def check(task: CheckTask, _context: object) -> CheckResult:
    """Check one meter's files."""
    known = (task.ledger, task.meter.id) if task.ledger else None
    sent = partial(_sent, *known) if known else None
    has_begun = partial(_has_begun, *known) if known else None
    return check_files(task.meter, task.window, sent, has_begun, with_quality=task.with_quality)


def _sent(path: Path, stream: str, periods: Sequence[tuple[int, int]]) -> SentRows:
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
                # What an earlier run may have sent keeps its reading as well.
                for instant, values, *_ in chain(ledger.entries(), ledger.in_doubt):
                    if newest is None or instant > newest:
                        newest = instant
                    if oldest is None or instant < oldest:
                        oldest = instant
                    if bisect_right(ends, instant) % 2:
                        found.setdefault(instant, set()).add(values)
    return SentRows(found, oldest, newest)


def _has_begun(
    path: Path, stream: str, registers: tuple[str, ...], padding: Row, first: Row
) -> bool:
    """Tell whether a stream has begun without the padding packet that the files now ask for.

    It has where anything at or before its instant was acknowledged, or the packet after it.
    """
    with suppress(StateError):
        ledger = Ledger.view(path, stream)
        if ledger is not None:
            with closing(ledger):
                start = takewhile(lambda entry: entry.instant <= first.instant, ledger.entries())
                known = [(row.instant, row.digest) for row in start if row.kind == ACKNOWLEDGED]
                itself = padding.instant, digest(body(registers, padding.cells))
                return itself not in known and any(
                    instant <= padding.instant or instant == first.instant for instant, _ in known
                )
    return False
