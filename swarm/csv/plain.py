"""The fast path: a block of plain rows, parsed by one regular expression.

Most files contain only timestamps in the default format and plain numbers. `swarm.csv.rows` reads
a block with anything else (blanks, quotes, other settings, unusual numbers, problems) line by line.
"""

import re
from collections.abc import Sequence
from functools import cached_property

from swarm.config.settings import DEFAULT_TIMESTAMP, CsvRules
from swarm.csv.days import CLOCK, DATE
from swarm.csv.file import Block
from swarm.csv.numbers import PLAIN_NUMBER
from swarm.csv.source import is_ascii_compatible
from swarm.csv.values import kept

_CELL = rf"(?:{PLAIN_NUMBER}|)"
#: A cell that is not sent; quotes need a closer look.
_SKIPPED = r"[^,\"\r\n]*+"

#: Date, clock time and cells of a row.
PlainRow = tuple[str, str, str]


class Plain:
    """The rows of a plain block, and the registers in them.

    ``text`` is that of the block, empty if its lines are what the rows have.
    """

    def __init__(self, columns: tuple[str, ...], rows: list[PlainRow], text: str) -> None:
        self.columns = columns
        self.rows = rows
        self._text = text

    def cells(self) -> tuple[tuple[str, ...], list[str]]:
        """Return the columns of the file, and the cells of each row that are sent."""
        return self.columns, [cells for _, _, cells in self.rows]

    def text(self, index: int) -> str:
        """Return the line of a row, without its end."""
        if not self._text:
            # That of a row of the default form is its parts: the block need not be split.
            date, clock, cells = self.rows[index]
            return f"{date} {clock},{cells}"
        return self._lines[index]

    @cached_property
    def _lines(self) -> Sequence[str]:
        return self._text.replace("\r\n", "\n").split("\n")


class PlainBlocks:
    """Parses plain blocks under the rules of one meter.

    The timestamp is in one column, or its date and its clock in two adjacent ones. The columns that
    are sent are next to each other, in the order of the packet. A row that begins with a date has
    none of ``skip_prefixes``.
    """

    def __init__(self, rules: CsvRules, candidates: tuple[tuple[str, ...], ...]) -> None:
        self._skipped = rules.skip_rows
        first, *others = rules.timestamp_columns
        has_plain_rules = (
            rules.timestamp_format == DEFAULT_TIMESTAMP
            and (rules.delimiter, rules.decimal) == (",", ".")
            and not rules.scale
            and others in ([], [first + 1])
            and not (rules.skip_prefixes and first > 1)
            and is_ascii_compatible(rules.encoding)
        )
        self._patterns: dict[tuple[str, ...], re.Pattern[str]] = {}
        #: True for columns of which those that are sent are before the timestamp.
        self._is_before: dict[tuple[str, ...], bool] = {}
        for columns in candidates if has_plain_rules else ():
            sent = [index for index, name in enumerate(columns) if name != "-"]
            is_run = sent == list(range(sent[0], sent[-1] + 1))
            if not is_run or kept(columns) != columns[sent[0] : sent[-1] + 1]:
                continue
            if first <= len(columns) + 1 and not sent[0] + 1 < first <= sent[-1] + 1:
                self._is_before[columns] = sent[0] + 1 < first
                self._patterns[columns] = _pattern(columns, sent, first - 1, has_two=bool(others))
        self._is_default = rules.timestamp_columns == (1,) and not rules.missing
        self._missing: re.Pattern[str] | None = None
        if rules.missing:
            words = "|".join(map(re.escape, sorted(rules.missing, key=len, reverse=True)))
            cell = rf"(?:^|(?<=,))(?:{words})(?=,|\r?$)"
            self._missing = re.compile(cell, re.MULTILINE | re.IGNORECASE)

    def read(self, block: Block, columns: tuple[str, ...] | None) -> Plain | None:
        """Return the rows of a block, or None if any of its lines is not plain.

        ``columns`` are those of the file's earlier rows, None before the first row.
        """
        if not self._patterns or block.line <= self._skipped or not block.data.isascii():
            return None
        text = block.data.decode("ascii")
        if not text.endswith("\n"):
            text += "\n"
        found = text if self._missing is None else self._missing.sub("", text)
        for candidate, pattern in self._patterns.items():
            if columns in {None, candidate}:
                rows = pattern.findall(found)
                # A match contains exactly one line end: with one match a line, all lines are plain.
                if len(rows) == found.count("\n"):
                    if self._is_before[candidate]:
                        rows = [(date, clock, cells) for cells, date, clock in rows]
                    is_whole = self._is_default and "-" not in candidate
                    return Plain(candidate, rows, "" if is_whole else text)
        return None


def _pattern(
    columns: tuple[str, ...], sent: list[int], before: int, *, has_two: bool
) -> re.Pattern[str]:
    """Return the pattern of a row; date, clock and the cells that are ``sent`` are its groups.

    ``before`` columns are before the timestamp. All cells are written out, which is a third faster
    than a repeated group.
    """
    parts = [_SKIPPED] * len(columns)
    if len(sent) == 1:
        cells = f"({PLAIN_NUMBER})"
    else:
        # Not all of them are empty.
        empty = rf"(?!,{{{len(sent) - 1}}}(?:,|\r?$))"
        cells = f"{empty}({','.join([_CELL] * len(sent))})"
    parts[sent[0] : sent[-1] + 1] = [cells, *[""] * (len(sent) - 1)]
    stamp = f"{DATE}{',' if has_two else ' '}{CLOCK}"
    row = ",".join(part for part in [*parts[:before], stamp, *parts[before:]] if part)
    return re.compile(rf"^{row}\r?\n", re.MULTILINE)
