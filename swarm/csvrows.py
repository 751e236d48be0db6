"""Blocks of a CSV -> readings: the rules of section 4 of the contract for a row by itself.

Two ways lead to the same readings. Most files are plain: for those one regular expression reads a
whole block, and dictionaries turn its dates and clock times into instants. A block that holds
anything else (other settings, blanks, quotes, odd numbers, problems) goes line by line.
"""

import csv
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Context, Decimal
from typing import NamedTuple

from swarm.csvfile import Block
from swarm.localtime import RepeatedHours, Zone, midnight, wall_of
from swarm.measurement import REGISTERS, VALUE
from swarm.packet import PLAIN_NUMBER, number
from swarm.problems import Problems, shown
from swarm.settings import DEFAULT_TIMESTAMP, CsvRules

_DATE = r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
_CLOCK = r"((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])"
_PLAIN = {
    (VALUE,): re.compile(rf"^{_DATE} {_CLOCK},({PLAIN_NUMBER})\r?\n", re.MULTILINE),
    REGISTERS: re.compile(
        rf"^{_DATE} {_CLOCK},(?!,+\r?$)((?:{PLAIN_NUMBER})?(?:,(?:{PLAIN_NUMBER})?){{20}})\r?\n",
        re.MULTILINE,
    ),
}
_STANDARD = re.compile(rf"{_DATE} {_CLOCK}")
_BLANKS = " \t"
_MICROSECONDS_IN_MS = 1000


class Reading(NamedTuple):
    """One row as it stands in the CSV: instant and wall time in ms, cells as JSON numbers."""

    instant: int
    wall: int
    cells: str
    line: int
    text: str


class Batch(NamedTuple):
    """A block's readings: the instants at once, the rest when it is asked for."""

    instants: list[int]
    walls: Callable[[], list[int]]
    readings: Callable[[], list[Reading]]


class Unsteady(Exception):  # noqa: N818 - a signal inside this module, not an error
    """A day on which the clocks change."""


class _Days(dict[str, int]):
    """The instant at which each day begins, for days with one offset."""

    def __init__(self, zone: Zone | None) -> None:
        super().__init__()
        self._zone = zone

    def __missing__(self, date: str) -> int:
        wall = midnight(date)
        offset = self._zone.steady_offset(wall) if self._zone else None
        if offset is None:
            raise Unsteady
        self[date] = wall - offset
        return self[date]


class _Midnights(dict[str, int]):
    def __missing__(self, date: str) -> int:
        self[date] = midnight(date)
        return self[date]


class _Clocks(dict[str, int]):
    def __missing__(self, clock: str) -> int:
        hours, minutes, seconds = clock.split(":")
        self[clock] = ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000
        return self[clock]


class RowReader:
    """Reads the blocks of one file; counts ``rows``, gathers `problems`."""

    def __init__(
        self, rules: CsvRules, problems: Problems, interleaved: frozenset[int] = frozenset()
    ) -> None:
        self.problems = problems
        self.rows = 0
        self.empty_rows = 0
        self.registers: tuple[str, ...] | None = None
        self.repeated = RepeatedHours(interleaved)
        self._rules = rules
        self._zone = Zone(rules.timezone) if rules.timezone else None
        self._scale = dict(rules.scale)
        self._days = _Days(self._zone)
        self._midnights = _Midnights()
        self._clocks = _Clocks()
        self._is_standard = rules.timestamp_format == DEFAULT_TIMESTAMP
        self._candidates = (rules.columns,) if rules.columns else tuple(_PLAIN)
        self._is_plain = (
            self._is_standard
            and (rules.delimiter, rules.decimal) == (",", ".")
            and not rules.scale
            and rules.columns in (None, (VALUE,), REGISTERS)
        )

    def read(self, block: Block) -> Batch:
        """Return a block's readings, in the order of the file."""
        found = self._plain(block)
        return self._by_line(block) if found is None else self._fast(block.line, found)

    def _plain(self, block: Block) -> list[tuple[str, str, str]] | None:
        """Return date, clock and cells of every line, if the whole block is plain."""
        if not self._is_plain or block.line <= self._rules.skip_rows or not block.data.isascii():
            return None
        text = block.data.decode("ascii")
        for registers in (self.registers,) if self.registers else self._candidates:
            found: list[tuple[str, str, str]] = _PLAIN[registers].findall(text)
            # Each match takes exactly one line end: as many matches as lines leave nothing over.
            if len(found) == text.count("\n") and text.endswith("\n"):
                self.registers = registers
                return found
        return None

    def _fast(self, line: int, found: list[tuple[str, str, str]]) -> Batch:
        days, clocks, midnights = self._days, self._clocks, self._midnights
        try:
            instants = [days[date] + clocks[clock] for date, clock, _ in found]
        except (Unsteady, ValueError):
            return self._by_clock(line, found)
        self.rows += len(found)

        def walls() -> list[int]:
            return [midnights[date] + clocks[clock] for date, clock, _ in found]

        def readings() -> list[Reading]:
            return [
                Reading(instant, wall, cells, number, f"{date} {clock},{cells}")
                for number, (instant, wall, (date, clock, cells)) in enumerate(
                    zip(instants, walls(), found, strict=True), line
                )
            ]

        return Batch(instants, walls, readings)

    def _by_clock(self, line: int, found: list[tuple[str, str, str]]) -> Batch:
        """Read a plain block that touches a clock change, or a day that no calendar has."""
        readings = []
        for place, (date, clock, cells) in enumerate(found, line):
            self.rows += 1
            text = f"{date} {clock}"
            instant = self._standard_instant(date, clock, text, place)
            if instant is not None:
                wall = self._midnights[date] + self._clocks[clock]
                readings.append(Reading(instant, wall, cells, place, f"{text},{cells}"))
        return _batch(readings)

    def _by_line(self, block: Block) -> Batch:
        lines = block.data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        readings = []
        for number, raw in enumerate(lines, block.line):
            raw = raw.removesuffix(b"\r")
            if number > self._rules.skip_rows and raw.strip():
                reading = self._line(number, raw)
                if reading is not None:
                    readings.append(reading)
        return _batch(readings)

    def _line(self, line: int, raw: bytes) -> Reading | None:
        self.rows += 1
        before = self.problems.count
        text = self._text(line, raw)
        cells = None if text is None else self._cells(line, text)
        if text is None or cells is None or not self._fits(line, cells):
            return None
        moment = self._moment(line, cells[0])
        values = self._values(line, cells[1:])
        if values is None or moment is None or self.problems.count > before:
            return None
        return Reading(*moment, values, line, text)

    def _text(self, line: int, raw: bytes) -> str | None:
        if b"\0" in raw:
            column = raw[: raw.index(b"\0")].count(self._rules.delimiter.encode()) + 1
            self.problems.add(line, column, "nul", "a NUL byte; expected text, as UTF-8")
            return None
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            column = raw[: error.start].count(self._rules.delimiter.encode()) + 1
            found = raw[error.start : error.start + 1].hex()
            self.problems.add(
                line,
                column,
                "encoding",
                f"bytes that are not UTF-8: found 0x{found}; save the file as UTF-8",
            )
            return None

    def _cells(self, line: int, text: str) -> list[str] | None:
        delimiter = self._rules.delimiter
        if '"' not in text:
            return [cell.strip(_BLANKS) for cell in text.split(delimiter)]
        try:
            rows = csv.reader([text], delimiter=delimiter, strict=True, skipinitialspace=True)
            return [cell.strip(_BLANKS) for cell in next(rows)]
        except csv.Error:
            column = text[: text.rindex('"')].count(delimiter) + 1
            self.problems.add(
                line,
                column,
                "quote",
                "an unterminated quote, or text after a "
                "closing one: expected a quote to end in its own cell and line",
            )
            return None

    def _fits(self, line: int, cells: list[str]) -> bool:
        """Tell whether the row has the right number of cells; a header line is told as such."""
        if self._is_header(cells):
            self.problems.add(
                line,
                1,
                "header",
                f"a header line, found {shown(cells[0])}: the "
                "file must begin with data; remove it, or set skip_rows = "
                f"{line}",
            )
            return False
        known = self.registers or self._rules.registers(len(cells) - 1)
        if known and len(known) == len(cells) - 1:
            self.registers = known
            return True
        known = known or self._rules.columns
        expected = (
            str(len(known) + 1)
            if known
            else "2 (timestamp and value) or 22 (timestamp "
            "and 21 registers; 'columns' names others)"
        )
        column = min(len(cells), len(known or ()) or 1) + 1
        self.problems.add(
            line, column, "cells", f"wrong number of cells: found {len(cells)}, expected {expected}"
        )
        return False

    def _is_header(self, cells: list[str]) -> bool:
        if self.rows != 1 or not any(any(c.isalpha() for c in cell) for cell in cells):
            return False
        if self._parsed_time(cells[0]) is not None:
            return False
        return not any(_is_number(cell) for cell in cells[1:])

    def _parsed_time(self, text: str) -> datetime | None:
        try:
            return datetime.strptime(text, self._rules.timestamp_format)  # noqa: DTZ007
        except (ValueError, re.error, OverflowError):
            return None

    def _moment(self, line: int, text: str) -> tuple[int, int] | None:
        """Return instant and wall time of a timestamp."""
        match = _STANDARD.fullmatch(text) if self._is_standard else None
        if match:
            instant = self._standard_instant(match[1], match[2], text, line)
            if instant is None:
                return None
            return instant, self._midnights[match[1]] + self._clocks[match[2]]
        parsed = self._parsed_time(text)
        if parsed is None:
            self._bad_time(line, text)
            return None
        if parsed.microsecond % _MICROSECONDS_IN_MS:
            self.problems.add(
                line,
                1,
                "timestamp",
                f"a time finer than a millisecond: found "
                f"{shown(text)}, expected at most three decimals of a second",
            )
            return None
        offset = parsed.utcoffset()
        wall = wall_of(parsed.replace(tzinfo=None))
        if offset is not None:
            return wall - round(offset.total_seconds() * 1000), wall
        instant = self._instant(wall, text, line)
        return None if instant is None else (instant, wall)

    def _standard_instant(self, date: str, clock: str, text: str, line: int) -> int | None:
        try:
            return self._days[date] + self._clocks[clock]
        except Unsteady:
            return self._instant(self._midnights[date] + self._clocks[clock], text, line)
        except ValueError:
            self._bad_time(line, text)
            return None

    def _bad_time(self, line: int, text: str) -> None:
        self.problems.add(
            line,
            1,
            "timestamp",
            f"not a timestamp: found {shown(text)}, expected {self._rules.timestamp_format}",
        )

    def _instant(self, wall: int, text: str, line: int) -> int | None:
        """Return the instant of a wall time on a day on which the clocks may change."""
        assert self._zone is not None  # noqa: S101 - rules without a zone have offsets in the CSV
        readings = self._zone.readings(wall)
        if not readings.offsets:
            self.problems.add(
                line,
                1,
                "nonexistent time",
                f"{shown(text)} does not exist in "
                f"{self._zone.name}: the clocks skip it; expected another timezone, "
                "or timestamps in UTC",
            )
            return None
        if readings.change is None:
            return wall - readings.offsets[0]
        rule = self._rules.ambiguous_time
        if rule == "error":
            self.problems.add(
                line,
                1,
                "ambiguous time",
                f"{shown(text)} occurs twice in "
                f"{self._zone.name}: the clocks repeat it; set ambiguous_time",
            )
            return None
        if rule == "infer":
            return wall - readings.offsets[self.repeated.reading(wall, readings.change, line)]
        return wall - readings.offsets[rule == "second"]

    def _values(self, line: int, cells: list[str]) -> str | None:
        """Return the measurements in register order, as JSON numbers parted by commas."""
        registers = self.registers or ()
        values: dict[str, str] = {}
        for column, (register, cell) in enumerate(zip(registers, cells, strict=True), 2):
            if register != "-":
                values[register] = self._number(line, column, register, cell)
        if not any(values.values()):
            self._empty(line, cells)
            return None
        if self._rules.columns is None:
            return ",".join(values.values())
        return ",".join(values[register] for register in kept(registers))

    def _empty(self, line: int, cells: list[str]) -> None:
        if any(cell for cell, name in zip(cells, self.registers or (), strict=True) if name != "-"):
            return
        if self._rules.empty_rows == "skip":
            self.empty_rows += 1
            return
        self.problems.add(
            line,
            2,
            "no value",
            "a row without any value: expected at least one "
            "number; empty_rows = skip leaves such rows out",
        )

    def _number(self, line: int, column: int, register: str, cell: str) -> str:
        if not cell:
            return ""
        text = cell
        if self._rules.decimal == ",":
            text = cell.replace(",", ".") if "." not in cell else "?"
        try:
            value = number(text)
        except ValueError as error:
            self.problems.add(
                line,
                column,
                "number",
                f"{error}: found {shown(cell)}, expected "
                f"a finite decimal number such as 12{self._rules.decimal}5",
            )
            return ""
        power = self._scale.get(register)
        return scaled(value, power) if power else value


def scaled(value: str, power: int) -> str:
    """Return a JSON number times a power of ten, exactly.

    >>> scaled("1.2345", 3), scaled("250", -3)
    ('1234.5', '0.250')
    """
    digits = Decimal(value)
    moved = digits.scaleb(power, Context(prec=max(len(digits.as_tuple().digits), 1)))
    return number(f"{moved:f}" if -400 < moved.adjusted() < 400 else str(moved).lower())


def kept(registers: tuple[str, ...]) -> tuple[str, ...]:
    """Return the registers of a CSV's columns that are sent, in the packet's order."""
    names = set(registers) - {"-"}
    return tuple(name for name in (VALUE, *REGISTERS) if name in names)


def _is_number(cell: str) -> bool:
    try:
        number(cell)
    except ValueError:
        return False
    return True


def _batch(readings: list[Reading]) -> Batch:
    return Batch(
        [reading.instant for reading in readings],
        lambda: [reading.wall for reading in readings],
        lambda: readings,
    )
