"""Detect the layout of a CSV from its first part: encoding, delimiter, header, columns, cells."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from swarm.config.csv_parsers import thousands
from swarm.config.settings import CsvRules
from swarm.csv.cells import CellReader, split_cells
from swarm.csv.file import reason
from swarm.csv.problems import Problems
from swarm.csv.skipped import is_like_data
from swarm.csv.source import READ_ERRORS, UTF8, OpenSource
from swarm.csv.values import ValueReader
from swarm.errors import GuessError
from swarm.init import foreign, stamps
from swarm.init.encoding import Encoding, encoding_of
from swarm.init.words import is_grouped, is_missing
from swarm.text import quoted

#: The number of bytes that are read, after decompression.
SAMPLE_BYTES = 256 * 1024
#: The number of rows that are tested for numbers.
_ROWS = 1000
#: The number of lines in which the first row of data must be.
_MOST_HEADER = 200
#: The number of rows whose commonest number of cells is that of the file.
_PROBES = 100
#: The pairs of delimiter and decimal sign, the most likely first.
_MARKS = tuple((d, p) for d in ",;\t|" for p in ".," if d != p)
_THOUSANDS = (",", ".", "'", "space")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Dialect:
    """The layout of a CSV's lines.

    ``rows`` are the first rows: the timestamp, whose columns are ``stamps``, and the measurement
    cells. ``header`` has their names, or is empty. ``numeric`` is True for a measurement column of
    numbers, None if all its cells are empty. ``fit`` (0..1) is the share of cells that are numbers.
    ``thousands`` is the option of that name, empty if no number needs it.
    ``damaged`` is the number and the text of the line before the rows, if that looks like a row
    itself.
    """

    delimiter: str
    decimal: str
    skip_rows: int
    stamps: tuple[int, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool | None, ...]
    fit: float
    damaged: tuple[int, str] | None = None
    encoding: Encoding = field(default=Encoding(UTF8))
    thousands: str = ""

    @property
    def rules(self) -> CsvRules:
        """The rules for reading lines of this layout."""
        return CsvRules(
            timezone=None,
            delimiter=self.delimiter,
            decimal=self.decimal,
            thousands=thousands(self.thousands) if self.thousands else None,
            encoding=self.encoding.name,
            timestamp_columns=self.stamps,
        )

    @property
    def width(self) -> int:
        """The number of cells of a row."""
        return len(self.numeric) + len(self.stamps)


def detect_dialect(path: Path) -> Dialect:
    """Return the layout of a file; raises `GuessError` if it can't be read or has no rows."""
    encoding, text = _sample(path)
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    dialects = [dialect for marks in _MARKS if (dialect := _read(lines, *marks))]
    for delimiter, decimal in _MARKS:
        rules = CsvRules(timezone=None, delimiter=delimiter, decimal=decimal)
        if problem := stamps.by_day([cells for _, cells in _cells(lines[:_MOST_HEADER], rules)]):
            raise GuessError(problem)
    if dialects:
        found = max(dialects, key=lambda dialect: (dialect.fit, not dialect.thousands))
        return replace(found, encoding=encoding)
    first = next((line for line in lines if line.strip()), "")
    if not first:
        raise GuessError("the file is empty: found no rows, expected at least one")
    for delimiter, decimal in _MARKS:
        rules = CsvRules(timezone=None, delimiter=delimiter, decimal=decimal)
        if problem := stamps.refusal([cells for _, cells in _cells(lines[:_MOST_HEADER], rules)]):
            raise GuessError(problem)
    raise GuessError(
        f"no line that begins with a timestamp and a value after it: the first is {quoted(first)}, "
        "expected lines such as 2023-01-31 10:15:00,12.5"
    )


def _sample(path: Path) -> tuple[Encoding, str]:
    """Return the encoding and the text of the first part of a file; raises `GuessError`."""
    try:
        with OpenSource(path) as file:
            data = file.read(SAMPLE_BYTES)
    except READ_ERRORS as error:
        raise GuessError(reason(error)) from None
    foreign.refuse(data)
    encoding = encoding_of(data)
    text = data.removeprefix(_BOM).decode(encoding.name, "replace")
    if len(data) == SAMPLE_BYTES:
        # The sample ends in the middle of a line.
        text = text[: text.rfind("\n") + 1]
        if not text:
            raise GuessError(f"a line of more than {SAMPLE_BYTES:,} bytes: expected rows")
    return encoding, text


def _read(lines: Sequence[str], delimiter: str, decimal: str) -> Dialect | None:
    """Return the layout with a delimiter and decimal sign; None if no line is a row of data."""
    rules = CsvRules(timezone=None, delimiter=delimiter, decimal=decimal)
    head = list(_cells(lines[: 2 * _MOST_HEADER], rules))
    columns = stamps.find([cells for _, cells in head])
    if not columns:
        return None
    rules = replace(rules, timestamp_columns=columns)
    stamped = [cells for _, cells in head if stamps.is_stamped(cells, columns)]
    width = Counter(map(len, stamped[:_PROBES])).most_common(1)[0][0]
    header = []
    for before, cells in head:
        # In a line before the data, only the first cell is a time by mere chance.
        if stamps.is_stamped(cells, columns) and (columns[0] == 1 or len(cells) == width):
            break
        header.append((before, cells))
    if before >= _MOST_HEADER:
        return None
    rows = tuple(
        _arranged(cells, columns)
        for _, cells in _cells(lines[before:], rules)
        if len(cells) == width
    )
    filled = [
        [cell for cell in column if cell and not is_missing(cell)]
        for column in islice(zip(*rows[:_ROWS], strict=True), 1, None)
    ]
    mark, measured = _measured(filled, rules)
    # Up to half of a column may be wrong: `swarm check` reports such cells.
    numeric = (2 * sum(column) >= len(column) if column else None for column in measured)
    is_row = [is_like_data(cells, width, rules) for _, cells in header]
    names = [cells for (_, cells), is_damaged in zip(header, is_row, strict=True) if not is_damaged]
    damaged = header[-1][0] if is_row and is_row[-1] else None
    return Dialect(
        delimiter,
        decimal,
        before if header else 0,
        columns,
        _names(names, width, columns),
        rows,
        tuple(numeric),
        sum(map(sum, measured)) / (sum(map(len, measured)) or 1),
        None if damaged is None else (damaged + 1, lines[damaged]),
        thousands=mark,
    )


def _measured(
    columns: Sequence[Sequence[str]], rules: CsvRules
) -> tuple[str, Sequence[Sequence[bool]]]:
    """Return the option ``thousands`` that makes the most cells numbers, and which are numbers.

    The option is empty if no cell needs it.
    """
    plain = _numbers(columns, rules)
    grouped = any(
        is_grouped(cell) and not is_number
        for column, numbers in zip(columns, plain, strict=True)
        for cell, is_number in zip(column, numbers, strict=True)
    )
    readings = [("", plain)]
    for mark in _THOUSANDS if grouped else ():
        if mark != rules.decimal:
            with_mark = replace(rules, thousands=thousands(mark))
            readings.append((mark, _numbers(columns, with_mark)))
    return max(readings, key=lambda reading: sum(map(sum, reading[1])))


def _numbers(columns: Sequence[Sequence[str]], rules: CsvRules) -> Sequence[Sequence[bool]]:
    """Return for each cell of columns whether it is a number."""
    is_number = ValueReader(rules, Problems("")).is_number
    return [list(map(is_number, column)) for column in columns]


def _names(header: Sequence[Sequence[str]], width: int, columns: Sequence[int]) -> tuple[str, ...]:
    """Return the names of the columns: the last line before the data that names each, or any."""
    if not header or len(header[-1]) != width:
        return ()
    full = [cells for cells in header if len(cells) == width and all(cells)]
    return _arranged(full[-1] if full else header[-1], columns)


def _arranged(cells: Sequence[str], columns: Sequence[int]) -> tuple[str, ...]:
    """Return the timestamp of a row, and its measurement cells."""
    stamp, others = split_cells(cells, columns)
    return stamp, *others


def _cells(lines: Sequence[str], rules: CsvRules) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each line that is not blank, with the number of lines before it."""
    reader = CellReader(rules, Problems(""))
    for before, line in enumerate(lines):
        if line.strip():
            yield before, reader.cells(before + 1, line) or [line]
