"""A meter's checked files -> the rows to send, in strictly increasing time, lazily."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from itertools import chain, groupby, islice, pairwise
from operator import attrgetter

from swarm.config.settings import CsvRules, Meter
from swarm.csv import numbers
from swarm.csv.file import NOTHING, Block, Fingerprint, VerifiedFile
from swarm.csv.folds.occurrences import Replay
from swarm.csv.problems import Problems
from swarm.csv.rows import Row, RowReader
from swarm.csv.sort import Source, by_instant, merged
from swarm.csv.timestamps import Shift, local_zone
from swarm.csv.zones.check import repeat_hint
from swarm.packet import body, digest
from swarm.scheduler import THREADS, Scheduler
from swarm.text import quoted


@dataclass(frozen=True)
class CheckedFile:
    """One file as the check found it: what it must still be, and the period and order of its rows.

    No row is before ``first`` or after ``last`` (instants in ms, None if no row is left).
    ``in_order`` is without a step back in time, ``strict`` without one instant twice either.
    ``folds`` are those of its rows in repeated hours, see `swarm.csv.folds.occurrences.Replay`.
    """

    checked: Fingerprint = NOTHING
    rows: int = 0
    empty_rows: int = 0
    first: int | None = None
    last: int | None = None
    in_order: bool = True
    strict: bool = True
    folds: Mapping[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Window:
    """``--since`` and ``--until``, as wall times in ms; None is open."""

    since: int | None = None
    until: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether every row is inside."""
        return self.since is None and self.until is None

    def holds(self, wall: int) -> bool:
        """Tell whether a row is inside."""
        return (self.since is None or self.since <= wall) and (
            self.until is None or wall < self.until
        )


@dataclass
class Dropped:
    """The rows that a pass over a meter's files leaves out."""

    repeats: int = 0
    outside: int = 0
    first_repeat: str = ""


class MeterReader:
    """Reads one meter's files in order of time, as a check has found them."""

    def __init__(
        self,
        meter: Meter,
        spans: tuple[CheckedFile, ...],
        window: Window,
        scheduler: Scheduler = THREADS,
    ) -> None:
        self._meter = meter
        self._scheduler = scheduler
        self._rules = meter.rules
        self._spans = spans
        self._window = window
        self._open: set[VerifiedFile] = set()
        self._shift = Shift(meter.rules)
        self._zone = local_zone(meter.rules)
        self.conflicts = [Problems(str(path)) for path in meter.files]
        self.dropped = Dropped()

    def rows(self) -> Iterator[Row]:
        """Yield the rows to send, in strictly increasing time.

        Raises `FileChangedError` where a file is not what was checked.
        """
        rows = self._merged()
        return self.sent(rows if is_strict(self._spans) else self._single(rows))

    def find_conflicts(self, *, repeated_hours: bool) -> list[Problems]:
        """Return each file's conflicts, also those in ``repeated_hours`` if these could be read.

        Raises `FileChangedError` where a file is not what was checked.
        """
        if not is_strict(self._spans):
            rows = self._merged()
            if not repeated_hours:
                rows = (row for row in rows if not self._is_repeated(row))
            deque(self._single(rows), maxlen=0)
        return self.conflicts

    def _merged(self) -> Iterator[Row]:
        """Return the rows of all files in order of time."""
        return merged(
            Source(span.first, span.last, partial(self._read, file))
            for file, span in enumerate(self._spans)
            if span.first is not None and span.last is not None
        )

    def sent(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield what is sent for rows of different instants, in order of time."""
        if pads(self._rules):
            rows = self._padded(rows)
        elif not (self._window.is_open and self._shift.is_none):
            rows = (self._moved(row) for row in rows if self._is_inside(row))
        minutes = self._rules.power_from_energy
        if minutes:
            rows = (row._replace(cells=numbers.cells(row.cells, minutes)) for row in rows)
        return rows

    def watch(self) -> None:
        """Raise `FileChangedError` if a file in use is not what was checked any more."""
        for file in list(self._open):
            file.watch()

    def _read(self, file: int) -> Iterator[Row]:
        """Yield one file's rows in order of time."""
        span = self._spans[file]
        held = VerifiedFile(self._meter.files[file], span.checked, self._scheduler)
        reader = RowReader(self._rules, Problems(""), file, Replay(span.folds))
        rows = chain.from_iterable(map(partial(self._rows, reader), held.blocks()))
        self._open.add(held)
        try:
            yield from rows if span.in_order else by_instant(rows, self._scheduler.run_in_thread)
        finally:
            self._open.discard(held)

    def _rows(self, reader: RowReader, block: Block) -> list[Row]:
        """Return a block's rows; with each block the other streams have their turn."""
        self._scheduler.yield_control()
        return reader.read(block).rows()

    def _single(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Leave one row of each instant: ``duplicates``, and exact repeats."""
        for _, same in groupby(rows, attrgetter("instant")):
            yield reduce(self._either, same)

    def _either(self, held: Row, row: Row) -> Row:
        """Return which of two rows of one instant stays."""
        self.dropped.repeats += 1
        if _values(held) == _values(row):
            place = f"{self._meter.files[row.file]}:{row.line}"
            self.dropped.first_repeat = self.dropped.first_repeat or place
            return held
        is_repeated = self._is_repeated(row)
        # Which may be the two passes: then none is to be left out.
        is_unread = is_repeated and self._rules.ambiguous_time != "infer"
        if self._rules.duplicates == "error" or is_unread:
            advice = _UNREAD if is_unread else _IN_HOUR if is_repeated else _ADVICE
            self.conflicts[row.file].add(row.line, 1, "conflict", self._conflict(held, row, advice))
        return row if self._rules.duplicates == "last" else held

    def _is_repeated(self, row: Row) -> bool:
        """Tell whether the clocks repeat a row's local time."""
        if self._zone is None:
            return False
        return self._zone.valid_offsets(row.instant + row.offset).change is not None

    def _conflict(self, held: Row, row: Row, advice: str) -> str:
        where = f"line {held.line}"
        if held.file != row.file:
            where = f"{self._meter.files[held.file]}:{held.line}"
        return (
            f"the same instant as {where} with other values: found {quoted(row.text)} and there "
            f"{quoted(held.text)}, expected one; "
            f"{repeat_hint(self._rules, row.instant + row.offset)}{advice}"
        )

    def _padded(self, rows: Iterator[Row]) -> Iterator[Row]:
        """One packet goes ahead of all: at the first time, unshifted, with the second values."""
        start = list(islice(rows, 2))
        for first, second in pairwise(start):
            if self._is_inside(first):
                moment = self._shift.sent_at(first.instant, first.offset, later=False)
                yield Row(*moment, second.cells, first.file, first.line, first.text)
        for row in chain(start, rows):
            if self._is_inside(row):
                yield self._moved(row)

    def _is_inside(self, row: Row) -> bool:
        is_inside = self._window.holds(row.instant + row.offset)
        self.dropped.outside += not is_inside
        return is_inside

    def _moved(self, row: Row) -> Row:
        moment = self._shift.sent_at(row.instant, row.offset)
        return Row(*moment, row.cells, row.file, row.line, row.text)


_ADVICE = "set duplicates = first or last to choose"
_IN_HOUR = (
    "the clocks repeat this hour, and both rows are of one pass of it: if they are not, set "
    "ambiguous_time = first or second; if they are, set duplicates = first or last to choose"
)
_UNREAD = (
    "the clocks repeat this hour, and ambiguous_time takes both rows for one pass of it: set "
    "ambiguous_time = infer"
)


def pads(rules: CsvRules) -> bool:
    """Tell whether a packet goes ahead of all: without a shift it would have the first's time."""
    return rules.pad_first and rules.shift > 0


def is_strict(spans: Sequence[CheckedFile]) -> bool:
    """Tell whether no instant occurs twice, within a file or over the files."""
    periods = sorted(
        (span.first, span.last)
        for span in spans
        if span.first is not None and span.last is not None
    )
    follow = all(earlier[1] < later[0] for earlier, later in pairwise(periods))
    return follow and all(span.strict for span in spans)


def _values(row: Row) -> int:
    """Return what tells a row's values from others, however they are written."""
    return digest(body([str(place) for place in range(row.cells.count(",") + 1)], row.cells))
