"""The format of a CSV's timestamps, and the times that are read with it.

A format is one of `datetime.strptime`, or the name of a count of seconds since 1970. A ``*`` at the
end of a format stands for all that follows the time.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

#: Counts since 1970-01-01T00:00:00Z, and the power of ten of them that makes a second.
UNIX: Final = {"unix": 0, "unix_ms": 3, "unix_us": 6, "unix_ns": 9}

_REST = "*"
_COUNT = re.compile(r"-?[0-9]{1,19}(?:[.,][0-9]{1,9})?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
#: The hour 24 with the minutes after it; in a date without separators, it follows eight digits.
_HOUR_24 = re.compile(r"(?:(?<![0-9])|(?<=[0-9]{8}))24(?=:?00(?::?00(?:[.,]0+)?)?(?![0-9:]))")


class Parts(NamedTuple):
    """A format without its ``*``, and the text before that, at which the time ends."""

    time: str
    end: str = ""


def parts_of(form: str) -> Parts:
    """Return the parts of a format.

    >>> parts_of("%d.%m.%Y %H:%M - *")
    Parts(time='%d.%m.%Y %H:%M', end=' - ')
    """
    if not form.endswith(_REST):
        return Parts(form)
    before, _, directive = form.removesuffix(_REST).rpartition("%")
    return Parts(f"{before}%{directive[:1]}", directive[1:])


def is_whole(form: str) -> bool:
    """Return False if a format does not say at which text the time ends, before its ``*``."""
    return not form.endswith(_REST) or bool(parts_of(form).end)


def has_hour_24(text: str) -> bool:
    """Return True if the time of a text is 24:00."""
    return _HOUR_24.search(text) is not None


class TimestampParser:
    """Parser of the timestamps of one format.

    With ``hour_24``, 24:00 is 00:00 of the next day.
    """

    def __init__(self, form: str, *, hour_24: bool = False) -> None:
        self.time, self._end = parts_of(form)
        self._count = self.time.count(self._end) + 1 if self._end else 0
        self._power = UNIX.get(form)
        self._hour_24 = hour_24

    def head(self, text: str) -> str:
        """Return a text up to the end of its time; ValueError if the end is not there."""
        if not self._end:
            return text
        parts = text.split(self._end)
        if len(parts) <= self._count:
            raise ValueError(f"no {self._end!r} after the time")
        return self._end.join(parts[: self._count])

    def parse(self, text: str) -> datetime:
        """Return the time of a text: with its offset if it has one, in UTC if it is a count.

        Raises ValueError, OverflowError or `re.error` if the text does not fit the format.
        """
        if self._power is not None:
            return _since_1970(text, self._power)
        head = self.head(text)
        try:
            return datetime.strptime(head, self.time)
        except ValueError:
            midnight, count = _HOUR_24.subn("00", head, count=1)
            if not (count and self._hour_24):
                raise
            return datetime.strptime(midnight, self.time) + _DAY


def _since_1970(text: str, power: int) -> datetime:
    """Return the time of a count since 1970."""
    if not _COUNT.fullmatch(text):
        raise ValueError("not a count of seconds")
    exact = Decimal(text.replace(",", ".")).scaleb(6 - power)
    microseconds = int(exact)
    if microseconds != exact and not microseconds % 1000:
        # It must not look like a whole number of milliseconds.
        microseconds += 1
    return _EPOCH + timedelta(microseconds=microseconds)
