"""One file, checked row by row in its own order."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from operator import lt

from swarm.csvfile import READ_ERRORS, CsvFile, reason
from swarm.csvrows import Batch, Row, RowReader
from swarm.csvtimes import Counted
from swarm.filenames import is_pattern
from swarm.localtime import DAY_MS
from swarm.pace import Follower
from swarm.problems import Problems, comment_hint
from swarm.settings import CsvRules
from swarm.timeorder import Span


@dataclass(frozen=True)
class Scan:
    """What a check saw of one file; ``start`` are its first two rows, ``end`` its last.

    ``steps_back`` are the rows that are earlier than the one before them, ``counted`` the wall
    times of a repeated hour that only their count can read.
    """

    span: Span
    problems: Problems
    columns: tuple[str, ...] | None = None
    start: tuple[Row, ...] = ()
    end: Row | None = None
    steps_back: int = 0
    notices: tuple[str, ...] = ()
    counted: tuple[Counted, ...] = ()


def scan(file: CsvFile, rules: CsvRules, index: int, pace: Follower | None = None) -> Scan:
    """Check one file, the meter's ``index``-th; ``pace`` follows its rows in its own order."""
    problems = Problems(str(file.path))
    reader = RowReader(rules, problems, index)
    track = _Track()
    try:
        for block in file.blocks():
            batch = reader.read(block)
            track.follow(batch)
            if pace is not None:
                pace.follow(batch)
    except READ_ERRORS as error:
        where = file.path.absolute()
        problems.lead(
            "file", f"{_why(file, error)}; expected a readable CSV at {where}{_advice(file)}"
        )
        return Scan(Span(rows=reader.rows), problems)
    reader.times.end()
    if not (reader.rows or problems.count or file.held_back):
        problems.lead("file", "the file is empty: found no rows, expected at least one")
    return Scan(
        track.span(file, reader),
        problems,
        reader.columns,
        tuple(track.start),
        track.end(),
        track.steps_back,
        tuple(_notices(file, reader, track)),
        tuple(reader.times.counted()),
    )


def _why(file: CsvFile, error: Exception) -> str:
    if isinstance(error, FileNotFoundError) and is_pattern(str(file.path)):
        return "no such file, and none that matches"
    return reason(error)


def _advice(file: CsvFile) -> str:
    hint = comment_hint(file.path.name)
    return f"; {hint} in an INI" if hint else ""


@dataclass
class _Track:
    """The way of a file's rows through time."""

    first: int | None = None
    last: int | None = None
    is_strict: bool = True
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

    def span(self, file: CsvFile, reader: RowReader) -> Span:
        """Return what the sending pass has to know."""
        counted = reader.times.repeated.counted()
        # What the count decides was read in another way just now: hours away at most.
        room = DAY_MS if counted else 0
        return Span(
            file.checked(),
            reader.rows,
            reader.empty_rows,
            None if self.first is None else self.first - room,
            None if self.last is None else self.last + room,
            in_order=not self.steps_back and not counted,
            strict=self.is_strict and not counted,
            counted=counted,
        )


def _notices(file: CsvFile, reader: RowReader, track: _Track) -> Iterator[str]:
    if file.held_back:
        yield (
            f"{file.path}: the last line has no newline and the file changed less than 10 s "
            "ago: that line waits for the next run"
        )
    if track.steps_back:
        yield f"{file.path}: {track.steps_back} rows out of order: put in order before sending"
    if reader.empty_rows:
        yield f"{file.path}: {reader.empty_rows} rows without any value: left out"
