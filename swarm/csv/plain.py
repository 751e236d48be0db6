"""The fast path: a block of plain rows, parsed by one regular expression.

Most files contain only timestamps of one form and plain numbers. `swarm.csv.rows` reads a block
with anything else (blanks, quotes, unusual numbers, problems) line by line.
"""

import re
from collections.abc import Sequence
from functools import cached_property

from swarm.config.settings import DEFAULT_TIMESTAMP, CsvRules
from swarm.csv.file import Block
from swarm.csv.numbers import plain_number
from swarm.csv.source import is_ascii_compatible
from swarm.csv.split_format import SplitFormat, split_format
from swarm.csv.values import kept

#: Date, time of day and cells of a row.
PlainRow = tuple[str, str, str]

#: The largest number of tails with patterns of their own.
_MOST_TAILS = 8


class Plain:
    """The rows of a plain block, and the registers in them.

    The cells of a row are JSON numbers, separated by commas. ``tail`` is the text after the time of
    day, the same in all rows. ``text`` is that of the block, empty if its lines are what the rows
    have.
    """

    def __init__(
        self, columns: tuple[str, ...], rows: list[PlainRow], tail: str, text: str
    ) -> None:
        self.columns = columns
        self.rows = rows
        self.tail = tail
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

    The timestamp is in one column, or its date and its time of day in two adjacent ones. The
    columns that are sent are next to each other, in the order of the packet. A row that begins with
    a digit has none of ``skip_prefixes``.
    """

    def __init__(self, rules: CsvRules, candidates: tuple[tuple[str, ...], ...]) -> None:
        self._rules = rules
        first = rules.timestamp_columns[0]
        split = split_format(rules.timestamp_format)
        self._split = split if split and _has_plain_cells(rules, split) else None
        #: The pattern of a row for each tail, by the columns.
        self._patterns: dict[tuple[str, ...], dict[str, re.Pattern[str]]] = {}
        #: True for columns of which those that are sent are before the timestamp.
        self._is_before: dict[tuple[str, ...], bool] = {}
        for columns in candidates if self._split else ():
            sent = [index for index, name in enumerate(columns) if name != "-"]
            is_run = sent == list(range(sent[0], sent[-1] + 1))
            if not is_run or kept(columns) != columns[sent[0] : sent[-1] + 1]:
                continue
            if first <= len(columns) + 1 and not sent[0] + 1 < first <= sent[-1] + 1:
                self._is_before[columns] = sent[0] + 1 < first
                self._patterns[columns] = {}
        is_comma, is_point = rules.delimiter == ",", rules.decimal == "."
        self._is_default = (
            (rules.timestamp_format, rules.timestamp_columns) == (DEFAULT_TIMESTAMP, (1,))
            and is_comma
            and is_point
            and not rules.missing
        )
        #: Replaces the marks of the file by those of JSON numbers separated by commas.
        self._marks = str.maketrans({rules.delimiter: ",", rules.decimal: "."})
        self._has_marks = not (is_comma and is_point)
        self._missing: re.Pattern[str] | None = None
        if rules.missing:
            words = "|".join(map(re.escape, sorted(rules.missing, key=len, reverse=True)))
            mark = re.escape(rules.delimiter)
            cell = rf"(?:^|(?<={mark}))(?:{words})(?={mark}|\r?$)"
            self._missing = re.compile(cell, re.MULTILINE | re.IGNORECASE)

    def read(self, block: Block, columns: tuple[str, ...] | None) -> Plain | None:
        """Return the rows of a block, or None if any of its lines is not plain.

        ``columns`` are those of the file's earlier rows, None before the first row.
        """
        if not self._patterns or block.line <= self._rules.skip_rows or not block.data.isascii():
            return None
        text = block.data.decode("ascii")
        if not text.endswith("\n"):
            text += "\n"
        found = text if self._missing is None else self._missing.sub("", text)
        for candidate in self._patterns:
            if columns in {None, candidate}:
                tail = self._tail(candidate, found)
                rows = [] if tail is None else self._pattern(candidate, tail).findall(found)
                # A match contains exactly one line end: with one match a line, all lines are plain.
                if tail is not None and len(rows) == found.count("\n"):
                    return self._plain(candidate, rows, tail, text)
        return None

    def _plain(self, columns: tuple[str, ...], rows: list[PlainRow], tail: str, text: str) -> Plain:
        """Return a plain block of what a pattern has found."""
        if self._is_before[columns]:
            rows = [(date, clock, cells) for cells, date, clock in rows]
        if self._has_marks:
            marks = self._marks
            rows = [(date, clock, cells.translate(marks)) for date, clock, cells in rows]
        is_whole = self._is_default and "-" not in columns
        return Plain(columns, rows, tail, "" if is_whole else text)

    def _tail(self, columns: tuple[str, ...], text: str) -> str | None:
        """Return the text after the time of day in the first row; None if that is not plain."""
        if not (self._split and self._split.tail):
            return ""
        any_tail = rf"([^{re.escape(self._rules.delimiter)}\"\r\n]*)"
        match = _row(self._rules, self._split, columns, any_tail).match(text)
        return match[3 + self._is_before[columns]] if match else None

    def _pattern(self, columns: tuple[str, ...], tail: str) -> re.Pattern[str]:
        """Return the pattern of a row with a tail."""
        patterns = self._patterns[columns]
        if tail not in patterns and self._split:
            if len(patterns) >= _MOST_TAILS:
                patterns.clear()
            patterns[tail] = _row(self._rules, self._split, columns, re.escape(tail))
        return patterns[tail]


def _has_plain_cells(rules: CsvRules, split: SplitFormat) -> bool:
    """Return True if cells can be told apart in the bytes of a line, without a closer look."""
    first, *others = rules.timestamp_columns
    literals = re.sub("%.", "", split.date + split.clock + split.tail)
    if others:
        has_places = others == [first + 1] and split.joint == " "
    else:
        has_places, literals = True, literals + split.joint
    return (
        has_places
        and not {rules.delimiter, '"'} & set(literals)
        and not rules.scale
        and not (rules.skip_prefixes and (first > 1 or split.date[:2] in {"%b", "%B"}))
        and is_ascii_compatible(rules.encoding)
    )


def _row(
    rules: CsvRules, split: SplitFormat, columns: tuple[str, ...], tail: str
) -> re.Pattern[str]:
    """Return the pattern of a row; date, time of day and the cells that are sent are its groups.

    ``tail`` is the pattern of what follows the time of day. All cells are written out, which is a
    third faster than a repeated group.
    """
    mark = re.escape(rules.delimiter)
    number = plain_number(rules.decimal)
    first, *others = rules.timestamp_columns
    sent = [index for index, name in enumerate(columns) if name != "-"]
    # A cell that is not sent; quotes and NUL bytes need a closer look.
    parts = [rf"[^{mark}\"\r\n\0]*+"] * len(columns)
    if len(sent) == 1:
        cells = f"({number})"
    else:
        # Not all of them are empty.
        empty = rf"(?!{mark}{{{len(sent) - 1}}}(?:{mark}|\r?$))"
        cells = f"{empty}({mark.join([f'(?:{number}|)'] * len(sent))})"
    parts[sent[0] : sent[-1] + 1] = [cells, *[""] * (len(sent) - 1)]
    joint = mark if others else re.escape(split.joint)
    stamp = f"({split.date_pattern}){joint}({split.clock_pattern}){tail}"
    before = first - 1
    row = mark.join(part for part in [*parts[:before], stamp, *parts[before:]] if part)
    return re.compile(rf"^{row}\r?\n", re.MULTILINE)
