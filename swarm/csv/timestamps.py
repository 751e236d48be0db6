"""Timestamps of one CSV -> instants and offsets, or problems."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from swarm.config.settings import CsvRules
from swarm.csv.days import (
    Clocks,
    Counts,
    Days,
    FixedOffset,
    NoSingleOffset,
    Offsets,
    OffsetsOfCounts,
)
from swarm.csv.folds.occurrences import Hour, Recorder, Replay
from swarm.csv.problems import Kind, Problems
from swarm.csv.split_format import SplitFormat, split_format
from swarm.csv.zones.check import skipped_hint
from swarm.localtime import Zone, naive_of, wall_of
from swarm.packet import timestamp
from swarm.text import quoted
from swarm.timestamp_format import UNIX, TimestampParser, has_hour_24

#: Instant and offset in ms.
Moment = tuple[int, int]


def local_zone(rules: CsvRules) -> Zone | None:
    """Return the zone of the CSV's times, or None if the timestamps carry their own offsets."""
    name = None if rules.has_offsets else rules.timezone
    return Zone(name) if name else None


class Shift:
    """Conversion of the time of a row to that of its packet: ``shift`` and ``utc`` of the rules."""

    def __init__(self, rules: CsvRules) -> None:
        self.ms = round(rules.shift * 1000)
        self._utc = rules.utc
        # None for offsets that the CSV itself gives: they stay as they are.
        self._zone = local_zone(rules)

    @property
    def is_none(self) -> bool:
        """True if times are sent unchanged."""
        return not self.ms and not self._utc

    def sent_at(self, instant: int, offset: int, *, later: bool = True) -> Moment:
        """Return the moment to send; with ``later=False`` it is not shifted.

        Raise OverflowError or ValueError past the end of the calendar.
        """
        if later and self.ms:
            instant += self.ms
            if self._zone is not None:
                offset = self._zone.offset_at(instant)
        return instant, 0 if self._utc else offset


_MILLISECOND = timedelta(milliseconds=1)
#: A count of seconds since 1970, as an example: 2023-01-31T08:00:00Z.
_COUNT = 1_675_152_000
#: The largest number of tails with caches: offsets change twice a year.
_MOST_TAILS = 8


class Caches(NamedTuple):
    """The caches for timestamps with one text after the time of day, the ``tail``."""

    days: Mapping[str, int]
    offsets: Mapping[str, int]
    clocks: Mapping[str, int]
    tail: str


class TimestampReader:
    """Reader of the timestamps of one file, in its order.

    ``hours`` chooses the fold of each row in a repeated hour.
    """

    def __init__(self, rules: CsvRules, problems: Problems, hours: Recorder | Replay) -> None:
        self._rules = rules
        self._problems = problems
        self._zone = Zone(rules.timezone) if rules.timezone else None
        self._shift = Shift(rules)
        self._is_count = rules.timestamp_format in UNIX
        self._has_hour_24 = rules.hour_24 == "next_day"
        self._parser = TimestampParser(rules.timestamp_format, hour_24=self._has_hour_24)
        self._split = split_format(rules.timestamp_format)
        self._caches: dict[str, Caches] = {}
        self._pattern: re.Pattern[str] | None = None
        if self._split and not self._split.tail:
            parts = (self._split.date_pattern, re.escape(self._split.joint))
            self._pattern = re.compile("({}){}({})".format(*parts, self._split.clock_pattern))
        self.hours = hours

    def moment(self, line: int, text: str) -> Moment | None:
        """Return the moment of a timestamp, or None after adding a problem."""
        match = self._pattern.fullmatch(text) if self._pattern else None
        caches = self.caches(match[1], match[2], "") if match else None
        if match is None or caches is None:
            return self._parse(line, text)
        return self.moment_of(line, match[1], match[2], caches)

    def caches(self, date: str, clock: str, tail: str) -> Caches | None:
        """Return the caches for timestamps with a tail; None if there are none.

        The timestamp with this ``date`` and ``clock`` shows what the tail means. With a date or
        time that does not exist, there are no caches.
        """
        if tail not in self._caches and self._split is not None:
            parsed = self.parsed(f"{date}{self._split.joint}{clock}{tail}")
            if parsed is None or _is_too_fine(parsed):
                return None
            if len(self._caches) >= _MOST_TAILS:
                self._caches.clear()
            self._caches[tail] = self._new_caches(self._split, parsed, tail)
        return self._caches.get(tail)

    def _new_caches(self, split: SplitFormat, first: datetime, tail: str) -> Caches:
        """Return the caches for timestamps with a tail, of which ``first`` is one."""
        if self._is_count:
            counts = Counts(UNIX[split.date])
            return Caches(counts, OffsetsOfCounts(counts, self._zone), {"": 0}, tail)
        offset = first.utcoffset()
        zone = self._zone if offset is None else FixedOffset(offset // _MILLISECOND)
        days = Days(zone, self._shift.ms, split.date)
        clocks = Clocks(split.clock, first.microsecond // 1000, hour_24=self._has_hour_24)
        return Caches(days, Offsets(days), clocks, tail)

    def moment_of(self, line: int, date: str, clock: str, caches: Caches) -> Moment | None:
        """Return the moment of a date and a time of day, or None after adding a problem."""
        try:
            instant, offset = caches.days[date] + caches.clocks[clock], caches.offsets[date]
        except (NoSingleOffset, ValueError):
            joint = self._split.joint if self._split else ""
            return self._parse(line, f"{date}{joint}{clock}{caches.tail}")
        self.note(instant + offset, instant + offset)
        return instant, offset

    def note(self, first: int, last: int) -> None:
        """Take rows outside of repeated hours: the wall times (ms) of the first and the last."""
        if self._rules.has_local_times:
            self.hours.note_outside(first, last)

    def _parse(self, line: int, text: str) -> Moment | None:
        """Return the moment of a timestamp, parsed as a whole, or None after adding a problem."""
        parsed = self.parsed(text)
        if parsed is None:
            self._not_a_timestamp(line, text)
            return None
        if _is_too_fine(parsed):
            self._problem(line, "timestamp", _TOO_FINE.format(quoted(text)))
            return None
        offset = parsed.utcoffset()
        wall = wall_of(parsed.replace(tzinfo=None))
        if offset is None:
            return self._local(line, text, wall)
        if self._is_count:
            return self._counted(line, text, wall)
        offset_ms = offset // _MILLISECOND
        return self._in_calendar(line, text, (wall - offset_ms, offset_ms))

    def parsed(self, text: str) -> datetime | None:
        """Return a text parsed by ``timestamp_format``, or None if it does not fit.

        The result has an offset if the text has one; a count of seconds is in UTC.
        """
        try:
            return self._parser.parse(text)
        except (ValueError, OverflowError, re.error):
            return None

    def _counted(self, line: int, text: str, instant: int) -> Moment | None:
        """Return the moment of a count of seconds: its offset is that of the zone."""
        try:
            offset = self._zone.offset_at(instant) if self._zone else 0
        except (OverflowError, ValueError):
            self._problem(line, "timestamp", _BEYOND.format(quoted(text)))
            return None
        return self._in_calendar(line, text, (instant, offset))

    def _local(self, line: int, text: str, wall: int) -> Moment | None:
        """Return the moment of a wall time that may be in a gap, or ambiguous."""
        if self._zone is None:
            self._problem(line, "timestamp", _NO_OFFSET.format(quoted(text)))
            return None
        valid = self._zone.valid_offsets(wall)
        if not valid.offsets:
            zone = self._zone.name
            message = _SKIPPED.format(zone, quoted(text), skipped_hint(zone, wall))
            self._problem(line, "nonexistent time", message)
            return None
        fold, rule = 0, self._rules.ambiguous_time
        if valid.change is None or len(valid.offsets) != 2:
            self.hours.note_outside(wall, wall)
        elif rule == "infer":
            fold = self.hours.fold(line, wall, Hour(valid.change, valid.offsets))
        elif rule == "second":
            fold = 1
        elif rule == "error":
            message = _REPEATED.format(self._zone.name, quoted(text))
            self._problem(line, "ambiguous time", message)
        offset = valid.offsets[fold]
        return self._in_calendar(line, text, (wall - offset, offset))

    def _in_calendar(self, line: int, text: str, moment: Moment) -> Moment | None:
        """Return a moment, or None after adding a problem if its packet can't have a timestamp."""
        try:
            timestamp(*self._shift.sent_at(*moment))
            # Offsets of other zones are looked up by the time in UTC.
            naive_of(moment[0])
        except (OverflowError, ValueError):
            self._problem(line, "timestamp", _BEYOND.format(quoted(text)))
            return None
        return moment

    def _not_a_timestamp(self, line: int, text: str) -> None:
        expected = self._rules.timestamp_format
        if self._is_count:
            expected = f"{expected}, such as {_COUNT * 10 ** UNIX[expected]}"
        hint = _MIDNIGHT if has_hour_24(text) and not self._has_hour_24 else ""
        message = f"not a timestamp: found {quoted(text)}, expected {expected}{hint}"
        self._problem(line, "timestamp", message)

    def _problem(self, line: int, kind: Kind, message: str) -> None:
        self._problems.add(line, self._rules.timestamp_columns[0], kind, message)


def _is_too_fine(time: datetime) -> bool:
    """Return True if a time or its offset is finer than a millisecond."""
    offset = time.utcoffset() or timedelta()
    return bool(time.microsecond % 1000 or offset % _MILLISECOND)


_TOO_FINE = "a time finer than a millisecond: found {}, expected at most three decimals of a second"
_MIDNIGHT = "; if 24:00 is 00:00 of the next day, set hour_24 = next_day"
_NO_OFFSET = "a time without offset: found {}, expected one with an offset, or set timezone"
_BEYOND = (
    "a time past the end of the calendar: found {}, "
    "expected one in the years 1 to 9999, also in UTC"
)
_SKIPPED = (
    "this local time does not exist in {} (the clocks go forward): found {}, "
    "correct it or set another timezone; {}"
)
_REPEATED = (
    "this local time occurs twice in {} (the clocks go back): found {}, "
    "expected a time that occurs once; or set ambiguous_time"
)
