"""The session of all measurements of one command: the plan, a folder, nginx, the versions."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from benchmarks.harness.nginx import Nginx, running
from benchmarks.harness.versions import THIS, Version
from benchmarks.results import NotMeasured

if TYPE_CHECKING:
    from benchmarks.pictures import Picture

LOG = logging.getLogger("benchmarks")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Plan:
    """Extent of the measurements: ``seconds`` of one run, ``pairs`` of runs for each ratio.

    A quick run divides fixed sizes by ``divisor``.
    """

    pairs: int
    seconds: float
    is_quick: bool
    divisor: int = 10

    def size(self, rows: int) -> int:
        """Return a fixed size, or a part of it for a quick run."""
        return max(rows // self.divisor, 1) if self.is_quick else rows


@dataclass(frozen=True)
class Throughput:
    """Packets a second (``rate``), from the first packet to the last.

    ``cpu`` is the client's CPU seconds for one packet, ``overhead`` the seconds of the run before
    the first packet and after the last, ``handshakes`` the TLS connections; 0 if not measured.
    """

    rate: float
    cpu: float = 0.0
    overhead: float = 0.0
    handshakes: int = 0

    def __str__(self) -> str:
        """Return the rate and the CPU time as short text."""
        return f"{self.rate:,.0f} /s, {self.cpu * 1e6:.0f} µs of CPU a packet"


class Session:
    """The resources of all measurements of one command; ``pictures`` are those to draw."""

    def __init__(
        self, plan: Plan, folder: Path, stack: ExitStack, other: Version | None = None
    ) -> None:
        self.plan = plan
        self.folder = folder
        self.other = other
        self.pictures: list[Picture] = []
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


@dataclass(frozen=True)
class Compared(Generic[_T]):
    """The runs of this version, of the other one (empty without one) and of each baseline."""

    this: list[_T]
    other: list[_T]
    baselines: list[list[_T]]


def compare(
    session: Session,
    swarm: Callable[[Version], _T],
    *baselines: Callable[[], _T],
    times: int | None = None,
    most_seconds: float | None = None,
) -> Compared[_T]:
    """Run this version, the other one and baselines side by side.

    If the other version can't do it, for example for lack of an option, it is left out.
    """
    failures: list[NotMeasured] = []

    def other(version: Version) -> _T | None:
        if not failures:
            try:
                return swarm(version)
            except NotMeasured as error:
                LOG.error("  not measured for %s: %s", version.name, error)
                failures.append(error)
        return None

    runs: list[Callable[[], _T | None]] = [partial(swarm, THIS), *baselines]
    if session.other is not None:
        runs.append(partial(other, session.other))
    found = side_by_side(times or session.plan.pairs, *runs, most_seconds=most_seconds)
    results = [[each for each in each_run if each is not None] for each_run in found]
    count = 1 + len(baselines)
    others = results[count] if session.other and not failures else []
    return Compared(results[0], others, results[1:count])


def side_by_side(
    times: int, *runs: Callable[[], _T], most_seconds: float | None = None
) -> Sequence[list[_T]]:
    """Run each function ``times`` times, in alternating order; return the results of each.

    A temporary slowdown of the machine then affects both sides of a ratio. No further round begins
    after ``most_seconds``.
    """
    started = time.monotonic()
    results: list[list[_T]] = [[] for _ in runs]
    for number in range(times):
        order = list(zip(runs, results, strict=True))
        for run, found in order if number % 2 == 0 else reversed(order):
            found.append(run())
            LOG.info("  round %d of %d: %s", number + 1, times, _short(found[-1]))
        if most_seconds is not None and time.monotonic() - started > most_seconds:
            break
    return results


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def ratios(upper: Sequence[float], lower: Sequence[float]) -> list[float]:
    """Return the ratio of each pair; none if one side was not measured."""
    return [above / below for above, below in zip(upper, lower, strict=True)] if upper else []
