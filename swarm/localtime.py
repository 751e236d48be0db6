"""Naive local time in a zone -> instant and offset; clock changes.

A *wall* time is a naive local time, in milliseconds since 1970-01-01 00:00 as the clock on the
wall shows it. An *instant* is in milliseconds since the Unix epoch. ``instant = wall - offset``.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1)
_EPOCH_DAY = _EPOCH.toordinal()
_MILLISECOND = timedelta(milliseconds=1)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ValidOffsets:
    """The instants that a wall time can mean: none (skipped), one, or two (repeated), in order.

    ``change`` names the clock change that repeats the wall time: the wall time, in ms, at which
    the repeated stretch begins.
    """

    offsets: tuple[()] | tuple[int] | tuple[int, int]
    change: int | None = None


def wall_of(naive: datetime) -> int:
    """Return a naive datetime's wall time, cut to the millisecond."""
    return (naive - _EPOCH) // _MILLISECOND


def naive_of(wall: int) -> datetime:
    """Return the naive datetime of a wall time."""
    return _EPOCH + timedelta(milliseconds=wall)


def midnight(text: str) -> int:
    """Return the wall time at which the day ``YYYY-MM-DD`` begins; ValueError if there is none."""
    return (date.fromisoformat(text).toordinal() - _EPOCH_DAY) * DAY_MS


class Zone:
    """One IANA time zone. Offsets are in milliseconds, east of Greenwich positive."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._zone = ZoneInfo(name)

    def single_offset(self, wall: int) -> int | None:
        """Return the one offset of the whole day that begins at ``wall``, or None if it changes.

        Its two ends tell: no zone has changed its clocks twice within three days. A time that is
        skipped or repeated there shows as well, read as before (fold 0) and after a change.
        """
        start = naive_of(wall)
        try:
            end = start + _DAY
        except OverflowError:
            return None
        first, last = self._offset(start), self._offset(end.replace(fold=1))
        return first if first == last else None

    def valid_offsets(self, wall: int) -> ValidOffsets:
        """Return what a wall time can mean in this zone."""
        naive = naive_of(wall)
        first, second = self._offset(naive), self._offset(naive.replace(fold=1))
        if first == second:
            return ValidOffsets((first,))
        if first < second:
            return ValidOffsets(())
        return ValidOffsets((first, second), self._change(wall, first, second))

    def offset_at(self, instant: int) -> int:
        """Return the offset that is in force at an instant."""
        moment = datetime.fromtimestamp(instant // 1000, UTC).astimezone(self._zone)
        return self._ms(moment.utcoffset())

    def _offset(self, naive: datetime) -> int:
        return self._ms(self._zone.utcoffset(naive))

    @staticmethod
    def _ms(offset: timedelta | None) -> int:
        return 0 if offset is None else offset // _SECOND * 1000

    def _change(self, wall: int, first: int, second: int) -> int:
        """Find the wall time at which the repeated stretch that holds ``wall`` begins."""
        earliest = wall - (first - second)
        low, high = earliest // 1000, wall // 1000
        while low < high:
            middle = (low + high) // 2
            naive = naive_of(middle * 1000)
            if self._offset(naive) > self._offset(naive.replace(fold=1)):
                high = middle
            else:
                low = middle + 1
        return low * 1000
