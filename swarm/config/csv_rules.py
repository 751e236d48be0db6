"""The settings of one meter -> `CsvRules`: names, values and what may stand together."""

import difflib
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from swarm.config.parsers import (
    INVALID,
    Parser,
    boolean,
    duration,
    minutes,
    one_of,
    positive_duration,
    whole,
)
from swarm.config.settings import DEFAULT_TIMESTAMP, CsvRules
from swarm.config.urls import ROUTES
from swarm.packet import REGISTERS, VALUE, unit_of
from swarm.text import closest, quoted, suggestion

_PREFIXES = {"m": -3, "": 0, "k": 3, "M": 6, "G": 9}
_BASES = ("W", "var", "VA", "V", "A", "Wh")

#: Every unit that a column may be in: its base unit and the power of ten between them.
UNITS = {prefix + base: (base, power) for base in _BASES for prefix, power in _PREFIXES.items()}

_COLUMNS_KNOWN = (VALUE, *REGISTERS)
#: Copies of the zones in a Linux zone folder: of these, some count leap seconds.
_NOT_IANA = ("right/", "posix/", "localtime", "posixrules")
#: A moment that a timestamp format has to bring back: in each part another number.
_PROBE = datetime(2024, 11, 23, 21, 45, 31, tzinfo=UTC)


def zone(text: str) -> str:
    """Return the name of an IANA time zone."""
    try:
        if text.startswith(_NOT_IANA):
            raise ValueError
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        close = difflib.get_close_matches(text.title(), _zones(), n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        example = "an IANA time zone such as Europe/Dublin or America/Chicago"
        raise ValueError(f"{example}{hint}") from None


@cache
def _zones() -> list[str]:
    return sorted(name for name in available_timezones() if not name.startswith(_NOT_IANA))


def columns(text: str) -> tuple[str, ...]:
    """Return the names of the measurement columns: registers, ``value``, ``-`` for one skipped."""
    names = _listed(text)
    kept = [name for name in names if name != "-"]
    unknown = [name for name in kept if name not in _COLUMNS_KNOWN]
    if not kept or unknown or len(set(kept)) < len(kept) or (VALUE in kept and len(kept) > 1):
        error = ValueError(
            "'value' alone, or registers such as aP_1, aP_2, pC_1, each once; '-' skips a column"
        )
        for name in filter(None, unknown):
            error.add_note(f"no register: {quoted(name)}{_meant(name)}")
        raise error
    return names


def _meant(name: str) -> str:
    # Only the letter case: another letter is another quantity.
    return suggestion(closest(name, _COLUMNS_KNOWN, cutoff=1))


def units(text: str) -> tuple[str, ...]:
    """Return the units that columns are in, at most one for a quantity."""
    names = _listed(text)
    bases = [UNITS[name][0] for name in names if name in UNITS]
    if len(bases) < len(names) or len(set(bases)) < len(bases):
        raise ValueError("units such as kW, kvar, kVA, kV, mA, kWh, at most one for a quantity")
    return names


def _listed(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def delimiter(text: str) -> str:
    """Return the character between cells."""
    character = {"\\t": "\t", "tab": "\t", "space": " "}.get(text.lower(), text)
    if len(character) != 1 or character.isalnum() or character in "\"+-.:'":
        raise ValueError("one character between cells, such as , or ; or tab")
    return character


def decimal(text: str) -> str:
    """Return the decimal separator."""
    if text not in {".", ","}:
        raise ValueError("'.' or ','")
    return text


def timestamp_format(text: str) -> str:
    """Return a strptime format that tells the day, and the hour if it has one."""
    read = _read_back(text)
    if read is None or read.date() != _PROBE.date() or read.hour not in {0, _PROBE.hour}:
        raise ValueError(
            "a strptime format with year, month and day (and %p beside %I), such as %d/%m/%Y %H:%M"
        )
    return text


def _read_back(format_: str) -> datetime | None:
    """Return what a format makes of the probe's own text, None if it can't read it."""
    with warnings.catch_warnings():
        # Newer Pythons warn of a day without a year, which is refused here anyway.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return datetime.strptime(_PROBE.strftime(format_), format_)
        except (ValueError, re.error):
            return None


#: The options whose value may go over several lines.
LISTS = frozenset({"columns", "unit"})

PARSERS: Final[Mapping[str, Parser]] = {
    "timezone": zone,
    "route": one_of(*ROUTES),
    "columns": columns,
    "unit": units,
    "timestamp_format": timestamp_format,
    "delimiter": delimiter,
    "decimal": decimal,
    "skip_rows": whole,
    "interval": positive_duration,
    "duplicates": one_of("error", "first", "last"),
    "empty_rows": one_of("error", "skip"),
    "ambiguous_time": one_of("infer", "first", "second", "error"),
    "shift": duration,
    "pad_first": boolean,
    "power_from_energy": minutes,
}

Values = Mapping[str, Any]


def conflicts(values: Values) -> Iterator[tuple[str | None, str]]:
    """Yield what is wrong with the values together: the option to name, if any, and the problem.

    A value that is `INVALID` leads to no further problem.
    """
    for options, check in _CHECKS:
        if not any(values.get(option) is INVALID for option in options):
            yield from check(values)


def build(values: Values) -> CsvRules:
    """Return the rules that values without conflicts make."""
    given = {option: value for option, value in values.items() if option not in {"route", "unit"}}
    if "power_from_energy" in values or "unit" in values:
        # The file must then have the columns that the settings were checked against.
        given["columns"] = _columns(values)
    return CsvRules(
        **{"timezone": None, **given}, utc=values.get("route") == "utc", scale=_scale(values)
    )


def _columns(values: Values) -> tuple[str, ...]:
    named: tuple[str, ...] | None = values.get("columns")
    return named or ((VALUE,) if "power_from_energy" in values else REGISTERS)


def _kept(values: Values) -> dict[str, str]:
    """Return each register that is sent and the base unit of its column."""
    return {
        name: "Wh" if name == VALUE else unit_of(name) for name in _columns(values) if name != "-"
    }


def _scale(values: Values) -> tuple[tuple[str, int], ...]:
    """Return each register's power of ten, where it is not zero."""
    powers = dict(UNITS[name] for name in values.get("unit", ()))
    kept = _kept(values).items()
    return tuple((name, powers[base]) for name, base in kept if powers.get(base))


_Conflicts = Iterator[tuple[str | None, str]]


_NO_ZONE = (
    "timezone: missing; name the zone of the CSV's timestamps, such as "
    "timezone = Europe/Dublin (a wrong offset in the platform is for good)"
)


def _zone_needed(values: Values) -> _Conflicts:
    read = _read_back(values.get("timestamp_format", DEFAULT_TIMESTAMP))
    if "timezone" not in values and (read is None or read.tzinfo is None):
        yield None, _NO_ZONE


def _separators(values: Values) -> _Conflicts:
    if values.get("delimiter", ",") == values.get("decimal", "."):
        yield "decimal", "the same as the delimiter; set delimiter = ; for example"


def _padding(values: Values) -> _Conflicts:
    if values.get("pad_first") and not values.get("shift"):
        yield "pad_first", "needs a shift: the packet ahead of all goes that much before the rest"


def _energy(values: Values) -> _Conflicts:
    if "power_from_energy" in values and list(_kept(values)) != [VALUE]:
        yield "power_from_energy", "needs a single column of energy; expected columns = value"


def _fitting(values: Values) -> _Conflicts:
    kept = _kept(values)
    has_unit = VALUE not in kept or "power_from_energy" in values
    for name in values.get("unit", ()):
        if UNITS[name][0] not in kept.values() or not has_unit:
            yield "unit", f"{name} fits no column; 'columns' says what the columns are"


_CHECKS: tuple[tuple[tuple[str, ...], Callable[[Values], _Conflicts]], ...] = (
    (("timezone", "timestamp_format"), _zone_needed),
    (("delimiter", "decimal"), _separators),
    (("pad_first", "shift"), _padding),
    (("columns", "power_from_energy"), _energy),
    (("columns", "power_from_energy", "unit"), _fitting),
)
