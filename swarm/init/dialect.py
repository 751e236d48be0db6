"""Detect the layout of a CSV from its first part: delimiter, decimal sign, header, cells."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from swarm.config.settings import CsvRules
from swarm.csv.cells import CellReader
from swarm.csv.file import reason
from swarm.csv.problems import Problems
from swarm.csv.skipped import is_like_data
from swarm.csv.source import READ_ERRORS, OpenSource
from swarm.csv.timestamp_formats import forms
from swarm.csv.values import ValueReader
from swarm.errors import GuessError
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
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Dialect:
    """The layout of a CSV's lines.

    ``rows`` are the cells of the first rows, including the timestamp. ``header`` has the names of
    the cells, or is empty. ``numeric`` is True for a measurement column of numbers, None if all its
    cells are empty. ``fit`` (0..1) is the share of cells that are numbers. ``damaged`` is the
    number and the text of the line before the rows, if that looks like a row itself.
    """

    delimiter: str
    decimal: str
    skip_rows: int
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool | None, ...]
    fit: float
    damaged: tuple[int, str] | None = None


def detect_dialect(path: Path) -> Dialect:
    """Return the layout of a file; raises `GuessError` if it can't be read or has no rows."""
    try:
        with OpenSource(path) as file:
            data = file.read(SAMPLE_BYTES)
    except READ_ERRORS as error:
        raise GuessError(reason(error)) from None
    if b"\0" in data:
        raise GuessError("a file with NUL bytes: expected text in UTF-8")
    if len(data) == SAMPLE_BYTES:
        # The sample ends in the middle of a line.
        data = data[: data.rfind(b"\n") + 1]
        if not data:
            raise GuessError(f"a line of more than {SAMPLE_BYTES:,} bytes: expected rows")
    text = data.removeprefix(_BOM).decode("utf-8", "replace")
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    dialects = [dialect for marks in _MARKS if (dialect := _read(lines, *marks))]
    if dialects:
        return max(dialects, key=lambda dialect: dialect.fit)
    first = next((line for line in lines if line.strip()), "")
    if not first:
        raise GuessError("the file is empty: found no rows, expected at least one")
    raise GuessError(
        f"no line that begins with a timestamp and a value after it: the first is {quoted(first)}, "
        "expected lines such as 2023-01-31 10:15:00,12.5"
    )


def _read(lines: Sequence[str], delimiter: str, decimal: str) -> Dialect | None:
    """Return the layout with a delimiter and decimal sign; None if no line is a row of data."""
    rules = CsvRules(timezone=None, delimiter=delimiter, decimal=decimal)
    header = []
    for before, cells in _cells(lines[:_MOST_HEADER], rules):
        if _is_data(cells):
            break
        header.append((before, cells))
    else:
        return None
    rows = tuple(tuple(cells) for _, cells in _cells(lines[before:], rules))
    widths = Counter(len(cells) for cells in rows[:_PROBES] if _is_data(cells))
    width = widths.most_common(1)[0][0]
    rows = tuple(cells for cells in rows if len(cells) == width)
    is_number = ValueReader(rules, Problems("")).is_number
    columns = [
        [is_number(cell) for cell in column if cell]
        for column in islice(zip(*rows[:_ROWS], strict=True), 1, None)
    ]
    # Up to half of a column may be wrong: `swarm check` reports such cells.
    numeric = (2 * sum(column) >= len(column) if column else None for column in columns)
    is_row = [is_like_data(cells, width, rules) for _, cells in header]
    names = [cells for (_, cells), is_damaged in zip(header, is_row, strict=True) if not is_damaged]
    damaged = header[-1][0] if is_row and is_row[-1] else None
    return Dialect(
        delimiter,
        decimal,
        before if header else 0,
        tuple(names[-1]) if names and len(names[-1]) == width else (),
        rows,
        tuple(numeric),
        sum(map(sum, columns)) / (sum(map(len, columns)) or 1),
        None if damaged is None else (damaged + 1, lines[damaged]),
    )


def _cells(lines: Sequence[str], rules: CsvRules) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each line that is not blank, with the number of lines before it."""
    reader = CellReader(rules, Problems(""))
    for before, line in enumerate(lines):
        if line.strip():
            yield before, reader.cells(before + 1, line) or [line]


def _is_data(cells: Sequence[str]) -> bool:
    return len(cells) > 1 and bool(forms(cells[0]))
