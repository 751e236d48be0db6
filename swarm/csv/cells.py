"""One line of a CSV -> its cells, or problems."""

import re

from swarm.config.settings import CsvRules
from swarm.csv.file import LONGEST_LINE
from swarm.csv.problems import Kind, Problems
from swarm.text import quoted

_BLANKS = " \t"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class CellReader:
    """Takes lines apart: encoding, delimiter, quotes; blanks around a cell do not count."""

    def __init__(self, rules: CsvRules, problems: Problems) -> None:
        self._problems = problems
        self._delimiter = rules.delimiter
        self._blanks = _BLANKS.replace(rules.delimiter, "")
        mark, blanks = re.escape(rules.delimiter), f"[{self._blanks}]*+"
        self._cell = re.compile(
            rf'{blanks}(?:"((?:[^"]++|"")*)"{blanks}|(?!")([^{mark}]*+))({mark}|\Z)'
        )

    def text(self, line: int, raw: bytes) -> str | None:
        """Return a line's text, or note the problem."""
        if raw.startswith(_UTF16) and line == 1:
            self._problems.add(1, 1, "encoding", "a file in UTF-16: expected text in UTF-8")
            return None
        if (place := raw.find(b"\0")) >= 0:
            self._problem(line, raw, place, "nul", "a NUL byte: found 0x00, expected text in UTF-8")
            return None
        if len(raw) > LONGEST_LINE:
            self._problems.add(line, 1, "line", _TOO_LONG)
            return None
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            found = f"0x{raw[error.start]:02x}"
            what = f"bytes that are not UTF-8: found {found}, expected text in UTF-8"
            self._problem(line, raw, error.start, "encoding", what)
            return None

    def cells(self, line: int, text: str) -> list[str] | None:
        """Return the cells of a line, or note the problem."""
        if '"' in text:
            return self._quoted(line, text)
        return [cell.strip(self._blanks) for cell in text.split(self._delimiter)]

    def _quoted(self, line: int, text: str) -> list[str] | None:
        cells: list[str] = []
        place, end = 0, self._delimiter
        while end:
            match = self._cell.match(text, place)
            if match is None:
                what = _BAD_QUOTE.format(quoted(text[place:].lstrip(self._blanks)))
                self._problems.add(line, len(cells) + 1, "quote", what)
                return None
            inner, plain, end = match.groups()
            cell = plain if inner is None else inner.replace('""', '"')
            cells.append(cell.strip(self._blanks))
            place = match.end()
        return cells

    def _problem(self, line: int, raw: bytes, place: int, kind: Kind, message: str) -> None:
        """Note a problem at a byte."""
        column = raw.count(self._delimiter.encode(), 0, place) + 1
        self._problems.add(line, column, kind, message)


_TOO_LONG = f"a line of more than {LONGEST_LINE:,} bytes: expected rows, each on a line of its own"
_BAD_QUOTE = (
    "an unterminated quote, or text after a closing one: found {}, "
    "expected a quote to end in its own cell and line"
)
