"""Find lines among and after the data of a CSV that are no rows: repeated headers, footers."""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from swarm.config.csv_parsers import skip_prefixes
from swarm.csv.cells import CellReader
from swarm.csv.file import LONGEST_LINE
from swarm.csv.guessed_formats import moment
from swarm.csv.problems import Problems
from swarm.csv.source import READ_ERRORS, OpenSource
from swarm.init.dialect import Dialect
from swarm.init.stamps import stamp_of
from swarm.init.writer import Setting, is_writable
from swarm.text import pluralize, quoted

#: The number of lines at the end of a file that are looked at.
_LINES = 30
#: The text of a line that is the same in the next export: without numbers, and of one cell.
_STABLE = re.compile(r'[^\d,"]{1,40}')

#: The number of a line, from 1, and its text.
_Line = tuple[int, str]


class ExtraLines(NamedTuple):
    """The setting that leaves lines out, if there is one, and a note about others; or empty."""

    setting: Setting | None
    note: str


def find(path: Path, dialect: Dialect, form: str) -> ExtraLines:
    """Return what to do about lines of a file that are no rows.

    ``form`` is the format of the timestamps.
    """
    heads: list[bytes] = []
    repeated: list[tuple[int, bytes]] = []
    last: deque[tuple[int, bytes]] = deque(maxlen=_LINES)
    try:
        with OpenSource(path, dialect.encoding.name) as file:
            for number, raw in enumerate(iter(partial(file.readline, LONGEST_LINE), b""), 1):
                if number <= dialect.skip_rows:
                    heads += [raw] if raw.strip() else []
                    continue
                last.append((number, raw))
                if heads and raw == heads[-1]:
                    repeated.append((number, raw))
    except READ_ERRORS:
        return ExtraLines(None, "")
    lines = [*repeated, *_footer(last, dialect, form)]
    texts = {number: _text(number, raw, dialect) for number, raw in lines}
    return _extra(sorted(texts.items()), dialect)


def _text(number: int, raw: bytes, dialect: Dialect) -> str:
    return CellReader(dialect.rules, Problems("")).text(number, raw.rstrip(b"\r\n")) or ""


def _footer(
    last: Sequence[tuple[int, bytes]], dialect: Dialect, form: str
) -> Iterator[tuple[int, bytes]]:
    """Yield the lines after the last row, the last one first; none if there is no row."""
    reader = CellReader(dialect.rules, Problems(""))
    found: list[tuple[int, bytes]] = []
    for number, raw in reversed(last):
        text = _text(number, raw, dialect)
        if not text.strip():
            continue
        cells = reader.cells(number, text) or [text]
        if len(cells) == dialect.width and moment(stamp_of(cells, dialect.stamps), form):
            yield from found
            return
        found.append((number, raw))


def _extra(lines: Sequence[_Line], dialect: Dialect) -> ExtraLines:
    """Return what to do about lines."""
    prefixes: dict[str, None] = {}
    left_out, others = [], []
    for line in lines:
        if prefix := _prefix(line[1], dialect):
            prefixes[prefix] = None
            left_out.append(line)
        else:
            others.append(line)
    setting = None
    if prefixes:
        doubt = f"{_listed(left_out)}: no row of data, and left out"
        setting = Setting("skip_prefixes", ", ".join(prefixes), doubt)
    told = f"{_listed(others)}: no row of data; 'swarm check' rejects it: remove it from the file"
    return ExtraLines(setting, told if others else "")


def _prefix(text: str, dialect: Dialect) -> str:
    """Return the beginning of a line that tells it from the rows; empty if there is none."""
    match = _STABLE.match(text.lstrip(' \t"').partition(dialect.delimiter)[0])
    if not match or not is_writable(text):
        return ""
    prefix = match[0].strip()
    if len(prefix) < 2 and prefix.isalpha():
        # It may be a wrong letter in the date of a row.
        return ""
    is_row = 1 not in dialect.stamps and any(row[1].startswith(prefix) for row in dialect.rows)
    with suppress(ValueError):
        if not is_row and skip_prefixes(prefix) == (prefix,):
            return prefix
    return ""


def _listed(lines: Sequence[_Line]) -> str:
    """Return the first of several lines, and the number of the others."""
    if not lines:
        return ""
    number, text = lines[0]
    more = f" and {pluralize(len(lines) - 1, 'other line')}" if lines[1:] else ""
    return f"line {number}{more} ({quoted(text.strip())})"
