"""The zones that rows follow, from the rows at and around clock changes.

In an hour that the clocks of a zone skip, rows in its local time have a gap of just that hour; an
hour that they repeat has twice as many rows as the hours around it. If rows that are read in a zone
without such a clock change show it, they are probably of another zone. Rows in a skipped hour prove
that they are not of the zone that skips it.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import add

from swarm.csv.zones.clock_changes import (
    COMMON,
    Change,
    alike,
    between,
    changes,
    common,
    offset,
    offset_at,
    years,
)
from swarm.csv.zones.steps import odd_steps, whole_step

#: Evidence counts if it would be a coincidence in less than this share of files.
_MAX_PROBABILITY = 1e-4
#: Rows are counted in the stretch of a clock change, and in this many of its length on each side.
_AROUND = 2
_STRETCHES = range(-_AROUND, _AROUND + 1)
#: A step of at least this many usual steps is a gap.
_GAP = 1.5
_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
#: A bound (ms) for the distance of a wall time from its instant, and of a stretch from its change.
_REACH = 2 * _DAY_MS


@dataclass(frozen=True)
class ZoneEvidence:
    """The evidence of rows for a zone and against it, as clock changes of the zone.

    ``followed`` are those that the rows show, and ``rows`` for each of them the number of rows that
    its stretch lacks, or has twice. ``against`` are those with rows in the skipped stretch,
    ``missed`` those with rows that occur only once in the repeated stretch.
    """

    zone: str
    followed: tuple[Change, ...] = ()
    against: tuple[Change, ...] = ()
    missed: tuple[Change, ...] = ()
    rows: tuple[int, ...] = ()

    def without(self, known: Collection[Change]) -> "ZoneEvidence":
        """Return the evidence without some of the changes in ``followed``."""
        pairs = [
            pair for pair in zip(self.followed, self.rows, strict=True) if pair[0] not in known
        ]
        followed, rows = [each for each, _ in pairs], [each for _, each in pairs]
        return replace(self, followed=tuple(followed), rows=tuple(rows))


@dataclass
class _EvenRows:
    """Evenly spaced rows: the first instant, the step between them (ms) and their number."""

    first: int
    step: int
    count: int

    def below(self, instant: int) -> int:
        """Return the number of rows before an instant."""
        return min(max(-((self.first - instant) // self.step), 0), self.count)


class Trace:
    """Counts of the rows of a meter around clock changes.

    ``zone`` is the one that their instants were computed in. The clock changes are those of common
    zones, of this one, and of those in ``also``. Evenly spaced rows cost next to nothing: they are
    counted only on request. ``is_even`` is True if all rows are; then they follow no clock changes.
    """

    def __init__(self, zone: str, also: Collection[str] = ()) -> None:
        self._zone = zone
        self._also = (zone, *also)
        self._rows = 0
        self._first = self._last = 0
        self._previous: int | None = None
        self._step: int | None = None
        self._even_rows: list[_EvenRows] = []
        self._counts: dict[Change, list[int]] = {}
        self._borders: dict[Change, tuple[int, ...]] = {}
        #: Gaps and repeats, by the hour of the day.
        self._gaps: Counter[int] = Counter()
        self._repeats: Counter[int] = Counter()
        self.is_even = True

    def follow(self, instants: Sequence[int]) -> None:
        """Take the next rows (ms)."""
        if not instants:
            return
        first, last = instants[0], instants[-1]
        low, high = min(first, last), max(first, last)
        step = whole_step(instants, _HOUR_MS) if len(instants) > 1 else self._step or _HOUR_MS
        if step is None:
            ordered = sorted(instants)
            low, high = ordered[0], ordered[-1]
            step = self._add_uneven(ordered)
        else:
            step = abs(step)
            self._add_even(_EvenRows(low, step, len(instants)))
        if self._previous is not None and self._step is not None:
            between = abs(first - self._previous)
            self.is_even = self.is_even and between == self._step == step
            if between >= _GAP * max(self._step, step):
                gap = min(first, self._previous) + min(self._step, step)
                self._count_hours(self._gaps, [gap])
        self._previous, self._step = last, step
        self._first = min(low, self._first) if self._rows else low
        self._last = max(high, self._last) if self._rows else high
        self._rows += len(instants)

    def likely(self) -> tuple[ZoneEvidence, ...]:
        """Return the common zones that the rows follow, unlike the zone that they are read in.

        Zones for which the evidence may be a coincidence are left out. Those with the most clock
        changes come first.
        """
        if self.is_even or not self._rows:
            return ()
        own = changes(self._zone, years(self._first, self._last))
        found = [self.evidence(zone).without(own) for zone in COMMON]
        good = [
            each
            for each in found
            if not each.against and self._probability(each) <= _MAX_PROBABILITY
        ]
        return tuple(sorted(good, key=lambda each: -len(each.followed)))

    def evidence(self, zone: str) -> ZoneEvidence:
        """Return the evidence for a zone: a common one, that of the trace, or one in ``also``."""
        if not self._rows:
            return ZoneEvidence(zone)
        for even in self._even_rows:
            self._count(even.first, even.first + (even.count - 1) * even.step, even.below)
        self._even_rows.clear()
        found: dict[str, list[Change]] = {"followed": [], "against": [], "missed": []}
        rows = []
        for change in changes(zone, years(self._first, self._last)):
            verdict, moved = self._verdict(change)
            if verdict:
                found[verdict].append(change)
            if verdict == "followed":
                rows.append(moved)
        return ZoneEvidence(
            zone, rows=tuple(rows), **{name: tuple(listed) for name, listed in found.items()}
        )

    def _probability(self, evidence: ZoneEvidence) -> float:
        """Return the probability that the evidence is made up of ordinary gaps and repeats."""
        if not evidence.followed:
            return 1.0
        skips = [change for change in evidence.followed if change.is_forward]
        repeats = [change for change in evidence.followed if not change.is_forward]
        # The number of rows that would have to be repeated by coincidence.
        doubled = sum(
            count
            for change, count in zip(evidence.followed, evidence.rows, strict=True)
            if not change.is_forward
        )
        usual = max(evidence.rows)
        stretches = max(self._rows / usual, 1.0)
        days = max(stretches * evidence.followed[0].length / _DAY_MS, 1.0)
        gap = _rate(self._gaps, skips, len(skips), days, stretches)
        repeat = _rate(self._repeats, repeats, doubled, days * usual, self._rows)
        return math.prod([gap] * len(skips)) * math.prod([repeat] * min(doubled, 100))

    def _verdict(self, change: Change) -> tuple[str, int]:
        """Return the field of `ZoneEvidence` for a clock change, and the number of rows it moved.

        The field is empty if the rows say nothing of the change.
        """
        counts = self._counts.get(change)
        if counts is None:
            return "", 0
        is_own = change in changes(self._zone, years(change.wall, change.wall))
        is_clear = [not self._is_disturbed(change, number) for number in _STRETCHES]
        before, after = (
            [counts[index] for index in indexes if is_clear[index]]
            for indexes in (range(_AROUND), range(_AROUND + 1, 2 * _AROUND + 1))
        )
        inside = counts[_AROUND]
        if not (is_own or is_clear[_AROUND]):
            return "", 0
        usual = max([*before, *after], default=0)
        slack = usual // 4
        is_full = bool(before and after and usual) and min(*before, *after) >= usual - slack
        if change.is_forward:
            is_followed = is_full and not inside
            return ("against" if inside else "followed" if is_followed else ""), usual
        if is_full and abs(inside - 2 * usual) <= slack:
            return "followed", inside - usual
        return ("missed" if is_full and abs(inside - usual) <= slack else ""), usual

    def _is_disturbed(self, change: Change, number: int) -> bool:
        """Return True if the trace's own zone skips or repeats a part of a stretch."""
        start = change.wall + number * change.length
        return any(
            own.wall < start + change.length and start < own.end
            for own in changes(self._zone, years(start, start))
        )

    def _add_even(self, rows: _EvenRows) -> None:
        last = self._even_rows[-1] if self._even_rows else None
        if last and last.step == rows.step and last.first + last.count * last.step == rows.first:
            last.count += rows.count
        else:
            self._even_rows.append(rows)

    def _add_uneven(self, ordered: Sequence[int]) -> int:
        """Count rows with gaps or repeats among them; return their usual step."""
        self.is_even = False
        usual, indexes = odd_steps(ordered, self._step)
        step = usual or self._step or _HOUR_MS
        gaps, repeats = [], []
        for index in indexes:
            if ordered[index + 1] == ordered[index]:
                repeats.append(ordered[index])
            elif ordered[index + 1] - ordered[index] >= _GAP * step:
                gaps.append(ordered[index] + step)
        self._count_hours(self._gaps, gaps)
        self._count_hours(self._repeats, repeats)
        self._count(ordered[0], ordered[-1], lambda instant: bisect_left(ordered, instant))
        return step

    def _count_hours(self, events: Counter[int], instants: Sequence[int]) -> None:
        """Count events by the hour of the day, in wall time."""
        if not instants:
            return
        zone, first = self._zone, offset_at(self._zone, instants[0])
        has_one_offset = first == offset_at(zone, instants[-1])
        offsets = (first if has_one_offset else offset_at(zone, instant) for instant in instants)
        walls = map(add, instants, offsets)
        events.update([wall // _HOUR_MS % 24 for wall in walls])

    def _count(self, low: int, high: int, below: Callable[[int], int]) -> None:
        """Count rows, of which ``low`` is the first and ``high`` the last, around clock changes.

        ``below`` returns the number of these rows before an instant.
        """
        for change in between(common(years(low, high), self._also), low - _REACH, high + _REACH):
            borders = self._borders.get(change)
            if borders is None:
                ends = (change.wall + n * change.length for n in (*_STRETCHES, _AROUND + 1))
                borders = tuple(wall - offset(self._zone, wall) for wall in ends)
                self._borders[change] = borders
            if borders[-1] <= low or high < borders[0]:
                continue
            counts = self._counts.setdefault(change, [0] * len(_STRETCHES))
            for index, (earlier, later) in enumerate(pairwise(map(below, borders))):
                counts[index] += later - earlier


def _rate(
    hours: Counter[int], explained: Sequence[Change], known: int, days: float, chances: float
) -> float:
    """Return the rate of events in the hours of some clock changes, or at any hour if higher.

    ``hours`` counts the events by hour of the day. ``known`` of them are ``explained`` by the
    clock changes, and do not count.
    """
    touched = {wall // _HOUR_MS % 24 for change in explained for wall in change.ends}
    at_hour = sum(hours[hour] for hour in touched) - known
    others = hours.total() - known
    return min(max(at_hour / days, others / chances, 0.0), 1.0)


def names(found: Sequence[ZoneEvidence]) -> tuple[str, ...]:
    """Return all zones that make the same clock changes as the likeliest, the best known first."""
    followed = [each.followed for each in found if len(each.followed) == len(found[0].followed)]
    return tuple(dict.fromkeys(name for changes in followed for name in alike(changes)))
