"""How long the command takes to begin."""

import sys
from functools import partial

from benchmarks import commands
from benchmarks.bench import Bench, ratios, side_by_side
from benchmarks.commands import SWARM
from benchmarks.results import SECONDS, TIMES, Result, at_most

_TIMES_THE_PAIRS = 4


def start(bench: Bench) -> list[Result]:
    """Measure ``swarm --version`` against the bare import of its command line library."""
    folder = bench.room("start")

    def seconds(*command: str) -> float:
        return commands.run(command, folder).seconds

    swarm, click = side_by_side(
        bench.plan.pairs * _TIMES_THE_PAIRS,
        partial(seconds, *SWARM, "--version"),
        partial(seconds, sys.executable, "-c", "import click"),
    )
    return [
        Result("start: swarm --version", swarm, SECONDS),
        Result("start: python -c 'import click'", click, SECONDS),
        Result("start: against it", ratios(swarm, click), TIMES, at_most(2)),
    ]
