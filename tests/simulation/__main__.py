"""Plays many histories: nothing lost, no unreported duplicate, no wrong instant.

    python -m tests.simulation --histories 200000 --seed 1
    python -m tests.simulation --compare --histories 50000 --seed 1
    python -m tests.simulation --real --histories 500 --seed 1

It prints what happened, and exits with 1 if a history went wrong; the shortest such history is
printed as text. With ``--compare`` files mostly grow, and each history is also played with
``--full-check``: the outputs must be the same. With ``--real`` the command itself runs, with its
workers, over sockets and files, and is killed by signals; as root and with strace, power cuts are
simulated for it as well.
"""

import argparse
import multiprocessing
import os
import sys
import time

from tests.simulation.chunks import Kind, chunks, played
from tests.simulation.play import Figures
from tests.support import power_cut as powercut


def main() -> int:
    """Play histories from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compare", action="store_true")
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    start, total, wrong = time.monotonic(), Figures(), 0
    if arguments.real and powercut.missing():
        print(f"power cuts are kills here: {powercut.missing()}", flush=True)
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        # Consecutive seeds are used within one command, so the next --seed starts far away.
        first = arguments.seed * 1_000_000
        kind: Kind = "simulated"
        if arguments.real or arguments.compare:
            kind = "real" if arguments.real else "compared"
        parts = chunks(first, arguments.histories, kind)
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
