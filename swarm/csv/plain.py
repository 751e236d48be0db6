"""The fast path: a block of plain rows, parsed by one regular expression.

Most files contain only timestamps in the default format and plain numbers. `swarm.csv.rows` reads
a block with anything else (blanks, quotes, other settings, unusual numbers, problems) line by line.
"""

import re
from typing import NamedTuple

from swarm.config.settings import DEFAULT_TIMESTAMP, CsvRules
from swarm.csv.days import CLOCK, DATE
from swarm.csv.file import Block
from swarm.csv.numbers import PLAIN_NUMBER
from swarm.packet import REGISTERS, VALUE

_CELL = rf"(?:{PLAIN_NUMBER}|)"
# All cells are written out, which is a third faster than a repeated group.
_CELLS = ",".join([_CELL] * len(REGISTERS))
_PLAIN = {
    (VALUE,): re.compile(rf"^{DATE} {CLOCK},({PLAIN_NUMBER})\r?\n", re.MULTILINE),
    REGISTERS: re.compile(rf"^{DATE} {CLOCK},(?!,+\r?$)({_CELLS})\r?\n", re.MULTILINE),
}


#: Date, clock time and cells of a row.
PlainRow = tuple[str, str, str]


class Plain(NamedTuple):
    """The rows of a plain block, and the registers in them."""

    columns: tuple[str, ...]
    rows: list[PlainRow]


class PlainBlocks:
    """Parses plain blocks under the rules of one meter."""

    def __init__(self, rules: CsvRules, candidates: tuple[tuple[str, ...], ...]) -> None:
        self._skipped = rules.skip_rows
        self._has_default_rules = (
            rules.timestamp_format == DEFAULT_TIMESTAMP
            and (rules.delimiter, rules.decimal) == (",", ".")
            and not rules.scale
        )
        self._candidates = tuple(columns for columns in candidates if columns in _PLAIN)

    def read(self, block: Block, columns: tuple[str, ...] | None) -> Plain | None:
        """Return the rows of a block, or None if any of its lines is not plain.

        ``columns`` are those of the file's earlier rows, None before the first row.
        """
        if not self._has_default_rules or block.line <= self._skipped or not block.data.isascii():
            return None
        text = block.data.decode("ascii")
        if not text.endswith("\n"):
            text += "\n"
        for candidate in self._candidates:
            if columns in {None, candidate}:
                rows = _PLAIN[candidate].findall(text)
                # A match contains exactly one line end: with one match a line, all lines are plain.
                if len(rows) == text.count("\n"):
                    return Plain(candidate, rows)
        return None
