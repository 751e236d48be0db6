"""The wire format: the packet of a row or measurement, and comparisons with stored packets.

Source: "The packet" in docs/reference.md. No other module knows the format. A number stays text
from the CSV's cell to the packet: it becomes a double only to be compared with a stored one.
"""

import json
import re
import struct
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import Final, NamedTuple

from swarm.localtime import DAY_MS, naive_of

#: The only register of a single-value stream.
VALUE: Final = "value"

#: The 21 electrical registers, in the order of the CSV's columns and of the packet.
REGISTERS: Final[tuple[str, ...]] = (
    *(f"{quantity}_{phase}" for quantity in ("aP", "rP", "apP", "v", "c", "pC") for phase in "123"),
    "v_12",
    "v_13",
    "v_23",
)

#: The attributes of `ElectricityMeasurement`, in the order of the registers.
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

#: The unit of each quantity in a packet.
UNITS: Final[dict[str, str]] = {
    "aP": "W",
    "rP": "var",
    "apP": "VA",
    "v": "V",
    "c": "A",
    "pC": "Wh",
}

#: The register of each bit of `Mark.registers`.
_MARK_REGISTERS = (*REGISTERS, VALUE)
#: Below 10 to the minus this, `digest` writes a number with an exponent.
_LARGEST_EXPONENT = 400
_NOT_CANONICAL = re.compile(r"\.[0-9]*0(?![0-9])|[0-9.][eE]|-0(?![.0-9])")
_NUMBER_IN_BODY = re.compile(r"(?<=:)[^,]+")
_MINUTE_MS = 60_000


def unit_of(register: str) -> str:
    """Return the unit of a register in a packet: ``pC_1`` is in ``Wh``."""
    return UNITS[register.partition("_")[0]]


def body(registers: Sequence[str], cells: str) -> str:
    """Return the part of a packet with the measurements.

    ``cells`` has a JSON number, or nothing, for each register, separated by commas.

    >>> body(("aP_1", "aP_2", "c_1"), "1.50,,3")
    '"aP_1":1.50,"c_1":3'
    """
    if len(registers) == 1:
        return f'"{registers[0]}":{cells}'
    pairs = zip(registers, cells.split(","), strict=True)
    return ",".join([f'"{register}":{cell}' for register, cell in pairs if cell])


def digest(measurements: str) -> int:
    """Return a 64-bit digest of the values of a packet's `body`.

    It does not depend on how a value is written: ``1.5`` and ``1.50`` have the same digest, so that
    a file exported again with padded decimals does not count as changed.
    """
    return _hashed("", [_canonical(measurements)])[0]


def digests(registers: Sequence[str], rows: Sequence[str]) -> list[int]:
    """Return the `digest` of each row's `body`; ``rows`` are cells as for `body`."""
    if len(registers) > 1:
        return _hashed("", [_canonical_body(registers, cells) for cells in rows])
    start = body(registers, "")
    numbers = [
        cell
        if cell[-1:] != "0" and _is_plain(cell)
        else _canonical_body(registers, cell).removeprefix(start)
        for cell in rows
    ]
    return _hashed(start, numbers)


def _hashed(start: str, texts: Sequence[str]) -> list[int]:
    """Return a 64-bit digest of each text, after the same start."""
    hashed = []
    copy = blake2b(start.encode(), digest_size=8).copy
    for text in texts:
        hasher = copy()
        hasher.update(text.encode())
        hashed.append(hasher.digest())
    return list(struct.unpack(f"<{len(hashed)}Q", b"".join(hashed)))


def _is_plain(cells: str) -> bool:
    """Return True if no number has an exponent in the form that is digested."""
    return "e" not in cells and "E" not in cells and len(cells) <= _LARGEST_EXPONENT


def _canonical_body(registers: Sequence[str], cells: str) -> str:
    """Return the `body` of a row in the one form that is digested."""
    if not _is_plain(cells):
        return _canonical(body(registers, cells))
    numbers = [_unpadded(cell) if cell[-1:] == "0" else cell for cell in cells.split(",")]
    return body(registers, ",".join(numbers))


def _unpadded(number: str) -> str:
    """Return a plain number without zeros at the end of its decimals, and without a sign if 0."""
    if "." in number:
        number = number.rstrip("0").rstrip(".")
    return number if number.strip("-0") else "0"


def _canonical(measurements: str) -> str:
    """Return a `body` in the one form that is digested."""
    if _NOT_CANONICAL.search(measurements):
        return _NUMBER_IN_BODY.sub(_canonical_number, measurements)
    return measurements


def _canonical_number(match: re.Match[str]) -> str:
    """Return a number in the one form that is digested."""
    value = Decimal(match[0])
    if value == 0:
        return "0"
    if value.adjusted() < -_LARGEST_EXPONENT:
        sign, digits, exponent = value.as_tuple()
        mantissa = "".join(map(str, digits))
        return f"{'-' * sign}{mantissa.rstrip('0')}e{int(exponent) + len(mantissa)}"
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def timestamp(instant: int, offset: int) -> str:
    """Return the ``tsISO8601`` of an instant (ms) in local time at an offset (ms).

    A packet has offsets in whole minutes. A historical offset with seconds is cut to the minute;
    the local time changes with it, so that the instant stays exact. Raises OverflowError if the
    local time is not in the years 1 to 9999.
    """
    minutes = int(offset / _MINUTE_MS)
    day, rest = divmod(instant + minutes * _MINUTE_MS, DAY_MS)
    minute, milliseconds = divmod(rest, _MINUTE_MS)
    return f"{_date(day)}{_clock(minute)}{_seconds(milliseconds)}{_offset(minutes)}"


@lru_cache(maxsize=64)
def _date(day: int) -> str:
    return naive_of(day * DAY_MS).date().isoformat()


@lru_cache(maxsize=1440)
def _clock(minute: int) -> str:
    return f"T{minute // 60:02}:{minute % 60:02}:"


@lru_cache(maxsize=64)
def _seconds(milliseconds: int) -> str:
    return f"{milliseconds // 1000:02}.{milliseconds % 1000:03}"


@lru_cache(maxsize=64)
def _offset(minutes: int) -> str:
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


@lru_cache(maxsize=4096)
def _head(stream: str) -> str:
    return f'{{"id":{json.dumps(stream, ensure_ascii=False)},"tsISO8601":"'


def packet(stream: str, instant: int, offset: int, measurements: str) -> bytes:
    """Return a packet: one JSON object on one line, in UTF-8; times are in ms."""
    return f'{_head(stream)}{timestamp(instant, offset)}",{measurements}}}'.encode()


def instant_of(text: str) -> int:
    """Return the instant (ms) of an ISO 8601 time; ValueError if it is wrong or has no offset."""
    local = datetime.fromisoformat(text)
    offset = local.utcoffset()
    if offset is None:
        raise ValueError("a time without offset")
    epoch = datetime(1970, 1, 1, tzinfo=local.tzinfo) + offset
    return (local - epoch) // timedelta(milliseconds=1)


class Mark(NamedTuple):
    """A digest of a packet's measurements that survives rounding to doubles, and quotes.

    The collector may return numbers in either form. ``values`` is a digest of the doubles, or the
    bits of a single double; ``registers`` has a bit for each register with a value.
    """

    values: int
    registers: int

    def is_of(self, stored: Mapping[str, object]) -> bool:
        """Return True if a stored packet has these measurements, equal as doubles.

        It may have other fields too.
        """
        doubles = []
        for index, register in enumerate(_MARK_REGISTERS):
            if self.registers >> index & 1:
                double = _as_double(stored.get(register))
                if double is None:
                    return False
                doubles.append(double)
        return _digest_of_doubles(doubles) == self.values


def marks(registers: Sequence[str], rows: Sequence[str]) -> list[Mark]:
    """Return the mark of each row's packet; ``rows`` are cells as for `body`."""
    bits = _bits_in_order(tuple(registers))
    if len(bits) > 1:
        return [_mark(bits, cells.split(",")) for cells in rows]
    register, count = bits[0][0], len(rows)
    # As in `_digest_of_doubles`, but for all rows at once.
    data = struct.pack(f"<{count}d", *[float(cells) + 0.0 for cells in rows])
    return [Mark(value, register) for value in struct.unpack(f"<{count}Q", data)]


def _mark(bits: Sequence[tuple[int, int]], cells: Sequence[str]) -> Mark:
    present = [(bit, cells[index]) for bit, index in bits if cells[index]]
    doubles = [float(cell) for _, cell in present]
    return Mark(_digest_of_doubles(doubles), sum(bit for bit, _ in present))


def marked(stored: Mapping[str, object]) -> Mark:
    """Return the mark of a packet that the collector returned, with all registers in it."""
    doubles = [_as_double(stored.get(register)) for register in _MARK_REGISTERS]
    bits = sum(1 << index for index, double in enumerate(doubles) if double is not None)
    return Mark(_digest_of_doubles([double for double in doubles if double is not None]), bits)


def same_measurements(measurements: str, stored: dict[str, object]) -> bool:
    """Return True if a stored packet has every measurement of a `body`, equal as a double.

    The collector may quote numbers, round them to doubles and add fields: "The packet" in
    docs/reference.md.
    """
    sent: dict[str, object] = json.loads(f"{{{measurements}}}", parse_int=float)
    return all(_as_double(stored.get(register)) == value for register, value in sent.items())


@lru_cache(maxsize=64)
def _bits_in_order(registers: tuple[str, ...]) -> list[tuple[int, int]]:
    """Return each register's bit of a mark and its index in the cells, in the order of the bits."""
    return sorted((1 << _MARK_REGISTERS.index(name), index) for index, name in enumerate(registers))


def _digest_of_doubles(doubles: Sequence[float]) -> int:
    # Adding zero turns -0.0 into 0.0: both are equal, and must have the same bytes.
    data = struct.pack(f"<{len(doubles)}d", *[double + 0.0 for double in doubles])
    if len(doubles) > 1:
        data = blake2b(data, digest_size=8).digest()
    return int.from_bytes(data, "little")


def _as_double(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
