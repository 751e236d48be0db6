"""Fits zones to rows: from the rows at and around clock changes to the zones that they follow.

Where the clocks of a zone skip an hour, rows in local time have a gap of just that hour; where they
repeat one, that hour holds twice as many rows as those around it. So rows that are read under a
zone that does neither tell that another one is meant, and so do rows in an hour that is skipped.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache
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

#: Evidence counts where it comes by chance in less than one of so many files.
_CHANCE = 1e-4
#: Counted are the rows of a stretch and of so many as long as it on each side.
_AROUND = 2
_STRETCHES = range(-_AROUND, _AROUND + 1)
#: A step of so many usual ones is a gap.
_GAP = 1.5
_DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
#: A wall time and its instant are less than so much (ms) apart; so are all stretches of a change.
_REACH = 2 * _DAY_MS


@dataclass(frozen=True)
class ZoneEvidence:
    """The evidence of rows for a zone: its clock changes that they follow, and those they do not.

    ``against`` are those that rows lie in the skipped hour of; ``missed`` those of which the hour
    stands once that ought to be there twice. ``rows`` is for each that is followed how many rows
    the hour lacks, or has too many.
    """

    zone: str
    followed: tuple[Change, ...] = ()
    against: tuple[Change, ...] = ()
    missed: tuple[Change, ...] = ()
    rows: tuple[int, ...] = ()

    def without(self, known: Collection[Change]) -> "ZoneEvidence":
        """Return it without clock changes that the zone that the rows are read in makes as well."""
        pairs = [
            pair for pair in zip(self.followed, self.rows, strict=True) if pair[0] not in known
        ]
        followed, rows = [each for each, _ in pairs], [each for _, each in pairs]
        return replace(self, followed=tuple(followed), rows=tuple(rows))


@dataclass
class _Regular:
    """Rows at even steps: the first, the step between them (ms), how many there are."""

    first: int
    step: int
    count: int

    def below(self, instant: int) -> int:
        """Return how many of the rows are earlier than an instant."""
        return min(max(-((self.first - instant) // self.step), 0), self.count)


class Trace:
    """Follows the rows of a meter, as far as they tell of clock changes.

    ``zone`` is the one that their instants were worked out under. Looked at are the clock changes
    of common zones, of this one, and of those in ``also``. It costs next to nothing where rows
    follow one another at even steps: ``is_even`` tells whether all did, and no clock was changed.
    """

    def __init__(self, zone: str, also: Collection[str] = ()) -> None:
        self._zone = zone
        self._also = (zone, *also)
        self._rows = 0
        self._first = self._last = 0
        self._previous: tuple[int, int] | None = None
        self._regular: list[_Regular] = []
        self._counts: dict[Change, list[int]] = {}
        self._borders: dict[Change, tuple[int, ...]] = {}
        self._gaps: Counter[int] = Counter()
        self._repeats: Counter[int] = Counter()
        self._step: int | None = None
        self.is_even = True

    def follow(self, instants: Sequence[int]) -> None:
        """Take note of the next rows (ms)."""
        if not instants:
            return
        low, high = min(instants[0], instants[-1]), max(instants[0], instants[-1])
        step = whole_step(instants, _HOUR_MS) if len(instants) > 1 else self._step or _HOUR_MS
        if step is None:
            ordered = sorted(instants)
            low, high = ordered[0], ordered[-1]
            step = self._uneven(ordered)
        else:
            step = abs(step)
            self._add_regular(_Regular(low, step, len(instants)))
        self._between(instants[0], instants[-1], step)
        self._first = min(low, self._first) if self._rows else low
        self._last = max(high, self._last) if self._rows else high
        self._rows += len(instants)
        self._step = step

    def likely(self) -> tuple[ZoneEvidence, ...]:
        """Return the common zones whose clocks the rows follow against the zone they are read in.

        None where that may be chance. Those come first that more of the clock changes speak for.
        """
        if self.is_even or not self._rows:
            return ()
        own = changes(self._zone, years(self._first, self._last))
        found = [self.evidence(zone).without(own) for zone in COMMON]
        good = [each for each in found if not each.against and self._chance(each) <= _CHANCE]
        return tuple(sorted(good, key=lambda each: -len(each.followed)))

    def evidence(self, zone: str) -> ZoneEvidence:
        """Return what the rows tell of a zone, one of those that are looked at."""
        evidence = ZoneEvidence(zone)
        if not self._rows:
            return evidence
        self._settle()
        period = years(self._first, self._last)
        found: dict[str, list[Change]] = {"followed": [], "against": [], "missed": []}
        rows = []
        for change in changes(zone, period):
            verdict, usual = self._verdict(change)
            if verdict:
                found[verdict].append(change)
            if verdict == "followed":
                rows.append(usual)
        return ZoneEvidence(
            zone, rows=tuple(rows), **{name: tuple(listed) for name, listed in found.items()}
        )

    def _chance(self, evidence: ZoneEvidence) -> float:
        """Return how likely gaps and repeats like the others in the file look like this one."""
        if not evidence.followed:
            return 1.0
        skips = [change for change in evidence.followed if change.is_forward]
        repeats = [change for change in evidence.followed if not change.is_forward]
        # So many rows would have to stand twice by chance, just there.
        doubled = sum(
            count
            for change, count in zip(evidence.followed, evidence.rows, strict=True)
            if not change.is_forward
        )
        usual = max(evidence.rows)
        stretches = max(self._rows / usual, 1.0)
        days = max(stretches * evidence.followed[0].length / _DAY_MS, 1.0)
        gap = _share(self._gaps, skips, len(skips), days, stretches)
        repeat = _share(self._repeats, repeats, doubled, days * usual, self._rows)
        return math.prod([gap] * len(skips)) * math.prod([repeat] * min(doubled, 100))

    def _verdict(self, change: Change) -> tuple[str, int]:
        """Return what is to be said of a clock change, and how many rows it moved."""
        counts = self._counts.get(change)
        if counts is None:
            return "", 0
        is_own = change in changes(self._zone, years(change.wall, change.wall))
        is_clear = [not self._is_disturbed(change, place) for place in _STRETCHES]
        before, after = (
            [counts[place] for place in places if is_clear[place]]
            for places in (range(_AROUND), range(_AROUND + 1, 2 * _AROUND + 1))
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

    def _is_disturbed(self, change: Change, place: int) -> bool:
        """Tell whether a stretch touches one that is skipped or repeated in the zone itself."""
        start = change.wall + place * change.length
        return any(
            own.wall < start + change.length and start < own.end
            for own in changes(self._zone, years(start, start))
        )

    def _between(self, first: int, last: int, step: int) -> None:
        """Note how a block follows the one before it."""
        if self._previous is not None:
            previous, usual = self._previous
            way = abs(first - previous)
            self.is_even = self.is_even and way == usual == step
            if way >= _GAP * max(usual, step):
                self._note(self._gaps, [min(first, previous) + min(usual, step)])
        self._previous = last, step

    def _uneven(self, ordered: Sequence[int]) -> int:
        """Take note of rows with gaps or repeats among them; return their usual step."""
        self.is_even = False
        usual, places = odd_steps(ordered, self._step)
        step = usual or self._step or _HOUR_MS
        gaps, repeats = [], []
        for place in places:
            if ordered[place + 1] == ordered[place]:
                repeats.append(ordered[place])
            elif ordered[place + 1] - ordered[place] >= _GAP * step:
                gaps.append(ordered[place] + step)
        self._note(self._gaps, gaps)
        self._note(self._repeats, repeats)
        self._count(ordered[0], ordered[-1], lambda instant: bisect_left(ordered, instant))
        return step

    def _note(self, events: Counter[int], instants: Sequence[int]) -> None:
        """Count the hours of the day in which something comes up."""
        if not instants:
            return
        zone, first = self._zone, offset_at(self._zone, instants[0])
        is_steady = first == offset_at(zone, instants[-1])
        offsets = (first if is_steady else offset_at(zone, instant) for instant in instants)
        walls = map(add, instants, offsets)
        events.update([wall // _HOUR_MS % 24 for wall in walls])

    def _add_regular(self, rows: _Regular) -> None:
        last = self._regular[-1] if self._regular else None
        if last and last.step == rows.step and last.first + last.count * last.step == rows.first:
            last.count += rows.count
        else:
            self._regular.append(rows)

    def _settle(self) -> None:
        """Count the rows at even steps, which is put off until somebody asks."""
        for rows in self._regular:
            self._count(rows.first, rows.first + (rows.count - 1) * rows.step, rows.below)
        self._regular.clear()

    def _count(self, low: int, high: int, below: Callable[[int], int]) -> None:
        """Count rows around the clock changes of their time; ``below`` tells how many are earlier.

        ``low`` and ``high`` are the first and last of them.
        """
        for change in between(_watched(years(low, high), self._also), low - _REACH, high + _REACH):
            borders = self._borders_of(change)
            if borders[-1] <= low or high < borders[0]:
                continue
            places = [below(border) for border in borders]
            counts = self._counts.setdefault(change, [0] * len(_STRETCHES))
            for place, (earlier, later) in enumerate(pairwise(places)):
                counts[place] += later - earlier

    def _borders_of(self, change: Change) -> tuple[int, ...]:
        """Return the instants between which the stretches around a clock change lie."""
        if change not in self._borders:
            walls = (change.wall + place * change.length for place in (*_STRETCHES, _AROUND + 1))
            self._borders[change] = tuple(wall - offset(self._zone, wall) for wall in walls)
        return self._borders[change]


def _share(
    hours: Counter[int], explained: Sequence[Change], known: int, days: float, chances: float
) -> float:
    """Return how often something comes at the hour of some changes, or at any.

    Without so many that these changes explain.
    """
    touched = {wall // _HOUR_MS % 24 for change in explained for wall in change.ends}
    at_hour = sum(hours[hour] for hour in touched) - known
    others = hours.total() - known
    return min(max(at_hour / days, others / chances, 0.0), 1.0)


@cache
def _watched(period: range, also: tuple[str, ...]) -> tuple[Change, ...]:
    return tuple(common(period, also))


def names(found: Sequence[ZoneEvidence]) -> tuple[str, ...]:
    """Return all zones that the same clock changes speak for, those best known first."""
    followed = [each.followed for each in found if len(each.followed) == len(found[0].followed)]
    return tuple(dict.fromkeys(name for changes in followed for name in alike(changes)))
