"""The settings of one meter as text -> their values, each by itself."""

import codecs
import difflib
import re
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from swarm.config.parsers import (
    Parser,
    boolean,
    duration,
    minutes,
    one_of,
    positive_duration,
    whole,
)
from swarm.config.urls import ROUTES
from swarm.packet import REGISTERS, VALUE
from swarm.text import closest, quoted, suggestion
from swarm.timestamp_format import UNIX, is_whole

_PREFIXES = {"m": -3, "": 0, "k": 3, "M": 6, "G": 9}
_BASES = ("W", "var", "VA", "V", "A", "Wh")

#: Each unit that a column may have: its base unit and the power of ten between them.
UNITS = {prefix + base: (base, power) for base in _BASES for prefix, power in _PREFIXES.items()}

#: Encodings that are often meant, for suggestions.
_ENCODINGS = ("utf-8", "utf-16", "cp1252", "latin-1", "iso-8859-15", "cp1250", "cp850", "shift_jis")
#: Codecs of Python for other texts than files.
_NOT_OF_FILES = frozenset({"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"})

#: The beginning of a number or a date, or a quote.
_OF_A_ROW = re.compile(r'"|[+-]?\.?(?:\d|$)')
_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")

_KNOWN_COLUMNS = (VALUE, *REGISTERS)
#: Copies of zones in the zone folder of Linux; some of them count leap seconds.
_NOT_IANA = ("right/", "posix/", "localtime", "posixrules")
#: The time that a timestamp format is tested with: each of its parts is another number.
_PROBE = datetime(2024, 11, 23, 21, 45, 31, tzinfo=UTC)


def zone(text: str) -> str:
    """Return the name of an IANA time zone, with a suggestion in the ValueError."""
    try:
        if text.startswith(_NOT_IANA):
            raise ValueError
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        close = difflib.get_close_matches(text.title(), _zones(), n=1)
        hint = suggestion(close[0] if close else None)
        example = "an IANA time zone such as Europe/Dublin or America/Chicago"
        raise ValueError(f"{example}{hint}") from None


@cache
def _zones() -> list[str]:
    return sorted(name for name in available_timezones() if not name.startswith(_NOT_IANA))


def columns(text: str) -> tuple[str, ...]:
    """Return the names of the measurement columns: registers, or ``value``; ``-`` skips one."""
    names = tuple(name.strip() for name in text.split(","))
    sent = [name for name in names if name != "-"]
    unknown = [name for name in sent if name not in _KNOWN_COLUMNS]
    if not sent or unknown or len(set(sent)) < len(sent) or (VALUE in sent and len(sent) > 1):
        error = ValueError(
            "'value' alone, or registers such as aP_1, aP_2, pC_1, each once; '-' skips a column"
        )
        for name in filter(None, unknown):
            # Suggest only another letter case: another letter is another quantity.
            hint = suggestion(closest(name, _KNOWN_COLUMNS, cutoff=1))
            error.add_note(f"unknown register: {quoted(name)}{hint}")
        raise error
    return names


def units(text: str) -> tuple[str, ...]:
    """Return the units of columns, at most one for a quantity.

    Raises ValueError, with what was expected. Source: ``unit`` in docs/reference.md.
    """
    names = tuple(name.strip() for name in text.split(","))
    bases = [UNITS[name][0] for name in names if name in UNITS]
    if len(bases) < len(names) or len(set(bases)) < len(bases):
        raise ValueError("units such as kW, kvar, kVA, kV, mA, kWh, at most one per quantity")
    return names


def delimiter(text: str) -> str:
    """Return the character between cells.

    Raises ValueError, with what was expected.
    """
    character = {"\\t": "\t", "tab": "\t", "space": " "}.get(text.lower(), text)
    if len(character) != 1 or character.isalnum() or character in "\"+-.:'":
        raise ValueError("one character between cells, such as , or ; or tab")
    return character


def decimal(text: str) -> str:
    """Return the decimal separator."""
    if text not in {".", ","}:
        raise ValueError("'.' or ','")
    return text


def thousands(text: str) -> str:
    """Return the characters that may stand between groups of three digits."""
    marks = {"space": " \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}", "'": "'\u2019"}
    characters = marks.get(text.lower(), text)
    if characters not in {".", ",", *marks.values()}:
        raise ValueError("one of . , ' or space")
    return characters


def _words(text: str) -> tuple[str, ...]:
    """Return the texts of a list, which may span several lines; empty ones are left out."""
    words = (word.strip() for word in text.replace("\n", ",").split(","))
    return tuple(filter(None, words))


def skip_prefixes(text: str) -> tuple[str, ...]:
    """Return the beginnings of lines that are left out; none can be that of a number or date."""
    prefixes = _words(text)
    if not prefixes or any(map(_OF_A_ROW.match, prefixes)):
        raise ValueError(
            "the beginnings of lines, separated by commas, such as Total, #; none begins with a "
            "quote, or like a number"
        )
    return prefixes


def timestamp_format(text: str) -> str:
    """Return a format that reads a whole date, and the right hour if it has an hour.

    It is one of strptime, with a text and ``*`` at its end if more follows the time, or the name of
    a count of seconds since 1970.
    """
    if text in UNIX:
        return text
    if not is_whole(text):
        raise ValueError("a text before the '*', where the time ends, such as %d/%m/%Y %H:%M - *")
    parsed = read_probe(text)
    if parsed is None or parsed.date() != _PROBE.date() or parsed.hour not in {0, _PROBE.hour}:
        raise ValueError(
            "a strptime format with year, month and day (and %p beside %I), such as %d/%m/%Y "
            f"%H:%M, or one of {', '.join(UNIX)}"
        )
    return text


@cache
def read_probe(format_: str) -> datetime | None:
    """Write a certain time with a format and return what the format reads; None if it can't."""
    with warnings.catch_warnings():
        # Newer Pythons warn about a day without a year; such a format is refused anyway.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return datetime.strptime(_PROBE.strftime(format_), format_)
        except (ValueError, re.error):
            return None


def encoding(text: str) -> str:
    """Return the name that Python has for a text encoding."""
    example = "a text encoding that Python knows, such as utf-8, cp1252, latin-1 or utf-16"
    try:
        name = codecs.lookup(text).name
        # Not an encoding of text, or one in which a line end is more than that.
        if name in _NOT_OF_FILES or "a1\n".encode(name).decode(name) != "a1\n":
            raise LookupError
    except (LookupError, ValueError):
        raise ValueError(f"{example}{suggestion(closest(text.lower(), _ENCODINGS))}") from None
    return name


def missing(text: str) -> frozenset[str]:
    """Return the words, in lower case, that stand for an empty cell."""
    words = frozenset(map(str.lower, _words(text)))
    if not words:
        raise ValueError("words separated by commas, such as null, n/a, ---")
    return words


def timestamp_columns(text: str) -> tuple[int, ...]:
    """Return the numbers, from 1, of the columns that make the timestamp."""
    try:
        numbers = tuple(whole(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or 0 in numbers or len(set(numbers)) < len(numbers) or max(numbers) > 1000:
        raise ValueError("the numbers of columns, counted from 1, such as 2 or 1, 2")
    return numbers


def limits(text: str) -> tuple[str, ...]:
    """Return the limits of columns: one number for all, or one for each; ``-`` is no limit."""
    words = tuple(word.strip() for word in text.split(","))
    is_number = all(word == "-" or _NUMBER.fullmatch(word) for word in words)
    if not is_number or set(words) == {"-"}:
        raise ValueError("a number such as 0 or -12.5, or one for each column; '-' is no limit")
    return words


#: The options whose values may span several lines.
LISTS = frozenset({"columns", "maximum", "minimum", "missing", "skip_prefixes", "unit"})

PARSERS: Final[Mapping[str, Parser]] = {
    "timezone": zone,
    "route": one_of(*ROUTES),
    "columns": columns,
    "unit": units,
    "timestamp_format": timestamp_format,
    "hour_24": one_of("error", "next_day"),
    "delimiter": delimiter,
    "decimal": decimal,
    "thousands": thousands,
    "skip_rows": whole,
    "skip_prefixes": skip_prefixes,
    "encoding": encoding,
    "missing": missing,
    "timestamp_columns": timestamp_columns,
    "interval": positive_duration,
    "duplicates": one_of("error", "first", "last"),
    "empty_rows": one_of("error", "skip"),
    "ambiguous_time": one_of("infer", "first", "second", "error"),
    "minimum": limits,
    "maximum": limits,
    "falling": one_of("notice", "error"),
    "shift": duration,
    "pad_first": boolean,
    "power_from_energy": minutes,
}
