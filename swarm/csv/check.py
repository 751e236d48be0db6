"""The check of a meter's files: each file row by row, then all rows in order of time."""

import pickle
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

from swarm.config.settings import Meter
from swarm.csv.file import CsvFile, NotSettledError
from swarm.csv.numbers import POWER_AND_ENERGY
from swarm.csv.problems import Kind, Problems
from swarm.csv.quality import Inspection, SentInspection, cumulative_registers, quality
from swarm.csv.reader import (
    Dropped,
    MeterReader,
    SettledPart,
    Window,
    is_strict,
    pads,
)
from swarm.csv.result import CheckResult
from swarm.csv.rows import Batch, Row
from swarm.csv.scan import FileScan, common_columns, first_and_last, scan_file, scan_rest
from swarm.csv.sent_folds import Ask, decide_folds, misfit_notices
from swarm.csv.settled import CheckState, first_after, known_folds, last_of, with_folds
from swarm.csv.skipped import notices as skipped_notices
from swarm.csv.timestamps import Shift
from swarm.csv.values import kept
from swarm.csv.zones import check as zone_check
from swarm.csv.zones.fit import Trace
from swarm.errors import FileChangedError
from swarm.text import pluralize


@dataclass(frozen=True)
class _Followers:
    """Passes rows on to the inspection, if there is one, and to the search for a wrong zone."""

    inspection: Inspection | None
    trace: Trace | None

    def follow(self, batch: Batch) -> None:
        """Pass the next rows on."""
        if self.trace:
            self.trace.follow(batch.instants)
        if self.inspection is not None:
            self.inspection.follow(batch)


#: Returns True if the stream has begun without its padding packet. The arguments are the registers,
#: the padding packet and the packet after it.
HasBegun = Callable[[tuple[str, ...], Row, Row], bool]


def check_files(  # noqa: PLR0913 - the files, and what is known of them
    meter: Meter,
    window: Window,
    sent: Ask | None = None,
    has_begun: HasBegun | None = None,
    settled: CheckState | None = None,
    *,
    with_quality: bool = False,
    with_values: bool = False,
) -> CheckResult:
    """Check a meter's files; ``with_quality`` takes longer, ``with_values`` still longer.

    ``sent`` returns the rows of repeated hours that were sent: they keep their folds. The
    padding packet is left out if ``has_begun`` is True of the first two packets. Without a window
    and quality, the check goes on after the part that is ``settled``, unless the files have changed
    there, or later rows are not newer.
    """
    # A counter that falls is found in rows in order of time only.
    with_quality = with_quality or meter.rules.falling == "error"
    if settled is not None and window.is_open and not with_quality:
        with suppress(NotSettledError):
            result = _Check(meter, window, settled=settled).run(sent, has_begun)
            if result.is_sound:
                return result
    inspection = None
    if with_quality:
        inspection = Inspection(
            meter.rules.interval, with_values=with_values, registers=kept(meter.rules.columns or ())
        )
    return _Check(meter, window, inspection=inspection, with_values=with_values).run(
        sent, has_begun
    )


class _Check:
    """The check of a meter's files, or of their part after what is ``settled``."""

    def __init__(
        self,
        meter: Meter,
        window: Window,
        *,
        inspection: Inspection | None = None,
        with_values: bool = False,
        settled: CheckState | None = None,
    ) -> None:
        self.meter = meter
        self.window = window
        self.settled = settled
        self.known: tuple[FileScan, ...] = settled.scans if settled else ()
        self.inspection = inspection
        self.with_values = with_values
        self.trace = settled.resumed_trace() if settled else zone_check.trace(meter.rules)
        #: The last file without its last block, and the trace before that block.
        self.before_last: tuple[FileScan, bytes] | None = None

    def run(self, sent: Ask | None, has_begun: HasBegun | None) -> CheckResult:
        """Check the files; raises `NotSettledError` if the settled part has changed."""
        meter = self.meter
        scans = [self._scan(index, path) for index, path in enumerate(meter.files)]
        if self.settled:
            first = first_after(scans, self.known)
            if first is None or first <= self.settled.part.newest:
                raise NotSettledError
        folds = decide_folds(meter, scans, sent, known_folds(scans, self.known))
        for index, line, message in misfit_notices(meter, folds.misfits):
            scans[index].problems.add(line, 1, "ambiguous time", message)
        start = self._start(scans, folds.files)
        scans = [scan.read_as(read) for scan, read in zip(scans, folds.files, strict=True)]
        columns = common_columns(scans)
        problems = [scan.problems for scan in scans]
        coverage, statistics = self.inspection.results() if self.inspection else (None, None)
        result = CheckResult(
            meter.id,
            POWER_AND_ENERGY if meter.rules.power_from_energy else kept(columns),
            tuple(scan.checked_file for scan in scans),
            rows=sum(scan.checked_file.rows for scan in scans),
            filtered=sum(scan.checked_file.empty_rows for scan in scans),
            notices=tuple(_notices(meter, scans, columns, self.trace)),
            settled=self.settled.part if self.settled else None,
            coverage=coverage,
            statistics=statistics,
        )
        reader = MeterReader(meter, result.checked_files, Window())
        try:
            if any(of_file.count for of_file in problems):
                if self.settled:
                    raise NotSettledError
                conflicts = reader.find_conflicts(repeated_hours=not folds.misfits)
                for of_file, others in zip(problems, conflicts, strict=True):
                    of_file.include(others)
                return result.with_problems(problems)
            if not self._is_padded(result, reader, has_begun):
                self.meter, result = meter.unpadded, replace(result, is_padded=False)
            return self._in_time(result, scans, start)
        except FileChangedError as error:
            changed = Problems(str(meter.files[0]))
            changed.add_first("file changed", str(error))
            return result.with_problems([changed])

    def _is_padded(
        self, result: CheckResult, reader: MeterReader, has_begun: HasBegun | None
    ) -> bool:
        """Return False if the stream has begun without the padding packet of the rules."""
        if self.settled:
            return self.settled.is_padded
        if has_begun is None or not pads(self.meter.rules):
            return True
        first_two = list(islice(reader.rows(), 2))
        return len(first_two) < 2 or not has_begun(result.registers, *first_two)

    def _scan(self, index: int, path: Path) -> FileScan:
        """Check one file, or its part after what is settled."""
        follower = _Followers(self.inspection, self.trace)
        is_last = index == len(self.meter.files) - 1
        at_last_block = self._keep if is_last and self.window.is_open else None
        rules = self.meter.rules
        if index >= len(self.known):
            return scan_file(CsvFile(path, rules.encoding), rules, index, follower, at_last_block)
        known = self.known[index]
        scan = scan_rest(path, rules, index, known, follower=follower, at_last_block=at_last_block)
        if index < len(self.known) - 1 and (scan.lowest is not None or scan.next != known.next):
            # Rows of an earlier file come before those of later ones that were followed already.
            raise NotSettledError
        return scan

    def _keep(self, scan: FileScan) -> None:
        """Keep what was found before the last block, if the next check can begin there."""
        is_later = not self.known or len(self.known) < len(self.meter.files)
        if is_later or scan.next != self.known[-1].next:
            self.before_last = scan, pickle.dumps(self.trace)

    def _start(
        self, scans: Sequence[FileScan], folds: Sequence[Mapping[int, bytes]]
    ) -> tuple[FileScan, ...]:
        """Return the scans of the rows before the last block, with the folds of repeated hours."""
        if self.before_last is None:
            return ()
        start = [*scans[:-1], self.before_last[0]]
        return tuple(map(with_folds, start, folds))

    def _in_time(
        self, result: CheckResult, scans: Sequence[FileScan], start: tuple[FileScan, ...]
    ) -> CheckResult:
        """Complete the result of sound files with the findings in order of time.

        The rows are read once more, unless the scans have shown everything already.
        """
        meter, window = self.meter, self.window
        tracker = self.inspection.tracker if self.inspection else None
        newest = last_of(start)
        reader = MeterReader(
            meter, result.checked_files, window, settled=result.settled, border=newest
        )
        inspection = None
        is_simple = is_strict(result.checked_files) and window.is_open
        # The scans followed the rows in the order of the files and at the times of the CSV. Gaps
        # and counter resets are in the order and at the times of the packets.
        are_gaps_known = tracker is None or (
            tracker.is_settled
            and Shift(meter.rules).is_none
            and not cumulative_registers(meter, result.registers)
            and not (self.with_values and meter.rules.power_from_energy)
        )
        if is_simple and are_gaps_known:
            reader = MeterReader(meter, result.checked_files, window)
            ends = _ends(reader.sent(first_and_last(scans)))
        elif tracker is None:
            ends = _ends(reader.rows())
            if self.settled:
                ends = (self.settled.head, *ends[-1:])
        else:
            step = tracker.commonest if is_simple and tracker.is_forward else None
            interval = meter.rules.interval or (step and step / 1000)
            reader, inspection, ends = self._inspect(result, interval)
            tracker = inspection.tracker
            coverage, statistics = inspection.results()
            result = replace(result, coverage=coverage, statistics=statistics)
        if any(problems.count for problems in reader.conflicts):
            return result.with_problems(reader.conflicts)
        if inspection and any(problems.count for problems in inspection.resets.problems):
            return result.with_problems(inspection.resets.problems)
        dropped = reader.dropped
        instants = result.rows - result.filtered - dropped.repeats
        notices = [*result.notices, *_notices_in_time(meter, reader, instants)]
        if inspection is not None:
            notices += inspection.resets.notices()
        if found := inspection or self.inspection:
            counters = cumulative_registers(meter, result.registers)
            notices += found.stuck.notices(meter.id, result.registers, counters)
        falls = inspection.resets.falls() if inspection else {}
        steps_back = sum(scan.steps_back for scan in scans)
        return replace(
            result,
            rows=result.rows + (pads(meter.rules) and instants >= 2),
            filtered=result.filtered + dropped.repeats + dropped.outside,
            ends=ends,
            notices=tuple(notices),
            state=self._state(start, newest, reader.dropped, ends, is_padded=result.is_padded),
            quality=quality(tracker, dropped.repeats, steps_back, falls) if tracker else None,
        )

    def _inspect(
        self, result: CheckResult, interval: float | None
    ) -> tuple[MeterReader, SentInspection, tuple[Row, ...]]:
        """Read all rows, with ``interval`` in seconds for the gaps; None is that of the first rows.

        Returns also the reader, and the first and the last row.
        """
        meter = self.meter
        while True:
            reader = MeterReader(meter, result.checked_files, self.window)
            inspection = SentInspection(
                meter, result.registers, interval, with_values=self.with_values
            )
            ends = _ends(inspection.through(reader.rows()))
            tracker = inspection.tracker
            if tracker.is_settled or tracker.commonest is None:
                return reader, inspection, ends
            # The first rows have another interval than most rows: read all once more.
            interval = tracker.commonest / 1000

    def _state(
        self,
        start: tuple[FileScan, ...],
        newest: int | None,
        dropped: Dropped,
        ends: tuple[Row, ...],
        *,
        is_padded: bool,
    ) -> bytes | None:
        """Return the state of the check before the last block; None if it is of no use."""
        if self.before_last is None or newest is None:
            return None
        files = [scan.checked_file for scan in start]
        packets = sum(file.rows - file.empty_rows for file in files) - dropped.early
        # The padding packet has the values of the second row.
        if packets < 1 + pads(self.meter.rules):
            return None
        packets += pads(self.meter.rules)
        part = SettledPart(
            file=len(start) - 1,
            end=start[-1].next,
            newest=newest,
            packets=packets,
            repeats=dropped.early,
            first_repeat=dropped.first_repeat if dropped.early else "",
        )
        return CheckState(start, self.before_last[1], ends[0], is_padded, part).dumps()


def _notices(
    meter: Meter, scans: Sequence[FileScan], columns: tuple[str, ...], trace: Trace | None
) -> Iterator[str]:
    """Yield the notices about single files, and about the meter's zone."""
    yield from chain.from_iterable(scan.notices() for scan in scans)
    for path in meter.files:
        yield from skipped_notices(path, meter.rules, len(columns))
    yield from zone_check.notices(meter.id, meter.rules, trace)
    for path, scan in zip(meter.files, scans, strict=True):
        kinds = {problem.kind for problem in scan.problems.found}
        if scan.checked_file.first is None and not kinds.isdisjoint(_OF_THE_FORM):
            yield (
                f"{meter.id}: no row of {path.name} matches the settings: 'swarm init' with this "
                "file proposes delimiter, decimal, timestamp_format, columns and skip_rows for it"
            )


_OF_THE_FORM: frozenset[Kind] = frozenset({"cells", "header", "number", "timestamp"})


def _notices_in_time(meter: Meter, reader: MeterReader, instants: int) -> Iterator[str]:
    """Yield the notices about repeated rows and the padding packet, given the count of instants."""
    repeats, first = reader.dropped.repeats, reader.dropped.first_repeat
    if repeats:
        where = f"; the first repeat is {first}" if first else ""
        yield (
            f"{meter.id}: {pluralize(repeats, 'row')} with the same time as another row: "
            f"one of each is sent{where}"
        )
    if meter.rules.pad_first and not pads(meter.rules):
        yield f"{meter.id}: pad_first without shift: no extra packet is sent before the first"
    elif meter.rules.pad_first and instants < 2:
        yield f"{meter.id}: pad_first: no second row, so no extra packet is sent before the first"


def _ends(rows: Iterator[Row]) -> tuple[Row, ...]:
    """Return the first and the last row, after reading all of them."""
    first = next(rows, None)
    if first is None:
        return ()
    last = deque(rows, maxlen=1)
    return (first, last[0] if last else first)
