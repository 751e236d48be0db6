"""The timestamps of one CSV -> moments, or problems."""

import re
from datetime import datetime, timedelta

from swarm.config.settings import DEFAULT_TIMESTAMP, CsvRules
from swarm.csv.days import CLOCK, DATE, Clocks, Days, NoSingleOffset, Offsets
from swarm.csv.folds.occurrences import Hour, Recorder, Replay
from swarm.csv.problems import Kind, Problems
from swarm.csv.timestamp_formats import is_midnight
from swarm.csv.zones.check import skipped_hint
from swarm.localtime import Zone, midnight, wall_of
from swarm.packet import timestamp
from swarm.text import quoted

#: Instant and offset in ms.
Moment = tuple[int, int]


def local_zone(rules: CsvRules) -> Zone | None:
    """Return the zone of the CSV's times; None where they bring their offsets themselves."""
    named = None if "%z" in rules.timestamp_format else rules.timezone
    return Zone(named) if named else None


class Shift:
    """The way from a row's time to that of its packet."""

    def __init__(self, rules: CsvRules) -> None:
        self.ms = round(rules.shift * 1000)
        self._utc = rules.utc
        # Offsets that the CSV brings itself stay as they are.
        self._zone = local_zone(rules)

    @property
    def is_none(self) -> bool:
        """Whether times go out as they are."""
        return not self.ms and not self._utc

    def sent_at(self, instant: int, offset: int, *, later: bool = True) -> Moment:
        """Return the moment that is sent; without ``later`` it is not shifted.

        Raises OverflowError or ValueError past the calendar's end.
        """
        if later and self.ms:
            instant += self.ms
            if self._zone is not None:
                offset = self._zone.offset_at(instant)
        return instant, 0 if self._utc else offset


_STANDARD = re.compile(rf"{DATE} {CLOCK}")
_MILLISECOND = timedelta(milliseconds=1)


class TimestampReader:
    """Reads the timestamps of one file, in its order; ``hours`` reads those that are repeated."""

    def __init__(self, rules: CsvRules, problems: Problems, hours: Recorder | Replay) -> None:
        self._rules = rules
        self._problems = problems
        self._zone = Zone(rules.timezone) if rules.timezone else None
        self._shift = Shift(rules)
        self._is_standard = rules.timestamp_format == DEFAULT_TIMESTAMP
        self.days = Days(self._zone, self._shift.ms)
        self.offsets = Offsets(self.days)
        self.clocks = Clocks()
        self.hours = hours

    def moment(self, line: int, text: str) -> Moment | None:
        """Return the moment of a timestamp, or note the problem."""
        standard = _STANDARD.fullmatch(text) if self._is_standard else None
        if standard:
            return self.standard(line, standard[1], standard[2])
        parsed = self.parsed(text)
        if parsed is None:
            self._no_time(line, text)
        elif _has_more_than_milliseconds(parsed):
            self._problem(line, "timestamp", _TOO_FINE.format(quoted(text)))
        else:
            return self._parsed_moment(line, text, parsed)
        return None

    def standard(self, line: int, date: str, clock: str) -> Moment | None:
        """Return the moment of a usual timestamp, or note the problem."""
        try:
            instant, offset = self.days[date] + self.clocks[clock], self.offsets[date]
        except NoSingleOffset:
            return self._local(line, f"{date} {clock}", midnight(date) + self.clocks[clock])
        except ValueError:
            self._no_time(line, f"{date} {clock}")
            return None
        self.hours.pass_by(instant + offset, instant + offset)
        return instant, offset

    def parsed(self, text: str) -> datetime | None:
        """Return what ``timestamp_format`` makes of a text."""
        try:
            return datetime.strptime(text, self._rules.timestamp_format)
        except (ValueError, OverflowError, re.error):
            return None

    def _parsed_moment(self, line: int, text: str, parsed: datetime) -> Moment | None:
        wall = wall_of(parsed.replace(tzinfo=None))
        offset = parsed.utcoffset()
        if offset is None:
            return self._local(line, text, wall)
        east = offset // _MILLISECOND
        return self._writable(line, text, (wall - east, east))

    def _local(self, line: int, text: str, wall: int) -> Moment | None:
        """Return the moment of a wall time on a day on which the clocks may change."""
        if self._zone is None:
            self._problem(line, "timestamp", _NO_OFFSET.format(quoted(text)))
            return None
        readings = self._zone.valid_offsets(wall)
        if not readings.offsets:
            zone = self._zone.name
            message = _SKIPPED.format(zone, quoted(text), skipped_hint(zone, wall))
            self._problem(line, "nonexistent time", message)
            return None
        place = 0
        if readings.change is None or len(readings.offsets) != 2:
            self.hours.pass_by(wall, wall)
        else:
            place = self._pass(line, text, wall, Hour(readings.change, readings.offsets))
        offset = readings.offsets[place]
        return self._writable(line, text, (wall - offset, offset))

    def _pass(self, line: int, text: str, wall: int, hour: Hour) -> int:
        """Return 0 or 1: the first or second pass of an hour that the clocks repeat."""
        rule = self._rules.ambiguous_time
        if rule == "infer":
            return self.hours.reading(line, wall, hour)
        if rule == "error":
            where = self._rules.timezone
            self._problem(line, "ambiguous time", _REPEATED.format(where, quoted(text)))
        return int(rule == "second")

    def _writable(self, line: int, text: str, moment: Moment) -> Moment | None:
        try:
            timestamp(*self._shift.sent_at(*moment))
        except (OverflowError, ValueError):
            self._problem(line, "timestamp", _BEYOND.format(quoted(text)))
            return None
        return moment

    def _no_time(self, line: int, text: str) -> None:
        expected = self._rules.timestamp_format
        hint = _MIDNIGHT if is_midnight(text) else ""
        self._problem(
            line, "timestamp", f"not a timestamp: found {quoted(text)}, expected {expected}{hint}"
        )

    def _problem(self, line: int, kind: Kind, message: str) -> None:
        self._problems.add(line, 1, kind, message)


_TOO_FINE = "a time finer than a millisecond: found {}, expected at most three decimals of a second"
_MIDNIGHT = "; 24:00 is 00:00 of the next day, have it exported so"
_NO_OFFSET = "a time without offset: found {}, expected one with an offset, or set timezone"
_BEYOND = "a time past the end of the calendar: found {}, expected one in the years 1 to 9999"
_SKIPPED = (
    "a local time that does not exist in {}, where the clocks skip it: found {}, "
    "expected another time, or another timezone; {}"
)
_REPEATED = (
    "a local time that occurs twice in {}, where the clocks repeat it: found {}, "
    "expected a time that occurs once; or set ambiguous_time"
)


def _has_more_than_milliseconds(parsed: datetime) -> bool:
    offset = parsed.utcoffset() or timedelta()
    return bool(parsed.microsecond % 1000 or offset % _MILLISECOND)
