"""The settings of one meter -> `CsvRules`: names, values and what may stand together."""

from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from swarm.measurement import REGISTERS, VALUE, unit_of
from swarm.options import boolean, one_of, positive_duration
from swarm.settings import DEFAULT_TIMESTAMP, ROUTES, CsvRules

_PREFIXES = {"m": -3, "": 0, "k": 3, "M": 6, "G": 9}
_BASES = ("W", "var", "VA", "V", "A", "Wh")

#: Every unit that a column may be in: its base unit and the power of ten between them.
UNITS = {prefix + base: (base, power) for base in _BASES for prefix, power in _PREFIXES.items()}


def zone(text: str) -> str:
    """Return the name of an IANA time zone."""
    try:
        return ZoneInfo(text).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("an IANA time zone such as Europe/Dublin or America/Chicago") from None


def columns(text: str) -> tuple[str, ...]:
    """Return the names of the measurement columns: registers, ``value``, ``-`` for one skipped."""
    names = tuple(name.strip() for name in text.split(","))
    kept = [name for name in names if name != "-"]
    known = all(name == VALUE or name in REGISTERS for name in kept)
    if not kept or not known or len(set(kept)) < len(kept) or (VALUE in kept and len(kept) > 1):
        raise ValueError(
            "'value' alone, or registers such as aP_1, aP_2, pC_1, each once; '-' skips a column"
        )
    return names


def units(text: str) -> tuple[str, ...]:
    """Return the units that columns are in, at most one for a quantity."""
    names = tuple(name.strip() for name in text.split(","))
    bases = [UNITS[name][0] for name in names if name in UNITS]
    if len(bases) < len(names) or len(set(bases)) < len(bases):
        raise ValueError("units such as kW, kvar, kVA, kV, mA, kWh, at most one for a quantity")
    return names


def delimiter(text: str) -> str:
    """Return the character between cells."""
    character = {"\\t": "\t", "tab": "\t", "space": " "}.get(text, text)
    if len(character) != 1 or character.isalnum() or character in "\"+-.:'":
        raise ValueError("one character between cells, such as , or ; or tab")
    return character


def decimal(text: str) -> str:
    """Return the decimal separator."""
    if text not in {".", ","}:
        raise ValueError("'.' or ','")
    return text


def whole(text: str) -> int:
    """Return a whole number, zero included."""
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ValueError("a whole number")
    return int(text)


def minutes(text: str) -> float:
    """Return the minutes of a duration above zero."""
    return positive_duration(text) / 60


def timestamp_format(text: str) -> str:
    """Return a strptime format that has at least a date."""
    if "%" not in text:
        raise ValueError("a strptime format such as %d/%m/%Y %H:%M")
    return text


PARSERS: Mapping[str, Callable[[str], Any]] = {
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
    "shift": positive_duration,
    "pad_first": boolean,
    "power_from_energy": minutes,
}


def build(values: Mapping[str, Any]) -> CsvRules:
    """Return the rules that parsed settings make; ValueError says what can't stand together."""
    given = dict(values)
    utc = given.pop("route", None) == "utc"
    has_offset = "%z" in given.get("timestamp_format", DEFAULT_TIMESTAMP)
    if "timezone" not in given and not has_offset:
        raise ValueError(
            "timezone: missing; name the zone of the CSV's timestamps, such as "
            "timezone = Europe/Dublin (a wrong offset in the platform is for good)"
        )
    if given.get("delimiter", ",") == given.get("decimal", "."):
        raise ValueError("decimal: the same as the delimiter; set delimiter = ; for example")
    scale = _scale(given)
    return CsvRules(timezone=given.pop("timezone", None), utc=utc, scale=scale, **given)


def _scale(given: dict[str, Any]) -> tuple[tuple[str, int], ...]:
    """Take ``unit`` out of the settings and return each register's power of ten."""
    by_base = {UNITS[name][0]: name for name in given.pop("unit", ())}
    energy = "power_from_energy" in given
    named: tuple[str, ...] = given.get("columns") or ((VALUE,) if energy else REGISTERS)
    if energy and named != (VALUE,):
        raise ValueError("power_from_energy: needs a single column of energy, 'value'")
    bases = {name: "Wh" if name == VALUE else unit_of(name) for name in named if name != "-"}
    for base, unit in by_base.items():
        if base not in bases.values() or (VALUE in bases and not energy):
            raise ValueError(f"unit: {unit} fits no column; 'columns' says what the columns are")
    return tuple(
        (name, UNITS[by_base[base]][1])
        for name, base in bases.items()
        if base in by_base and UNITS[by_base[base]][1]
    )
