"""The settings that a CSV needs besides the defaults, from its layout and its first rows."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice, pairwise

from swarm.config.settings import DEFAULT_TIMESTAMP
from swarm.csv import guessed_formats
from swarm.csv.problems import Problems
from swarm.csv.source import UTF8
from swarm.csv.values import ValueReader
from swarm.init.columns import settings as column_settings
from swarm.init.dialect import Dialect
from swarm.init.words import Words, words_of
from swarm.init.writer import Setting
from swarm.text import format_interval, pluralize, quoted
from swarm.timestamp_format import UNIX, has_hour_24

UTC_ZONE = "Etc/UTC"
#: The number of rows whose steps are compared.
_ROWS = 1000
#: Longer steps are months, whose lengths differ.
_LONGEST = timedelta(days=27)
_SPELLED = {"\t": "tab"}
#: The name of UTC, without an offset.
_IN_UTC = re.compile(r"(?<![A-Za-z])(?:UTC|GMT)(?![A-Za-z]|\s*[+-]\s*0*[1-9])")


def settings(dialect: Dialect, forms: Sequence[str], skipped: Setting | None) -> Iterator[Setting]:
    """Yield the settings that differ from the defaults; the first of ``forms`` is taken.

    ``skipped`` is the setting that leaves lines out, if there is one.
    """
    columns = column_settings(dialect.header[1:], dialect.numeric, _is_constant(dialect))
    yield from columns
    yield from _of_times(dialect, forms)
    if dialect.delimiter != ",":
        yield Setting("delimiter", _SPELLED.get(dialect.delimiter, dialect.delimiter))
    doubt = _decimal_doubt(dialect)
    if doubt or dialect.decimal != ".":
        yield Setting("decimal", dialect.decimal, doubt)
    if dialect.thousands:
        yield Setting("thousands", dialect.thousands)
    if dialect.skip_rows:
        yield Setting("skip_rows", str(dialect.skip_rows), _damaged_doubt(dialect))
    if skipped:
        yield skipped
    if dialect.encoding.name != UTF8:
        yield Setting("encoding", *dialect.encoding)
    yield from _missing(dialect, columns, forms[0])
    yield from _interval(dialect, forms[0])


def _of_times(dialect: Dialect, forms: Sequence[str]) -> Iterator[Setting]:
    """Yield the settings of the timestamps, but for their interval."""
    form, *others = forms
    if "%z" not in form and (name := says_utc(dialect, form)):
        yield Setting("timezone", UTC_ZONE, f"the times are in UTC, as {quoted(name)} says")
    if dialect.stamps != (1,):
        yield Setting("timestamp_columns", ", ".join(map(str, dialect.stamps)))
    if others or form != DEFAULT_TIMESTAMP:
        other = " or ".join(others)
        doubt = f"the rows do not show whether day or month comes first; it may be {other}"
        yield Setting("timestamp_format", form, doubt if others else "")
    if any(has_hour_24(row[0]) and guessed_formats.moment(row[0], form) for row in dialect.rows):
        yield Setting("hour_24", "next_day")


def _interval(dialect: Dialect, form: str) -> Iterator[Setting]:
    """Yield the commonest step between the times, unless most steps are others."""
    times = [time for row in dialect.rows if (time := guessed_formats.moment(row[0], form))]
    steps = Counter(abs(later - earlier) for earlier, later in pairwise(times[:_ROWS]))
    step, count = max(steps.items(), key=lambda item: item[1], default=(timedelta(), 0))
    is_common = 2 * count >= steps.total()
    if timedelta() < step <= _LONGEST and is_common and not step.microseconds:
        yield Setting("interval", format_interval(step.total_seconds()))


def _damaged_doubt(dialect: Dialect) -> str:
    """Return a doubt if the line before the rows looks like a row."""
    if not dialect.damaged:
        return ""
    line, text = dialect.damaged
    return (
        f"line {line} looks like a row of data with a time that can't be read, and is left out: "
        f"{quoted(text)}. If it is one, correct it, and set skip_rows = {line - 1}"
    )


def sent_columns(dialect: Dialect, settings: Sequence[Setting]) -> list[int]:
    """Return the indices, in a row, of the columns that are sent."""
    columns = next((s.text for s in settings if s.option == "columns"), "")
    names = columns.split(", ") if columns else [""] * len(dialect.numeric)
    return [index for index, name in enumerate(names, 1) if name != "-"]


def special_words(dialect: Dialect, settings: Sequence[Setting]) -> Words:
    """Return the special texts of the columns that are sent."""
    is_number = ValueReader(dialect.rules, Problems("")).is_number
    columns = [[row[index] for row in dialect.rows] for index in sent_columns(dialect, settings)]
    return words_of(columns, is_number)


def says_utc(dialect: Dialect, form: str) -> str:
    """Return the text that says that the times are in UTC: a timestamp, or its column's name."""
    if guessed_formats.is_utc(form):
        return dialect.rows[0][0]
    name = dialect.header[0] if dialect.header and form not in UNIX else ""
    return name if _IN_UTC.search(name) else ""


def _missing(dialect: Dialect, columns: Sequence[Setting], form: str) -> Iterator[Setting]:
    """Yield the settings for words that stand for empty cells, and for rows without a value."""
    words = special_words(dialect, columns)
    if words.missing:
        odd = ", ".join(map(quoted, words.unknown))
        doubt = f"do these words in columns of numbers stand for empty cells: {odd}?" if odd else ""
        yield Setting("missing", ", ".join(words.missing), doubt)
    sent = sent_columns(dialect, columns)
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
    other = next(sign for sign in ".," if sign != mark)
    advice = f"set decimal = {other} and thousands = {mark}"
    if other == dialect.delimiter:
        advice = "export the numbers without it"
    return (
        f"{quoted(cells[0])} may also be {cells[0].replace(mark, '')}: each number with a "
        f"'{mark}' has three digits after it. If it is a thousands separator, {advice}; as they "
        "are, they are sent as decimals"
    )
