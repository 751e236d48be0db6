"""The names over a CSV's columns -> ``columns`` and ``unit``."""

import re
from collections.abc import Sequence

from swarm.config.csv_rules import UNITS
from swarm.errors import GuessError
from swarm.init.writer import Setting
from swarm.packet import ATTRIBUTES, REGISTERS, VALUE, unit_of
from swarm.text import quoted

_WITH_UNIT = re.compile(r"(?P<name>[^\[(]*?)\s*[\[(]\s*(?P<unit>[A-Za-z]+)\s*[\])]\s*")
_QUANTITIES = {
    "active power": "aP",
    "reactive power": "rP",
    "apparent power": "apP",
    "voltage": "v",
    "current": "c",
}
_WORDS = re.compile(rf"({'|'.join(_QUANTITIES)}) (?:phase )?(?:[lp] ?)?([123abc])")
_PHASES = str.maketrans("abc", "123")
_BY_NAME = {
    **{name.lower(): name for name in REGISTERS},
    **dict(zip(ATTRIBUTES, REGISTERS, strict=True)),
}
#: More names than that are not repeated to the user.
_MOST_NAMES = 8


def settings(header: Sequence[str], numeric: Sequence[bool | None]) -> tuple[Setting, ...]:
    """Return what has to be said of a CSV's measurement columns, nothing where swarm knows.

    ``header`` are their names, if there are any; ``numeric`` tells which hold numbers. Raises
    `GuessError` if none does.
    """
    if True not in numeric:
        raise GuessError("no column of numbers after the timestamp")
    found = [_meant(name) for name in header] or [None] * len(numeric)
    names = _columns(found, numeric)
    if any(name in REGISTERS for name in names):
        return _of_registers(names, header, numeric, _units(found, names))
    if len(numeric) == 1:
        return ()
    if len(numeric) == len(REGISTERS) and False not in numeric:
        doubt = f"the order of the columns; {_told(header)}" if header else ""
        return (Setting("columns", ", ".join(REGISTERS), doubt),) if header else ()
    return (Setting("columns", ", ".join(_single(numeric)), _UNKNOWN.format(_told(header))),)


_UNKNOWN = (
    "which columns are sent, and as what; {}. 'value' sends one of them, registers (aP_1..3 "
    "rP_1..3 apP_1..3 v_1..3 c_1..3 pC_1..3 v_12 v_13 v_23) send several, '-' leaves one out; "
    "registers are in W, var, VA, V, A and Wh: add unit = kW, kWh where the file's are not"
)


def _columns(
    found: Sequence[tuple[str, str] | None], numeric: Sequence[bool | None]
) -> tuple[str, ...]:
    """Return each column's register, ``-`` where its name tells none or one that is taken."""
    names: list[str] = []
    for meant, is_numeric in zip(found, numeric, strict=True):
        name = meant[0] if meant and is_numeric is not False else "-"
        names.append("-" if name in names else name)
    return tuple(names)


def _single(numeric: Sequence[bool | None]) -> list[str]:
    first = list(numeric).index(True)
    return [VALUE if at == first else "-" for at in range(len(numeric))]


def _of_registers(
    names: Sequence[str],
    header: Sequence[str],
    numeric: Sequence[bool | None],
    unit: tuple[Setting, ...],
) -> tuple[Setting, ...]:
    if tuple(names) == REGISTERS:
        return unit
    left = [
        h for h, n, is_number in zip(header, names, numeric, strict=True) if n == "-" and is_number
    ]
    doubt = f"these columns of numbers are left out: {_listed(left)}" if left else ""
    return (Setting("columns", ", ".join(names), doubt), *unit)


def _units(found: Sequence[tuple[str, str] | None], names: Sequence[str]) -> tuple[Setting, ...]:
    """Return the units that the names tell, where they are not those of the collector."""
    by_base: dict[str, set[str]] = {}
    for meant, name in zip(found, names, strict=True):
        if meant and name != "-":
            by_base.setdefault(unit_of(name), set()).add(meant[1])
    units = [min(units) for base, units in by_base.items() if units != {base}]
    mixed = [units for units in by_base.values() if len(units) > 1]
    doubt = f"one quantity is in several units: {_listed(sorted(mixed[0]))}" if mixed else ""
    return (Setting("unit", ", ".join(units), doubt),) if units else ()


def _meant(name: str) -> tuple[str, str] | None:
    """Return the register and unit that a name obviously means."""
    match = _WITH_UNIT.fullmatch(name)
    plain, unit = (match["name"], match["unit"]) if match else (name, "")
    register = _BY_NAME.get(plain.strip().lower()) or _by_words(plain)
    if register is None:
        return None
    unit = unit or unit_of(register)
    is_known = unit in UNITS and UNITS[unit][0] == unit_of(register)
    return (register, unit) if is_known else None


def _by_words(name: str) -> str | None:
    match = _WORDS.fullmatch(re.sub(r"[\W_]+", " ", name.lower()).strip())
    return f"{_QUANTITIES[match[1]]}_{match[2].translate(_PHASES)}" if match else None


def _told(header: Sequence[str]) -> str:
    return f"the header names {_listed(header)}" if header else "the file has no header"


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _MOST_NAMES
    told = ", ".join(quoted(name) for name in names[:_MOST_NAMES])
    return f"{told} and {rest} more" if rest > 0 else told
