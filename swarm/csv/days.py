"""Caches for timestamps in two parts: each date and each time of day is parsed once."""

from datetime import datetime, timedelta
from typing import Protocol

from swarm.localtime import Zone, midnight, wall_of
from swarm.timestamp_format import TimestampParser

_ISO_DATE, _ISO_CLOCK = "%Y-%m-%d", "%H:%M:%S"
#: Days too close to the ends of the calendar for the cache: their rows are parsed one by one.
_EARLIEST = midnight("0001-01-03")
_LATEST = midnight("9999-12-29")
#: Bounds the memory that a file of nonsense dates can fill; no meter has readings of more days.
_MOST_DAYS = 20_000
#: The midnight of strptime for a time of day without a date.
_MIDNIGHT = datetime(1900, 1, 1)
_MILLISECOND = timedelta(milliseconds=1)


class NoSingleOffset(Exception):  # noqa: N818 - selects the slow path, is no error
    """A day on which the clocks change, or at an end of the calendar."""


class DayOffsets(Protocol):
    """A time zone, or an offset that the timestamps carry."""

    def single_offset(self, wall: int) -> int | None:
        """Return the offset (ms) of the day that begins at a wall time; None if it changes."""


class FixedOffset:
    """An offset (ms) that timestamps carry, as that of every day."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def single_offset(self, _wall: int) -> int:
        """Return the offset."""
        return self._offset


class _BoundedCache(dict[str, int]):
    def store(self, key: str, value: int) -> int:
        if len(self) >= _MOST_DAYS:
            self.clear()
        self[key] = value
        return value


class Days(_BoundedCache):
    """The instant (ms) at which each day begins, for days with one offset.

    ``shift`` (ms) will be added to the times of a day. ``form`` is the format of the dates. A
    look-up raises `NoSingleOffset`, or ValueError if the day does not exist.
    """

    def __init__(self, zone: DayOffsets | None, shift: int, form: str = _ISO_DATE) -> None:
        super().__init__()
        self._zone = zone
        self._shift = shift
        self._form = form

    def wall(self, date: str) -> int:
        """Return the wall time (ms) at which a day begins; ValueError if it does not exist."""
        return (
            midnight(date)
            if self._form == _ISO_DATE
            else wall_of(datetime.strptime(date, self._form))
        )

    def __missing__(self, date: str) -> int:
        wall = self.wall(date)
        if wall < _EARLIEST or wall + self._shift > _LATEST or self._zone is None:
            raise NoSingleOffset
        offset = self._zone.single_offset(wall)
        if offset is None:
            raise NoSingleOffset
        return self.store(date, wall - offset)


class Offsets(_BoundedCache):
    """The offset (ms) of each of the same days; a look-up raises as one in `Days` does."""

    def __init__(self, days: Days) -> None:
        super().__init__()
        self._days = days

    def __missing__(self, date: str) -> int:
        return self.store(date, self._days.wall(date) - self._days[date])


class Counts(dict[str, int]):
    """The instant (ms) of each count of seconds, or of parts of one: 10 to the ``power`` a second.

    Nothing is kept, as no count occurs often. A look-up raises ValueError for a count that is finer
    than a millisecond.
    """

    def __init__(self, power: int) -> None:
        super().__init__()
        self._unit: int = 10**power

    def __missing__(self, count: str) -> int:
        milliseconds, rest = divmod(int(count) * 1000, self._unit)
        if rest:
            raise ValueError("finer than a millisecond")
        return milliseconds


class OffsetsOfCounts(dict[str, int]):
    """The offset (ms) of a zone at each count; nothing is kept."""

    def __init__(self, counts: Counts, zone: Zone | None) -> None:
        super().__init__()
        self._counts = counts
        self._zone = zone

    def __missing__(self, count: str) -> int:
        return self._zone.offset_at(self._counts[count]) if self._zone else 0


class Clocks(dict[str, int]):
    """The milliseconds since midnight of each time of day; ValueError if there is no such time.

    ``form`` is the format of the times, ``extra`` (ms) is added to each. With ``hour_24``, 24:00
    is the end of the day. The cache needs no bound: a day has 86,400 times.
    """

    def __init__(self, form: str = _ISO_CLOCK, extra: int = 0, *, hour_24: bool = False) -> None:
        super().__init__()
        self._form = form
        self._parser = TimestampParser(form, hour_24=hour_24)
        self._extra = extra

    def __missing__(self, clock: str) -> int:
        if self._form == _ISO_CLOCK:
            hours, minutes, seconds = map(int, clock.split(":"))
            if hours < 24 and minutes < 60 and seconds < 60:
                self[clock] = ((hours * 60 + minutes) * 60 + seconds) * 1000 + self._extra
                return self[clock]
        since = (self._parser.parse(clock) - _MIDNIGHT) // _MILLISECOND if clock else 0
        self[clock] = since + self._extra
        return self[clock]
