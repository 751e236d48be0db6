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
        """Whether rows run backwards, and are not just in no order."""
        return self.back > 2 * self.forward

    @property
    def is_clearly_backward(self) -> bool:
        """Whether that shows in more than one step."""
        return self.back > 1 and self.is_backward


_NONE = Steps()


@dataclass(frozen=True, slots=True)
class Part:
    """One file of the meter: its ``runs`` in the hour, and how its rows lie around.

    ``first`` and ``last`` are the wall times of its first and last row, None without any. ``steps``
    are those from row to row elsewhere in the file.
    """

    runs: Sequence[Run] = ()
    first: int | None = None
    last: int | None = None
    steps: Steps = _NONE

    @property
    def has_outside(self) -> bool:
        """Whether the file has rows outside of the hour."""
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


def turned(parts: Sequence[Part]) -> list[bool]:
    """Tell of each file whether its rows around the hour run backwards in time.

    The rest of the file tells, then the rows next to the hour, then the meter's other files; rows
    of the hour by themselves have to do so clearly, since going back once is how the second pass
    begins.
    """
    beside = _sum(
        steps for part in parts if part.has_outside for steps in (part.steps, part.around)
    )
    inside = _sum(part.around for part in parts if not part.has_outside)
    return [_is_turned(part, beside, inside) for part in parts]


def _is_turned(part: Part, beside: Steps, inside: Steps) -> bool:
    """Tell whether a file's rows run backwards, given the steps in all files.

    ``inside`` are those of files of nothing but the hour, ``beside`` those of the others.
    """
    around = part.around
    if any(part.steps):
        return part.steps.is_backward and around.back >= around.forward
    if part.has_outside:
        return around.back > around.forward
    if any(beside):
        return beside.is_backward
    others = Steps(inside.forward - around.forward, inside.back - around.back)
    return others.is_clearly_backward or around.is_clearly_backward


def _sum(steps: Iterable[Steps]) -> Steps:
    found = list(steps)
    return Steps(sum(each.forward for each in found), sum(each.back for each in found))


def runs_backward(parts: Sequence[Part]) -> bool:
    """Tell whether the files around the hour stand in the order newest first.

    Between files of nothing but the hour, going back is how the second pass begins.
    """
    near = far = 0
    for one, other in pairwise([part for part in parts if part.first is not None]):
        if one.has_outside or other.has_outside:
            step = _step(one, other)
            far += step
            near += step if one.runs or other.runs else 0
    return (near or far) < 0


def _step(one: Part, other: Part) -> int:
    """Return 1 where the other file begins and ends later than the one, -1 where earlier."""
    ends = [
        sorted(wall for wall in (part.first, part.last) if wall is not None)
        for part in (one, other)
    ]
    ways = [(later > earlier) - (later < earlier) for earlier, later in zip(*ends, strict=True)]
    total: int = sum(ways)
    return (total > 0) - (total < 0)
