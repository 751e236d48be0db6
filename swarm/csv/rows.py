"""Blocks of a CSV -> rows: the rules of "The CSV" in docs/reference.md for a row by itself."""

from collections.abc import Callable
from operator import add
from typing import NamedTuple

from swarm.config.settings import CsvRules
from swarm.csv import numbers
from swarm.csv.cells import CellReader
from swarm.csv.days import NoSingleOffset
from swarm.csv.file import Block
from swarm.csv.folds.occurrences import Recorder, Replay
from swarm.csv.plain import Plain, PlainBlocks
from swarm.csv.problems import Problems
from swarm.csv.timestamps import TimestampReader
from swarm.csv.values import ValueReader, kept
from swarm.packet import body, digest
from swarm.text import quoted

#: A timestamp has at least so many digits, the name of a column fewer.
_DIGITS_OF_A_TIME = 6


class Row(NamedTuple):
    """One row: instant and offset in ms, values as JSON numbers parted by commas.

    ``file`` is the number of its file among the meter's, ``text`` the CSV's own line.
    """

    instant: int
    offset: int
    cells: str
    file: int
    line: int
    text: str


class Batch(NamedTuple):
    """A block's rows: the instants at once, the rest when it is asked for."""

    instants: list[int]
    rows: Callable[[], list[Row]]


class RowReader:
    """Reads the blocks of one file, in order; counts ``rows``, notes problems.

    ``rows`` are the lines that hold data, ``empty_rows`` those of them that are left out; ``hours``
    reads the rows of repeated hours, provisionally if it is left out.
    """

    def __init__(
        self,
        rules: CsvRules,
        problems: Problems,
        file: int = 0,
        hours: Recorder | Replay | None = None,
    ) -> None:
        self.rows = 0
        self.empty_rows = 0
        self._hours = hours or Recorder()
        self.times = TimestampReader(rules, problems, self._hours)
        self._rules = rules
        self._problems = problems
        self._file = file
        self._cells = CellReader(rules, problems)
        self._numbers = ValueReader(rules, problems)
        self._plain = PlainBlocks(rules, self._numbers.candidates)
        self._is_head = True

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The file's columns, once a row has told."""
        return self._numbers.columns

    def read(self, block: Block) -> Batch:
        """Return a block's rows, in the order of the file."""
        plain = self._plain.read(block, self.columns)
        if plain is None:
            return _batch(self._by_line(block))
        self._numbers.columns = plain.columns
        self._is_head = False
        self.rows += len(plain.rows)
        return self._fast(block.line, plain)

    def _fast(self, line: int, plain: Plain) -> Batch:
        days, clocks = self.times.days, self.times.clocks
        try:
            instants = [days[date] + clocks[clock] for date, clock, _ in plain.rows]
        except (NoSingleOffset, ValueError):
            return _batch(self._by_clock(line, plain))
        if instants:
            offsets = (self.times.offsets[plain.rows[place][0]] for place in (0, -1))
            first, last = map(add, (instants[0], instants[-1]), offsets)
            self._hours.note_outside(first, last)
        return Batch(instants, lambda: self._plain_rows(line, plain, instants))

    def _plain_rows(self, line: int, plain: Plain, instants: list[int]) -> list[Row]:
        make, offsets, file = Row._make, self.times.offsets, self._file
        return [
            make((instant, offsets[date], cells, file, place, f"{date} {clock},{cells}"))
            for place, (instant, (date, clock, cells)) in enumerate(
                zip(instants, plain.rows, strict=True), line
            )
        ]

    def _by_clock(self, line: int, plain: Plain) -> list[Row]:
        """Read a plain block that touches a clock change, or a day that no calendar has."""
        rows = []
        for place, (date, clock, cells) in enumerate(plain.rows, line):
            moment = self.times.standard(place, date, clock)
            if moment is not None:
                rows.append(Row(*moment, cells, self._file, place, f"{date} {clock},{cells}"))
                self._note(cells)
        return rows

    def _by_line(self, block: Block) -> list[Row]:
        lines = block.data.split(b"\n")
        rows = []
        for place, raw in enumerate(lines, block.line):
            if place > self._rules.skip_rows and raw.strip():
                row = self._line(place, raw.removesuffix(b"\r"))
                if row is not None:
                    rows.append(row)
        return rows

    def _line(self, line: int, raw: bytes) -> Row | None:
        """Read one line, in such a way that all of its problems are told."""
        self.rows += 1
        before = self._problems.count
        text = self._cells.text(line, raw)
        cells = None if text is None else self._cells.cells(line, text)
        if text is None or cells is None or not self._fits(line, cells):
            return None
        moment = self.times.moment(line, cells[0])
        values = self._numbers.values(line, cells[1:])
        if values is None:
            self._empty(line)
        if moment is None or values is None or self._problems.count > before:
            return None
        self._note(values)
        return Row(*moment, values, self._file, line, text)

    def _note(self, cells: str) -> None:
        """Note the values of a row of a repeated hour, as they are to be sent."""
        if not self._hours.is_open:
            return
        registers = kept(self.columns or ())
        minutes = self._rules.power_from_energy
        if minutes:
            registers, cells = numbers.REGISTERS, numbers.cells(cells, minutes)
        self._hours.note_digest(digest(body(registers, cells)))

    def _empty(self, line: int) -> None:
        if self._rules.empty_rows == "skip":
            self.empty_rows += 1
        else:
            self._numbers.no_value(line)

    def _fits(self, line: int, cells: list[str]) -> bool:
        self._is_head = self._is_head and self._is_header(cells)
        if self._is_head:
            self._problems.add(line, 1, "header", _HEADER.format(quoted(cells[0]), line))
            return False
        return self._numbers.fits(line, cells)

    def _is_header(self, cells: list[str]) -> bool:
        """Tell whether a line ahead of all data names the columns."""
        first, *others = cells
        if not any(character.isalpha() for cell in cells for character in cell):
            return False
        if sum(character.isdigit() for character in first) >= _DIGITS_OF_A_TIME:
            return False
        return self.times.parsed(first) is None and not any(map(self._numbers.is_number, others))


_HEADER = (
    "a header line: found {}, expected the file to begin with data; remove it, or set "
    "skip_rows = {}"
)


def _batch(rows: list[Row]) -> Batch:
    return Batch([row.instant for row in rows], lambda: rows)
