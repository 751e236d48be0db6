"""Guess the settings that a CSV needs, and collect the signs of its time zone."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from swarm.csv import guessed_formats
from swarm.csv.zones.fit import Trace
from swarm.errors import GuessError
from swarm.init import extra_lines
from swarm.init.dialect import Dialect, detect_dialect
from swarm.init.file_times import wall_times
from swarm.init.needed import UTC_ZONE, says_utc, special_words
from swarm.init.needed import settings as settings_of
from swarm.init.shape import is_wide, refuse_long, wide_hint
from swarm.init.words import is_grouped
from swarm.init.writer import Setting
from swarm.packet import VALUE
from swarm.text import pluralize, quoted
from swarm.timestamp_format import UNIX

#: The zone in which the times of a trace are read.
TRACE_ZONE = UTC_ZONE


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
    extra = extra_lines.find(path, dialect, form)
    settings = tuple(settings_of(dialect, forms, extra.setting))
    notes = tuple(filter(None, (extra.note, *_notes(path, dialect, form, settings))))
    if "%z" in form or says_utc(dialect, form):
        return Guess(path, settings, None, notes, start)
    trace = trace or Trace(TRACE_ZONE, zones)
    if form in UNIX:
        return Guess(path, settings, trace, notes, start)
    for walls in wall_times(path, form, dialect.rules, dialect.skip_rows):
        trace.follow(walls)
    return Guess(path, settings, trace, notes, start)


def _no_numbers(dialect: Dialect) -> str:
    """Return the reason why a file without a column of numbers can't be guessed."""
    cells = [cell for row in dialect.rows for cell in row[1:]]
    found = next(filter(is_grouped, cells), dialect.rows[0][1])
    return (
        f"no column of numbers after the timestamp: found {quoted(found)}, expected "
        "a number such as 12.5"
    )


def _notes(path: Path, dialect: Dialect, form: str, settings: Sequence[Setting]) -> Iterator[str]:
    """Yield what the user should know besides the settings; empty texts among it."""
    if form in UNIX:
        yield (
            f"{quoted(dialect.rows[0][0])}: the times count from 1970 on: timezone is the zone in "
            "which the packets of the meter have their times"
        )
    words = special_words(dialect, settings)
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
