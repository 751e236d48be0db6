"""One line of a CSV -> its cells, or problems."""

import re
from collections.abc import Sequence
from contextlib import suppress

from swarm.config.settings import CsvRules
from swarm.csv.file import LONGEST_LINE
from swarm.csv.problems import Problems
from swarm.csv.source import REPLACED, UTF8, encoding_of_lines, is_ascii_compatible
from swarm.text import quoted

_BLANKS = " \t"
#: The encoding of most files that are not UTF-8.
_WINDOWS = "cp1252"


class CellReader:
    """Decodes lines and splits them into cells, which may be quoted; blanks around are removed."""

    def __init__(self, rules: CsvRules, problems: Problems) -> None:
        self._problems = problems
        self._name = rules.encoding
        self._is_converted = not is_ascii_compatible(rules.encoding)
        self._encoding = encoding_of_lines(rules.encoding)
        self._has_told = False
        self._delimiter = rules.delimiter
        self._blanks = _BLANKS.replace(rules.delimiter, "")
        delimiter, blanks = re.escape(rules.delimiter), f"[{self._blanks}]*+"
        self._cell = re.compile(
            rf'{blanks}(?:"((?:[^"]++|"")*)"{blanks}|(?!")([^{delimiter}]*+))({delimiter}|\Z)'
        )

    def text(self, line: int, raw: bytes) -> str | None:
        """Return a line's text; None, and a problem, if it can't be decoded or is too long.

        Of a file, only the first line that can't be decoded is told: the encoding is wrong.
        """
        if (offset := raw.find(b"\0")) >= 0:
            message = f"a NUL byte: found 0x00, expected text in {self._name.upper()}"
            self._problems.add(line, self._column(raw, offset), "nul", message)
            return None
        if len(raw) > LONGEST_LINE:
            self._problems.add(line, 1, "line", _TOO_LONG)
            return None
        try:
            text = raw.decode(self._encoding)
        except UnicodeDecodeError as error:
            self._tell_undecodable(line, raw, error.start, f"0x{raw[error.start]:02x}")
            return None
        if self._is_converted and REPLACED in text:
            offset = raw.index(REPLACED.encode())
            self._tell_undecodable(line, raw, offset, f"U+{ord(REPLACED):X} in their place")
            return None
        return text

    def _tell_undecodable(self, line: int, raw: bytes, offset: int, found: str) -> None:
        """Add the problem of the first line of the file that can't be decoded."""
        if not self._has_told:
            self._has_told = True
            name = self._name.upper()
            message = f"bytes that are not {name}: found {found}, expected text in {name}"
            advice = _advice(self._name, raw)
            self._problems.add(line, self._column(raw, offset), "encoding", f"{message}; {advice}")

    def _column(self, raw: bytes, offset: int) -> int:
        """Return the number of the cell, from 1, that has the byte at an offset."""
        return raw.count(self._delimiter.encode(), 0, offset) + 1

    def cells(self, line: int, text: str) -> list[str] | None:
        """Return the cells of a line; None, and a problem, if its quotes are wrong."""
        if '"' not in text:
            return [cell.strip(self._blanks) for cell in text.split(self._delimiter)]
        cells: list[str] = []
        start, delimiter = 0, self._delimiter
        while delimiter:
            match = self._cell.match(text, start)
            if match is None:
                message = _BAD_QUOTE.format(quoted(text[start:].lstrip(self._blanks)))
                self._problems.add(line, len(cells) + 1, "quote", message)
                return None
            inner, plain, delimiter = match.groups()
            cell = plain if inner is None else inner.replace('""', '"')
            cells.append(cell.strip(self._blanks))
            start = match.end()
        return cells


def split_cells(cells: Sequence[str], stamps: Sequence[int]) -> tuple[str, Sequence[str]]:
    """Return the timestamp of a row, and its measurement cells.

    ``stamps`` are the numbers of the cells, from 1, that make the timestamp, joined by blanks.
    """
    if stamps == (1,):
        return cells[0], cells[1:]
    stamp = " ".join(cells[number - 1] for number in stamps if number <= len(cells))
    return stamp, [cell for number, cell in enumerate(cells, 1) if number not in stamps]


def column_number(index: int, stamps: Sequence[int]) -> int:
    """Return the number, from 1, of a measurement cell (from 0) among all cells of a row.

    ``stamps`` are as in `split_cells`.
    """
    number = index + 1
    for stamp in sorted(stamps):
        number += stamp <= number
    return number


def _advice(encoding: str, raw: bytes) -> str:
    """Return what to do about a line that can't be decoded."""
    with suppress(UnicodeDecodeError):
        if encoding == UTF8 and (text := raw.decode(_WINDOWS).strip()).isprintable():
            return f"set encoding = {_WINDOWS} if this is the text: {quoted(text)}"
    return "'swarm init' with this file proposes an encoding"


_TOO_LONG = f"a line of more than {LONGEST_LINE:,} bytes: expected each row on its own line"
_BAD_QUOTE = (
    "a quote that is not closed, or text after a closing quote: found {}, "
    "expected the quote to end in the same cell and line"
)
