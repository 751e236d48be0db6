"""Decides of which pass of a repeated hour each row is, over all files of a meter.

Plain data in, plain data out. The rule (docs/reference.md, "The hour that a clock change repeats"):
a row that was sent keeps its reading; in one file going back or repeating a time begins the second
pass; a file that holds a single pass is placed by what was sent, by the rows next to it, by the
same rows in other files, and by the pass that is free. What fits neither is told.

A file, and the sequence of files, that runs backwards is turned first: all here runs forward.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from swarm.csv.folds.direction import Part
from swarm.csv.folds.evidence import Evidence, Sent
from swarm.csv.folds.files import FIRST, SECOND, Alone, File, Files, FoldRow, alone, by_wall
from swarm.csv.folds.occurrences import NO_VALUES, Hour
from swarm.csv.folds.placing import Placing


@dataclass(frozen=True, slots=True)
class Misfit:
    """A row that can't be read; ``others`` are the rows of its time, as (file, line)."""

    file: int
    line: int
    others: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Decided:
    """The readings of each file's rows in its own order, and the rows that can't be read."""

    readings: tuple[bytes, ...]
    misfits: tuple[Misfit, ...] = ()


def decide(hour: Hour, parts: Sequence[Part], sent: Sent | None = None) -> Decided:
    """Return how the rows of one repeated hour are read, in all files of a meter."""
    files = Files(parts)
    rows = [row for file in files.forward for row in file.rows]
    evidence = Evidence(hour, rows, sent or Sent())
    lone, misfits = [], []
    for file in files.forward:
        found = _best(file, evidence)
        if found.misfits:
            misfits += [Misfit(row.file, row.line) for row in found.misfits]
        elif found.is_lone:
            lone.append(file)
        else:
            _read_both(file, found.readings, evidence)
    files.link()
    for file in Placing(evidence, files.forward).place(lone):
        misfits.append(_unplaced(file, rows, evidence))
    if not misfits:
        misfits += _third_values(rows)
    misfits.sort(key=lambda misfit: (misfit.file, misfit.line))
    return Decided(files.readings(), tuple(misfits))


def _best(file: File, evidence: Evidence) -> Alone:
    """Read a file by itself; turned, where it has to be to agree with what was sent.

    Where all of its rows are of the hour, what can be read that way is reason enough.
    """
    found = alone(file.rows)
    agreement = _agreement(file, found, evidence)
    if file.is_sure and agreement.total >= 0:
        return found
    file.turn()
    turned = alone(file.rows)
    turned_agreement = _agreement(file, turned, evidence)
    # That rows have other values now does not turn a file: only rows that were sent do.
    if file.is_sure:
        is_better = not turned.misfits and turned_agreement.total > max(agreement.total, 0)
    elif bool(turned.misfits) != bool(found.misfits):
        is_better = bool(found.misfits)
    else:
        is_better = turned_agreement.as_sent > agreement.as_sent
    if is_better:
        return turned
    file.turn()
    return found


class _Agreement(NamedTuple):
    """The rows that are read as they were sent, less those that are not; and those that differ."""

    as_sent: int
    differing: int

    @property
    def total(self) -> int:
        return self.as_sent - self.differing


def _agreement(file: File, found: Alone, evidence: Evidence) -> _Agreement:
    """Hold a reading of a file to what was sent; of a single pass, the reading that fits better."""
    if not found.is_lone:
        return _agreeing(file, found.readings, evidence)
    ways = (_agreeing(file, [way] * len(file.rows), evidence) for way in (FIRST, SECOND))
    return max(ways, key=lambda way: way.total)


def _agreeing(file: File, readings: Sequence[int], evidence: Evidence) -> _Agreement:
    as_sent = differing = 0
    for row, reading in zip(file.rows, readings, strict=True):
        if row.mark is None:
            differing += evidence.differs(row, evidence.sent.known, reading)
        elif evidence.is_unique(row):
            as_sent += 1 if row.mark == reading else -1
    return _Agreement(as_sent, differing)


def _read_both(file: File, readings: Sequence[int], evidence: Evidence) -> None:
    """Decide a file of both passes: as it stands, but for rows that were sent otherwise."""
    walls = by_wall(file.rows)
    certain = [
        (row, row.mark, reading)
        for row, reading in zip(file.rows, readings, strict=True)
        if row.mark is not None and _is_certain(row, walls[row.wall], evidence)
    ]
    agreeing = sum(mark == reading for _, mark, reading in certain)
    is_swapped = 2 * agreeing < len(certain)
    for row, reading in zip(file.rows, readings, strict=True):
        row.reading = reading ^ is_swapped
    held = {row for row, _, _ in certain}
    for row, mark, _ in certain:
        if row.reading != mark:
            row.reading = mark
            for twin in walls[row.wall]:
                if twin not in held and twin.reading == mark:
                    twin.reading = 1 - mark
    for row in file.rows:
        evidence.hold(row, row.reading or FIRST, is_told=True)


def _is_certain(row: FoldRow, same: Sequence[FoldRow], evidence: Evidence) -> bool:
    """Tell whether what was sent tells of a row of a file that holds both passes."""
    twins = [other for other in same if other is not row]
    if twins:
        is_alone = all(other.digest != row.digest for other in twins)
        return is_alone and (row.is_firm or not evidence.is_common(row))
    return evidence.is_certain(row)


def _unplaced(file: File, rows: Sequence[FoldRow], evidence: Evidence) -> Misfit:
    """Return the first row of a file whose time has other values in both passes, or in one."""
    bad = next(row for row in file.rows if evidence.differs(row, evidence.known, FIRST))
    others = [row for row in rows if row.wall == bad.wall and row.reading is not None]
    return Misfit(bad.file, bad.line, tuple((row.file, row.line) for row in others))


def _third_values(rows: Sequence[FoldRow]) -> list[Misfit]:
    """Return rows that share time and pass with others, and that nothing but room has put there.

    Of rows that evidence has put into one pass, the option ``duplicates`` may choose.
    """
    groups: defaultdict[tuple[int, int | None], list[FoldRow]] = defaultdict(list)
    for row in rows:
        if row.digest != NO_VALUES:
            groups[row.wall, row.reading].append(row)
    found = []
    for group in groups.values():
        if len({row.digest for row in group}) > 1 and not all(row.is_told for row in group):
            *others, last = sorted(group, key=lambda row: (not row.is_told, row.file, row.line))
            places = tuple((row.file, row.line) for row in others if row.digest != last.digest)
            found.append(Misfit(last.file, last.line, places))
    return found
