"""Local times of a zone, their instants and offsets, and clock changes.

A *wall* time is a local time without offset, in milliseconds since 1970-01-01 00:00 local time.
An *instant* is in milliseconds since the Unix epoch. ``instant = wall - offset``.
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
    """The offsets (ms) of a wall time: none if it is skipped, one, or two if it is repeated.

    Two offsets are in order of their instants. Then ``change`` is the wall time (ms) at which the
    repeated period begins.
    """

    offsets: tuple[()] | tuple[int] | tuple[int, int]
    change: int | None = None


def wall_of(naive: datetime) -> int:
    """Return the wall time of a naive datetime; microseconds are cut off."""
    return (naive - _EPOCH) // _MILLISECOND


def naive_of(wall: int) -> datetime:
    """Return the naive datetime of a wall time; OverflowError outside the years 1 to 9999."""
    return _EPOCH + timedelta(milliseconds=wall)


def midnight(text: str) -> int:
    """Return the wall time at which a day ``YYYY-MM-DD`` begins; ValueError for a wrong day."""
    return (date.fromisoformat(text).toordinal() - _EPOCH_DAY) * DAY_MS


class Zone:
    """An IANA time zone; offsets are in milliseconds, positive east of Greenwich."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._zone = ZoneInfo(name)

    def single_offset(self, wall: int) -> int | None:
        """Return the offset of the day that begins at ``wall``, or None if it changes in the day.

        It is enough to compare the two ends of the day: no zone has changed its clocks twice within
        three days. The start is read with fold 0 and the end with fold 1, so that a change at
        either of them is found too.
        """
        start = naive_of(wall)
        try:
            end = start + _DAY
        except OverflowError:
            return None
        first, last = self._offset(start), self._offset(end.replace(fold=1))
        return first if first == last else None

    def valid_offsets(self, wall: int) -> ValidOffsets:
        """Return the offsets that a wall time can have in this zone."""
        naive = naive_of(wall)
        first, second = self._offset(naive), self._offset(naive.replace(fold=1))
        if first == second:
            return ValidOffsets((first,))
        if first < second:
            return ValidOffsets(())
        # Binary search, in seconds, for the beginning of the repeated period.
        low, high = (wall - (first - second)) // 1000, wall // 1000
        while low < high:
            middle = (low + high) // 2
            naive = naive_of(middle * 1000)
            if self._offset(naive) > self._offset(naive.replace(fold=1)):
                high = middle
            else:
                low = middle + 1
        return ValidOffsets((first, second), low * 1000)

    def offset_at(self, instant: int) -> int:
        """Return the offset that applies at an instant."""
        return self._offset(datetime.fromtimestamp(instant // 1000, UTC).astimezone(self._zone))

    def _offset(self, local: datetime) -> int:
        offset = self._zone.utcoffset(local)
        return 0 if offset is None else offset // _SECOND * 1000
