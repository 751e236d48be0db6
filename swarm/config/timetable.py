"""The limit of ``--rate-limit``: a number of requests a second, or a timetable of such numbers."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES: Final = 24 * 60
_NUMBER: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_ENTRY: Final = re.compile(
    r"(?:(?P<day>[a-z]{3})-)?(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})\s+(?P<rate>\S+)", re.ASCII
)
_NO_LIMIT: Final = "off"
_EXPECTED_NUMBER: Final = "a number of requests a second above zero, such as 100 or 0.5"
_EXPECTED: Final = f"{_EXPECTED_NUMBER}, or a timetable such as 08:00 50; 18:30 off; sat-08:00 off"


@dataclass(frozen=True)
class Timetable:
    """Requests a second by the time of the week, in the computer's local time.

    ``entries`` have the minute of the week (Monday 00:00 is 0) from which a limit holds, and the
    limit: requests a second, or None for no limit. They are sorted, and the last one also holds
    before the first one. ``text`` is the timetable as it was given.
    """

    entries: tuple[tuple[int, float | None], ...]
    text: str

    @classmethod
    def constant(cls, rate: float) -> Self:
        """Return the timetable of one limit that always holds."""
        return cls(((0, rate),), f"{rate:g}")

    def __str__(self) -> str:
        return self.text

    @property
    def is_constant(self) -> bool:
        """True if the limit is always the same."""
        return len({rate for _, rate in self.entries}) == 1

    def rate_at(self, local: datetime) -> float | None:
        """Return the limit (requests/s) at a local time, None if there is none."""
        return self.entries[self._index(local)][1]

    def next_change(self, local: datetime) -> tuple[datetime, float | None] | None:
        """Return the next local time with another limit, and that limit; None if it never changes.

        Times are naive: the clock on the wall counts.
        """
        index = self._index(local)
        monday = local.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(
            days=local.weekday()
        )
        for step in range(1, len(self.entries) + 1):
            weeks, place = divmod(index + step, len(self.entries))
            minute, rate = self.entries[place]
            if rate != self.entries[index][1]:
                return monday + timedelta(weeks=weeks, minutes=minute), rate
        return None

    def _index(self, local: datetime) -> int:
        """Return the index of the entry that holds; -1 is that of the week before."""
        minute = local.weekday() * _DAY_MINUTES + local.hour * 60 + local.minute
        return bisect_right(self.entries, minute, key=lambda entry: entry[0]) - 1


def rate_now(limit: Timetable | None) -> float | None:
    """Return the limit (requests/s) that holds now, None if there is none."""
    return None if limit is None else limit.rate_at(datetime.now())


def parse_rate_limit(text: str) -> Timetable:
    """Return the timetable of a number, or of entries ``[DAY-]HH:MM RATE`` separated by ``;``.

    An entry with a day takes the place of one without at the same time of that day. Raises
    ValueError, with what was expected.
    """
    given = text.strip()
    if _NUMBER.fullmatch(given):
        return Timetable.constant(_rate(given))
    daily: dict[int, float | None] = {}
    weekly: dict[int, float | None] = {}
    for part in given.rstrip(";").split(";"):
        day, minute, rate = _entry(part.strip().lower())
        entries, key = (daily, minute) if day is None else (weekly, day * _DAY_MINUTES + minute)
        if key in entries:
            raise ValueError(f"each time once in a timetable; {part.strip()!r} repeats one")
        entries[key] = rate
    every_day = {
        day * _DAY_MINUTES + minute: rate
        for day in range(len(_DAYS))
        for minute, rate in daily.items()
    }
    return Timetable(
        tuple(sorted((every_day | weekly).items(), key=lambda entry: entry[0])),
        "; ".join(part.strip() for part in given.rstrip(";").split(";")),
    )


def _entry(text: str) -> tuple[int | None, int, float | None]:
    """Return the day of an entry (None: every day), its minute of the day, and its limit."""
    match = _ENTRY.fullmatch(text)
    if match is None:
        raise ValueError(_EXPECTED)
    day, hour, minute = match["day"], int(match["hour"]), int(match["minute"])
    if (day and day not in _DAYS) or hour > 23 or minute > 59:
        raise ValueError(_EXPECTED)
    rate = None if match["rate"] == _NO_LIMIT else _rate(match["rate"])
    return _DAYS.index(day) if day else None, hour * 60 + minute, rate


def _rate(text: str) -> float:
    if not _NUMBER.fullmatch(text) or float(text) <= 0:
        raise ValueError(_EXPECTED)
    return float(text)
