"""The usual timestamps by dictionary: each day and each clock time is worked out once."""

from swarm.localtime import Zone, midnight

#: ``%Y-%m-%d %H:%M:%S`` as two groups, which the dictionaries take.
DATE = r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
CLOCK = r"((?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9])"

#: Days so near to the calendar's ends are unsteady: each row of theirs is looked at by itself.
_EARLIEST = midnight("0001-01-03")
_LATEST = midnight("9999-12-29")
#: More days than any meter has read; a file of nonsense dates must not fill the memory.
_MOST_DAYS = 20_000


class NoSingleOffset(Exception):  # noqa: N818 - asks for the slow way, is no error
    """A day on which the clocks change, or at the calendar's end."""


class _Memory(dict[str, int]):
    def keep(self, key: str, value: int) -> int:
        if len(self) >= _MOST_DAYS:
            self.clear()
        self[key] = value
        return value


class Days(_Memory):
    """The instant (ms) at which each day begins, for days with one offset.

    ``shift`` (ms) is what will be added to a day's times.
    """

    def __init__(self, zone: Zone | None, shift: int) -> None:
        super().__init__()
        self._zone = zone
        self._shift = shift

    def __missing__(self, date: str) -> int:
        """Work a day out; raises `UnsteadyDay`, or ValueError if there is no such day."""
        wall = midnight(date)
        if wall < _EARLIEST or wall + self._shift > _LATEST or self._zone is None:
            raise NoSingleOffset
        offset = self._zone.single_offset(wall)
        if offset is None:
            raise NoSingleOffset
        return self.keep(date, wall - offset)


class Offsets(_Memory):
    """The offset (ms) of each of the same days."""

    def __init__(self, days: Days) -> None:
        super().__init__()
        self._days = days

    def __missing__(self, date: str) -> int:
        """Work a day out; raises as `Days` does."""
        return self.keep(date, midnight(date) - self._days[date])


class Clocks(dict[str, int]):
    """Milliseconds since midnight; there are no more clock times than seconds in a day."""

    def __missing__(self, clock: str) -> int:
        """Work a clock time out."""
        hours, minutes, seconds = clock.split(":")
        self[clock] = ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000
        return self[clock]
