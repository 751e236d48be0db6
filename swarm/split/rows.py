"""The lines of an export -> the rows of each meter, with every cell as it is written.

A chunk of regular lines is split as a whole. Any other chunk is read line by line, which reports
each problem at its place.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import add, itemgetter, methodcaller

from swarm.config.settings import CsvRules
from swarm.csv.cells import CellReader
from swarm.csv.file import LONGEST_LINE
from swarm.csv.problems import Problems
from swarm.split.layout import Layout, id_problem
from swarm.split.source import Chunk
from swarm.text import pluralize, quoted

#: The rows of each meter by its ID, without line ends.
Rows = Mapping[str, Sequence[str]]
#: The characters around the content of a cell: an empty cell may be blank or quoted.
_AROUND = ' \t"'
_BLANKS = " \t"
_content: Callable[[str], str] = methodcaller("strip", _AROUND)


class RowSplitter:
    """The splitter of the rows of one file; problems are added to ``problems``."""

    def __init__(self, layout: Layout, problems: Problems) -> None:
        self._layout = layout
        self._delimiter = layout.delimiter
        self._problems = problems
        self._reader = CellReader(CsvRules(None, delimiter=layout.delimiter), problems)
        mark = re.escape(layout.delimiter)
        # Cells that are quoted as a whole, or not at all, with no delimiter and no quote inside.
        self._plain_quotes = re.compile(
            rf'(?:(?:"[^"\n{mark}]*+"|[^"\n{mark}]*+)(?:[\n{mark}]|\Z))*+'
        )
        blanks = f"[{_BLANKS.replace(layout.delimiter, '')}]*+"
        self._cell = re.compile(rf'({blanks}"(?:[^"]++|"")*+"{blanks}|[^{mark}]*+)({mark}|\Z)')
        #: The ID of each cell that names a meter, as it is written.
        self._ids: dict[str, str] = {}
        order = (*layout.stamps, *layout.values)
        self._pick = itemgetter(*order) if layout.by is not None else None

    def split(self, chunk: Chunk) -> Rows:
        """Return the rows of a chunk by meter, each meter's in the order of the lines."""
        rows = self._split_regular(chunk)
        return self._split_lines(chunk) if rows is None else rows

    def _split_regular(self, chunk: Chunk) -> Rows | None:
        """Return the rows of a chunk whose lines are all regular, else None."""
        text, layout = chunk.text, self._layout
        if chunk.line <= layout.skip_rows or "\0" in text:
            return None
        if '"' in text and not self._plain_quotes.fullmatch(text):
            return None
        rows = [line.split(self._delimiter) for line in text.split("\n")]
        if set(map(len, rows)) != {layout.width}:
            return None
        if not all(_content(row[at]) for at in layout.stamps for row in rows):
            return None
        if layout.by is not None:
            return self._long(rows, [row[layout.by] for row in rows])
        columns = list(zip(*rows, strict=True))
        return self._wide(self._stamps(columns), columns)

    def _stamps(self, columns: Sequence[Sequence[str]]) -> Sequence[str]:
        """Return the timestamps; date and time in two columns become one cell."""
        if len(self._layout.stamps) == 1:
            return columns[self._layout.stamps[0]]
        parts = zip(*(columns[at] for at in self._layout.stamps), strict=True)
        return [_joined(each) for each in parts]

    def _wide(self, stamps: Sequence[str], columns: Sequence[Sequence[str]]) -> Rows:
        begins = [stamp + self._delimiter for stamp in stamps]
        found: dict[str, Sequence[str]] = {}
        for at, meter in self._layout.meters:
            column = columns[at]
            if all(map(_content, column)):
                found[meter] = list(map(add, begins, column))
            elif texts := [a + b for a, b in zip(begins, column, strict=True) if _content(b)]:
                found[meter] = texts
        return found

    def _long(self, rows: list[list[str]], keys: Sequence[str]) -> Rows | None:
        by_key: dict[str, list[str]] = defaultdict(list)
        for key, text in zip(keys, self._joined_rows(rows), strict=True):
            by_key[key].append(text)
        found: dict[str, list[str]] = {}
        for key, texts in by_key.items():
            meter = self._ids.get(key) or self._id_of(key)
            if id_problem(meter):
                return None
            self._ids[key] = meter
            if meter in found:
                return None  # one ID in two spellings: the order of lines is to be kept
            found[meter] = texts
        return found

    def _joined_rows(self, rows: list[list[str]]) -> Iterator[str]:
        pick, join = self._pick, self._delimiter.join
        assert pick is not None  # noqa: S101 - the file is long
        if len(self._layout.stamps) == 1:
            return map(join, map(pick, rows))
        return (join(self._with_stamp(row)) for row in rows)

    def _with_stamp(self, row: Sequence[str]) -> list[str]:
        """Return the cells of a row of a long file, with the timestamp as one cell."""
        stamps, values = self._layout.stamps, self._layout.values
        stamp = row[stamps[0]] if len(stamps) == 1 else _joined([row[at] for at in stamps])
        return [stamp, *(row[at] for at in values)]

    def _id_of(self, cell: str) -> str:
        """Return the ID that a cell holds."""
        cells = self._reader.cells(0, cell)
        return cells[0] if cells and len(cells) == 1 else ""

    def _split_lines(self, chunk: Chunk) -> Rows:
        """Return the rows of a chunk, and report its problems."""
        found: dict[str, list[str]] = defaultdict(list)
        layout, skipped = self._layout, self._layout.skip_rows
        for number, line in enumerate(chunk.text.split("\n"), chunk.line):
            if number <= skipped or not line.strip():
                continue
            cells = self._cells(number, line)
            if cells is None or not self._is_sound(number, cells):
                continue
            if layout.by is not None:
                meter = self._ids.get(cells[layout.by]) or self._id_of(cells[layout.by])
                if not meter:
                    message = "no ID of a meter: found an empty cell, expected an ID"
                    self._problems.add(number, layout.by + 1, "cells", message)
                elif reason := id_problem(meter):
                    self._problems.add(number, layout.by + 1, "cells", reason)
                else:
                    found[meter].append(self._delimiter.join(self._with_stamp(cells)))
            else:
                stamps = [cells[at] for at in layout.stamps]
                begin = (stamps[0] if len(stamps) == 1 else _joined(stamps)) + self._delimiter
                for at, meter in layout.meters:
                    if _content(cells[at]):
                        found[meter].append(begin + cells[at])
        return found

    def _cells(self, number: int, line: str) -> list[str] | None:
        """Return the cells of a line as they are written; None, and a problem, if it has one."""
        if "\0" in line:
            column = line.count(self._delimiter, 0, line.index("\0")) + 1
            self._problems.add(number, column, "nul", "a NUL byte: found 0x00, expected text")
            return None
        if len(line) > LONGEST_LINE:
            message = f"a line of more than {LONGEST_LINE:,} characters: expected rows"
            self._problems.add(number, 1, "line", message)
            return None
        if '"' not in line:
            return line.split(self._delimiter)
        if self._reader.cells(number, line) is None:
            return None
        cells: list[str] = []
        start, delimiter = 0, self._delimiter
        while delimiter and (match := self._cell.match(line, start)):
            cell, delimiter = match.groups()
            cells.append(cell)
            start = match.end()
        return cells

    def _is_sound(self, number: int, cells: Sequence[str]) -> bool:
        """Return True if a row is one to write; report a problem of its cells."""
        layout = self._layout
        if not any(map(_content, cells)):
            return False  # the empty rows below a table
        if len(cells) != layout.width:
            message = (
                f"{pluralize(len(cells), 'cell')}: found {quoted(self._delimiter.join(cells))}, "
                f"expected {layout.width}"
            )
            self._problems.add(number, min(len(cells), layout.width) + 1, "cells", message)
            return False
        for at in layout.stamps:
            if not _content(cells[at]):
                message = "no timestamp: found an empty cell, expected a timestamp"
                self._problems.add(number, at + 1, "timestamp", message)
                return False
        return True


def _joined(parts: Sequence[str]) -> str:
    """Return the parts of a timestamp as one cell, which needs no quotes."""
    return " ".join(map(_content, parts))
