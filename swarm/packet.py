"""A row or measurement -> the packet's bytes; sole owner of the wire format.

Source: "The packet" in docs/reference.md. Numbers travel as text from the CSV's cell to the
wire: nothing here goes through binary floating point, except to compare and to refuse infinities.
"""

import json
import re
import struct
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from numbers import Integral
from typing import Final, NamedTuple

from swarm.localtime import DAY_MS, naive_of

#: The one measurement of a single-value stream.
VALUE: Final = "value"

#: The 21 electrical registers, in the order of the CSV's columns and of the packet.
REGISTERS: Final[tuple[str, ...]] = (
    *(f"{quantity}_{phase}" for quantity in ("aP", "rP", "apP", "v", "c", "pC") for phase in "123"),
    "v_12",
    "v_13",
    "v_23",
)
_NOT_CANONICAL = re.compile(r"\.[0-9]*0(?![0-9])|[0-9.][eE]|-0(?![.0-9])")
_NUMBER_IN_BODY = re.compile(r"(?<=:)[^,]+")
_MINUTE_MS = 60_000


LARGEST_EXPONENT = 400


def body(registers: Sequence[str], cells: str) -> str:
    """Return the measurements of a packet; ``cells`` are JSON numbers parted by commas, or empty.

    >>> body(("aP_1", "aP_2", "c_1"), "1.50,,3")
    '"aP_1":1.50,"c_1":3'
    """
    if len(registers) == 1:
        return f'"{registers[0]}":{cells}'
    pairs = zip(registers, cells.split(","), strict=True)
    return ",".join([f'"{register}":{cell}' for register, cell in pairs if cell])


def digest(measurements: str) -> int:
    """Return 64 bits that stand for the values of a packet's `body`, however they are written.

    ``1.5`` and ``1.50`` are one value: an export that pads its decimals is not a changed one.
    """
    if _NOT_CANONICAL.search(measurements):
        measurements = _NUMBER_IN_BODY.sub(_canonical, measurements)
    return int.from_bytes(blake2b(measurements.encode(), digest_size=8).digest(), "little")


def _canonical(match: re.Match[str]) -> str:
    value = Decimal(match[0])
    if value == 0:
        return "0"
    if value.adjusted() < -LARGEST_EXPONENT:
        sign, digits, exponent = value.as_tuple()
        plain = "".join(map(str, digits))
        return f"{'-' * sign}{plain.rstrip('0')}e{int(exponent) + len(plain)}"
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def timestamp(instant: int, offset: int) -> str:
    """Return ``tsISO8601`` of an instant (ms) in local time with its offset (ms).

    The wire has whole minutes of offset. Historical offsets with seconds are cut to the minute,
    and the local time moves with them: the instant stays exact.
    """
    minutes = int(offset / _MINUTE_MS)
    day, rest = divmod(instant + minutes * _MINUTE_MS, DAY_MS)
    seconds, milliseconds = divmod(rest, 1000)
    hours, seconds = divmod(seconds, 3600)
    return (
        f"{_date(day)}T{hours:02}:{seconds // 60:02}:{seconds % 60:02}.{milliseconds:03}"
        f"{_offset(minutes)}"
    )


@lru_cache(maxsize=64)
def _date(day: int) -> str:
    return naive_of(day * DAY_MS).date().isoformat()


@lru_cache(maxsize=64)
def _offset(minutes: int) -> str:
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


@lru_cache(maxsize=4096)
def _head(stream: str) -> str:
    return f'{{"id":{json.dumps(stream, ensure_ascii=False)},"tsISO8601":"'


def packet(stream: str, instant: int, offset: int, measurements: str) -> bytes:
    """Return the packet: one JSON object on one line, in UTF-8."""
    return f'{_head(stream)}{timestamp(instant, offset)}",{measurements}}}'.encode()


def instant_of(text: str) -> int:
    """Return the instant (ms) of an ISO 8601 time with offset; ValueError if it is none."""
    moment = datetime.fromisoformat(text)
    offset = moment.utcoffset()
    if offset is None:
        raise ValueError("a time without offset")
    epoch = datetime(1970, 1, 1, tzinfo=moment.tzinfo) + offset
    return (moment - epoch) // timedelta(milliseconds=1)


class Mark(NamedTuple):
    """A packet's measurements as a collector may give them back: rounded to doubles, or quoted.

    ``values`` is a digest of the doubles, or the one double's own bits; ``registers`` has a bit for
    each register that is there.
    """

    values: int
    registers: int

    def is_of(self, stored: Mapping[str, object]) -> bool:
        """Tell whether a stored packet holds these measurements, equal as doubles.

        It may hold fields besides.
        """
        doubles = []
        for place, register in enumerate(_MARKED):
            if self.registers >> place & 1:
                double = _as_double(stored.get(register))
                if double is None:
                    return False
                doubles.append(double)
        return _values(doubles) == self.values


def mark(registers: Sequence[str], cells: str) -> Mark:
    """Return the mark of a packet; ``cells`` are as for `body`."""
    order = _in_order_of_marks(tuple(registers))
    if len(order) == 1:
        return Mark(_values([float(cells)]), order[0][0])
    parts = cells.split(",")
    there = [(bit, parts[place]) for bit, place in order if parts[place]]
    return Mark(_values([float(part) for _, part in there]), sum(bit for bit, _ in there))


def marked(stored: Mapping[str, object]) -> Mark:
    """Return the mark of a packet as a collector gave it back, with all registers that it has."""
    doubles = [_as_double(stored.get(register)) for register in _MARKED]
    bits = sum(1 << place for place, double in enumerate(doubles) if double is not None)
    return Mark(_values([each for each in doubles if each is not None]), bits)


_MARKED = (*REGISTERS, VALUE)


@lru_cache(maxsize=64)
def _in_order_of_marks(registers: tuple[str, ...]) -> list[tuple[int, int]]:
    """Return the bit of each register and its place among the cells, in the order of the bits."""
    return sorted((1 << _MARKED.index(name), place) for place, name in enumerate(registers))


def _values(doubles: Sequence[float]) -> int:
    # A zero is added as -0.0 equals 0.0, and is to have the same bytes.
    data = struct.pack(f"<{len(doubles)}d", *[double + 0.0 for double in doubles])
    if len(doubles) > 1:
        data = blake2b(data, digest_size=8).digest()
    return int.from_bytes(data, "little")


def same_measurements(measurements: str, stored: dict[str, object]) -> bool:
    """Tell whether a stored packet holds every measurement of a `body`, equal as a double.

    The collector may quote numbers, round them to doubles and add fields: "The packet" in
    docs/reference.md.
    """
    ours: dict[str, object] = json.loads(f"{{{measurements}}}", parse_int=float)
    return all(_as_double(stored.get(register)) == value for register, value in ours.items())


def _as_double(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


#: What the collector takes each quantity in.
UNITS: Final[dict[str, str]] = {
    "aP": "W",
    "rP": "var",
    "apP": "VA",
    "v": "V",
    "c": "A",
    "pC": "Wh",
}

#: The attributes of `ElectricityMeasurement`, one for each of the registers.
ATTRIBUTES: Final[tuple[str, ...]] = (
    *(
        f"{quantity}_phase_{phase}"
        for quantity in (
            "active_power",
            "reactive_power",
            "apparent_power",
            "voltage",
            "current",
            "active_energy",
        )
        for phase in "abc"
    ),
    "line_to_line_voltage_phase_ab",
    "line_to_line_voltage_phase_ac",
    "line_to_line_voltage_phase_bc",
)

_NUMBERS = (int, float, Decimal, Integral)


def unit_of(register: str) -> str:
    """Return the unit of a register on the wire: ``pC_1`` is in ``Wh``."""
    return UNITS[register.partition("_")[0]]
