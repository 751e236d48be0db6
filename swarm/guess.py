"""One CSV -> the settings that it seems to need, from its first part."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from swarm import columnguess, timeguess
from swarm.errors import GuessError
from swarm.initext import Setting
from swarm.layout import Layout, layout
from swarm.settings import DEFAULT_TIMESTAMP
from swarm.zonefit import Clock, clock

#: How many rows tell the spacing.
_ROWS = 1000
_LONGEST = timedelta(days=27)
_PARTS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_SPELLED = {"\t": "tab"}


@dataclass(frozen=True)
class Guess:
    """What a CSV seems to need: the options that are not as swarm takes them anyway.

    ``clock`` is what its times tell of their zone; None if they carry their offsets.
    """

    path: Path
    settings: tuple[Setting, ...]
    clock: Clock | None


def guess(path: Path) -> Guess:
    """Guess a file's settings; raises `GuessError` with the reason if that can't be done.

    However large the file, only its first part is read.
    """
    found = layout(path)
    forms = timeguess.fitting(row[0] for row in found.rows)
    _check_hour(forms[0], found)
    moments = [timeguess.moment(row[0], forms[0]) for row in found.rows]
    known = [moment for moment in moments if moment]
    settings = (
        *columnguess.settings(found.header[1:], found.numeric),
        *_format(forms),
        *_marks(found),
        *_interval(known[:_ROWS]),
    )
    if "%z" in forms[0]:
        return Guess(path, settings, None)
    cells = [row[1:] for row, moment in zip(found.rows, moments, strict=True) if moment]
    return Guess(path, settings, clock(known, cells))


def _check_hour(form: str, found: Layout) -> None:
    second = found.rows[0][1]
    if not timeguess.has_hour(form) and timeguess.is_clock(second):
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


def _marks(found: Layout) -> Iterator[Setting]:
    if found.delimiter != ",":
        yield Setting("delimiter", _SPELLED.get(found.delimiter, found.delimiter))
    if found.decimal != ".":
        yield Setting("decimal", found.decimal)
    if found.skip_rows:
        yield Setting("skip_rows", str(found.skip_rows))


def _interval(moments: Sequence[datetime]) -> Iterator[Setting]:
    """Yield the commonest step from row to row, unless steps are of all kinds, or months."""
    steps = Counter(later - earlier for earlier, later in pairwise(moments))
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
