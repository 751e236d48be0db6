"""The measurement cells of a row -> JSON numbers in register order, or problems."""

import re
from collections.abc import Sequence
from functools import lru_cache

from swarm.config.settings import CsvRules
from swarm.csv.cells import column_number
from swarm.csv.limits import Bounds, Limits, breach
from swarm.csv.numbers import number, power_and_energy, scaled
from swarm.csv.problems import Problems
from swarm.packet import REGISTERS, VALUE
from swarm.text import quoted


@lru_cache
def kept(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the registers of a CSV's columns that are sent, in the packet's order."""
    return tuple(name for name in (VALUE, *REGISTERS) if name in columns)


class ValueReader:
    """Reads the measurement cells of one file's rows.

    ``columns`` are the registers of the file's columns, or None until a row has shown which of the
    ``candidates`` they are.
    """

    def __init__(self, rules: CsvRules, problems: Problems) -> None:
        self._rules = rules
        self._problems = problems
        self._scale = dict(rules.scale)
        self._groups = _groups(rules.thousands, rules.decimal) if rules.thousands else None
        self._stamps = rules.timestamp_columns
        self.limits = Limits(rules)
        self._bounds: tuple[Bounds, ...] = ()
        self.columns: tuple[str, ...] | None = None
        self.candidates: tuple[tuple[str, ...], ...] = ((VALUE,), REGISTERS)
        if rules.columns:
            self.candidates = (rules.columns,)
        elif rules.power_from_energy:
            self.candidates = ((VALUE,),)

    def fits(self, line: int, cells: list[str]) -> bool:
        """Return True if a row's number of cells, timestamp included, is right; else a problem."""
        possible = (self.columns,) if self.columns else self.candidates
        for columns in possible:
            if len(columns) == len(cells) - len(self._stamps):
                self.columns = columns
                return True
        counts = [len(columns) + len(self._stamps) for columns in possible]
        nearest = min(counts, key=lambda count: abs(count - len(cells)))
        expected = str(counts[0]) if len(counts) == 1 else _TWO_COUNTS.format(*counts)
        self._problems.add(
            line,
            min(len(cells), nearest) + 1,
            "cells",
            f"wrong number of cells: found {len(cells)}, expected {expected}",
        )
        return False

    def values(self, line: int, cells: Sequence[str]) -> str | None:
        """Return the values of cells that `fits`, separated by commas; None if all are empty."""
        columns = self.columns or ()
        if self.limits.are_set and not self._bounds:
            self._bounds = tuple(self.limits.of(columns))
        if self._rules.missing:
            cells = ["" if cell.lower() in self._rules.missing else cell for cell in cells]
        indices = {name: index for index, name in enumerate(columns) if name != "-"}
        if not any(cells[index] for index in indices.values()):
            return None
        values = dict.fromkeys(indices, "")
        for name, index in indices.items():
            cell = cells[index]
            if not cell:
                continue
            try:
                value = self._number(cell)
                if self._bounds and (expected := breach(value, self._bounds[index])):
                    message = f"a value out of range: found {quoted(cell)}, expected {expected}"
                    self._problems.add(line, self.place(index), "range", message)
                if power := self._scale.get(name):
                    value = scaled(value, power)
                if self._rules.power_from_energy:
                    # The power must be finite, too.
                    power_and_energy(value, self._rules.power_from_energy)
                values[name] = value
            except ValueError as error:
                self._problems.add(
                    line,
                    self.place(index),
                    "number",
                    f"{error}: found {quoted(cell)}, expected a finite decimal number "
                    f"such as 12{self._rules.decimal}5",
                )
        return ",".join([values[name] for name in kept(columns)])

    def place(self, index: int) -> int:
        """Return the number of a measurement column among all columns, from 1."""
        return column_number(index, self._stamps)

    def is_number(self, cell: str) -> bool:
        """Return True if a cell is a decimal number.

        Its spelling is that of the rules, such as a decimal comma.
        """
        try:
            self._number(cell)
        except ValueError:
            return False
        return True

    def _number(self, cell: str) -> str:
        if self._groups and self._groups.fullmatch(cell):
            for mark in self._rules.thousands or "":
                cell = cell.replace(mark, "")
        if self._rules.decimal == ",":
            # A point is not allowed in such a number: '?' makes the cell invalid.
            cell = cell.replace(".", "?").replace(",", ".")
        return number(cell)


def _groups(marks: str, decimal: str) -> re.Pattern[str]:
    """Return the pattern of a number with ``marks`` between groups of three digits."""
    part = rf"(?:{re.escape(decimal)}[0-9]*)?"
    return re.compile(rf"[+-]?[0-9]{{1,3}}(?:[{re.escape(marks)}][0-9]{{3}})+{part}")


_TWO_COUNTS = (
    "{} (timestamp and value) or {} (timestamp and 21 registers); for others, set 'columns'"
)
