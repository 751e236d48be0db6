"""Guess ``columns`` and ``unit`` from the names in a CSV's header."""

import re
from collections.abc import Sequence

from swarm.config.csv_parsers import UNITS
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
#: Names of columns with numbers of other things than a meter's readings.
_NO_VALUE = re.compile(
    r"(?<![^\W_])(id|no|nr|nmi|mpan|mprn|prm|pod|serial|number|nummer|quality|qualit\w+|indice|flags?"
    r"|status|forecast\w*|prognose\w*|cost|price|preis|kosten|prix|temp\w*|duration)(?![^\W_])|°c|[€£$]"
    r"|^(#|rn|row|rec|record|seq|line|pas|hours?|minutes?)$"
)
_VALUE_NAME = re.compile(
    r"valu|valeur|wert|usage|consum|conso|verbrauch|energ|power|leistung|quantity|määrä|k\s?wh?\b|"
    r"mwh?\b|reading|menge|arbeit|kulutus|forbrug|förbrukning|forbruk|consumo|load|import"
)
#: The number of names that a message lists.
_MOST_NAMES = 8
_UNKNOWN = (
    "which columns are sent, and as what; {}. 'value' sends one of them, registers (aP_1..3 "
    "rP_1..3 apP_1..3 v_1..3 c_1..3 pC_1..3 v_12 v_13 v_23) send several, '-' leaves one out; "
    "registers are in W, var, VA, V, A and Wh: add unit = kW, kWh if the file has other units"
)


def settings(
    header: Sequence[str], numeric: Sequence[bool | None], constant: Sequence[bool] = ()
) -> tuple[Setting, ...]:
    """Return the settings that a CSV's measurement columns need, none if the defaults fit.

    ``header`` are the names of the columns, if the file has any. ``numeric`` says of each column
    whether it holds numbers; None if it is empty. ``constant`` says of each whether its cells are
    all the same. Raises `GuessError` if no column holds numbers.
    """
    if True not in numeric:
        raise GuessError("no column of numbers after the timestamp")
    meanings = [_meaning(name) for name in header] or [None] * len(numeric)
    columns: list[str] = []
    for meaning, is_number in zip(meanings, numeric, strict=True):
        register = meaning[0] if meaning and is_number is not False else "-"
        columns.append("-" if register in columns else register)
    if set(columns) != {"-"}:
        unit = _unit(meanings, columns)
        if tuple(columns) == REGISTERS:
            return unit
        left_out = [
            name
            for name, column, is_number in zip(header, columns, numeric, strict=True)
            if column == "-" and is_number
        ]
        doubt = f"these columns of numbers are left out: {_listed(left_out)}" if left_out else ""
        return (Setting("columns", ", ".join(columns), doubt), *unit)
    if len(numeric) == 1:
        return ()
    names = f"the header names {_listed(header)}" if header else "the file has no header"
    if len(numeric) == len(REGISTERS) and False not in numeric:
        doubt = f"the order of the columns; {names}"
        return (Setting("columns", ", ".join(REGISTERS), doubt),) if header else ()
    columns[_value(header, numeric, constant)] = VALUE
    return (Setting("columns", ", ".join(columns), _UNKNOWN.format(names)),)


def _value(header: Sequence[str], numeric: Sequence[bool | None], constant: Sequence[bool]) -> int:
    """Return the index of the likeliest column of values among the columns of numbers.

    The names of identifiers, qualities and costs come last, and so do columns of one number.
    """

    def rank(index: int) -> tuple[bool, bool, bool]:
        name = header[index].lower() if header else ""
        is_same = bool(constant) and constant[index]
        return bool(_NO_VALUE.search(name)), is_same, not _VALUE_NAME.search(name)

    return min((index for index, is_number in enumerate(numeric) if is_number), key=rank)


def _meaning(name: str) -> tuple[str, str] | None:
    """Return the register and the unit that a column's name means, None if it is not clear."""
    match = _WITH_UNIT.fullmatch(name)
    plain, unit = (match["name"], match["unit"]) if match else (name, "")
    register = _BY_NAME.get(plain.strip().lower())
    if register is None:
        words = _WORDS.fullmatch(re.sub(r"[\W_]+", " ", plain.lower()).strip())
        if words is None:
            return None
        register = f"{_QUANTITIES[words[1]]}_{words[2].translate(_PHASES)}"
    unit = unit or unit_of(register)
    is_known = unit in UNITS and UNITS[unit][0] == unit_of(register)
    return (register, unit) if is_known else None


def _unit(
    meanings: Sequence[tuple[str, str] | None], columns: Sequence[str]
) -> tuple[Setting, ...]:
    """Return the units that the names of the columns give, none if they are the collector's."""
    by_base: dict[str, set[str]] = {}
    for meaning, column in zip(meanings, columns, strict=True):
        if meaning and column != "-":
            by_base.setdefault(unit_of(column), set()).add(meaning[1])
    units = [min(units) for base, units in by_base.items() if units != {base}]
    mixed = [units for units in by_base.values() if len(units) > 1]
    doubt = f"one quantity is in several units: {_listed(sorted(mixed[0]))}" if mixed else ""
    return (Setting("unit", ", ".join(units), doubt),) if units else ()


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    shown = ", ".join(quoted(name) for name in names[:_MOST_NAMES])
    return f"{shown} and {more} more" if more > 0 else shown
