"""Measurements: their attributes and units, their packets, their order.

Source: "The packet" in docs/reference.md.
"""

import math
from dataclasses import KW_ONLY, dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from numbers import Integral
from typing import ClassVar

from swarm.errors import MeasurementError
from swarm.localtime import Zone, wall_of
from swarm.packet import ATTRIBUTES, REGISTERS, VALUE, body, packet
from swarm.packet import timestamp as on_the_wire
from swarm.text import printable

#: The type of a measured value; all its digits are sent.
Number = int | float | Decimal

#: Numbers of numpy are `Integral`, but no `int`.
_NUMBER_TYPES = (int, float, Decimal, Integral)
_MILLISECOND = timedelta(milliseconds=1)
#: Instants (ms) between which the local time has a date at any offset.
_FIRST, _LAST = (wall_of(datetime(year, 1, 1)) for year in (2, 9999))


@dataclass(frozen=True, slots=True)
class Measurement:
    """The measurements of a meter at one time; compared by value, ordered by time.

    A timestamp without offset is local time in the zone of the `Config` that it is sent with.
    Subclasses list the packet's registers and the attributes with their values, in one order.
    Raises `MeasurementError` if the ID, the timestamp or a value can't be sent, or no value is set.
    """

    id: str
    timestamp: datetime

    registers: ClassVar[tuple[str, ...]] = ()
    attributes: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not self.id or not is_encodable(self.id):
            raise MeasurementError(f"id: found {self.id!r}, expected the ID of a data stream")
        if type(self.id) is not str:
            # A subclass such as an enum may print or compare differently than the same str.
            object.__setattr__(self, "id", str.__str__(self.id))
        # NaT of pandas is a datetime too, but not equal to itself.
        is_time = isinstance(self.timestamp, datetime) and self.timestamp == self.timestamp
        if not is_time:
            raise MeasurementError(
                f"timestamp of {printable(self.id)}: found {self.timestamp!r}, expected a datetime"
            )
        is_empty = True
        for name in self.attributes:
            value = getattr(self, name)
            if value is not None:
                _check_number(printable(self.id), name, value)
                is_empty = False
        if is_empty:
            raise MeasurementError(f"{printable(self.id)}: found no value, expected at least one")

    @property
    def body(self) -> str:
        """The part of the packet with the values; values that are not set are left out."""
        cells = [_text(getattr(self, name)) for name in self.attributes]
        return body(self.registers, ",".join(cells))

    @property
    def json(self) -> str:
        """The packet as JSON on one line; a timestamp without offset is read as UTC."""
        instant, offset = moment(self.timestamp)
        check_year(self.timestamp, instant, offset)
        return packet(self.id, instant, offset, self.body).decode()

    def __str__(self) -> str:
        # An ID may contain line breaks, which must not begin a new line in a log.
        return f"{printable(self.id)} at {self.timestamp.isoformat()}: {self.body}"

    # Not by functools.total_ordering: it derives <= from the equality by value, so that of two
    # different measurements of the same time neither would be <= the other.

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Measurement):
            return NotImplemented
        return self.timestamp < other.timestamp

    def __le__(self, other: object) -> bool:
        if not isinstance(other, Measurement):
            return NotImplemented
        return self.timestamp <= other.timestamp

    def __gt__(self, other: object) -> bool:
        if not isinstance(other, Measurement):
            return NotImplemented
        return self.timestamp > other.timestamp

    def __ge__(self, other: object) -> bool:
        if not isinstance(other, Measurement):
            return NotImplemented
        return self.timestamp >= other.timestamp


@dataclass(frozen=True, slots=True)
class SimpleMeasurement(Measurement):
    """A measurement of a single-value stream, such as gas, water or heat."""

    value: Number

    registers = (VALUE,)
    attributes = ("value",)


@dataclass(frozen=True, slots=True)
class ElectricityMeasurement(Measurement):
    """The measurements of an electricity meter; values that are not set are left out of the packet.

    Power is in W, var and VA, voltage in V, current in A, the total of active energy in Wh.
    """

    _: KW_ONLY
    active_power_phase_a: Number | None = None
    active_power_phase_b: Number | None = None
    active_power_phase_c: Number | None = None
    reactive_power_phase_a: Number | None = None
    reactive_power_phase_b: Number | None = None
    reactive_power_phase_c: Number | None = None
    apparent_power_phase_a: Number | None = None
    apparent_power_phase_b: Number | None = None
    apparent_power_phase_c: Number | None = None
    voltage_phase_a: Number | None = None
    voltage_phase_b: Number | None = None
    voltage_phase_c: Number | None = None
    current_phase_a: Number | None = None
    current_phase_b: Number | None = None
    current_phase_c: Number | None = None
    active_energy_phase_a: Number | None = None
    active_energy_phase_b: Number | None = None
    active_energy_phase_c: Number | None = None
    line_to_line_voltage_phase_ab: Number | None = None
    line_to_line_voltage_phase_ac: Number | None = None
    line_to_line_voltage_phase_bc: Number | None = None

    registers = REGISTERS
    attributes = ATTRIBUTES

    def __repr__(self) -> str:
        names = ("id", "timestamp", *self.attributes)
        values = ((name, getattr(self, name)) for name in names)
        arguments = (f"{name}={value!r}" for name, value in values if value is not None)
        return f"ElectricityMeasurement({', '.join(arguments)})"


def moment(timestamp: datetime, zone: Zone | None = None) -> tuple[int, int]:
    """Return a timestamp's instant and offset (ms); one without offset is read in ``zone`` or UTC.

    Raises `MeasurementError` if a clock change skips it.
    """
    wall = wall_of(timestamp.replace(tzinfo=None))
    utc_offset = timestamp.utcoffset()
    if utc_offset is not None:
        offset = utc_offset // _MILLISECOND
    elif zone is None:
        offset = 0
    else:
        offsets = zone.valid_offsets(wall).offsets
        if not offsets:
            raise MeasurementError(
                f"timestamp {timestamp.isoformat()}: this local time does not exist in "
                f"{zone.name} (the clocks go forward); expected another time, or one with an offset"
            )
        offset = offsets[min(timestamp.fold, len(offsets) - 1)]
    return wall - offset, offset


def check_year(timestamp: datetime, instant: int, offset: int) -> None:
    """Raise `MeasurementError` if an instant (ms) has no date in local time at an offset (ms)."""
    if _FIRST <= instant <= _LAST:
        return
    try:
        on_the_wire(instant, offset)
    except OverflowError:
        raise MeasurementError(
            f"timestamp {timestamp.isoformat()}: out of range; expected a time in the years 1 to "
            "9999, in local time and in UTC"
        ) from None


def is_encodable(text: str) -> bool:
    """Return True if a text can be sent: it has no lone surrogate.

    JSON is sent as UTF-8, which has no form for lone surrogates.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_number(stream: str, name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, _NUMBER_TYPES):
        raise MeasurementError(
            f"{name} of {stream}: found {value!r}, expected an int, float or Decimal"
        )
    try:
        is_finite = math.isfinite(value)
    except (OverflowError, ValueError):  # an int too large for a double, a signalling NaN
        is_finite = False
    if not is_finite:
        raise MeasurementError(f"{name} of {stream}: expected a finite number")


def _text(value: Number | None) -> str:
    """Return a number as JSON with all its digits, a float as its shortest decimal."""
    if value is None:
        return ""
    # Subclasses, such as those of numpy and of enums, may override __str__ and __repr__.
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, Decimal):
        return Decimal.__str__(value)
    return int.__repr__(value if isinstance(value, int) else int(value))
