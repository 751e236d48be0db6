"""One file, checked row by row in its own order."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from operator import lt

from swarm.config.paths import is_pattern
from swarm.config.settings import CsvRules
from swarm.csv.file import READ_ERRORS, CsvFile, reason
from swarm.csv.folds.direction import Part, Steps
from swarm.csv.folds.occurrences import Hour, Recorder, Run
from swarm.csv.gaps import Follower
from swarm.csv.problems import Problems
from swarm.csv.reader import CheckedFile
from swarm.csv.rows import Batch, Row, RowReader
from swarm.text import closest, comment_hint, pluralize, suggestion


@dataclass(frozen=True)
class FileScan:
    """The facts that a check has of one file; ``start`` are its first two rows, ``end`` its last.

    ``steps`` counts the steps from row to row, ``steps_back`` those back in time. ``runs`` are the
    rows of repeated hours, which all else here takes as they are read provisionally; ``walls`` are
    the wall times of the file's first and last row.
    """

    span: CheckedFile
    problems: Problems
    columns: tuple[str, ...] | None = None
    start: tuple[Row, ...] = ()
    end: Row | None = None
    steps: int = 0
    steps_back: int = 0
    is_held_back: bool = False
    runs: tuple[Run, ...] = ()
    walls: tuple[int | None, int | None] = (None, None)

    def part(self, hour: Hour) -> Part:
        """Return what tells how the file's rows of an hour are read."""
        back = self.steps_back - sum(run.steps_back(run.readings) for run in self.runs)
        forward = self.steps - self.steps_back
        for run in self.runs:
            forward -= run.steps - run.steps_back(run.readings)
        return Part(
            tuple(run for run in self.runs if run.hour == hour),
            *self.walls,
            Steps(max(forward, 0), max(back, 0)),
        )

    def read_as(self, readings: Mapping[int, bytes]) -> "FileScan":
        """Return the scan with its rows of repeated hours read so."""
        span = replace(self.span, readings=readings)
        decided = list(_by_run(self.runs, readings))
        if all(run.readings == read for run, read in decided):
            return replace(self, span=span)
        more_back = sum(
            run.steps_back(read) - run.steps_back(run.readings) for run, read in decided
        )
        instants = [instant for run, read in decided for instant in run.instants(read)]
        span = replace(
            span,
            first=span.first if span.first is None else min(span.first, *instants),
            last=span.last if span.last is None else max(span.last, *instants),
            in_order=not self.steps_back + more_back,
            strict=False,
        )
        return replace(self, span=span)

    def notices(self) -> Iterator[str]:
        """Yield what the user should know of the file, one line each."""
        path = self.problems.file
        if self.is_held_back:
            yield (
                f"{path}: the last line has no newline and the file changed less than 10 s "
                "ago: that line waits for the next run"
            )
        if self.steps_back:
            rows = pluralize(self.steps_back, "row")
            yield f"{path}: {rows} out of order: put in order before sending"
        if self.span.empty_rows:
            yield f"{path}: {pluralize(self.span.empty_rows, 'row')} without any value: left out"


def scan_file(file: CsvFile, rules: CsvRules, index: int, pace: Follower | None = None) -> FileScan:
    """Check one file, the meter's ``index``-th; ``pace`` follows its rows in its own order."""
    problems = Problems(str(file.path))
    recorder = Recorder()
    reader = RowReader(rules, problems, index, recorder)
    track = _Track()
    try:
        for block in file.blocks():
            batch = reader.read(block)
            track.follow(batch)
            if pace is not None:
                pace.follow(batch)
    except READ_ERRORS as error:
        where = file.path.absolute()
        problems.add_first(
            "file", f"{_why(file, error)}; expected a readable CSV at {where}{_advice(file)}"
        )
        return FileScan(CheckedFile(rows=reader.rows), problems)
    if not (reader.rows or problems.count or file.held_back):
        problems.add_first("file", "the file is empty: found no rows, expected at least one")
    return FileScan(
        track.span(file, reader),
        problems,
        reader.columns,
        tuple(track.start),
        track.end(),
        track.steps,
        track.steps_back,
        file.held_back,
        tuple(recorder.runs),
        (recorder.first, recorder.last),
    )


def _by_run(runs: tuple[Run, ...], readings: Mapping[int, bytes]) -> Iterator[tuple[Run, bytes]]:
    """Yield each run with its part of the readings."""
    place = dict.fromkeys(readings, 0)
    for run in runs:
        begin = place[run.hour.start]
        place[run.hour.start] = end = begin + len(run.walls)
        yield run, readings[run.hour.start][begin:end]


def _why(file: CsvFile, error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and is_pattern(str(file.path)):
        return "no such file, and none that matches"
    return reason(error)


def _advice(file: CsvFile) -> str:
    hint = comment_hint(file.path.name)
    if hint:
        return f"; {hint} in an INI"
    if file.path.exists():
        return ""
    with suppress(OSError):
        # A file of another number, as of another month, is not meant.
        others = [path.name for path in file.path.parent.iterdir()]
        same = [name for name in others if _digits(name) == _digits(file.path.name)]
        return suggestion(closest(file.path.name, same, _ALIKE))
    return ""


def _digits(name: str) -> str:
    return "".join(filter(str.isdigit, name))


#: As alike as a file's name has to be, to be meant.
_ALIKE = 0.8


@dataclass
class _Track:
    """The way of a file's rows through time."""

    first: int | None = None
    last: int | None = None
    is_strict: bool = True
    steps: int = 0
    steps_back: int = 0
    start: list[Row] = field(default_factory=list)
    newest: Batch | None = None
    previous: int | None = None

    def follow(self, batch: Batch) -> None:
        """Take note of a block's rows."""
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
        self.first = low if self.first is None else min(low, self.first)
        self.last = high if self.last is None else max(high, self.last)
        self.previous = instants[-1]
        self.newest = batch
        if len(self.start) < 2:
            self.start += batch.rows()[: 2 - len(self.start)]

    def end(self) -> Row | None:
        """Return the last row."""
        return self.newest.rows()[-1] if self.newest else None

    def span(self, file: CsvFile, reader: RowReader) -> CheckedFile:
        """Return what the sending pass has to know."""
        return CheckedFile(
            file.fingerprint(),
            reader.rows,
            reader.empty_rows,
            self.first,
            self.last,
            in_order=not self.steps_back,
            strict=self.is_strict,
        )
