"""The layout of an export, from its first lines: delimiter, header, what each column holds."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from swarm.config.settings import CsvRules
from swarm.csv.cells import CellReader
from swarm.csv.guessed_formats import count_form, forms
from swarm.csv.problems import Problems
from swarm.csv.skipped import is_like_data
from swarm.init.writer import is_id
from swarm.split.source import DELIMITERS, Chunk
from swarm.text import pluralize, quoted

#: The number of lines in which the first row of data must be.
_MOST_HEADER = 200
#: The number of rows whose commonest number of cells is that of the file.
_PROBES = 100
_LINES = _MOST_HEADER + _PROBES
#: If the first lines have more characters, fewer of them are read.
_MOST_TEXT, _LONG_LINES = 1024 * 1024, 5
#: What ``--ids`` calls a column that is left out.
LEFT_OUT = "-"
_NONE = (0, 0)
_IDS = f"give the IDs with --ids; '{LEFT_OUT}' there leaves a column out"


@dataclass(frozen=True)
class Form:
    """The options that describe the files; None is to be detected.

    ``by`` is the number (from 1) or the name of the column that names the meter of a row: then the
    files are long. ``ids`` are the IDs of the columns of wide files. ``stamps`` are the numbers of
    the timestamp's columns, from 1.
    """

    by: str | None = None
    ids: tuple[str, ...] | None = None
    stamps: tuple[int, ...] | None = None
    delimiter: str | None = None
    encoding: str | None = None
    skip_rows: int | None = None


@dataclass(frozen=True)
class Layout:
    """The layout of one file; columns are counted from 0.

    The rows begin after ``skip_rows`` lines. ``by`` is the column that names the meter; without it,
    ``meters`` has the ID of each column of a meter. ``values`` are the columns of measurements of a
    long file, ``names`` their names, if the file has a header.
    """

    delimiter: str
    skip_rows: int
    width: int
    stamps: tuple[int, ...]
    by: int | None = None
    meters: tuple[tuple[int, str], ...] = ()
    values: tuple[int, ...] = ()
    names: tuple[str, ...] = ()


class _Line:
    """A line that is not blank, with the number of the lines before it."""

    def __init__(self, before: int, text: str, delimiter: str) -> None:
        reader = CellReader(CsvRules(None, delimiter=delimiter), Problems(""))
        self.before = before
        self.cells = reader.cells(before + 1, text) or [text]


class _Wrong(Exception):  # noqa: N818 - it is no error of the program
    """A problem of the layout, at a line and a column that count from 1."""

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def with_beginning(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Yield chunks, the first of which has all lines that `layout_of` reads."""
    held: Chunk | None = None
    for chunk in chunks:
        now = Chunk(held.line, f"{held.text}\n{chunk.text}") if held else chunk
        most = _LINES if len(now.text) < _MOST_TEXT else _LONG_LINES
        held = now if now.line == 1 and now.text.count("\n") < most else None
        if held is None:
            yield now
    if held:
        yield held


def layout_of(first: Chunk, form: Form, problems: Problems) -> Layout | None:
    """Return the layout of a file from its first lines; None, and a problem, if there is none."""
    lines = first.text.split("\n", _LINES)[:_LINES]
    if not first.text.strip():
        return None
    candidates = [form.delimiter] if form.delimiter else DELIMITERS
    readings = [_Reading(lines, delimiter, form) for delimiter in candidates]
    best = max(readings, key=lambda reading: (reading.fit, reading.width))
    try:
        return best.layout()
    except _Wrong as wrong:
        problems.add(wrong.line, wrong.column, "header", str(wrong))
        return None


class _Reading:
    """The first lines of a file, read with one delimiter.

    ``fit`` is the number of the first rows that begin like the rows of a meter, ``width`` their
    number of cells.
    """

    def __init__(self, lines: Sequence[str], delimiter: str, form: Form) -> None:
        self._delimiter = delimiter
        self._form = form
        self._lines = [
            _Line(before, text, delimiter) for before, text in enumerate(lines) if text.strip()
        ]
        self._header: _Line | None = None
        self._by = self._by_column()
        numbers = form.stamps or ((2,) if self._by == 0 else (1,))
        self._stamps = tuple(number - 1 for number in numbers)
        rows = [line for line in self._lines if self._is_row(line)]
        widths = Counter(len(line.cells) for line in rows[:_PROBES])
        if self._by == -1:
            widths.clear()
        self.fit, self.width = max(
            ((count, width) for width, count in widths.items()), default=_NONE
        )
        if form.skip_rows is not None:
            self._begin = form.skip_rows
        else:
            self._begin = self._first_row(rows[0].before) if rows else -1

    def layout(self) -> Layout:
        """Return the layout; raises `_Wrong`."""
        first = next((line for line in self._lines if line.before >= self._begin >= 0), None)
        if first is None:
            raise self._no_rows()
        width = self.width or len(first.cells)
        if self._form.by is not None:
            return self._long(width, first)
        return self._wide(width, first)

    def _by_column(self) -> int | None:
        """Return the column of ``--by``, from 0; -1 if no line has its name."""
        by = self._form.by
        if by is None or by.isdecimal():
            return int(by) - 1 if by else None
        for line in self._lines[:_MOST_HEADER]:
            if by in line.cells:
                self._header = line
                return line.cells.index(by)
        return -1

    def _is_row(self, line: _Line) -> bool:
        """Return True if a line has a timestamp where a row has it, and something else."""
        if self._header and line.before <= self._header.before:
            return False
        stamp = self._stamp(line.cells)
        # A number is an ID rather than a count of seconds if there is a date beside it.
        is_time = forms(stamp) or (count_form(stamp) and not any(map(forms, line.cells)))
        return len(line.cells) > len(self._stamps) and bool(is_time)

    def _stamp(self, cells: Sequence[str]) -> str:
        return " ".join(cells[at] for at in self._stamps if at < len(cells))

    def _first_row(self, before: int) -> int:
        """Return the number of lines before the first row; a damaged row is a row, too."""
        rules = [CsvRules(None, delimiter=self._delimiter, decimal=mark) for mark in ".,"]
        for line in reversed([line for line in self._lines if line.before < before]):
            if line is self._header or len(line.cells) != self.width:
                break
            others = [cell for at, cell in enumerate(line.cells) if at not in self._apart()]
            cells = [self._stamp(line.cells), *others]
            if not any(is_like_data(cells, len(cells), each) for each in rules):
                break
            before = line.before
        return before

    def _apart(self) -> set[int]:
        """Return the columns that hold no measurements."""
        return {*self._stamps, *([] if self._by is None else [self._by])}

    def _wide(self, width: int, first: _Line) -> Layout:
        columns = [at for at in range(width) if at not in self._stamps]
        self._check_stamps(width, first)
        if (ids := self._form.ids) is not None:
            if len(ids) != len(columns):
                raise _Wrong(
                    first.before + 1,
                    1,
                    f"{pluralize(width, 'cell')}: --ids names {len(ids)}, expected "
                    f"{len(columns)}, one for each column but the timestamp",
                )
            meters = [(at, name) for at, name in zip(columns, ids, strict=True) if name != LEFT_OUT]
        else:
            header = self._find_header(width, columns, first)
            _check_header(header, columns)
            meters = [(at, header.cells[at]) for at in columns]
        return Layout(self._delimiter, self._begin, width, self._stamps, meters=tuple(meters))

    def _find_header(self, width: int, columns: Sequence[int], first: _Line) -> _Line:
        """Return the last line before the rows that can be the header; raises `_Wrong`."""
        before = [line for line in self._lines if line.before < self._begin]
        if not before:
            raise _Wrong(
                first.before + 1,
                1,
                f"no header with the names of the meters: found {quoted(','.join(first.cells))}; "
                f"{_IDS}",
            )
        fitting = [line for line in before if len(line.cells) == width]
        if not fitting:
            last = before[-1]
            row = next(line for line in self._lines if len(line.cells) == width)
            raise _Wrong(
                last.before + 1,
                1,
                f"{pluralize(len(last.cells), 'cell')} in the header: expected {width}, as in line "
                f"{row.before + 1}; {_IDS}",
            )
        for line in reversed(fitting):
            names = [line.cells[at] for at in columns]
            if all(names) and len(set(names)) == len(names):
                return line
        return fitting[-1]

    def _long(self, width: int, first: _Line) -> Layout:
        by = self._by
        if by == -1 or by is None:
            raise _Wrong(
                first.before + 1,
                1,
                f"no column {quoted(str(self._form.by))}: found {quoted(', '.join(first.cells))}; "
                "expected a line with that name before the rows, or --by with the column's number",
            )
        if by >= width:
            raise _Wrong(
                first.before + 1,
                1,
                f"{pluralize(width, 'cell')}: --by is column {by + 1}",
            )
        self._check_stamps(width, first)
        if by in self._stamps:
            raise _Wrong(
                first.before + 1,
                by + 1,
                "--by is a column of the timestamp; name another one, or --timestamp-columns",
            )
        values = tuple(at for at in range(width) if at not in self._apart())
        if not values:
            raise _Wrong(
                first.before + 1,
                1,
                f"{pluralize(width, 'cell')}: no column besides the meter and the timestamp",
            )
        names = self._names(values, width)
        return Layout(
            self._delimiter, self._begin, width, self._stamps, by, values=values, names=names
        )

    def _names(self, values: Sequence[int], width: int) -> tuple[str, ...]:
        """Return the names of the columns of measurements, none if there is no header."""
        lines = [line for line in self._lines if line.before < self._begin]
        header = self._header or next((line for line in reversed(lines)), None)
        if header is None or len(header.cells) != width:
            return ()
        return tuple(header.cells[at] for at in values)

    def _check_stamps(self, width: int, first: _Line) -> None:
        if max(self._stamps) >= width:
            raise _Wrong(
                first.before + 1,
                1,
                f"{pluralize(width, 'cell')}: the timestamp is in column {max(self._stamps) + 1}; "
                "name its columns with --timestamp-columns",
            )
        if width == len(self._stamps):
            raise _Wrong(
                first.before + 1,
                1,
                f"{pluralize(width, 'cell')}: no column besides the timestamp; name the character "
                "between cells with --delimiter",
            )

    def _no_rows(self) -> _Wrong:
        if self._begin > 0:
            return _Wrong(1, 1, f"no row after the {pluralize(self._begin, 'line')} of --skip-rows")
        line = self._lines[0]
        columns = ", ".join(str(at + 1) for at in self._stamps)
        if self._by == -1:
            message = (
                f"no line with the name {quoted(str(self._form.by))} of --by: the first is "
                f"{quoted(self._delimiter.join(line.cells))}; --by also takes the column's number"
            )
            return _Wrong(line.before + 1, 1, message)
        message = (
            f"no line with a timestamp in column {columns} and a value: the first is "
            f"{quoted(self._delimiter.join(line.cells))}; see --timestamp-columns, or give "
            "--delimiter and --skip-rows"
        )
        return _Wrong(line.before + 1, 1, message)


def _check_header(header: _Line, columns: Sequence[int]) -> None:
    """Raise `_Wrong` for the first name of a meter that is empty, used twice or no ID."""
    seen: dict[str, int] = {}
    for at in columns:
        name, line = header.cells[at], header.before + 1
        if not name:
            raise _Wrong(line, at + 1, f"a column without a name; {_IDS}")
        if name in seen:
            message = f"the same ID as column {seen[name] + 1}: found {quoted(name)}; {_IDS}"
            raise _Wrong(line, at + 1, message)
        if reason := id_problem(name):
            raise _Wrong(line, at + 1, f"{reason}; {_IDS}")
        seen[name] = at


def id_problem(name: str) -> str | None:
    """Return the reason why a text can't be the ID of a meter in an INI, else None."""
    if is_id(name):
        return None
    return f"an ID that an INI can't contain, with '=', or '#' or ';' first: found {quoted(name)}"


def ids_of(text: str) -> Iterator[str]:
    """Yield the IDs of ``--ids``; raises ValueError with what was expected."""
    seen = set()
    for part in text.split(","):
        name = part.strip()
        if not name:
            raise ValueError(f"IDs with commas between them; '{LEFT_OUT}' leaves a column out")
        if name != LEFT_OUT and name in seen:
            raise ValueError(f"each ID once: {quoted(name)} is there twice")
        if reason := id_problem(name):
            raise ValueError(f"IDs for an INI: {reason}")
        seen.add(name)
        yield name
