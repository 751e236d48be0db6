"""Guess the settings that a CSV needs, and collect the signs of its time zone."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path

from swarm.config.settings import DEFAULT_TIMESTAMP
from swarm.csv import guessed_formats
from swarm.csv.problems import Problems
from swarm.csv.source import UTF8
from swarm.csv.values import ValueReader
from swarm.csv.zones.fit import Trace
from swarm.errors import GuessError
from swarm.init import footer
from swarm.init.columns import settings as column_settings
from swarm.init.dialect import Dialect, detect_dialect
from swarm.init.file_times import wall_times
from swarm.init.shape import is_wide, refuse_long, wide_hint
from swarm.init.words import Words, is_grouped, words_of
from swarm.init.writer import Setting
from swarm.packet import VALUE
from swarm.text import format_interval, pluralize, quoted

#: The number of rows whose steps are compared.
_ROWS = 1000
#: Longer steps are months, whose lengths differ.
_LONGEST = timedelta(days=27)
_SPELLED = {"\t": "tab"}
_UTC = "Etc/UTC"
#: The name of UTC, without an offset.
_IN_UTC = re.compile(r"(?<![A-Za-z])(?:UTC|GMT)(?![A-Za-z]|\s*[+-]\s*0*[1-9])")
#: The zone in which the times of a trace are read.
TRACE_ZONE = _UTC


@dataclass(frozen=True)
class Guess:
    """The options that a CSV seems to need, without those whose default fits.

    ``trace`` has the signs of the file's zone, from its times read as UTC; None if the timestamps
    carry their offsets. ``notes`` are other things that the user should know. ``start`` is the time
    of the first row. If the meter has several files, ``members`` are their guesses, ``path`` is the
    first of them, and ``pattern`` is a glob for their names, empty if there is none.
    """

    path: Path
    settings: tuple[Setting, ...]
    trace: Trace | None
    notes: tuple[str, ...] = ()
    start: datetime | None = None
    members: tuple["Guess", ...] = ()
    pattern: str = ""


def guess(path: Path, zones: Collection[str] = (), trace: Trace | None = None) -> Guess:
    """Guess the settings of a file; raises `GuessError` with the reason if that is not possible.

    The settings are guessed from the first part of the file; the trace follows its times to the
    end. ``zones`` are the zones that the trace will be asked about, besides the common ones. A
    ``trace`` that is given goes on with the times of this file.
    """
    dialect = detect_dialect(path)
    if True not in dialect.numeric:
        raise GuessError(_no_numbers(dialect))
    forms = guessed_formats.fitting(row[0] for row in dialect.rows)
    form = forms[0]
    refuse_long(path, dialect, form)
    start = guessed_formats.moment(dialect.rows[0][0], form)
    settings = tuple(_settings(dialect, forms))
    notes = tuple(filter(None, _notes(path, dialect, form, settings)))
    if "%z" in form or _says_utc(dialect, form):
        return Guess(path, settings, None, notes, start)
    trace = trace or Trace(TRACE_ZONE, zones)
    for walls in wall_times(path, form, dialect.rules, dialect.skip_rows):
        trace.follow(walls)
    return Guess(path, settings, trace, notes, start)


def _no_numbers(dialect: Dialect) -> str:
    """Return the reason why a file without a column of numbers can't be guessed."""
    cells = [cell for row in dialect.rows for cell in row[1:]]
    found = next(filter(is_grouped, cells), dialect.rows[0][1])
    return (
        f"no column of numbers after the timestamp: found {quoted(found)}, expected "
        "a number such as 12.5, without thousands separators"
    )


def _notes(path: Path, dialect: Dialect, form: str, settings: Sequence[Setting]) -> Iterator[str]:
    """Yield what the user should know besides the settings; empty texts among it."""
    stamps = (row[0] for row in dialect.rows if guessed_formats.is_midnight(row[0]))
    if stamp := next((s for s in stamps if guessed_formats.moment(s, form) is None), None):
        note = f"{quoted(stamp)}: 24:00 is not a valid time, and 'swarm check' rejects such rows; "
        yield f"{note}export them as 00:00 of the next day"
    yield footer.note(path, dialect, form)
    words = _words(dialect, settings)
    if words.grouped:
        yield (
            f"{quoted(words.grouped)} has thousands separators: export the numbers without them; "
            "'swarm check' rejects them as they are"
        )
    if words.sentinel:
        text, count = words.sentinel
        yield (
            f"{quoted(text)} occurs {pluralize(count, 'time')}: if it stands for a missing value, "
            f"set missing = {text}"
        )
    if any(setting.text.startswith(VALUE) for setting in settings if setting.option == "columns"):
        yield wide_hint(path) if is_wide(dialect) else ""


def _sent(dialect: Dialect, settings: Sequence[Setting]) -> list[int]:
    """Return the indices, in a row, of the columns that are sent."""
    columns = next((s.text for s in settings if s.option == "columns"), "")
    names = columns.split(", ") if columns else [""] * len(dialect.numeric)
    return [index for index, name in enumerate(names, 1) if name != "-"]


def _words(dialect: Dialect, settings: Sequence[Setting]) -> Words:
    """Return the special texts of the columns that are sent."""
    is_number = ValueReader(dialect.rules, Problems("")).is_number
    columns = [[row[index] for row in dialect.rows] for index in _sent(dialect, settings)]
    return words_of(columns, is_number)


def _settings(dialect: Dialect, forms: Sequence[str]) -> Iterator[Setting]:
    """Yield the settings that differ from the defaults; the first of ``forms`` is taken."""
    columns = column_settings(dialect.header[1:], dialect.numeric, _is_constant(dialect))
    yield from columns
    form, *others = forms
    if "%z" not in form and (name := _says_utc(dialect, form)):
        yield Setting("timezone", _UTC, f"the times are in UTC, as {quoted(name)} says")
    if dialect.stamps != (1,):
        yield Setting("timestamp_columns", ", ".join(map(str, dialect.stamps)))
    if others or form != DEFAULT_TIMESTAMP:
        other = " or ".join(others)
        doubt = f"the rows do not show whether day or month comes first; it may be {other}"
        yield Setting("timestamp_format", form, doubt if others else "")
    if dialect.delimiter != ",":
        yield Setting("delimiter", _SPELLED.get(dialect.delimiter, dialect.delimiter))
    doubt = _decimal_doubt(dialect)
    if doubt or dialect.decimal != ".":
        yield Setting("decimal", dialect.decimal, doubt)
    if dialect.skip_rows:
        doubt = ""
        if dialect.damaged:
            line, text = dialect.damaged
            doubt = (
                f"line {line} looks like a row of data with a time that can't be read, and is left "
                f"out: {quoted(text)}. If it is one, correct it, and set skip_rows = {line - 1}"
            )
        yield Setting("skip_rows", str(dialect.skip_rows), doubt)
    if dialect.encoding.name != UTF8:
        yield Setting("encoding", *dialect.encoding)
    yield from _missing(dialect, columns, form)
    times = [time for row in dialect.rows if (time := guessed_formats.moment(row[0], form))]
    steps = Counter(abs(later - earlier) for earlier, later in pairwise(times[:_ROWS]))
    step, count = max(steps.items(), key=lambda item: item[1], default=(timedelta(), 0))
    is_common = 2 * count >= steps.total()
    if timedelta() < step <= _LONGEST and is_common and not step.microseconds:
        yield Setting("interval", format_interval(step.total_seconds()))


def _says_utc(dialect: Dialect, form: str) -> str:
    """Return the text that says that the times are in UTC: a timestamp, or its column's name."""
    if guessed_formats.is_utc(form):
        return dialect.rows[0][0]
    name = dialect.header[0] if dialect.header else ""
    return name if _IN_UTC.search(name) else ""


def _missing(dialect: Dialect, columns: Sequence[Setting], form: str) -> Iterator[Setting]:
    """Yield the settings for words that stand for empty cells, and for rows without a value."""
    words = _words(dialect, columns)
    if words.missing:
        odd = ", ".join(map(quoted, words.unknown))
        doubt = f"do these words in columns of numbers stand for empty cells: {odd}?" if odd else ""
        yield Setting("missing", ", ".join(words.missing), doubt)
    sent = _sent(dialect, columns)
    blank = {"", *words.missing}
    empty = [
        row[0]
        for row in dialect.rows
        if guessed_formats.moment(row[0], form) and all(row[i].lower() in blank for i in sent)
    ]
    if empty:
        count = pluralize(len(empty), "row")
        doubt = f"{count} without a value will be left out, such as {quoted(empty[0])}"
        yield Setting("empty_rows", "skip", doubt)


def _is_constant(dialect: Dialect) -> list[bool]:
    """Return for each measurement column whether all its cells are the same."""
    columns = islice(zip(*dialect.rows[:_ROWS], strict=True), 1, None)
    return [len(set(column)) == 1 for column in columns]


def _decimal_doubt(dialect: Dialect) -> str:
    """Return a doubt if the decimal sign may be a thousands separator in all numbers."""
    mark = dialect.decimal
    grouped = re.compile(rf"[+-]?[1-9]\d{{0,2}}(?:{re.escape(mark)}\d{{3}})+", re.ASCII)
    columns = [index for index, is_number in enumerate(dialect.numeric, 1) if is_number]
    cells = [row[index] for row in dialect.rows for index in columns if mark in row[index]]
    if not cells or not all(map(grouped.fullmatch, cells)):
        return ""
    certain = next((cell for cell in cells if cell.count(mark) > 1), None)
    if certain is not None:
        return (
            f"{quoted(certain)} has '{mark}' as a thousands separator: export the numbers without "
            "it; 'swarm check' rejects them as they are"
        )
    return (
        f"{quoted(cells[0])} may also be {cells[0].replace(mark, '')}: each number with a "
        f"'{mark}' has three digits after it. If it is a thousands separator, export the numbers "
        "without it; as they are, they are sent as decimals"
    )
