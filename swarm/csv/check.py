"""The check of a meter's files: every row by itself, then, where need be, in order of time."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

from swarm.config.settings import Meter
from swarm.csv import numbers
from swarm.csv.file import CsvFile
from swarm.csv.gaps import IntervalTracker
from swarm.csv.problems import Kind, Problem, Problems
from swarm.csv.quality import Inspection, Quality, counter_resets, quality
from swarm.csv.reader import CheckedFile, MeterReader, Window, is_strict, pads
from swarm.csv.rows import Batch, Row
from swarm.csv.scan import FileScan, scan_file
from swarm.csv.sent_folds import Ask, misfit_notices, readings
from swarm.csv.skipped import notices as skipped_notices
from swarm.csv.timestamps import Shift
from swarm.csv.values import kept
from swarm.csv.zones import check as zone_check
from swarm.csv.zones.fit import Trace
from swarm.errors import FileChangedError
from swarm.text import pluralize


@dataclass(frozen=True)
class CheckResult:
    """The result of a check: counts, period, problems, and what the sending pass relies on.

    ``rows`` are the lines that hold data, the padding packet among them; ``filtered`` those of
    them that are not sent. ``ends`` are the first and last rows that are. ``is_padded`` tells
    whether a padding packet goes ahead, where the meter's rules ask for one. ``quality`` is of
    sound files, where it was asked for.
    """

    meter: str
    registers: tuple[str, ...] = ()
    spans: tuple[CheckedFile, ...] = ()
    rows: int = 0
    filtered: int = 0
    ends: tuple[Row, ...] = ()
    problems: tuple[Problem, ...] = ()
    problem_count: int = 0
    notices: tuple[str, ...] = ()
    is_padded: bool = True
    quality: Quality | None = None

    @property
    def is_sound(self) -> bool:
        """Whether the meter's files may be sent."""
        return not self.problem_count

    @property
    def packets(self) -> int:
        """The number of packets that its rows make."""
        return self.rows - self.filtered


@dataclass(frozen=True)
class _Watch:
    """Follows rows for the gaps among them, and for signs of a wrong zone."""

    pace: IntervalTracker | None
    trace: Trace

    def follow(self, batch: Batch) -> None:
        """Take note of the next rows."""
        self.trace.follow(batch.instants)
        if self.pace is not None:
            self.pace.follow(batch)


@dataclass(frozen=True)
class _Passage:
    """The findings of a pass through the rows to send; ``pace`` where quality was asked for."""

    reader: MeterReader
    ends: tuple[Row, ...]
    pace: IntervalTracker | None = None
    notices: tuple[str, ...] = ()


#: Tells of the padding packet and the one after it, in these registers, whether the stream has
#: begun without the padding.
HasBegun = Callable[[tuple[str, ...], Row, Row], bool]


def check_files(
    meter: Meter,
    window: Window,
    sent: Ask | None = None,
    has_begun: HasBegun | None = None,
    *,
    with_quality: bool = False,
) -> CheckResult:
    """Check a meter's files; ``with_quality`` takes some time more.

    Rows of a repeated hour that were ``sent`` keep their reading. A padding packet
    belongs to the stream's beginning: none goes ahead of rows that ``has_begun`` says it of.
    """
    pace = IntervalTracker(meter.rules.interval) if with_quality else None
    files = [CsvFile(path) for path in meter.files]
    trace = zone_check.trace(meter.rules)
    watch = _Watch(pace, trace) if trace else pace
    scans = [scan_file(file, meter.rules, index, watch) for index, file in enumerate(files)]
    scans, are_read = _read(meter, scans, sent)
    columns = _columns(scans)
    found = CheckResult(
        meter.id,
        numbers.POWER_AND_ENERGY if meter.rules.power_from_energy else kept(columns),
        tuple(scan.span for scan in scans),
        rows=sum(scan.span.rows for scan in scans),
        filtered=sum(scan.span.empty_rows for scan in scans),
        notices=(
            *(notice for scan in scans for notice in scan.notices()),
            *chain.from_iterable(
                skipped_notices(path, meter.rules, len(columns)) for path in meter.files
            ),
            *zone_check.notices(meter.id, meter.rules, trace),
            *(
                _ADVICE.format(meter.id, path.name)
                for path, scan in zip(meter.files, scans, strict=True)
                if _is_of_another_form(scan)
            ),
        ),
    )
    problems = [scan.problems for scan in scans]
    found = _with_problems(found, problems)
    try:
        if not found.is_sound:
            reader = MeterReader(meter, found.spans, Window())
            conflicts = reader.find_conflicts(repeated_hours=are_read)
            for of_file, others in zip(problems, conflicts, strict=True):
                of_file.include(others)
            return _with_problems(found, problems)
        if has_begun is not None and pads(meter.rules) and _is_behind(meter, found, has_begun):
            meter, found = meter.unpadded, replace(found, is_padded=False)
        return _in_time(meter, window, found, scans, pace)
    except FileChangedError as error:
        changed = Problems(str(meter.files[0]))
        changed.add_first("file changed", str(error))
        return _with_problems(found, [changed])


def _read(meter: Meter, scans: Sequence[FileScan], sent: Ask | None) -> tuple[list[FileScan], bool]:
    """Read the rows of repeated hours over all files; those that can't be read are problems.

    Returns the scans with these readings, and whether all rows could be read.
    """
    found = readings(meter, scans, sent)
    for file, line, message in misfit_notices(meter, found.misfits):
        scans[file].problems.add(line, 1, "ambiguous time", message)
    scans = [scan.read_as(read) for scan, read in zip(scans, found.files, strict=True)]
    return scans, not found.misfits


def _is_of_another_form(found: FileScan) -> bool:
    """Tell whether no row of a file is as the rules say."""
    kinds = {problem.kind for problem in found.problems.found}
    return found.span.first is None and not kinds.isdisjoint(_OF_THE_FORM)


_OF_THE_FORM: frozenset[Kind] = frozenset({"cells", "header", "number", "timestamp"})


_ADVICE = (
    "{}: no row of {} is as the settings say: 'swarm init' with this file proposes delimiter, "
    "decimal, timestamp_format, columns and skip_rows for it"
)


def _is_behind(meter: Meter, found: CheckResult, has_begun: HasBegun) -> bool:
    start = list(islice(MeterReader(meter, found.spans, Window()).rows(), 2))
    return len(start) == 2 and has_begun(found.registers, *start)


def _columns(scans: Sequence[FileScan]) -> tuple[str, ...]:
    """Return what the columns of all files are; a file that differs gets a problem."""
    columns: tuple[str, ...] = ()
    for found in scans:
        if found.columns and columns and found.columns != columns:
            counts = f"found {len(found.columns) + 1}, expected {len(columns) + 1}"
            found.problems.add_first(
                "cells", f"another number of cells than the meter's first file: {counts}"
            )
        columns = columns or found.columns or ()
    return columns


def _with_problems(found: CheckResult, by_file: Sequence[Problems]) -> CheckResult:
    return replace(
        found,
        problems=tuple(problem for problems in by_file for problem in problems.found),
        problem_count=sum(problems.count for problems in by_file),
    )


def _in_time(
    meter: Meter,
    window: Window,
    found: CheckResult,
    scans: Sequence[FileScan],
    pace: IntervalTracker | None,
) -> CheckResult:
    """Complete the survey of sound files with what shows in order of time."""
    way = _read_in_time(meter, window, found, scans, pace)
    conflicts, tally = way.reader.conflicts, way.reader.dropped
    if any(problems.count for problems in conflicts):
        return _with_problems(found, conflicts)
    single = found.rows - found.filtered - tally.repeats
    steps_back = sum(scan.steps_back for scan in scans)
    return replace(
        found,
        rows=found.rows + (pads(meter.rules) and single >= 2),
        filtered=found.filtered + tally.repeats + tally.outside,
        ends=way.ends,
        notices=(*found.notices, *_notices(meter, way.reader, single), *way.notices),
        quality=quality(way.pace, tally.repeats, steps_back) if way.pace else None,
    )


def _read_in_time(
    meter: Meter,
    window: Window,
    found: CheckResult,
    scans: Sequence[FileScan],
    pace: IntervalTracker | None,
) -> _Passage:
    """Go through the rows in order of time, where the scans have not shown all of it yet."""
    reader = MeterReader(meter, found.spans, window)
    is_simple = is_strict(found.spans) and window.is_open
    if is_simple and (pace is None or _is_enough(meter, found, pace)):
        return _Passage(reader, _ends(reader.sent(_extremes(scans))), pace)
    if pace is None:
        return _Passage(reader, _ends(reader.rows()))
    known = pace.commonest if is_simple and pace.is_forward else None
    return _inspected(meter, window, found, meter.rules.interval or (known and known / 1000))


def _is_enough(meter: Meter, found: CheckResult, pace: IntervalTracker) -> bool:
    """Tell whether the rows were followed in the order, and at the times, of their packets."""
    is_as_sent = Shift(meter.rules).is_none
    return pace.is_settled and is_as_sent and not counter_resets(meter, found.registers)


def _inspected(
    meter: Meter, window: Window, found: CheckResult, interval: float | None
) -> _Passage:
    """Look at each row; again, where the first rows have another interval (s) than most."""
    reader = MeterReader(meter, found.spans, window)
    inspection = Inspection(meter, found.registers, interval)
    ends = _ends(inspection.through(reader.rows()))
    pace = inspection.pace
    if pace.is_settled or pace.commonest is None:
        return _Passage(reader, ends, pace, tuple(inspection.notices()))
    return _inspected(meter, window, found, pace.commonest / 1000)


def _notices(meter: Meter, reader: MeterReader, single: int) -> Iterator[str]:
    tally = reader.dropped
    if tally.repeats:
        where = f"; the first repeat is {tally.first_repeat}" if tally.first_repeat else ""
        yield (
            f"{meter.id}: {pluralize(tally.repeats, 'row')} at the instant of another row: "
            f"one of each is sent{where}"
        )
    if meter.rules.pad_first and not pads(meter.rules):
        yield f"{meter.id}: pad_first without shift: no packet goes ahead of the first"
    elif meter.rules.pad_first and single < 2:
        yield f"{meter.id}: pad_first: no second row, so no packet goes ahead of the first"


def _ends(rows: Iterator[Row]) -> tuple[Row, ...]:
    first = next(rows, None)
    if first is None:
        return ()
    last = deque(rows, maxlen=1)
    return (first, last[0] if last else first)


def _extremes(scans: Sequence[FileScan]) -> Iterator[Row]:
    """Yield the first two rows and the last of files that follow one another."""
    ends = sorted((scan.end, scan.start) for scan in scans if scan.end is not None)
    start = [row for _, rows in ends for row in rows][:2]
    last = [row for row, _ in ends[-1:] if row not in start]
    return iter([*start, *last])
