"""The interval between a meter's rows, and the gaps.

Steps are between instants, so a clock change is no gap. They are looked at block by block: what
is noted of regular rows are a few different steps and how often each came.
"""

from collections import Counter
from dataclasses import dataclass
from operator import sub
from typing import Protocol

from swarm.csv.rows import Batch, Row

#: So many gaps of a meter are kept; the rest are counted.
MOST_GAPS = 1000
#: A step of at least so many intervals is a gap. Days of 25 hours, months of 28 to 31 days and
#: meters that are somewhat early or late are none.
GAP_INTERVALS = 1.5

#: Longer steps are told apart by whole seconds: meters are late by some milliseconds.
_FINE_MS = 60_000
#: More different steps than a regular meter has; of more, the rarest are forgotten.
_MOST_STEPS = 10_000


@dataclass(frozen=True)
class Gap:
    """Where rows are missing: the last row before and the first after, as (instant, offset) in ms.

    ``missing`` is how many rows at the meter's interval would fill it.
    """

    before: tuple[int, int]
    after: tuple[int, int]
    missing: int


class Follower(Protocol):
    """Something that takes note of a file's rows, block by block."""

    def follow(self, batch: Batch) -> None:
        """Take note of the next rows."""


class IntervalTracker:
    """Follows rows through time, without an ``interval`` (s) by the commonest step of the first.

    ``interval`` is in ms, None until there are two rows; ``gaps`` are the first `MOST_GAPS` of
    ``gap_count``, ``missing`` the rows that all of them lack. ``is_forward`` is False, and nothing
    of this is known, where a row was not later than the one before.
    """

    def __init__(self, interval: float | None = None) -> None:
        self.interval = None if interval is None else max(round(interval * 1000), 1)
        self.gaps: list[Gap] = []
        self.gap_count = 0
        self.missing = 0
        self.is_forward = True
        self._is_given = interval is not None
        self._steps: Counter[int] = Counter()
        self._newest: Batch | None = None

    @property
    def commonest(self) -> int | None:
        """The step (ms) that came most often, of several the shortest; None without any."""
        most = max(self._steps.values(), default=0)
        return min((step for step, count in self._steps.items() if count == most), default=None)

    @property
    def is_settled(self) -> bool:
        """Whether the gaps are those of the interval that all rows show."""
        return self.is_forward and (self._is_given or self.interval == self.commonest)

    def follow(self, batch: Batch) -> None:
        """Take note of the next rows."""
        if not batch.instants or not self.is_forward:
            return
        before, self._newest = self._newest, batch
        instants = batch.instants if before is None else [before.instants[-1], *batch.instants]
        steps = list(map(sub, instants[1:], instants))
        counts = Counter(steps)
        if min(counts, default=1) <= 0:
            self.is_forward = False
        elif counts:
            self._count(counts)
            self._look(steps, max(counts), before)

    def _count(self, counts: Counter[int]) -> None:
        if self._is_given:
            return
        for step, count in counts.items():
            self._steps[step if step < _FINE_MS else (step + 500) // 1000 * 1000] += count
        if len(self._steps) > _MOST_STEPS:
            self._steps = Counter(dict(self._steps.most_common(_MOST_STEPS // 2)))
        self.interval = self.interval or self.commonest

    def _look(self, steps: list[int], longest: int, before: Batch | None) -> None:
        """Note the gaps among the steps to a batch's rows."""
        interval = self.interval or longest
        least = GAP_INTERVALS * interval
        if longest < least:
            return
        places = [place for place, step in enumerate(steps) if step >= least]
        missing = [int(steps[place] / interval + 0.5) - 1 for place in places]
        room = MOST_GAPS - len(self.gaps)
        if room:
            rows = self._rows(before)
            for place, count in zip(places[:room], missing, strict=False):
                self.gaps.append(Gap(rows[place][:2], rows[place + 1][:2], count))
        self.gap_count += len(places)
        self.missing += sum(missing)

    def _rows(self, before: Batch | None) -> list[Row]:
        """Return the newest rows, and ahead of them the one that they follow."""
        rows = self._newest.rows() if self._newest else []
        return [before.rows()[-1], *rows] if before else rows
