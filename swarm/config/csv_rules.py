"""The settings of one meter -> `CsvRules`, and conflicts between them."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from swarm.config.csv_parsers import UNITS, read_probe
from swarm.config.parsers import INVALID
from swarm.config.settings import DEFAULT_TIMESTAMP, CsvRules
from swarm.packet import REGISTERS, VALUE, unit_of

_NO_ZONE = (
    "timezone: missing; set the time zone of the CSV's timestamps, such as timezone = "
    "Europe/Dublin (readings sent with a wrong zone can't be corrected in the platform)"
)
_NO_SHIFT = (
    "needs a shift: the extra packet is sent that much before the first row; set shift, or "
    "remove pad_first"
)

Values = Mapping[str, Any]


def conflicts(values: Values) -> Iterator[tuple[str | None, str]]:
    """Yield each conflict between values: the option to change, if there is one, and the problem.

    A value that is `INVALID` was reported already and causes no conflict.
    """
    invalid = {option for option, value in values.items() if value is INVALID}
    if "timezone" not in values and "timestamp_format" not in invalid:
        parsed = read_probe(values.get("timestamp_format", DEFAULT_TIMESTAMP))
        if parsed is None or parsed.tzinfo is None:
            yield None, _NO_ZONE
    decimal = values.get("decimal", ".")
    if decimal is not INVALID and decimal == values.get("delimiter", ","):
        yield "decimal", "the same as the delimiter; set delimiter = ; for example"
    if decimal is not INVALID and decimal == values.get("thousands"):
        yield "thousands", f"the same as the decimal sign, which is {decimal}"
    if invalid.isdisjoint({"columns", "maximum", "minimum"}):
        yield from _limit_conflicts(values)
    if values.get("pad_first") is True and not values.get("shift"):
        yield "pad_first", _NO_SHIFT
    if _fixes_columns(values) and invalid.isdisjoint({"columns", "power_from_energy"}):
        yield from _unit_conflicts(values)


def _unit_conflicts(values: Values) -> Iterator[tuple[str, str]]:
    """Yield conflicts of units, or of ``power_from_energy``, with the columns."""
    base_units = _base_units(values)
    is_energy = "power_from_energy" in values
    if is_energy and list(base_units) != [VALUE]:
        yield "power_from_energy", "needs a single column of energy; expected columns = value"
    units = values.get("unit", ())
    for name in units if units is not INVALID else ():
        # A column 'value' has no known unit, unless it is energy.
        has_no_unit = VALUE in base_units and not is_energy
        if has_no_unit or UNITS[name][0] not in base_units.values():
            yield "unit", f"{name} fits no column; set 'columns' to what the columns hold"


def _limit_conflicts(values: Values) -> Iterator[tuple[str, str]]:
    """Yield conflicts between limits, or of limits with the number of columns."""
    low, high = values.get("minimum", ()), values.get("maximum", ())
    names = values.get("columns")
    counts = {len(names)} if names else {1, len(REGISTERS)}
    for option, limit in (("minimum", low), ("maximum", high)):
        if len(limit) > 1 and len(limit) not in counts:
            columns = f"there are {len(names)} columns" if names else "'columns' is not set"
            yield option, f"has {len(limit)} values, but {columns}; expected one for each, or one"
            return
    width = max(len(low), len(high))
    pairs = zip(*(each * width if len(each) == 1 else each for each in (low, high)), strict=False)
    for least, most in pairs:
        if "-" not in {least, most} and Decimal(least) > Decimal(most):
            yield "minimum", f"{least} is above the maximum of {most}: no value is between the two"


def build(values: Values) -> CsvRules:
    """Return the rules of values without conflicts."""
    given = {option: value for option, value in values.items() if option not in {"route", "unit"}}
    scale: tuple[tuple[str, int], ...] = ()
    if _fixes_columns(values):
        # So that the file must have those that the values were checked against.
        given["columns"] = _columns(values)
        powers = dict(UNITS[name] for name in values.get("unit", ()))
        base_units = _base_units(values).items()
        scale = tuple((register, powers[base]) for register, base in base_units if powers.get(base))
    return CsvRules(**{"timezone": None, **given}, utc=values.get("route") == "utc", scale=scale)


def _fixes_columns(values: Values) -> bool:
    """Return True if values say what the columns hold."""
    return "power_from_energy" in values or "unit" in values


def _columns(values: Values) -> tuple[str, ...]:
    named: tuple[str, ...] | None = values.get("columns")
    return named or ((VALUE,) if "power_from_energy" in values else REGISTERS)


def _base_units(values: Values) -> dict[str, str]:
    """Return the base unit of each register that is sent."""
    sent = (name for name in _columns(values) if name != "-")
    return {name: "Wh" if name == VALUE else unit_of(name) for name in sent}
