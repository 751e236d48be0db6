"""Blocks of a CSV -> rows: the rules of "The CSV" in docs/reference.md for single rows."""

from collections.abc import Mapping
from operator import add, itemgetter
from typing import NamedTuple

from swarm.config.settings import CsvRules
from swarm.csv.cells import CellReader, split_cells
from swarm.csv.days import NoSingleOffset
from swarm.csv.file import Block
from swarm.csv.folds.occurrences import Recorder, Replay
from swarm.csv.numbers import POWER_AND_ENERGY, power_and_energy
from swarm.csv.plain import Plain, PlainBlocks
from swarm.csv.problems import Problems
from swarm.csv.source import encoding_of_lines
from swarm.csv.timestamps import Caches, Moment, TimestampReader
from swarm.csv.values import ValueReader, kept
from swarm.packet import body, digest
from swarm.text import quoted

#: A timestamp has at least this number of digits, the name of a column fewer.
_DIGITS_OF_A_TIME = 6
#: Blanks and a quote before the text of a line's first cell.
_BEFORE_TEXT = b' \t"'


class Row(NamedTuple):
    """One row: instant and offset in ms, values as JSON numbers separated by commas.

    ``file`` is the index of its file among the meter's, ``text`` the CSV's own line.
    """

    instant: int
    offset: int
    cells: str
    file: int
    line: int
    text: str


class Batch:
    """Rows of a file, in its order; ``instants`` are their instants (ms)."""

    def __init__(self, rows: list[Row]) -> None:
        self.instants = [row.instant for row in rows]
        self._rows = rows

    @property
    def size(self) -> int:
        """The number of rows."""
        return len(self.instants)

    @property
    def columns(self) -> int:
        """The number of cells of each row, 0 without rows."""
        return self._rows[0].cells.count(",") + 1 if self._rows else 0

    @property
    def offset(self) -> int | None:
        """The offset (ms) of all rows, less than a day apart; None if there are several."""
        offsets = {row.offset for row in self._rows}
        return offsets.pop() if len(offsets) == 1 else None

    def walls(self) -> list[int]:
        """Return the local time (ms) of each row."""
        return [row.instant + row.offset for row in self._rows]

    def moment(self, index: int) -> Moment:
        """Return instant and offset (ms) of one of the rows, counted from 0."""
        return self._rows[index][:2]

    def cells_of(self, index: int) -> str:
        """Return the cells of one of the rows, counted from 0."""
        return self._rows[index].cells

    def cells(self) -> list[str]:
        """Return the cells of each row."""
        return [row.cells for row in self._rows]

    def all_cells(self) -> str:
        """Return the cells of all rows in turn, with commas between them."""
        return ",".join(self.cells())

    def row(self, index: int) -> Row:
        """Return one of the rows, counted from 0."""
        return self._rows[index]

    def rows(self) -> list[Row]:
        """Return the rows."""
        return self._rows


class _PlainBatch(Batch):
    """The rows of a plain block: they are made when they are asked for."""

    def __init__(
        self, instants: list[int], plain: Plain, offsets: Mapping[str, int], file: int, line: int
    ) -> None:
        self.instants = instants
        self._plain = plain.rows
        self._text = plain.text
        self._offsets = offsets
        self._file = file
        self._line = line

    @property
    def columns(self) -> int:
        return self._plain[0][2].count(",") + 1 if self._plain else 0

    @property
    def offset(self) -> int | None:
        if not self._plain:
            return None
        # There is at most one change of clocks in a day.
        first, last = (self._offsets[self._plain[index][0]] for index in (0, -1))
        return first if first == last else None

    def walls(self) -> list[int]:
        offsets = [self._offsets[date] for date, _, _ in self._plain]
        return list(map(add, self.instants, offsets))

    def moment(self, index: int) -> Moment:
        return self.instants[index], self._offsets[self._plain[index][0]]

    def cells_of(self, index: int) -> str:
        return self._plain[index][2]

    def cells(self) -> list[str]:
        return [cells for _, _, cells in self._plain]

    def all_cells(self) -> str:
        return ",".join(map(itemgetter(2), self._plain))

    def row(self, index: int) -> Row:
        date, _, cells = self._plain[index]
        return Row(
            self.instants[index],
            self._offsets[date],
            cells,
            self._file,
            self._line + index,
            self._text(index),
        )

    def rows(self) -> list[Row]:
        return list(map(self.row, range(len(self.instants))))


class RowReader:
    """Reads the blocks of one file, in order, and adds its problems.

    ``rows`` is the number of lines with data, ``empty_rows`` the number of those left out as they
    have no value. ``hours`` reads rows of repeated hours; by default, provisionally.
    ``columns`` are the registers of the file's columns, if earlier blocks have shown them.
    """

    def __init__(
        self,
        rules: CsvRules,
        problems: Problems,
        file: int = 0,
        hours: Recorder | Replay | None = None,
        columns: tuple[str, ...] | None = None,
    ) -> None:
        self.rows = 0
        self.empty_rows = 0
        self._hours = hours or Recorder()
        self._times = TimestampReader(rules, problems, self._hours)
        self._rules = rules
        self._problems = problems
        self._file = file
        codec, prefixes = encoding_of_lines(rules.encoding), rules.skip_prefixes or ()
        self._prefixes = tuple(prefix.encode(codec, "replace") for prefix in prefixes)
        self._cells = CellReader(rules, problems)
        self._values = ValueReader(rules, problems)
        self._plain = PlainBlocks(rules, self._values.candidates)
        self._values.columns = columns
        self._is_head = columns is None

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The registers of the file's columns, None before the first row."""
        return self._values.columns

    def read(self, block: Block) -> Batch:
        """Return a block's rows, in the order of the file."""
        plain = self._plain.read(block, self.columns)
        limits = self._values.limits
        if plain is not None and (not limits.are_set or limits.are_kept(*plain.cells())):
            first = plain.rows[0] if plain.rows else ("", "", "")
            caches = self._times.caches(*first[:2], plain.tail)
            if caches is not None:
                return self._read_plain(block.line, plain, caches)
        rows = []
        for line, raw in enumerate(block.data.split(b"\n"), block.line):
            if line > self._rules.skip_rows and raw.strip() and not self._is_left_out(raw):
                row = self._line(line, raw.removesuffix(b"\r"))
                if row is not None:
                    rows.append(row)
        return Batch(rows)

    def _is_left_out(self, raw: bytes) -> bool:
        """Return True if a line begins with one of ``skip_prefixes``."""
        return bool(self._prefixes) and raw.lstrip(_BEFORE_TEXT).startswith(self._prefixes)

    def _read_plain(self, first: int, plain: Plain, caches: Caches) -> Batch:
        """Return the rows of a plain block; ``first`` is its first line."""
        self._values.columns = plain.columns
        self._is_head = False
        self.rows += len(plain.rows)
        file, times = self._file, self._times
        days, offsets, clocks, _ = caches
        try:
            instants = [days[date] + clocks[clock] for date, clock, _ in plain.rows]
        except (NoSingleOffset, ValueError):
            # The clocks change on one of the days, or the day does not exist.
            rows = []
            for index, (date, clock, cells) in enumerate(plain.rows):
                line = first + index
                moment = times.moment_of(line, date, clock, caches)
                if moment is not None:
                    rows.append(Row(*moment, cells, file, line, plain.text(index)))
                    self._record_values(cells)
            return Batch(rows)
        if instants:
            ends = (offsets[plain.rows[index][0]] for index in (0, -1))
            times.note(*map(add, (instants[0], instants[-1]), ends))
        return _PlainBatch(instants, plain, offsets, file, first)

    def _line(self, line: int, raw: bytes) -> Row | None:
        """Return the row of one line, or add all problems of the line."""
        self.rows += 1
        before = self._problems.count
        text = self._cells.text(line, raw)
        cells = None if text is None else self._cells.cells(line, text)
        if text is None or cells is None:
            return None
        self._is_head = self._is_head and self._is_header(cells)
        if self._is_head:
            self._problems.add(line, 1, "header", _HEADER.format(quoted(cells[0]), line))
            return None
        if not self._values.fits(line, cells):
            return None
        stamp, others = split_cells(cells, self._rules.timestamp_columns)
        moment = self._times.moment(line, stamp)
        values = self._values.values(line, others)
        if values is None and self._rules.empty_rows == "skip":
            self.empty_rows += 1
        elif values is None:
            self._problems.add(line, self._values.place(0), "no value", _NO_VALUE)
        if moment is None or values is None or self._problems.count > before:
            return None
        self._record_values(values)
        return Row(*moment, values, self._file, line, text)

    def _is_header(self, cells: list[str]) -> bool:
        """Return True if a line before all data has the names of the columns."""
        first, others = split_cells(cells, self._rules.timestamp_columns)
        if not any(character.isalpha() for cell in cells for character in cell):
            return False
        if sum(character.isdigit() for character in first) >= _DIGITS_OF_A_TIME:
            return False
        return self._times.parsed(first) is None and not any(map(self._values.is_number, others))

    def _record_values(self, cells: str) -> None:
        """Record the values of a row of a repeated hour, as its packet has them."""
        if not self._hours.is_open:
            return
        registers = kept(self.columns or ())
        minutes = self._rules.power_from_energy
        if minutes:
            registers, cells = POWER_AND_ENERGY, power_and_energy(cells, minutes)
        self._hours.note_digest(digest(body(registers, cells)))


_HEADER = (
    "a header line: found {}, expected the file to begin with data; remove it, or set "
    "skip_rows = {}"
)
_NO_VALUE = (
    "a row without any value: found empty cells, expected at least one number; "
    "empty_rows = skip leaves such rows out"
)
