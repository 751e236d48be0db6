"""The first part of a CSV -> how its lines are laid out: delimiter, decimal, header, cells."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from swarm.config.settings import CsvRules
from swarm.csv.cells import CellReader
from swarm.csv.file import READ_ERRORS, open_csv, reason
from swarm.csv.problems import Problems
from swarm.csv.skipped import is_like_data
from swarm.csv.timestamp_formats import forms
from swarm.csv.values import ValueReader
from swarm.errors import GuessError
from swarm.text import quoted

#: How much of a file is looked at, unpacked.
SAMPLE_BYTES = 256 * 1024
#: How many rows tell what numbers look like.
_ROWS = 1000
#: Data begin within so many lines.
_MOST_HEADER = 200
#: How many rows tell how many cells they have.
_PROBES = 100
#: What may stand between cells, with the decimal sign, the likeliest first.
_MARKS = tuple((d, p) for d in ",;\t|" for p in ".," if d != p)
_BOM, _UTF16 = b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Dialect:
    """The layout of a CSV's lines.

    ``rows`` are the cells of the first rows, timestamp included; ``header`` are the names over
    them, empty where there are none. ``numeric`` tells of each measurement column whether it holds
    numbers: None where all its cells are empty. ``fit`` (0..1) is the share of cells that do.
    ``damaged`` is the line ahead of the rows, number and text, if it looks like one of them.
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
    """Return how a file is laid out; raises `GuessError` with the reason if that can't be told."""
    lines = _lines(path)
    found = [each for marks in _MARKS if (each := _read(lines, *marks))]
    if found:
        return max(found, key=lambda each: each.fit)
    first = next((line for line in lines if line.strip()), "")
    if not first:
        raise GuessError("the file is empty: found no rows, expected at least one")
    raise GuessError(
        f"no line that begins with a timestamp and a value after it: the first is {quoted(first)}, "
        "expected lines such as 2023-01-31 10:15:00,12.5"
    )


def _lines(path: Path) -> list[str]:
    """Return the whole lines at a file's beginning."""
    try:
        with open_csv(path) as file:
            data = file.read(SAMPLE_BYTES)
    except READ_ERRORS as error:
        raise GuessError(reason(error)) from None
    if data.startswith(_UTF16):
        raise GuessError("a file in UTF-16: expected text in UTF-8")
    if b"\0" in data:
        raise GuessError("a file with NUL bytes: expected text in UTF-8")
    if len(data) == SAMPLE_BYTES:
        data = data[: data.rfind(b"\n") + 1]
        if not data:
            raise GuessError(f"a line of more than {SAMPLE_BYTES:,} bytes: expected rows")
    lines = data.removeprefix(_BOM).decode("utf-8", "replace").split("\n")
    return [line.removesuffix("\r") for line in lines]


def _read(lines: Sequence[str], delimiter: str, decimal: str) -> Dialect | None:
    """Return the layout under a delimiter and decimal sign; None if no line is a row of data."""
    rules = CsvRules(timezone=None, delimiter=delimiter, decimal=decimal)
    rows = list(_cells(lines[:_MOST_HEADER], rules))
    start = next((at for at, (_, cells) in enumerate(rows) if _is_data(cells)), None)
    if start is None:
        return None
    skipped = rows[start][0]
    data = tuple(tuple(cells) for _, cells in _cells(lines[skipped:], rules))
    widths = Counter(len(cells) for cells in data[:_PROBES] if _is_data(cells))
    width = widths.most_common(1)[0][0]
    data = tuple(cells for cells in data if len(cells) == width)
    numeric, fit = _numbers(data[:_ROWS], rules)
    ahead = rows[:start]
    like_data = [is_like_data(cells, width, rules) for _, cells in ahead]
    names = [cells for (_, cells), is_row in zip(ahead, like_data, strict=True) if not is_row]
    before = names[-1] if names else []
    last = ahead[-1][0] if like_data and like_data[-1] else None
    return Dialect(
        delimiter,
        decimal,
        skipped if start else 0,
        tuple(before) if len(before) == width else (),
        data,
        numeric,
        fit,
        None if last is None else (last + 1, lines[last]),
    )


def _cells(lines: Sequence[str], rules: CsvRules) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of each line that holds any, with the number of lines ahead of it."""
    reader = CellReader(rules, Problems(""))
    for ahead, line in enumerate(lines):
        if line.strip():
            yield ahead, reader.cells(ahead + 1, line) or [line]


def _is_data(cells: Sequence[str]) -> bool:
    return len(cells) > 1 and bool(forms(cells[0]))


def _numbers(
    rows: Sequence[Sequence[str]], rules: CsvRules
) -> tuple[tuple[bool | None, ...], float]:
    """Return for each measurement column whether it holds numbers, and the share of cells."""
    is_number = ValueReader(rules, Problems("")).is_number
    columns = [
        [is_number(cell) for cell in column if cell]
        for column in islice(zip(*rows, strict=True), 1, None)
    ]
    found = sum(map(sum, columns))
    all_cells = sum(map(len, columns)) or 1
    # A few cells that are none are for the check to find.
    numeric = (2 * sum(column) >= len(column) if column else None for column in columns)
    return tuple(numeric), found / all_cells
