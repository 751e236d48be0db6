"""What a measurement works with: how long and how often, a folder, nginx."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from benchmarks.nginx import Nginx, running

LOG = logging.getLogger("benchmarks")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Plan:
    """``seconds`` is how long a run shall send, ``pairs`` how often each pair is measured."""

    pairs: int
    seconds: float
    is_quick: bool

    def size(self, rows: int) -> int:
        """Return a fixed size, or a tenth of it for a quick run."""
        return rows // 10 if self.is_quick else rows


@dataclass(frozen=True)
class Pace:
    """How fast packets went: ``rate`` a second, from the first to the last.

    ``cpu`` are the client's seconds for one packet, ``aside`` the seconds of the run before the
    first packet and after the last; 0 where that is not asked for.
    """

    rate: float
    cpu: float = 0.0
    aside: float = 0.0

    def __str__(self) -> str:
        """Tell it in short."""
        return f"{self.rate:,.0f} /s, {self.cpu * 1e6:.0f} µs of CPU a packet"


class Bench:
    """The place of all measurements of one call."""

    def __init__(self, plan: Plan, folder: Path, stack: ExitStack) -> None:
        self.plan = plan
        self.folder = folder
        self._stack = stack

    @cached_property
    def nginx(self) -> Nginx:
        """The collector, started when it is first asked for."""
        return self._stack.enter_context(running(self.folder / "nginx"))

    def room(self, name: str) -> Path:
        """Return a folder of a measurement's own."""
        path = self.folder / name
        path.mkdir()
        return path


def side_by_side(times: int, *runs: Callable[[], _T]) -> Sequence[list[_T]]:
    """Make so many rounds of runs, every other one backwards; return the results of each run.

    So what slows the machine for a while slows both sides of a ratio.
    """
    results: list[list[_T]] = [[] for _ in runs]
    for number in range(times):
        order = list(zip(runs, results, strict=True))
        for run, found in order if number % 2 == 0 else reversed(order):
            found.append(run())
            LOG.info("  round %d of %d: %s", number + 1, times, _short(found[-1]))
    return results


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def ratios(upper: Sequence[float], lower: Sequence[float]) -> list[float]:
    """Return the ratio of each pair."""
    return [above / below for above, below in zip(upper, lower, strict=True)]
