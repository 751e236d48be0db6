"""The direction in time of a file's rows, and of a meter's files, around a repeated hour."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from swarm.csv.folds.occurrences import Run


class Steps(NamedTuple):
    """The number of steps forward, and back, in time from row to row."""

    forward: int = 0
    back: int = 0

    @property
    def is_backward(self) -> bool:
        """True if rows run backwards in time, and are not just out of order."""
        return self.back > 2 * self.forward

    @property
    def is_clearly_backward(self) -> bool:
        """True if more than one step shows that rows run backwards."""
        return self.back > 1 and self.is_backward


_NONE = Steps()


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the meter: its ``runs`` in the hour, and its other rows.

    ``first`` and ``last`` are the wall times of its first and last row, None without any. ``steps``
    are those from row to row outside of repeated hours.
    """

    runs: Sequence[Run] = ()
    first: int | None = None
    last: int | None = None
    steps: Steps = _NONE

    @property
    def has_outside(self) -> bool:
        """True if the file has rows outside of the hour."""
        is_beside = any((run.before, run.after) != (None, None) for run in self.runs)
        return not self.runs or any(self.steps) or is_beside

    @property
    def around(self) -> Steps:
        """The steps between the rows of the hour and those next to them."""
        steps = [
            (later > earlier) - (later < earlier)
            for run in self.runs
            for earlier, later in pairwise(
                [wall for wall in (run.before, *run.walls, run.after) if wall is not None]
            )
        ]
        return Steps(steps.count(1), steps.count(-1))


def are_backward(parts: Sequence[Part]) -> list[bool]:
    """Return for each file True if its rows around the hour run backwards in time.

    The evidence is the rest of the file, then the rows next to the hour, then the meter's other
    files. Rows of the hour alone must run backwards clearly: a single step back may be the
    beginning of the second pass.
    """
    arounds = [part.around for part in parts]
    pairs = list(zip(parts, arounds, strict=True))
    with_others = _total(
        steps for part, around in pairs if part.has_outside for steps in (part.steps, around)
    )
    hour_alone = _total(around for part, around in pairs if not part.has_outside)
    found = []
    for part, around in pairs:
        if any(part.steps):
            is_backward = part.steps.is_backward and around.back >= around.forward
        elif part.has_outside:
            is_backward = around.back > around.forward
        elif any(with_others):
            is_backward = with_others.is_backward
        else:
            other_files = Steps(hour_alone.forward - around.forward, hour_alone.back - around.back)
            is_backward = other_files.is_clearly_backward or around.is_clearly_backward
        found.append(is_backward)
    return found


def _total(steps: Iterable[Steps]) -> Steps:
    found = list(steps)
    return Steps(sum(each.forward for each in found), sum(each.back for each in found))


def is_newest_first(parts: Sequence[Part]) -> bool:
    """Return True if the files around the hour are in the order newest first.

    Pairs of files that have rows of the hour only are not compared: there, a step back in time is
    the beginning of the second pass.
    """
    near = far = 0
    for one, other in pairwise([part for part in parts if part.first is not None]):
        if one.has_outside or other.has_outside:
            ends = [
                sorted(wall for wall in (part.first, part.last) if wall is not None)
                for part in (one, other)
            ]
            pairs = zip(*ends, strict=True)
            total: int = sum((later > earlier) - (later < earlier) for earlier, later in pairs)
            step = (total > 0) - (total < 0)
            far += step
            near += step if one.runs or other.runs else 0
    return (near or far) < 0
