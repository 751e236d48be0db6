"""One line of a CSV -> its cells, or problems."""

import re

from swarm.config.settings import CsvRules
from swarm.csv.file import LONGEST_LINE
from swarm.csv.problems import Problems
from swarm.text import quoted

_BLANKS = " \t"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class CellReader:
    """Decodes lines and splits them into cells, which may be quoted; blanks around are removed."""

    def __init__(self, rules: CsvRules, problems: Problems) -> None:
        self._problems = problems
        self._delimiter = rules.delimiter
        self._blanks = _BLANKS.replace(rules.delimiter, "")
        delimiter, blanks = re.escape(rules.delimiter), f"[{self._blanks}]*+"
        self._cell = re.compile(
            rf'{blanks}(?:"((?:[^"]++|"")*)"{blanks}|(?!")([^{delimiter}]*+))({delimiter}|\Z)'
        )

    def text(self, line: int, raw: bytes) -> str | None:
        """Return a line's text; None, and a problem, if it is not valid UTF-8 or too long."""
        if raw.startswith(_UTF16) and line == 1:
            self._problems.add(1, 1, "encoding", "a file in UTF-16: expected text in UTF-8")
            return None
        if (offset := raw.find(b"\0")) >= 0:
            message = "a NUL byte: found 0x00, expected text in UTF-8"
            self._problems.add(line, self._column(raw, offset), "nul", message)
            return None
        if len(raw) > LONGEST_LINE:
            self._problems.add(line, 1, "line", _TOO_LONG)
            return None
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            found = f"0x{raw[error.start]:02x}"
            message = f"bytes that are not UTF-8: found {found}, expected text in UTF-8"
            self._problems.add(line, self._column(raw, error.start), "encoding", message)
            return None

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


_TOO_LONG = f"a line of more than {LONGEST_LINE:,} bytes: expected each row on its own line"
_BAD_QUOTE = (
    "a quote that is not closed, or text after a closing quote: found {}, "
    "expected the quote to end in the same cell and line"
)
