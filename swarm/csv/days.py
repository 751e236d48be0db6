"""Caches for timestamps in the default format: each day and each time of day is parsed once."""

from swarm.localtime import Zone, midnight

#: ``%Y-%m-%d %H:%M:%S`` as two groups: the keys of the caches.
DATE = r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
CLOCK = r"((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])"

#: Days too close to the ends of the calendar for the cache: their rows are parsed one by one.
_EARLIEST = midnight("0001-01-03")
_LATEST = midnight("9999-12-29")
#: Bounds the memory that a file of nonsense dates can fill; no meter has readings of more days.
_MOST_DAYS = 20_000


class NoSingleOffset(Exception):  # noqa: N818 - selects the slow path, is no error
    """A day on which the clocks change, or at an end of the calendar."""


class _BoundedCache(dict[str, int]):
    def store(self, key: str, value: int) -> int:
        if len(self) >= _MOST_DAYS:
            self.clear()
        self[key] = value
        return value


class Days(_BoundedCache):
    """The instant (ms) at which each day begins, for days with one offset.

    ``shift`` (ms) will be added to the times of a day. A look-up raises `NoSingleOffset`, or
    ValueError if the day does not exist.
    """

    def __init__(self, zone: Zone | None, shift: int) -> None:
        super().__init__()
        self._zone = zone
        self._shift = shift

    def __missing__(self, date: str) -> int:
        wall = midnight(date)
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
        return self.store(date, midnight(date) - self._days[date])


class Clocks(dict[str, int]):
    """The milliseconds since midnight of each time of day; needs no bound (86,400 entries)."""

    def __missing__(self, clock: str) -> int:
        hours, minutes, seconds = clock.split(":")
        self[clock] = ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000
        return self[clock]
