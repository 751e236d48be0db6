"""The clock changes in the files' own times -> the zones that they can be of."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache

from swarm.localtime import DAY_MS, Zone, wall_of

#: No zone skips less than that (ms), or begins to skip elsewhere.
_GRAIN = 30 * 60_000
#: One or more for each set of rules that many files are written under, the likeliest first.
COMMON = (
    *("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"),
    *("Europe/London", "Europe/Paris", "Europe/Athens", "Australia/Sydney", "Pacific/Auckland"),
    *("America/Sao_Paulo", "America/Santiago", "America/Mexico_City", "Asia/Jerusalem"),
)


@dataclass(frozen=True)
class Clock:
    """What a file's local times tell: the half hours that occur, the times that occur twice (ms).

    Only times that stand twice with other values count: such rows are two readings.
    """

    halves: "array[int]" = field(default_factory=lambda: array("q"))
    twice: tuple[int, ...] = ()


def clock(times: Iterable[datetime], cells: Sequence[object]) -> Clock:
    """Return what naive times tell, each with what stands beside it."""
    walls = [wall_of(time) for time in times]
    seen: dict[int, object] = {}
    twice: dict[int, int] = {}
    for wall, cell in zip(walls, cells, strict=True):
        if seen.setdefault(wall, cell) != cell:
            twice[wall] = twice.get(wall, 1) + 1
    halves = array("q", sorted({wall - wall % _GRAIN for wall in walls}))
    return Clock(halves, tuple(wall for wall, count in twice.items() if count == 2))


def fitting(names: Iterable[str], clocks: Sequence[Clock]) -> Iterator[str]:
    """Yield the zones that all files can be of.

    There none of their times is skipped, and those that occur twice are repeated.
    """
    return (name for name in names if _fits(name, clocks))


def _fits(name: str, clocks: Sequence[Clock]) -> bool:
    zone = Zone(name)

    @cache
    def is_steady(day: int) -> bool:
        return zone.steady_offset(day * DAY_MS) is not None

    def is_skipped(wall: int) -> bool:
        return not is_steady(wall // DAY_MS) and not zone.readings(wall).offsets

    return all(
        all(zone.readings(wall).change is not None for wall in each.twice)
        and not any(map(is_skipped, each.halves))
        for each in clocks
    )
