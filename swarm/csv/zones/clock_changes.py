"""The clock changes of zones, in wall time, and the zones that share a clock change.

A *wall time* is a naive local time in milliseconds since 1970-01-01 00:00, as in `localtime`.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

_EPOCH = datetime(1970, 1, 1)
_SECOND = timedelta(seconds=1)
_MINUTE_MS = 60_000
_DAY_MS = 86_400_000
#: Wall times are capped at this many days from 1970, well beyond `_LAST_YEAR`.
_MOST_DAYS = 200_000
#: No zone changes its clocks twice in this many seconds.
_SAMPLE = 28 * 86_400
#: Clocks change at a whole quarter of an hour (s).
_QUARTER = 900
#: Clock changes are searched in these years.
_FIRST_YEAR, _LAST_YEAR = 1971, 2199
#: At least one zone for each set of clock changes that is common in files, the likeliest first.
COMMON = (
    *("Europe/Paris", "America/New_York", "Europe/London", "Europe/Athens", "Australia/Sydney"),
    *("Pacific/Auckland", "Australia/Lord_Howe", "America/Sao_Paulo", "America/Santiago"),
    *("America/Mexico_City", "America/Havana", "America/Asuncion"),
    *("Asia/Jerusalem", "Asia/Beirut", "Asia/Amman", "Asia/Damascus", "Asia/Tehran", "Asia/Baku"),
    *("Africa/Cairo", "Africa/Casablanca", "Atlantic/Azores", "Europe/Moscow", "Europe/Istanbul"),
    *("America/Nuuk", "Pacific/Chatham"),
)
#: The names that most people know, listed before others with the same clock changes.
_WELL_KNOWN = (
    *("Europe/Paris", "Europe/Berlin", "Europe/Rome", "Europe/Madrid", "Europe/Amsterdam"),
    *("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"),
    *("America/Toronto", "Europe/London", "Europe/Dublin", "Europe/Lisbon", "Europe/Athens"),
    *("Europe/Helsinki", "Europe/Bucharest", "Australia/Sydney", "Australia/Melbourne"),
    *("Australia/Adelaide", "Pacific/Auckland", *COMMON),
)
_REGIONS = (
    *("Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian"),
    "Pacific",
)


class Change(NamedTuple):
    """A clock change: from ``wall`` on, ``length`` ms are skipped if forward, else repeated."""

    wall: int
    length: int
    is_forward: bool

    @property
    def end(self) -> int:
        """The wall time at which the skipped or repeated stretch ends."""
        return self.wall + self.length

    @property
    def ends(self) -> tuple[int, int]:
        """The wall times of the first and the last millisecond of that stretch."""
        return self.wall, self.end - 1


def changes(zone: str, years: Collection[int]) -> tuple[Change, ...]:
    """Return a zone's clock changes in some years, in order."""
    return tuple(sorted({change for year in years for change in _in_year(zone, year)}))


@cache
def common(period: range, also: tuple[str, ...] = ()) -> tuple[Change, ...]:
    """Return the clock changes of `COMMON` zones, and of those in ``also``, in order."""
    zones = {*COMMON, *also}
    return tuple(sorted({change for zone in zones for change in changes(zone, period)}))


def repeated_at(wall: int) -> tuple[Change, ...]:
    """Return the clock changes of common zones that repeat a wall time."""
    year = _year(wall)
    known = common(range(year, year + 1)) if _FIRST_YEAR <= year <= _LAST_YEAR else ()
    return tuple(each for each in known if not each.is_forward and each.wall <= wall < each.end)


@cache
def alike(found: tuple[Change, ...]) -> tuple[str, ...]:
    """Return all zones that make each of some clock changes, the best known first."""
    names = sorted(name for name in available_timezones() if name.partition("/")[0] in _REGIONS)
    return tuple(
        name
        for name in dict.fromkeys((*_WELL_KNOWN, *names))
        if all(makes(name, change) for change in found)
    )


def makes(zone: str, change: Change) -> bool:
    """Return True if a zone's clocks change then, by the same length and in the same direction."""
    around = (change.wall - _MINUTE_MS, change.end)
    inside = (change.wall, change.end - _MINUTE_MS)
    return all(jump(zone, wall) == 0 for wall in around) and all(
        jump(zone, wall) == (change.length if change.is_forward else -change.length)
        for wall in inside
    )


def jump(zone: str, wall: int) -> int:
    """Return the length (ms) of the clock change that skips a wall time (> 0) or repeats it (< 0).

    0 if the wall time occurs once.
    """
    return offset(zone, wall, fold=1) - offset(zone, wall)


def offset(zone: str, wall: int, *, fold: int = 0) -> int:
    """Return the offset (ms) of a wall time; ``fold`` has the meaning of PEP 495."""
    naive = (_EPOCH + timedelta(milliseconds=wall)).replace(fold=fold)
    return _ms(_zone(zone).utcoffset(naive))


def offset_at(zone: str, instant: int) -> int:
    """Return the offset (ms) that is in force at an instant (ms)."""
    return _ms(datetime.fromtimestamp(instant // 1000, _zone(zone)).utcoffset())


def years(first: int, last: int) -> range:
    """Return the years from one wall time or instant to another, with a day added at both ends."""
    return range(
        max(_year(first - _DAY_MS), _FIRST_YEAR), min(_year(last + _DAY_MS), _LAST_YEAR) + 1
    )


def between(found: Sequence[Change], first: int, last: int) -> Sequence[Change]:
    """Return the changes, of ordered ones, that begin from ``first`` to ``last`` (included)."""
    begins = [change.wall for change in found]
    return found[bisect_left(begins, first) : bisect_right(begins, last)]


@cache
def _in_year(zone: str, year: int) -> tuple[Change, ...]:
    """Return the clock changes of a year: sample the offset, and bisect where it differs."""
    start, end = (int(datetime(each, 1, 1, tzinfo=UTC).timestamp()) for each in (year, year + 1))
    samples = [*range(start, end, _SAMPLE), end]
    offsets = [offset_at(zone, sample * 1000) for sample in samples]
    found = []
    for times, (before, after) in zip(pairwise(samples), pairwise(offsets), strict=True):
        if before == after:
            continue
        low, high = (time // _QUARTER for time in times)
        while high - low > 1:
            middle = (low + high) // 2
            if offset_at(zone, middle * _QUARTER * 1000) == before:
                low = middle
            else:
                high = middle
        wall = high * _QUARTER * 1000 + min(before, after)
        found.append(Change(wall, abs(after - before), after > before))
    return tuple(found)


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _year(wall: int) -> int:
    days = min(max(wall // _DAY_MS, -_MOST_DAYS), _MOST_DAYS)
    return (_EPOCH + timedelta(days=days)).year


def _ms(found: timedelta | None) -> int:
    return 0 if found is None else found // _SECOND * 1000
