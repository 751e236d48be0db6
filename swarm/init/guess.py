"""One CSV -> the settings that it seems to need, and what its times tell of their zone."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from swarm.config.settings import DEFAULT_TIMESTAMP
from swarm.csv import timestamp_formats
from swarm.csv.zones.fit import Trace
from swarm.errors import GuessError
from swarm.init.columns import settings as column_settings
from swarm.init.dialect import Dialect, detect_dialect
from swarm.init.file_times import FileTimes
from swarm.init.writer import Setting
from swarm.text import quoted

#: How many rows tell the spacing.
_ROWS = 1000
_LONGEST = timedelta(days=27)
_PARTS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_SPELLED = {"\t": "tab"}
_UTC = "Etc/UTC"


@dataclass(frozen=True)
class Guess:
    """The options that a CSV seems to need: those that are not as swarm takes them anyway.

    ``trace`` is what its times tell of their zone, read as UTC; None if they carry their offsets.
    ``notes`` are what the user should know besides.
    """

    path: Path
    settings: tuple[Setting, ...]
    trace: Trace | None
    notes: tuple[str, ...] = ()


def guess(path: Path, zones: Collection[str] = ()) -> Guess:
    """Guess a file's settings; raises `GuessError` with the reason if that can't be done.

    They come from its first part, however large it is; its times are followed to the end. ``zones``
    are those that are asked for later, whether the times are of them.
    """
    found = detect_dialect(path)
    if True not in found.numeric:
        raise GuessError(
            f"no column of numbers after the timestamp: found {quoted(found.rows[0][1])}, expected "
            "a number such as 12.5, with nothing between thousands"
        )
    forms = timestamp_formats.fitting(row[0] for row in found.rows)
    _check_hour(forms[0], found)
    moments = [timestamp_formats.moment(row[0], forms[0]) for row in found.rows]
    known = [moment for moment in moments if moment]
    settings = (
        *column_settings(found.header[1:], found.numeric),
        *_format(forms),
        *_marks(found),
        *_interval(known[:_ROWS]),
    )
    notes = tuple(_notes(found, moments))
    if "%z" in forms[0]:
        return Guess(path, settings, None, notes)
    trace = Trace(_UTC, zones)
    for walls in FileTimes(path, forms[0], found.delimiter, found.skip_rows).walls():
        trace.follow(walls)
    return Guess(path, settings, trace, notes)


def _notes(found: Dialect, moments: Sequence[datetime | None]) -> Iterator[str]:
    for row, moment in zip(found.rows, moments, strict=True):
        if moment is None and timestamp_formats.is_midnight(row[0]):
            yield (
                f"{quoted(row[0])}: no time of the day is 24:00, and 'swarm check' refuses such "
                "rows; have them exported as 00:00 of the next day"
            )
            return


def _check_hour(form: str, found: Dialect) -> None:
    second = found.rows[0][1]
    if not timestamp_formats.has_hour(form) and timestamp_formats.is_clock(second):
        raise GuessError(
            "date and time stand in two columns: expected both in the first, "
            "such as 2023-01-31 10:15:00"
        )


def _format(forms: Sequence[str]) -> Iterator[Setting]:
    form, *others = forms
    doubt = ""
    if others:
        other = " or ".join(others)
        doubt = f"day and month can't be told apart in what was read; it may be {other}"
    if forms != (DEFAULT_TIMESTAMP,):
        yield Setting("timestamp_format", form, doubt)


def _marks(found: Dialect) -> Iterator[Setting]:
    if found.delimiter != ",":
        yield Setting("delimiter", _SPELLED.get(found.delimiter, found.delimiter))
    doubt = _thousands(found)
    if found.decimal != "." or doubt:
        yield Setting("decimal", found.decimal, doubt)
    if found.skip_rows:
        yield Setting("skip_rows", str(found.skip_rows), _damaged(found))


def _thousands(found: Dialect) -> str:
    """Return what is doubtful of the decimal sign: it may part thousands in all numbers."""
    mark = re.escape(found.decimal)
    parted = re.compile(rf"[+-]?[1-9]\d{{0,2}}(?:{mark}\d{{3}})+", re.ASCII)
    columns = [place for place, is_number in enumerate(found.numeric, 1) if is_number]
    cells = [row[place] for row in found.rows for place in columns if found.decimal in row[place]]
    if not cells or not all(map(parted.fullmatch, cells)):
        return ""
    certain = next((cell for cell in cells if cell.count(found.decimal) > 1), None)
    if certain is not None:
        return (
            f"{quoted(certain)} has '{found.decimal}' between thousands: have the numbers exported "
            "without it; as they stand, swarm check refuses them"
        )
    first = cells[0]
    return (
        f"{quoted(first)} may be {first.replace(found.decimal, '')} as well: each number with a "
        f"'{found.decimal}' has three digits after it. If it parts thousands, have the numbers "
        "exported without it; as it stands, they are sent as decimals"
    )


def _damaged(found: Dialect) -> str:
    if found.damaged is None:
        return ""
    line, text = found.damaged
    return (
        f"line {line} looks like a row of data whose time can't be read, and is left out: "
        f"{quoted(text)}. If it is one, mend it, and set skip_rows = {line - 1}"
    )


def _interval(moments: Sequence[datetime]) -> Iterator[Setting]:
    """Yield the commonest step from row to row, unless steps are of all kinds, or months."""
    steps = Counter(abs(later - earlier) for earlier, later in pairwise(moments))
    step, count = max(steps.items(), key=lambda item: item[1], default=(timedelta(), 0))
    is_common = 2 * count >= steps.total()
    if timedelta() < step <= _LONGEST and is_common and not step.microseconds:
        yield Setting("interval", _duration(step))


def _duration(step: timedelta) -> str:
    """Return a duration as an INI has it.

    >>> _duration(timedelta(minutes=15)), _duration(timedelta(hours=1, seconds=30))
    ('15m', '1h30s')
    """
    left = round(step.total_seconds())
    text = ""
    for seconds, letter in _PARTS:
        number, left = divmod(left, seconds)
        text += f"{number}{letter}" if number else ""
    return text
