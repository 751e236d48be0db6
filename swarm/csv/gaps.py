"""The interval between the rows of a meter, and the gaps.

Steps are differences of instants, so a clock change is no gap. Memory stays small: of regular rows,
only the few different steps and their counts are kept.
"""

from collections import Counter
from dataclasses import dataclass
from operator import sub
from typing import Protocol

from swarm.csv.rows import Batch

#: The number of gaps of a meter that are kept; further ones are only counted.
MOST_GAPS = 1000
#: A step of at least this many intervals is a gap. Days of 25 hours, months of 28 to 31 days and
#: rows that are somewhat early or late stay below.
GAP_INTERVALS = 1.5

#: Longer steps are rounded to whole seconds: rows may be late by some milliseconds.
_FINE_MS = 60_000
#: Different steps to count; beyond, the rarer half is dropped. Regular meters have far fewer.
_MOST_STEPS = 10_000


@dataclass(frozen=True)
class Gap:
    """Missing rows: the last row before and the first after, as (instant, offset) in ms.

    ``missing`` is the number of rows, at the meter's interval, that would fill it.
    """

    before: tuple[int, int]
    after: tuple[int, int]
    missing: int


class Follower(Protocol):
    """Consumer of the rows of a file, block by block."""

    def follow(self, batch: Batch) -> None:
        """Take the next rows."""


class IntervalTracker:
    """Search for the gaps between rows that come in order of time.

    ``interval`` (s) is that of the meter; without it, the commonest step of the first rows is used.
    The attribute ``interval`` is in ms, None until there are two rows; ``gaps`` are the first
    `MOST_GAPS` of ``gap_count``, ``missing`` the number of rows missing in all of them.
    ``is_forward`` is False once a row was not later than the one before; the rest has no meaning
    then. ``step`` (ms) is that between all rows of the last batch and the row before them; None if
    there are several.
    """

    def __init__(self, interval: float | None = None) -> None:
        self.interval = None if interval is None else max(round(interval * 1000), 1)
        self.gaps: list[Gap] = []
        self.gap_count = 0
        self.missing = 0
        self.is_forward = True
        self.step: int | None = None
        self._is_given = interval is not None
        self._steps: Counter[int] = Counter()
        self._previous: Batch | None = None

    @property
    def commonest(self) -> int | None:
        """The most frequent step (ms), the shortest one of a tie; None without any."""
        most = max(self._steps.values(), default=0)
        return min((step for step, count in self._steps.items() if count == most), default=None)

    @property
    def is_settled(self) -> bool:
        """True if the gaps are those of the interval that all rows together show."""
        return self.is_forward and (self._is_given or self.interval == self.commonest)

    def follow(self, batch: Batch) -> None:
        """Take the next rows."""
        self.step = None
        if not batch.instants or not self.is_forward:
            return
        previous, self._previous = self._previous, batch
        instants = batch.instants if previous is None else [previous.instants[-1], *batch.instants]
        steps = list(map(sub, instants[1:], instants))
        counts = Counter(steps)
        if not counts:
            return
        if min(counts) <= 0:
            self.is_forward = False
            return
        if len(counts) == 1:
            (self.step,) = counts
        if not self._is_given:
            self._count(counts)
        longest = max(counts)
        interval = self.interval or longest
        if longest >= GAP_INTERVALS * interval:
            self._add_gaps(steps, interval, previous, batch)

    def _count(self, counts: Counter[int]) -> None:
        for step, count in counts.items():
            self._steps[step if step < _FINE_MS else (step + 500) // 1000 * 1000] += count
        if len(self._steps) > _MOST_STEPS:
            self._steps = Counter(dict(self._steps.most_common(_MOST_STEPS // 2)))
        self.interval = self.interval or self.commonest

    def _add_gaps(
        self, steps: list[int], interval: int, previous: Batch | None, batch: Batch
    ) -> None:
        """Add the gaps among the steps from the last row before a batch through its rows."""
        least = GAP_INTERVALS * interval
        indexes = [index for index, step in enumerate(steps) if step >= least]
        missing = [int(steps[index] / interval + 0.5) - 1 for index in indexes]
        room = MOST_GAPS - len(self.gaps)
        if room:
            rows = batch.rows() if previous is None else [previous.rows()[-1], *batch.rows()]
            for index, count in zip(indexes[:room], missing, strict=False):
                self.gaps.append(Gap(rows[index][:2], rows[index + 1][:2], count))
        self.gap_count += len(indexes)
        self.missing += sum(missing)
