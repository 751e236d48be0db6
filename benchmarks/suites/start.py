"""The startup time of the command."""

import sys
from functools import partial

from benchmarks.harness import commands
from benchmarks.harness.commands import SWARM
from benchmarks.harness.session import Session, ratios, side_by_side
from benchmarks.results import SECONDS, TIMES, Result, at_most

_TIMES_THE_PAIRS = 4


def start(session: Session) -> list[Result]:
    """Measure ``swarm --version`` against an import of click, its command line library."""
    folder = session.make_folder("start")

    def seconds(*command: str) -> float:
        return commands.run(command, folder).seconds

    swarm, click = side_by_side(
        session.plan.pairs * _TIMES_THE_PAIRS,
        partial(seconds, *SWARM, "--version"),
        partial(seconds, sys.executable, "-c", "import click"),
    )
    return [
        Result("start: swarm --version", swarm, SECONDS),
        Result("start: python -c 'import click'", click, SECONDS),
        Result("start: against it", ratios(swarm, click), TIMES, at_most(2)),
    ]
