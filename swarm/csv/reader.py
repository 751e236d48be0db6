"""A meter's checked files -> the rows to send, in strictly increasing time, read lazily."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice, pairwise

from swarm.config.settings import CsvRules, Meter
from swarm.csv.file import BEGIN, NOTHING, Block, Fingerprint, Place, VerifiedFile, here
from swarm.csv.folds.occurrences import Replay
from swarm.csv.numbers import are_equal, power_and_energy
from swarm.csv.problems import Problems
from swarm.csv.rows import Batch, Row, RowReader
from swarm.csv.sort import Source, by_instant, merged
from swarm.csv.timestamps import Shift, local_zone
from swarm.csv.zones.check import repeat_hint
from swarm.errors import SwarmError
from swarm.scheduler import THREADS, Scheduler
from swarm.text import quoted

#: The number of rows in a batch, if it is not a block.
_BATCH = 512


@dataclass(frozen=True)
class CheckedFile:
    """The findings of the check in one file: its fingerprint, and the period and order of its rows.

    No row is before ``first`` or after ``last`` (instants in ms, None if there are no rows).
    ``in_order`` is True without steps back in time, ``strict`` if no instant occurs twice either.
    ``folds`` are the passes of its rows in repeated hours: see
    `swarm.csv.folds.occurrences.Replay`.
    """

    fingerprint: Fingerprint = NOTHING
    rows: int = 0
    empty_rows: int = 0
    first: int | None = None
    last: int | None = None
    in_order: bool = True
    strict: bool = True
    folds: Mapping[int, bytes] = field(default_factory=dict)


def verified_here(meter: Meter, checked_files: Sequence[CheckedFile]) -> tuple[CheckedFile, ...]:
    """Return a meter's files that another computer has checked, as this one has them.

    Raises `FileChangedError` if one does not have the content that was checked.
    """
    files = []
    for path, checked in zip(meter.files, checked_files, strict=True):
        found = here(path, checked.fingerprint, meter.rules.encoding)
        files.append(replace(checked, fingerprint=found))
    return tuple(files)


@dataclass(frozen=True)
class SettledPart:
    """The beginning of a meter's files, if all rows of it were acknowledged before.

    It ends in the file with the index ``file``, before the block ``end``. All of its rows are at or
    before ``newest``, all others after it (instants in ms, not shifted). Its rows make ``packets``;
    ``repeats`` of them are left out, of which ``first_repeat`` is the place of the first.
    """

    file: int = 0
    end: Place = BEGIN
    newest: int = 0
    packets: int = 0
    repeats: int = 0
    first_repeat: str = ""


@dataclass(frozen=True)
class Window:
    """``--since`` and ``--until``, as local times in ms; None is no limit."""

    since: int | None = None
    until: int | None = None

    @property
    def is_open(self) -> bool:
        """True if every row is inside."""
        return self.since is None and self.until is None

    def holds(self, wall: int) -> bool:
        """Return True if a row of this local time (ms) is inside."""
        return (self.since is None or self.since <= wall) and (
            self.until is None or wall < self.until
        )


@dataclass
class Dropped:
    """The rows that were left out: ``repeats`` of an instant, and rows ``outside`` the window.

    ``early`` repeats are up to the ``border`` of the reader.
    """

    repeats: int = 0
    outside: int = 0
    first_repeat: str = ""
    early: int = 0


class MeterReader:
    """Reads one meter's files in order of time, as the check found them.

    With ``settled``, it reads only the rows after that part. ``conflicts`` and ``dropped`` are
    complete when all rows have been read. The repeats up to ``border``, an instant in ms, are also
    counted separately.
    """

    def __init__(  # noqa: PLR0913 - the rows to read, and the reader of them
        self,
        meter: Meter,
        checked_files: tuple[CheckedFile, ...],
        window: Window,
        scheduler: Scheduler = THREADS,
        *,
        settled: SettledPart | None = None,
        border: int | None = None,
    ) -> None:
        if settled:
            # The padding packet is one of the settled part.
            meter = meter.unpadded
        self._settled = settled
        self._border = border
        self._meter = meter
        self._scheduler = scheduler
        self._rules = meter.rules
        self._checked_files = checked_files
        self._window = window
        self._open: set[VerifiedFile] = set()
        self._shift = Shift(meter.rules)
        self._zone = local_zone(meter.rules) if meter.rules.has_local_times else None
        self.conflicts = [Problems(str(path)) for path in meter.files]
        self.dropped = Dropped()
        if settled:
            self.dropped.repeats = self.dropped.early = settled.repeats
            self.dropped.first_repeat = settled.first_repeat

    def rows(self) -> Iterator[Row]:
        """Yield the rows to send, in strictly increasing time.

        Raises `FileChangedError` if a file has changed since the check.
        """
        rows = self._merged()
        return self.sent(rows if is_strict(self._checked_files) else self._single(rows))

    def batches(self) -> Iterator[Batch]:
        """Yield the rows of `rows` in batches: a batch for each block, if they are sent as read."""
        if self._moves or self._rules.power_from_energy or not is_strict(self._checked_files):
            yield from _batched(self.rows())
            return
        for _, _, index in sorted(self._files_to_read()):
            with self._reading(index) as batches:
                yield from batches

    def find_conflicts(self, *, repeated_hours: bool) -> list[Problems]:
        """Return each file's conflicts; with ``repeated_hours`` also those in such hours.

        Raises `FileChangedError` if a file has changed since the check.
        """
        if not is_strict(self._checked_files):
            rows = self._merged()
            if not repeated_hours:
                rows = (row for row in rows if not self._is_repeated(row))
            deque(self._single(rows), maxlen=0)
        return self.conflicts

    def sent(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield the rows as they are sent; ``rows`` are in strictly increasing time."""
        if self._moves:
            rows = self._moved(rows)
        minutes = self._rules.power_from_energy
        if minutes:
            rows = (row._replace(cells=power_and_energy(row.cells, minutes)) for row in rows)
        return rows

    @property
    def _moves(self) -> bool:
        """True if rows are left out, moved or added to those of the files."""
        return pads(self._rules) or not (self._window.is_open and self._shift.is_none)

    def watch(self) -> None:
        """Raise `FileChangedError` if a file in use has changed since the check."""
        for file in list(self._open):
            file.watch()

    def _merged(self) -> Iterator[Row]:
        """Return the rows of all files in order of time."""
        return merged(
            Source(first, last, partial(self._read, index))
            for first, last, index in self._files_to_read()
        )

    def _files_to_read(self) -> list[tuple[int, int, int]]:
        """Return the first instant, the last one and the index of each file with rows to read.

        Files of which all rows are settled are compared only.
        """
        found = []
        for index, file in enumerate(self._checked_files):
            if file.first is None or file.last is None:
                continue
            first = file.first
            if self._settled and index <= self._settled.file:
                first = self._settled.newest
            if self._settled and index < self._settled.file:
                self._verified(index, file.fingerprint).compare()
            else:
                found.append((first, file.last, index))
        return found

    def _verified(self, index: int, known: Fingerprint, begin: Place = BEGIN) -> VerifiedFile:
        path, encoding = self._meter.files[index], self._rules.encoding
        return VerifiedFile(path, known, self._scheduler, begin, encoding)

    @contextmanager
    def _reading(self, index: int) -> Iterator[Iterator[Batch]]:
        """Return the batches of one file, in its order."""
        checked_file = self._checked_files[index]
        begin = BEGIN
        if self._settled and index == self._settled.file:
            begin = self._settled.end
        file = self._verified(index, checked_file.fingerprint, begin)
        reader = RowReader(self._rules, Problems(""), index, Replay(checked_file.folds))

        def batch_of(block: Block) -> Batch:
            self._scheduler.yield_control()
            return reader.read(block)

        self._open.add(file)
        try:
            yield map(batch_of, file.blocks())
        finally:
            self._open.discard(file)

    def _read(self, index: int) -> Iterator[Row]:
        """Yield one file's rows in order of time."""
        with self._reading(index) as batches:
            rows = chain.from_iterable(batch.rows() for batch in batches)
            if self._checked_files[index].in_order:
                yield from rows
            else:
                yield from by_instant(rows, self._scheduler.run_in_thread)

    def _single(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield one row of each instant; the others are repeats or conflicts."""
        kept = next(rows, None)
        if kept is None:
            return
        for row in rows:
            if row.instant != kept.instant:
                yield kept
                kept = row
                continue
            self.dropped.repeats += 1
            self.dropped.early += self._border is not None and row.instant <= self._border
            if are_equal(kept.cells, row.cells):
                first = self.dropped.first_repeat
                self.dropped.first_repeat = first or f"{self._meter.files[row.file]}:{row.line}"
                continue
            self._add_conflict(kept, row)
            if self._rules.duplicates == "last":
                kept = row
        yield kept

    def _add_conflict(self, kept: Row, row: Row) -> None:
        """Add the problem of two rows of one instant, unless the rules choose one of them."""
        is_repeated = self._is_repeated(row)
        # Both rows are read as the same pass, but may be one of each: the rules must not drop one.
        may_be_both = is_repeated and self._rules.ambiguous_time != "infer"
        if self._rules.duplicates != "error" and not may_be_both:
            return
        advice = _MAY_BE_BOTH if may_be_both else _IN_REPEATED_HOUR if is_repeated else _ADVICE
        where = f"line {kept.line}"
        if kept.file != row.file:
            where = f"{self._meter.files[kept.file]}:{kept.line}"
        self.conflicts[row.file].add(
            row.line,
            1,
            "conflict",
            f"same time as {where}, but other values: found {quoted(row.text)} here and "
            f"{quoted(kept.text)} there, expected one row; "
            f"{repeat_hint(self._rules, row.instant + row.offset)}{advice}",
        )

    def _is_repeated(self, row: Row) -> bool:
        """Return True if the clocks repeat a row's local time."""
        if self._zone is None:
            return False
        return self._zone.valid_offsets(row.instant + row.offset).change is not None

    def _moved(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield the rows inside the window, shifted, after the padding packet if there is one.

        That has the first row's time, not shifted, and the second row's values.
        """
        padding = None
        if pads(self._rules):
            start = list(islice(rows, 2))
            rows = chain(start, rows)
            if len(start) == 2:
                padding = start[0]._replace(cells=start[1].cells)
        for row in rows if padding is None else chain([padding], rows):
            if self._window.holds(row.instant + row.offset):
                moment = self._shift.sent_at(row.instant, row.offset, later=row is not padding)
                yield Row(*moment, row.cells, row.file, row.line, row.text)
            else:
                self.dropped.outside += 1


def _batched(rows: Iterator[Row]) -> Iterator[Batch]:
    """Yield rows in batches; an error comes after the rows before it."""
    while True:
        batch: list[Row] = []
        failure: SwarmError | None = None
        try:
            batch.extend(islice(rows, _BATCH))
        except SwarmError as error:
            failure = error
        if batch:
            yield Batch(batch)
        if failure is not None:
            raise failure
        if len(batch) < _BATCH:
            return


_ADVICE = "set duplicates = first or last to choose"
_IN_REPEATED_HOUR = (
    "the clocks repeat this hour, and both rows seem to be in the same pass of it: if they are "
    "not, set ambiguous_time = first or second; if they are, set duplicates = first or last to "
    "choose"
)
_MAY_BE_BOTH = (
    "the clocks repeat this hour, and ambiguous_time puts both rows into the same pass of it: set "
    "ambiguous_time = infer"
)


def pads(rules: CsvRules) -> bool:
    """Return True if a padding packet is sent first; without a shift it would have row 1's time."""
    return rules.pad_first and rules.shift > 0


def is_strict(checked_files: Sequence[CheckedFile]) -> bool:
    """Return True if no instant occurs twice, in one file or in several."""
    periods = sorted(
        (file.first, file.last)
        for file in checked_files
        if file.first is not None and file.last is not None
    )
    are_apart = all(earlier[1] < later[0] for earlier, later in pairwise(periods))
    return are_apart and all(file.strict for file in checked_files)
