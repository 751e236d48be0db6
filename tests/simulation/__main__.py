"""Plays many histories: nothing lost, nothing twice untold, no wrong instant.

    python -m tests.simulation --histories 200000 --seed 1

prints what happened in them, and ends with 1 if one of them went wrong: the shortest that does is
told as a story.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.simulation.history import HISTORIES, History
from tests.simulation.play import Figures, play

_CHUNK = 500


def played(chunk: tuple[int, int]) -> tuple[Figures, str]:
    """Play a seed's histories; return what happened, and the story of one that went wrong."""
    number, histories = chunk
    figures, story = Figures(), ""

    @seed(number)
    @settings(
        max_examples=histories,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(HISTORIES)
    def each(history: History) -> None:
        nonlocal story
        try:
            figures.add(play(history))
        except Exception as error:
            # The last one that fails is the shortest.
            story = f"{type(error).__name__}: {error}\n{history}"
            raise

    try:
        each()
    except Exception as error:
        return figures, f"seed {number}: {story or error}"
    return figures, ""


def chunks(first: int, histories: int) -> Iterator[tuple[int, int]]:
    """Yield seeds, and how many histories each has."""
    for number, start in enumerate(range(0, histories, _CHUNK), first):
        yield number, min(_CHUNK, histories - start)


def main() -> int:
    """Play histories from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    start, total, wrong = time.monotonic(), Figures(), 0
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        # Seeds that follow one another are of one command: another seed is far away.
        first = arguments.seed * 1_000_000
        for figures, story in pool.imap_unordered(played, chunks(first, arguments.histories)):
            total.add(figures)
            if story:
                wrong += 1
                print(story, flush=True)
    print(f"seed {arguments.seed}: {total}, in {time.monotonic() - start:.0f} s")
    print(f"wrong: {wrong}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
