"""Blocks of plain rows, read whole by one regular expression.

Most files are nothing but the usual timestamps and plain numbers. A block that holds anything else
(blanks, quotes, other settings, odd numbers, problems) goes line by line: `swarm.csv.rows`.
"""

import re
from typing import NamedTuple

from swarm.config.settings import DEFAULT_TIMESTAMP, CsvRules
from swarm.csv.days import CLOCK, DATE
from swarm.csv.file import Block
from swarm.csv.numbers import PLAIN_NUMBER
from swarm.packet import REGISTERS, VALUE

_CELL = rf"(?:{PLAIN_NUMBER}|)"
# Written out cell by cell: a third quicker than a repeated group.
_CELLS = ",".join([_CELL] * len(REGISTERS))
_PLAIN = {
    (VALUE,): re.compile(rf"^{DATE} {CLOCK},({PLAIN_NUMBER})\r?\n", re.MULTILINE),
    REGISTERS: re.compile(rf"^{DATE} {CLOCK},(?!,+\r?$)({_CELLS})\r?\n", re.MULTILINE),
}


class Plain(NamedTuple):
    """The rows of a plain block: date, clock time and cells of each; what the columns are."""

    columns: tuple[str, ...]
    rows: list[tuple[str, str, str]]


class PlainBlocks:
    """Finds out whether blocks are plain, under the rules of one meter."""

    def __init__(self, rules: CsvRules, candidates: tuple[tuple[str, ...], ...]) -> None:
        self._skipped = rules.skip_rows
        self._is_usual = (
            rules.timestamp_format == DEFAULT_TIMESTAMP
            and (rules.delimiter, rules.decimal) == (",", ".")
            and not rules.scale
        )
        self._candidates = tuple(columns for columns in candidates if columns in _PLAIN)

    def read(self, block: Block, columns: tuple[str, ...] | None) -> Plain | None:
        """Return the rows of a block, or None if any line of it is not plain.

        ``columns`` are those of the file's earlier rows.
        """
        if not self._is_usual or block.line <= self._skipped or not block.data.isascii():
            return None
        text = block.data.decode("ascii")
        if not text.endswith("\n"):
            text += "\n"
        for candidate in self._candidates:
            if columns in {None, candidate}:
                rows = _PLAIN[candidate].findall(text)
                # Each match takes exactly one line end: as many as lines leave nothing over.
                if len(rows) == text.count("\n"):
                    return Plain(candidate, rows)
        return None
