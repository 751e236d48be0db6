"""A meter's files -> checked rows in chronological order, lazily (contract, section 4)."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from operator import lt
from typing import NamedTuple

from swarm import electrify
from swarm.csvfile import READ_ERRORS, Checked, CsvFile
from swarm.csvrows import Batch, Reading, RowReader, kept
from swarm.localtime import Zone
from swarm.packet import body, digest
from swarm.problems import Problem, Problems
from swarm.settings import CsvRules, Meter
from swarm.sorting import by_instant


class Row(NamedTuple):
    """One row to send: instant and offset in ms; where it stands, and the CSV's own line."""

    instant: int
    offset: int
    cells: str
    file: int
    line: int
    text: str


@dataclass(frozen=True)
class Span:
    """What the check found of one file: what it must still be, and how its rows lie in time."""

    checked: Checked
    rows: int
    empty_rows: int
    first: int | None
    last: int | None
    in_order: bool
    interleaved: frozenset[int]


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


@dataclass(frozen=True)
class Survey:
    """The result of a check: counts, period, problems, and what the sending pass relies on.

    ``rows`` are the lines that hold data, the padding packet among them; ``filtered`` those of
    them that are not sent. ``ends`` are the first and last rows that are.
    """

    meter: str
    registers: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()
    rows: int = 0
    filtered: int = 0
    ends: tuple[Row, ...] = ()
    problems: tuple[Problem, ...] = ()
    problem_count: int = 0
    notices: tuple[str, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether the meter's files may be sent."""
        return not self.problem_count


@dataclass
class _Tally:
    """What a pass over the rows of a meter leaves out, and tells."""

    repeats: int = 0
    outside: int = 0
    conflicts: int = 0
    first_repeat: str = ""


class MeterReader:
    """Reads one meter's files in order of time, as a check has found them."""

    def __init__(self, meter: Meter, spans: tuple[Span, ...], window: Window) -> None:
        self._meter = meter
        self._rules = meter.rules
        self._spans = spans
        self._window = window
        self._open: dict[int, CsvFile] = {}
        self._problems = [Problems(str(path)) for path in meter.files]
        self._zone = Zone(meter.rules.timezone) if meter.rules.timezone else None
        self.registers: tuple[str, ...] = ()
        self.tally = _Tally()

    def rows(self) -> Iterator[Row]:
        """Yield the rows to send, in strictly increasing time.

        Raises `FileChangedError` where a file is not what was checked.
        """
        return self.transformed(self._single(self._merged()))

    def transformed(self, entries: Iterable[tuple[Reading, int]]) -> Iterator[Row]:
        """Yield what is sent for readings (each with its file's index) in order of time."""
        rows = (self._row(*entry) for entry in self._inside(entries))
        if self._rules.pad_first:
            rows = self._padded(rows)
        if self._rules.shift:
            rows = self._shifted(rows)
        if self._rules.power_from_energy:
            minutes = self._rules.power_from_energy
            rows = (row._replace(cells=electrify.cells(row.cells, minutes)) for row in rows)
        return rows

    def watch(self) -> None:
        """Raise `FileChangedError` if a file in use is not what was checked any more."""
        for file in self._open.values():
            file.watch()

    def conflicts(self) -> Iterator[Problems]:
        """Yield the problems that only the order of time shows."""
        return (problems for problems in self._problems if problems.count)

    def _merged(self) -> Iterator[tuple[Reading, int]]:
        """Chain the files where their periods follow one another, merge those that overlap."""
        known = [i for i, span in enumerate(self._spans) if span.first is not None]
        known.sort(key=lambda i: (self._spans[i].first, i))
        groups: list[list[int]] = []
        latest: int | None = None
        for index in known:
            span = self._spans[index]
            if latest is None or (span.first or 0) > latest:
                groups.append([])
            groups[-1].append(index)
            latest = max(latest or span.last or 0, span.last or 0)
        return chain.from_iterable(map(self._group, groups))

    def _group(self, files: list[int]) -> Iterator[tuple[Reading, int]]:
        if len(files) == 1:
            return self._readings(files[0])
        streams = map(self._readings, sorted(files))
        return heapq.merge(*streams, key=lambda entry: (entry[0].instant, entry[1]))

    def _readings(self, index: int) -> Iterator[tuple[Reading, int]]:
        span = self._spans[index]
        file = self._open[index] = CsvFile(self._meter.files[index], span.checked)
        reader = RowReader(self._rules, Problems(str(file.path)), span.interleaved)
        readings = chain.from_iterable(reader.read(block).readings() for block in file.blocks())
        for reading in readings if span.in_order else by_instant(readings):
            yield reading, index
        if span.in_order:
            del self._open[index]

    def _single(self, entries: Iterable[tuple[Reading, int]]) -> Iterator[tuple[Reading, int]]:
        """Leave one row of each instant: ``duplicates``, and exact repeats."""
        held: tuple[Reading, int] | None = None
        for entry in entries:
            if held is None or entry[0].instant != held[0].instant:
                if held is not None:
                    yield held
                held = entry
            else:
                held = self._either(held, entry)
        if held is not None:
            yield held

    def _either(self, held: tuple[Reading, int], entry: tuple[Reading, int]) -> tuple[Reading, int]:
        (old, _), (new, index) = held, entry
        self.tally.repeats += 1
        if _values(old) == _values(new):
            self.tally.first_repeat = self.tally.first_repeat or (
                f"{self._meter.files[index]}:{new.line}"
            )
            return held
        if self._rules.duplicates == "error":
            self.tally.conflicts += 1
            self._problems[index].add(new.line, 1, "conflict", self._conflict(held, entry))
        return entry if self._rules.duplicates == "last" else held

    def _conflict(self, held: tuple[Reading, int], entry: tuple[Reading, int]) -> str:
        where = f"line {held[0].line}"
        if held[1] != entry[1]:
            where = f"{self._meter.files[held[1]]}:{held[0].line}"
        return (
            f"the same instant as {where} with other values: found '{entry[0].text}' and "
            f"'{held[0].text}', expected one; set duplicates = first or last to choose"
        )

    def _inside(self, entries: Iterable[tuple[Reading, int]]) -> Iterator[tuple[Reading, int]]:
        if self._window.is_open:
            yield from entries
            return
        for entry in entries:
            if self._window.holds(entry[0].wall):
                yield entry
            else:
                self.tally.outside += 1

    def _row(self, reading: Reading, index: int) -> Row:
        instant, wall, cells, line, text = reading
        offset = 0 if self._rules.utc else wall - instant
        return Row(instant, offset, cells, index, line, text)

    def _padded(self, rows: Iterable[Row]) -> Iterator[Row]:
        """One packet ahead of all: at the first time, unshifted, with the second value."""
        rows = iter(rows)
        start = [row for row, _ in zip(rows, range(2), strict=False)]
        if len(start) == 2:
            first, second = start
            shift = round(self._rules.shift * 1000)
            yield first._replace(instant=first.instant - shift, cells=second.cells)
        yield from start
        yield from rows

    def _shifted(self, rows: Iterable[Row]) -> Iterator[Row]:
        shift = round(self._rules.shift * 1000)
        for row in rows:
            instant = row.instant + shift
            yield row._replace(instant=instant, offset=self._offset(instant, row.offset))

    def _offset(self, instant: int, known: int) -> int:
        return known if self._rules.utc or not self._zone else self._zone.offset_at(instant)


def _values(reading: Reading) -> int:
    return digest(body(("value",) * (reading.cells.count(",") + 1), reading.cells or "0"))


@dataclass
class _Scan:
    """One file, looked at in its own order."""

    problems: Problems
    reader: RowReader
    first: int | None = None
    last: int | None = None
    in_order: bool = True
    strict: bool = True
    outside: int = 0
    out_of_order: int = 0
    start: list[Reading] = field(default_factory=list)
    end: Batch | None = None

    def take(self, batch: Batch, window: Window) -> None:
        """Follow a block's rows: their order, period, and which are inside the window."""
        instants = batch.instants
        if not instants:
            return
        if not all(map(lt, instants, instants[1:])) or (
            self.last is not None and instants[0] <= self.last
        ):
            self._disorder(instants)
        low, high = (instants[0], instants[-1]) if self.in_order else (min(instants), max(instants))
        self.first = low if self.first is None else min(low, self.first)
        self.last = high if self.last is None else max(high, self.last)
        self.end = batch
        if len(self.start) < 2:
            self.start += batch.readings()[: 2 - len(self.start)]
        if not window.is_open:
            self.outside += sum(not window.holds(wall) for wall in batch.walls())

    def _disorder(self, instants: list[int]) -> None:
        self.strict = False
        before = instants if self.last is None else [self.last, *instants]
        backward = sum(b < a for a, b in pairwise(before))
        self.out_of_order += backward
        self.in_order = self.in_order and not backward


def survey(meter: Meter, window: Window) -> Survey:
    """Check a meter's files: every row by itself, then, where need be, in order of time."""
    scans: list[_Scan] = []
    spans: list[Span] = []
    notices: list[str] = []
    for path in meter.files:
        scan, span = _scan(CsvFile(path), meter.rules, window, notices)
        scans.append(scan)
        spans.append(span)
    widths = {scan.reader.registers for scan in scans if scan.reader.registers}
    if len(widths) > 1:
        scans[0].problems.add(1, 1, "cells", "the meter's files differ in their number of columns")
    problems = [problem for scan in scans for problem in scan.problems.found]
    count = sum(scan.problems.count for scan in scans)
    registers = _registers(meter.rules, widths.pop() if widths else ())
    rows = sum(span.rows for span in spans)
    empty = sum(span.empty_rows for span in spans)
    found = Survey(
        meter.id, registers, tuple(spans), rows, empty, (), tuple(problems), count, tuple(notices)
    )
    return found if count else _in_time(meter, window, found, scans)


def _registers(rules: CsvRules, columns: tuple[str, ...]) -> tuple[str, ...]:
    return electrify.REGISTERS if rules.power_from_energy else kept(columns)


def _scan(file: CsvFile, rules: CsvRules, window: Window, notices: list[str]) -> tuple[_Scan, Span]:
    problems = Problems(str(file.path))
    reader = RowReader(rules, problems)
    scan = _Scan(problems, reader)
    try:
        for block in file.blocks():
            scan.take(reader.read(block), window)
    except READ_ERRORS as error:
        _unreadable(problems, file, error)
        return scan, Span(Checked(0, 0, 0, ()), reader.rows, 0, None, None, True, frozenset())
    for line in reader.repeated.misfits():
        problems.add(
            line,
            1,
            "ambiguous time",
            "a time that the clock change repeats, and that "
            "fits neither its first nor its second pass; set ambiguous_time",
        )
    if not reader.rows and not problems.count and not file.held_back:
        problems.add(1, 1, "file", "the file is empty: found no rows, expected at least one")
    notices.extend(_notices(file, scan))
    interleaved = reader.repeated.interleaved()
    return scan, Span(
        file.checked(),
        reader.rows,
        reader.empty_rows,
        scan.first,
        scan.last,
        scan.in_order and not interleaved,
        interleaved,
    )


def _unreadable(problems: Problems, file: CsvFile, error: Exception) -> None:
    if isinstance(error, FileNotFoundError):
        what = "no such file"
    elif isinstance(error, OSError) and error.strerror:
        what = f"can't be read: {error.strerror}"
    else:
        what = f"not a whole gzip file: {error}"
    problems.add(1, 1, "file", f"{what}; expected a readable CSV at {file.path.absolute()}")


def _notices(file: CsvFile, scan: _Scan) -> Iterator[str]:
    if file.held_back:
        yield (
            f"{file.path}: the last line has no newline and the file changed less than 10 s "
            "ago: that line waits for the next run"
        )
    if scan.out_of_order:
        yield f"{file.path}: {scan.out_of_order} rows out of order: put in order before sending"
    if scan.reader.empty_rows:
        yield f"{file.path}: {scan.reader.empty_rows} rows without any value: left out"


def _in_time(meter: Meter, window: Window, found: Survey, scans: list[_Scan]) -> Survey:
    """Complete a survey of sound files with what shows in order of time."""
    reader = MeterReader(meter, found.spans, window)
    if _follow(found.spans) and all(scan.strict for scan in scans):
        filtered = found.filtered + sum(scan.outside for scan in scans)
        ends = _ends(reader.transformed(_extremes(scans)) if window.is_open else reader.rows())
    else:
        ends = _ends(reader.rows())
        filtered = found.filtered + reader.tally.outside + reader.tally.repeats
    notices = list(found.notices)
    if repeats := reader.tally.repeats - reader.tally.conflicts:
        notices.append(
            f"{meter.id}: {repeats} rows repeat another row's instant: one of each is "
            f"sent (first seen at {reader.tally.first_repeat or 'the later row'})"
        )
    conflicts = list(reader.conflicts())
    padding = _padding(meter.rules, found.rows - filtered, notices, meter.id)
    return replace(
        found,
        rows=found.rows + padding,
        filtered=filtered if not conflicts else found.filtered,
        ends=ends,
        problems=tuple(problem for problems in conflicts for problem in problems.found),
        problem_count=sum(problems.count for problems in conflicts),
        notices=tuple(notices),
    )


def _padding(rules: CsvRules, rows: int, notices: list[str], meter: str) -> int:
    if not rules.pad_first:
        return 0
    if rows < 2:
        notices.append(f"{meter}: pad_first: no second row, so no packet goes ahead of the first")
        return 0
    return 1


def _follow(spans: tuple[Span, ...]) -> bool:
    """Tell whether the files' periods follow one another without a common instant."""
    periods = sorted(
        (span.first, span.last)
        for span in spans
        if span.first is not None and span.last is not None
    )
    return all(earlier[1] < later[0] for earlier, later in pairwise(periods))


def _ends(rows: Iterable[Row]) -> tuple[Row, ...]:
    first = last = None
    for last in rows:
        first = first or last
    return () if first is None or last is None else (first, last)


def _extremes(scans: list[_Scan]) -> Iterator[tuple[Reading, int]]:
    """Yield the first two readings and the last of files that follow one another."""
    known = sorted(
        ((scan, index) for index, scan in enumerate(scans) if scan.end is not None),
        key=lambda entry: entry[0].first or 0,
    )
    picked = [(reading, index) for scan, index in known for reading in scan.start][:2]
    for scan, index in known[-1:]:
        if scan.end is not None:
            picked.append((scan.end.readings()[-1], index))
    return iter(dict.fromkeys(picked))
