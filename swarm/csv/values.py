"""The measurement cells of a row -> JSON numbers in register order, or problems."""

from functools import lru_cache

from swarm.config.settings import CsvRules
from swarm.csv import numbers
from swarm.csv.numbers import number, scaled
from swarm.csv.problems import Problems
from swarm.packet import REGISTERS, VALUE
from swarm.text import quoted


@lru_cache
def kept(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the registers of a CSV's columns that are sent, in the packet's order."""
    return tuple(name for name in (VALUE, *REGISTERS) if name in columns)


class ValueReader:
    """Reads measurement cells. The first row tells what the columns are, where no setting does."""

    def __init__(self, rules: CsvRules, problems: Problems) -> None:
        self._rules = rules
        self._problems = problems
        self._scale = dict(rules.scale)
        self.columns: tuple[str, ...] | None = None
        self.candidates = _candidates(rules)

    def fits(self, line: int, cells: list[str]) -> bool:
        """Tell whether a row has the right number of cells (timestamp included), or note it."""
        possible = (self.columns,) if self.columns else self.candidates
        for columns in possible:
            if len(columns) == len(cells) - 1:
                self.columns = columns
                return True
        counts = [len(columns) + 1 for columns in possible]
        nearest = min(counts, key=lambda count: abs(count - len(cells)))
        expected = str(counts[0]) if len(counts) == 1 else _TWO_KINDS
        self._problems.add(
            line,
            min(len(cells), nearest) + 1,
            "cells",
            f"wrong number of cells: found {len(cells)}, expected {expected}",
        )
        return False

    def values(self, line: int, cells: list[str]) -> str | None:
        """Return the values of cells that `fits`, parted by commas; None if the row has none."""
        columns = self.columns or ()
        places = {name: place for place, name in enumerate(columns) if name != "-"}
        if not any(cells[place] for place in places.values()):
            return None
        values = {
            name: self._value(line, place + 2, name, cells[place]) for name, place in places.items()
        }
        return ",".join([values[name] for name in kept(columns)])

    def no_value(self, line: int) -> None:
        """Note a row without a value."""
        self._problems.add(line, 2, "no value", _NO_VALUE)

    def _value(self, line: int, column: int, name: str, cell: str) -> str:
        if not cell:
            return ""
        try:
            return self._converted(name, cell)
        except ValueError as error:
            example = f"12{self._rules.decimal}5"
            self._problems.add(
                line,
                column,
                "number",
                f"{error}: found {quoted(cell)}, expected a finite decimal number "
                f"such as {example}",
            )
            return ""

    def is_number(self, cell: str) -> bool:
        """Tell whether a cell is a decimal number."""
        try:
            self._number(cell)
        except ValueError:
            return False
        return True

    def _number(self, cell: str) -> str:
        if self._rules.decimal == ",":
            # A point has no place in such a number: '?' makes it none.
            cell = cell.replace(".", "?").replace(",", ".")
        return number(cell)

    def _converted(self, name: str, cell: str) -> str:
        value = self._number(cell)
        if power := self._scale.get(name):
            value = scaled(value, power)
        if self._rules.power_from_energy:
            numbers.cells(value, self._rules.power_from_energy)
        return value


def _candidates(rules: CsvRules) -> tuple[tuple[str, ...], ...]:
    if rules.columns:
        return (rules.columns,)
    return ((VALUE,),) if rules.power_from_energy else ((VALUE,), REGISTERS)


_TWO_KINDS = "2 (timestamp and value) or 22 (timestamp and 21 registers); 'columns' names others"
_NO_VALUE = (
    "a row without any value: found empty cells, expected at least one number; "
    "empty_rows = skip leaves such rows out"
)
