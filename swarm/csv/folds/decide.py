"""The decision about the fold of each row in a repeated hour, over all files of a meter.

The rule is in docs/reference.md, "The hour that a clock change repeats". A row that was sent keeps
its fold. In one file, a step back in time, or a repeated time, begins the second pass. A file that
holds a single pass is placed by the rows that were sent, by the rows next to it, by the same rows
in other files, and else into the pass that is free. A row that fits neither pass is a misfit.

A file, and the sequence of files, that runs backwards in time is reversed first: all code here
works forward in time.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from swarm.csv.folds.direction import Part
from swarm.csv.folds.evidence import Evidence, Sent
from swarm.csv.folds.files import FIRST, File, FileFolds, Files, FoldRow, folds_by_order
from swarm.csv.folds.occurrences import NO_VALUES, Hour
from swarm.csv.folds.placing import Placing


@dataclass(frozen=True, slots=True)
class Misfit:
    """A row whose fold can't be decided; ``others`` are the rows of its time, as (file, line)."""

    file: int
    line: int
    others: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Decided:
    """The folds of each file's rows in its own order, and the rows that could not be decided."""

    folds: tuple[bytes, ...]
    misfits: tuple[Misfit, ...] = ()


def decide(hour: Hour, parts: Sequence[Part], sent: Sent | None = None) -> Decided:
    """Return the folds of the rows of one repeated hour, in all files of a meter."""
    files = Files(parts)
    rows = [row for file in files.forward for row in file.rows]
    evidence = Evidence(hour, rows, sent or Sent())
    single_pass, misfits = [], []
    for file in files.forward:
        found = _in_best_direction(file, evidence)
        if found.misfits:
            misfits += [Misfit(row.file, row.line) for row in found.misfits]
        elif found.is_single_pass:
            single_pass.append(file)
        else:
            _decide_both_passes(file, found.folds, evidence)
    files.link()
    for file in Placing(evidence, files.forward).place(single_pass):
        # Without a place, some row's time is known with other values.
        bad = next(row for row in file.rows if evidence.differs(row, evidence.known, FIRST))
        others = [row for row in rows if row.wall == bad.wall and row.fold is not None]
        places = tuple((row.file, row.line) for row in others)
        misfits.append(Misfit(bad.file, bad.line, places))
    if not misfits:
        misfits += _third_values(rows)
    misfits.sort(key=lambda misfit: (misfit.file, misfit.line))
    return Decided(files.folds(), tuple(misfits))


def _in_best_direction(file: File, evidence: Evidence) -> FileFolds:
    """Return the folds of a file by itself; reverse the file if it agrees better that way.

    A file with rows outside of the hour is reversed only if that agrees with the rows that were
    sent. Other files may also be reversed because only then no row is a misfit.
    """
    found = folds_by_order(file.rows)
    agreement = evidence.agreement(file, found)
    if file.is_sure and agreement.total >= 0:
        return found
    file.reverse()
    reversed_found = folds_by_order(file.rows)
    reversed_agreement = evidence.agreement(file, reversed_found)
    # Rows with other values than were sent are no reason to reverse: only rows that were sent are.
    if file.is_sure:
        is_total_better = reversed_agreement.total > max(agreement.total, 0)
        is_better = not reversed_found.misfits and is_total_better
    elif bool(reversed_found.misfits) != bool(found.misfits):
        is_better = bool(found.misfits)
    else:
        is_better = reversed_agreement.as_sent > agreement.as_sent
    if is_better:
        return reversed_found
    file.reverse()
    return found


def _decide_both_passes(file: File, folds: Sequence[int], evidence: Evidence) -> None:
    """Decide a file of both passes: by the order of its rows, but sent rows keep their fold."""
    walls: defaultdict[int, list[FoldRow]] = defaultdict(list)
    for row in file.rows:
        walls[row.wall].append(row)
    certain = {
        row: row.sent_fold
        for row in file.rows
        if row.sent_fold is not None and evidence.is_certain(row, walls[row.wall])
    }
    agreeing = sum(certain.get(row) == fold for row, fold in zip(file.rows, folds, strict=True))
    # If most sent rows have the other fold, the file has the second pass first.
    is_swapped = 2 * agreeing < len(certain)
    for row, fold in zip(file.rows, folds, strict=True):
        row.fold = fold ^ is_swapped
    for row, sent_fold in certain.items():
        if row.fold != sent_fold:
            row.fold = sent_fold
            for twin in walls[row.wall]:
                if twin not in certain and twin.fold == sent_fold:
                    twin.fold = 1 - sent_fold
    for row in file.rows:
        evidence.decide(row, row.fold or FIRST, has_evidence=True)


def _third_values(rows: Sequence[FoldRow]) -> list[Misfit]:
    """Return rows that share time and fold with others only because no other pass was free.

    If evidence has put all rows of a time into one pass, they are no misfits: the option
    ``duplicates`` may choose among them.
    """
    groups: defaultdict[tuple[int, int | None], list[FoldRow]] = defaultdict(list)
    for row in rows:
        if row.digest != NO_VALUES:
            groups[row.wall, row.fold].append(row)
    found = []
    for group in groups.values():
        if len({row.digest for row in group}) > 1 and not all(row.has_evidence for row in group):
            *others, last = sorted(
                group, key=lambda row: (not row.has_evidence, row.file, row.line)
            )
            places = tuple((row.file, row.line) for row in others if row.digest != last.digest)
            found.append(Misfit(last.file, last.line, places))
    return found
