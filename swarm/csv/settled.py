"""The state of a check at the start of the last block of a meter's files, for the next check.

If every row before that block is acknowledged, the next check goes on there, as if it had just read
all of it: `swarm.checkpoint.settled` stores the state with what it depends on.
"""

import io
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from swarm.csv.file import NotSettledError
from swarm.csv.folds.files import FIRST, SECOND
from swarm.csv.reader import SettledPart
from swarm.csv.rows import Row
from swarm.csv.scan import FileScan
from swarm.csv.zones.fit import Trace


@dataclass(frozen=True)
class CheckState:
    """The state of a check after the blocks of a meter's files that make the ``part``.

    There is one scan for each file up to the one in which the part ends; ``trace`` is the pickled
    `Trace` of all rows, and ``head`` the first row as it is sent. ``is_padded`` as in
    `CheckResult`.
    """

    scans: tuple[FileScan, ...]
    trace: bytes
    head: Row
    is_padded: bool
    part: SettledPart

    def dumps(self) -> bytes:
        """Return the state as bytes."""
        return pickle.dumps(self, pickle.HIGHEST_PROTOCOL)

    def resumed_trace(self) -> Trace | None:
        """Return a copy of the trace, to follow the next rows."""
        trace: Trace | None = _load(self.trace)
        return trace


def load_state(data: bytes) -> CheckState:
    """Return a state from its bytes; raises `pickle.UnpicklingError` for other content."""
    state: CheckState = _load(data)
    return state


def last_of(scans: Sequence[FileScan]) -> int | None:
    """Return an instant (ms) that no row of some scans is after, whatever its fold."""
    lasts = [scan.checked_file.last for scan in scans if scan.checked_file.last is not None]
    lasts += [max(run.walls) - run.hour.offsets[SECOND] for scan in scans for run in scan.runs]
    return max(lasts, default=None)


def first_after(scans: Sequence[FileScan], known: Sequence[FileScan]) -> int | None:
    """Return an instant (ms) that no row is before, whatever its fold.

    The rows are those in ``scans`` that the ``known`` scans of the first files do not have.
    """
    firsts = [scan.lowest for scan in scans if scan.lowest is not None]
    for index, scan in enumerate(scans):
        before = len(known[index].runs) if index < len(known) else 0
        firsts += [min(run.walls) - run.hour.offsets[FIRST] for run in scan.runs[before:]]
    return min(firsts, default=None)


def known_folds(scans: Sequence[FileScan], known: Sequence[FileScan]) -> list[Mapping[int, bytes]]:
    """Return the folds that were decided for the repeated hours of ``known`` scans.

    Raises `NotSettledError` if ``scans`` have more rows in such an hour.
    """
    found = [scan.checked_file.folds for scan in known]
    hours = {hour for folds in found for hour in folds}
    for hour in hours:
        before, after = (
            sum(len(run.walls) for scan in each for run in scan.runs if run.hour.start == hour)
            for each in (known, scans)
        )
        if before != after:
            raise NotSettledError
    return found


def with_folds(scan: FileScan, folds: Mapping[int, bytes]) -> FileScan:
    """Return a scan of the first blocks of a file with the folds that were decided for the file."""
    hours = {run.hour.start for run in scan.runs}
    decided = {hour: folds[hour] for hour in hours}
    return replace(scan, checked_file=replace(scan.checked_file, folds=decided))


class _Unpickler(pickle.Unpickler):
    """Unpickler of the state of a check: it makes no other objects, and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a class of the state."""
        if (module, name) not in _CLASSES:
            raise pickle.UnpicklingError(f"{module}.{name} is not of the state of a check")
        return super().find_class(module, name)


_CLASSES = frozenset(
    {
        ("array", "_array_reconstructor"),
        ("builtins", "bytearray"),
        ("collections", "Counter"),
        ("swarm.csv.file", "Place"),
        ("swarm.csv.file", "Fingerprint"),
        ("swarm.csv.folds.occurrences", "Hour"),
        ("swarm.csv.folds.occurrences", "Run"),
        ("swarm.csv.problems", "Problems"),
        ("swarm.csv.reader", "CheckedFile"),
        ("swarm.csv.reader", "SettledPart"),
        ("swarm.csv.rows", "Row"),
        ("swarm.csv.scan", "FileScan"),
        ("swarm.csv.settled", "CheckState"),
        ("swarm.csv.zones.clock_changes", "Change"),
        ("swarm.csv.zones.fit", "Trace"),
        ("swarm.csv.zones.fit", "_EvenRows"),
    }
)


def _load(data: bytes) -> Any:
    return _Unpickler(io.BytesIO(data)).load()
