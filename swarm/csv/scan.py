"""The check of one file, row by row in the order of the file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from operator import lt
from pathlib import Path

from swarm.config.paths import is_pattern
from swarm.config.settings import CsvRules
from swarm.csv.file import BEGIN, Block, CsvFile, Place, reason
from swarm.csv.folds.direction import Part, Steps
from swarm.csv.folds.occurrences import Hour, Recorder, Run
from swarm.csv.gaps import Follower
from swarm.csv.problems import Problems
from swarm.csv.reader import CheckedFile
from swarm.csv.rows import Batch, Row, RowReader
from swarm.csv.source import READ_ERRORS
from swarm.text import closest, comment_hint, pluralize, suggestion

#: Names of files are similar if `difflib` gives them this ratio.
_SIMILAR = 0.8


@dataclass(frozen=True)
class FileScan:
    """The findings of the check in one file.

    ``start`` are the first two rows, ``end`` is the last one. ``steps`` is the number of steps from
    row to row, ``steps_back`` of those back in time. ``runs`` are the rows of repeated hours; all
    other fields are of their provisional folds. ``walls`` are the local times (ms) of the first
    and the last row. ``next`` is the place after the blocks that were read, ``lowest`` the earliest
    instant in those that were not known before.
    """

    checked_file: CheckedFile
    problems: Problems
    columns: tuple[str, ...] | None = None
    start: tuple[Row, ...] = ()
    end: Row | None = None
    steps: int = 0
    steps_back: int = 0
    is_held_back: bool = False
    runs: tuple[Run, ...] = ()
    walls: tuple[int | None, int | None] = (None, None)
    next: Place = BEGIN
    lowest: int | None = None

    def part(self, hour: Hour) -> Part:
        """Return the facts of the file that decide the folds of its rows in an hour."""
        back = self.steps_back - sum(run.steps_back(run.folds) for run in self.runs)
        forward = self.steps - self.steps_back
        for run in self.runs:
            forward -= run.steps - run.steps_back(run.folds)
        return Part(
            tuple(run for run in self.runs if run.hour == hour),
            *self.walls,
            Steps(max(forward, 0), max(back, 0)),
        )

    def read_as(self, folds: Mapping[int, bytes]) -> "FileScan":
        """Return the scan with other folds of its rows in repeated hours."""
        checked_file = replace(self.checked_file, folds=folds)
        decided = []
        used = dict.fromkeys(folds, 0)
        for run in self.runs:
            begin = used[run.hour.start]
            used[run.hour.start] = end = begin + len(run.walls)
            decided.append((run, folds[run.hour.start][begin:end]))
        if all(run.folds == read for run, read in decided):
            return replace(self, checked_file=checked_file)
        more_back = sum(run.steps_back(read) - run.steps_back(run.folds) for run, read in decided)
        instants = [instant for run, read in decided for instant in run.instants(read)]
        first, last = checked_file.first, checked_file.last
        checked_file = replace(
            checked_file,
            first=None if first is None else min(first, *instants),
            last=None if last is None else max(last, *instants),
            in_order=not self.steps_back + more_back,
            strict=False,
        )
        return replace(self, checked_file=checked_file)

    def notices(self) -> Iterator[str]:
        """Yield notices about the file for the user, one line each."""
        path = self.problems.file
        if self.is_held_back:
            yield (
                f"{path}: the last line has no newline and the file changed less than 10 s "
                "ago: that line is left for the next run"
            )
        if self.steps_back:
            rows = pluralize(self.steps_back, "row")
            yield f"{path}: {rows} out of order: sorted before sending"
        if self.checked_file.empty_rows:
            rows = pluralize(self.checked_file.empty_rows, "row")
            yield f"{path}: {rows} without any value: left out"


#: Is called before a file's last block is read, with the scan of the blocks before it.
AtLastBlock = Callable[[FileScan], None]


def scan_file(
    file: CsvFile,
    rules: CsvRules,
    index: int,
    follower: Follower | None = None,
    at_last_block: AtLastBlock | None = None,
) -> FileScan:
    """Check one file, the meter's ``index``-th; ``follower`` gets its rows in the file's order."""
    return _Scanner(file, rules, index).run(follower, at_last_block)


def scan_rest(  # noqa: PLR0913 - the file, and who follows it
    path: Path,
    rules: CsvRules,
    index: int,
    known: FileScan,
    *,
    follower: Follower | None,
    at_last_block: AtLastBlock | None,
) -> FileScan:
    """Return the scan of a whole file, of which a scan of the first blocks is ``known``.

    Raises `NotSettledError` if these blocks have changed.
    """
    file = CsvFile(path, rules.encoding, known.checked_file.fingerprint, known.next)
    return _Scanner(file, rules, index, known).run(follower, at_last_block)


class _Scanner:
    """The scan of one file; ``known`` is the scan of the blocks that are not read again."""

    def __init__(
        self, file: CsvFile, rules: CsvRules, index: int, known: FileScan | None = None
    ) -> None:
        self._file = file
        self._problems = Problems(str(file.path))
        if known is None:
            self._order = _Order()
            self._recorder = Recorder()
            self._reader = RowReader(rules, self._problems, index, self._recorder)
        else:
            self._order = _Order.after(known)
            self._recorder = Recorder(known.runs, *known.walls)
            self._reader = RowReader(rules, self._problems, index, self._recorder, known.columns)
            self._reader.rows = known.checked_file.rows
            self._reader.empty_rows = known.checked_file.empty_rows

    def run(self, follower: Follower | None, at_last_block: AtLastBlock | None) -> FileScan:
        """Read the file to its end."""
        file, problems = self._file, self._problems
        try:
            for block, is_last in _with_last(file.blocks()):
                if is_last and at_last_block is not None and not self._recorder.is_open:
                    at_last_block(self._scan(block.place))
                batch = self._reader.read(block)
                self._order.follow(batch)
                if follower is not None:
                    follower.follow(batch)
        except READ_ERRORS as error:
            why = reason(error)
            if isinstance(error, FileNotFoundError) and is_pattern(str(file.path)):
                why = "no such file, and no file matches the pattern"
            expected = f"expected a readable CSV at {file.path.absolute()}"
            problems.add_first("file", f"{why}; {expected}{_hint(file.path)}")
            return FileScan(CheckedFile(rows=self._reader.rows), problems)
        if not (self._reader.rows or problems.count or file.held_back):
            problems.add_first("file", "the file is empty: found no rows, expected at least one")
        return self._scan(file.end)

    def _scan(self, end: Place) -> FileScan:
        """Return the findings in the blocks before ``end``."""
        reader, order, recorder = self._reader, self._order, self._recorder
        return FileScan(
            CheckedFile(
                self._file.fingerprint(end),
                reader.rows,
                reader.empty_rows,
                order.first,
                order.last,
                in_order=not order.steps_back,
                strict=order.is_strict,
            ),
            self._problems,
            reader.columns,
            tuple(order.start),
            order.newest.rows()[-1] if order.newest else None,
            order.steps,
            order.steps_back,
            self._file.held_back,
            tuple(recorder.runs),
            (recorder.first, recorder.last),
            end,
            order.lowest,
        )


def _with_last(blocks: Iterator[Block]) -> Iterator[tuple[Block, bool]]:
    """Yield each block, and True with the last one."""
    block = next(blocks, None)
    while block is not None:
        following = next(blocks, None)
        yield block, following is None
        block = following


def _hint(path: Path) -> str:
    """Return the likely mistake in the path of a file that can't be read, to end a message."""
    hint = comment_hint(path.name)
    if hint:
        return f"; {hint} in an INI"
    if path.exists():
        return ""
    with suppress(OSError):
        # A name with other digits is probably of another month or meter.
        digits = list(filter(str.isdigit, path.name))
        others = [other.name for other in path.parent.iterdir()]
        same = [name for name in others if list(filter(str.isdigit, name)) == digits]
        return suggestion(closest(path.name, same, _SIMILAR))
    return ""


@dataclass
class _Order:
    """The order in time of a file's rows; ``first`` and ``last`` are instants (ms).

    ``lowest`` is the earliest instant that `follow` has seen.
    """

    first: int | None = None
    last: int | None = None
    lowest: int | None = None
    is_strict: bool = True
    steps: int = 0
    steps_back: int = 0
    start: list[Row] = field(default_factory=list)
    newest: Batch | None = None
    previous: int | None = None

    @classmethod
    def after(cls, known: FileScan) -> "_Order":
        """Return the order of rows that follow those of a scan."""
        checked, end = known.checked_file, known.end
        return cls(
            checked.first,
            checked.last,
            is_strict=checked.strict,
            steps=known.steps,
            steps_back=known.steps_back,
            start=list(known.start),
            newest=None if end is None else Batch([end]),
            previous=None if end is None else end.instant,
        )

    def follow(self, batch: Batch) -> None:
        """Take the rows of the next block into account."""
        instants = batch.instants
        if not instants:
            return
        before = instants if self.previous is None else [self.previous, *instants]
        self.steps += len(before) - 1
        low, high = instants[0], instants[-1]
        if not all(map(lt, before, before[1:])):
            self.is_strict = False
            self.steps_back += sum(later < earlier for earlier, later in pairwise(before))
            low, high = min(instants), max(instants)
        self.lowest = low if self.lowest is None else min(low, self.lowest)
        self.first = low if self.first is None else min(low, self.first)
        self.last = high if self.last is None else max(high, self.last)
        self.previous = instants[-1]
        self.newest = batch
        if len(self.start) < 2:
            self.start += batch.rows()[: 2 - len(self.start)]


def common_columns(scans: Sequence[FileScan]) -> tuple[str, ...]:
    """Return the registers of the files' columns; add a problem to each file with other columns."""
    columns: tuple[str, ...] = ()
    for scan in scans:
        if scan.columns and columns and scan.columns != columns:
            scan.problems.add_first(
                "cells",
                "a different number of cells than in the meter's first file: "
                f"found {len(scan.columns) + 1}, expected {len(columns) + 1}",
            )
        columns = columns or scan.columns or ()
    return columns


def first_and_last(scans: Sequence[FileScan]) -> Iterator[Row]:
    """Yield the first two rows and the last one of files that follow one another in time."""
    ends = sorted((scan.end, scan.start) for scan in scans if scan.end is not None)
    start = [row for _, rows in ends for row in rows][:2]
    last = [row for row, _ in ends[-1:] if row not in start]
    return iter([*start, *last])
