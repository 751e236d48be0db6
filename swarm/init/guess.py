"""Guess the settings that a CSV needs, and collect the signs of its time zone."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from swarm.config.settings import DEFAULT_TIMESTAMP
from swarm.csv import timestamp_formats
from swarm.csv.zones.fit import Trace
from swarm.errors import GuessError
from swarm.init.columns import settings as column_settings
from swarm.init.dialect import Dialect, detect_dialect
from swarm.init.file_times import wall_times
from swarm.init.writer import Setting
from swarm.text import format_interval, quoted

#: The number of rows whose steps are compared.
_ROWS = 1000
#: Longer steps are months, whose lengths differ.
_LONGEST = timedelta(days=27)
_SPELLED = {"\t": "tab"}
_UTC = "Etc/UTC"


@dataclass(frozen=True)
class Guess:
    """The options that a CSV seems to need, without those whose default fits.

    ``trace`` has the signs of the file's zone, from its times read as UTC; None if the timestamps
    carry their offsets. ``notes`` are other things that the user should know.
    """

    path: Path
    settings: tuple[Setting, ...]
    trace: Trace | None
    notes: tuple[str, ...] = ()


def guess(path: Path, zones: Collection[str] = ()) -> Guess:
    """Guess the settings of a file; raises `GuessError` with the reason if that is not possible.

    The settings are guessed from the first part of the file; the trace follows its times to the
    end. ``zones`` are the zones that the trace will be asked about, besides the common ones.
    """
    dialect = detect_dialect(path)
    first = dialect.rows[0]
    if True not in dialect.numeric:
        raise GuessError(
            f"no column of numbers after the timestamp: found {quoted(first[1])}, expected "
            "a number such as 12.5, without thousands separators"
        )
    forms = timestamp_formats.fitting(row[0] for row in dialect.rows)
    form = forms[0]
    if not timestamp_formats.has_hour(form) and timestamp_formats.is_clock(first[1]):
        raise GuessError(
            "date and time are in two columns: expected both in the first, "
            "such as 2023-01-31 10:15:00"
        )
    settings = tuple(_settings(dialect, forms))
    notes: tuple[str, ...] = ()
    stamps = (row[0] for row in dialect.rows if timestamp_formats.is_midnight(row[0]))
    if stamp := next((s for s in stamps if timestamp_formats.moment(s, form) is None), None):
        note = f"{quoted(stamp)}: 24:00 is not a valid time, and 'swarm check' rejects such rows; "
        notes = (f"{note}export them as 00:00 of the next day",)
    if "%z" in form:
        return Guess(path, settings, None, notes)
    trace = Trace(_UTC, zones)
    for walls in wall_times(path, form, dialect.delimiter, dialect.skip_rows):
        trace.follow(walls)
    return Guess(path, settings, trace, notes)


def _settings(dialect: Dialect, forms: Sequence[str]) -> Iterator[Setting]:
    """Yield the settings that differ from the defaults; the first of ``forms`` is taken."""
    yield from column_settings(dialect.header[1:], dialect.numeric)
    form, *others = forms
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
    times = [time for row in dialect.rows if (time := timestamp_formats.moment(row[0], form))]
    steps = Counter(abs(later - earlier) for earlier, later in pairwise(times[:_ROWS]))
    step, count = max(steps.items(), key=lambda item: item[1], default=(timedelta(), 0))
    is_common = 2 * count >= steps.total()
    if timedelta() < step <= _LONGEST and is_common and not step.microseconds:
        yield Setting("interval", format_interval(step.total_seconds()))


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
