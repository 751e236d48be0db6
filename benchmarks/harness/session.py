"""The session of all measurements of one command: the plan, a folder, nginx."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from benchmarks.harness.nginx import Nginx, running

LOG = logging.getLogger("benchmarks")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Plan:
    """Extent of the measurements: ``seconds`` of one run, ``pairs`` of runs for each ratio."""

    pairs: int
    seconds: float
    is_quick: bool

    def size(self, rows: int) -> int:
        """Return a fixed size, or a tenth of it for a quick run."""
        return rows // 10 if self.is_quick else rows


@dataclass(frozen=True)
class Throughput:
    """Packets a second (``rate``), from the first packet to the last.

    ``cpu`` is the client's CPU seconds for one packet, ``overhead`` the seconds of the run before
    the first packet and after the last; 0 if not measured.
    """

    rate: float
    cpu: float = 0.0
    overhead: float = 0.0

    def __str__(self) -> str:
        """Return the rate and the CPU time as short text."""
        return f"{self.rate:,.0f} /s, {self.cpu * 1e6:.0f} µs of CPU a packet"


class Session:
    """The resources of all measurements of one command."""

    def __init__(self, plan: Plan, folder: Path, stack: ExitStack) -> None:
        self.plan = plan
        self.folder = folder
        self._stack = stack

    @cached_property
    def nginx(self) -> Nginx:
        """The collector, started at the first use."""
        return self._stack.enter_context(running(self.folder / "nginx"))

    def make_folder(self, name: str) -> Path:
        """Create and return a folder for one measurement."""
        path = self.folder / name
        path.mkdir()
        return path


def side_by_side(times: int, *runs: Callable[[], _T]) -> Sequence[list[_T]]:
    """Run each function ``times`` times, in alternating order; return the results of each.

    A temporary slowdown of the machine then affects both sides of a ratio.
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
