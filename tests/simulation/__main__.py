"""Plays many histories: nothing lost, nothing twice untold, no wrong instant.

    python -m tests.simulation --histories 200000 --seed 1
    python -m tests.simulation --real --histories 500 --seed 1

prints what happened in them, and ends with 1 if one of them went wrong: the shortest that does is
told as a story. With ``--real`` the command itself runs, with its workers, over sockets and files,
killed by signals; as root and with strace, the power is cut for real.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests import powercut
from tests.simulation.history import HISTORIES, SHORT_HISTORIES, History
from tests.simulation.machine import Simulated
from tests.simulation.play import Figures, play
from tests.simulation.real import Real

_CHUNK = 500
_REAL_CHUNK = 20


def played(chunk: tuple[int, int, bool]) -> tuple[Figures, str]:
    """Play a seed's histories; return what happened, and the story of one that went wrong."""
    number, histories, is_real = chunk
    figures, story = Figures(), ""
    # To shrink a history of real processes takes too long.
    phases = [Phase.generate] if is_real else [Phase.generate, Phase.shrink]

    @seed(number)
    @settings(
        max_examples=histories,
        database=None,
        deadline=None,
        phases=phases,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(SHORT_HISTORIES if is_real else HISTORIES)
    def each(history: History) -> None:
        nonlocal story
        try:
            figures.add(play(history, Real if is_real else Simulated))
        except Exception as error:
            # The last one that fails is the shortest.
            story = f"{type(error).__name__}: {error}\n{history}"
            raise

    try:
        each()
    except Exception as error:
        return figures, f"seed {number}: {story or error}"
    return figures, ""


def chunks(first: int, histories: int, *, is_real: bool) -> Iterator[tuple[int, int, bool]]:
    """Yield seeds, and how many histories each has."""
    size = _REAL_CHUNK if is_real else _CHUNK
    for number, start in enumerate(range(0, histories, size), first):
        yield number, min(size, histories - start), is_real


def main() -> int:
    """Play histories from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    start, total, wrong = time.monotonic(), Figures(), 0
    if arguments.real and powercut.missing():
        print(f"power cuts are kills here: {powercut.missing()}", flush=True)
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        # Seeds that follow one another are of one command: another seed is far away.
        first = arguments.seed * 1_000_000
        parts = chunks(first, arguments.histories, is_real=arguments.real)
        for figures, story in pool.imap_unordered(played, parts):
            total.add(figures)
            if story:
                wrong += 1
                print(story, flush=True)
    print(f"seed {arguments.seed}: {total}, in {time.monotonic() - start:.0f} s")
    print(f"wrong: {wrong}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
