"""Kills at random moments while the collector has faults: nothing lost, repeated, out of order.

    python -m tests.chaos --kills 1000 --seed 1
    python -m tests.chaos --cluster --rounds 200 --seed 1 --at-once 4

It prints what happened, and exits with 1 if a packet was lost, repeated or out of order.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from tests.support.collector import (
    Behaviour,
    Collector,
    Hang,
    Reply,
    Request,
    ResetAfterStoring,
    ResetBeforeStoring,
)
from tests.support.processes import children, group_is_gone
from tests.support.workspace import Workspace, packets, rows

STREAMS = 6
_AHEAD = 150
_FAULTS = 0.03
_DELAY = 0.004
_BEHAVIOURS: dict[str, Behaviour] = {
    "reset before storing": ResetBeforeStoring(),
    "reset after storing": ResetAfterStoring(),
    "hang after storing": Hang(store=True, pause=2.0),
    "500 after storing": Reply(500, store=True),
    "500 before storing": Reply(500, store=False),
    "503": Reply(503, store=False, headers={"Retry-After": "0"}),
    "429": Reply(429, store=False, headers={"Retry-After": "0"}),
}


@dataclass
class Figures:
    """Counts of a chaos run: what was done, and what was wrong."""

    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    packets: int = 0
    lost: int = 0
    twice: int = 0
    out_of_order: int = 0
    seconds: float = 0.0

    @property
    def is_sound(self) -> bool:
        """True if nothing was lost, repeated or out of order."""
        return not (self.lost or self.twice or self.out_of_order)

    def lines(self) -> list[str]:
        """Return the figures as text for people."""
        kills = ", ".join(f"{name} {count}" for name, count in sorted(self.kills.items()))
        faults = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        total = self.kills.total()
        share = 100 * self.in_flight / total
        found = f"lost {self.lost}, stored twice {self.twice}, out of order {self.out_of_order}"
        return [
            f"seed {self.seed}: {total} kills in {self.seconds:.0f} s ({kills})",
            f"with a request in flight: {self.in_flight} ({share:.0f} %)",
            f"faults of the collector: {self.faults.total()} ({faults})",
            f"packets: {self.packets}; {found}",
        ]


class Chaos:
    """A workspace with growing streams, a collector with faults, and kills."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.workspace = Workspace(folder, is_measured=False)
        self.random = random.Random(seed)
        self.figures = Figures(seed)
        self.streams = [f"m{number}" for number in range(STREAMS)]
        self.lengths = dict.fromkeys(self.streams, 0)
        self.is_calm = False

    def run(self, kills: int) -> Figures:
        """Kill ``kills`` times, then run to the end and check what the collector holds."""
        start = time.monotonic()
        with Collector(self.misbehave, delay=_DELAY) as collector:
            config = self.workspace.ini(
                collector.url,
                {stream: f"{stream}.csv" for stream in self.streams},
                upload={"processes": "2", "timeout": "0.5s", "settle": "0.2s", "progress": "none"},
            )
            while self.figures.kills.total() < kills:
                self._grow(collector)
                self._kill(config, collector)
            self.is_calm = True
            done = self.workspace.run(config)
            assert done.code == 0, done.err
            self._judge(collector)
        self.figures.seconds = time.monotonic() - start
        return self.figures

    def misbehave(self, request: Request, _: Collector) -> Behaviour | None:
        """Return a fault at random, mostly None."""
        if self.is_calm or self.random.random() > _FAULTS:
            return None
        name = self.random.choice(list(_BEHAVIOURS))
        behaviour = _BEHAVIOURS[name]
        if request.method == "GET" and getattr(behaviour, "store", False):
            return None
        self.figures.faults[name] += 1
        return behaviour

    def _grow(self, collector: Collector) -> None:
        """Give every stream enough rows to send."""
        for stream in self.streams:
            wanted = len(collector.bodies(stream)) + _AHEAD
            if self.lengths[stream] < wanted:
                self.lengths[stream] = wanted
                self.workspace.csv(f"{stream}.csv", rows(wanted))

    def _kill(self, config: Path, collector: Collector) -> None:
        process = self.workspace.start(config)
        before = len(collector.requests)
        moment = before + STREAMS + self.random.randrange(120)
        while process.poll() is None and len(collector.requests) < moment:
            time.sleep(0.001)
        target = self.random.choice(["worker", "parent", "group"])
        workers = children(process.pid) if process.poll() is None else []
        if workers:
            in_flight = collector.in_flight
            if target == "group":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                os.kill(process.pid if target == "parent" else workers[0], signal.SIGKILL)
            self.figures.kills[target] += 1
            self.figures.in_flight += in_flight > 0
            if target == "worker":
                time.sleep(self.random.random() * 0.1)
                process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        group_is_gone(process.pid)

    def _judge(self, collector: Collector) -> None:
        for stream in self.streams:
            expected = packets(stream, rows(self.lengths[stream]))
            times = [packet["tsISO8601"] for packet in collector.packets(stream)]
            wanted = [packet["tsISO8601"] for packet in expected]
            self.figures.packets += len(times)
            self.figures.lost += len(set(wanted) - set(times))
            self.figures.twice += len(times) - len(set(times))
            self.figures.out_of_order += sum(b < a for a, b in pairwise(times))
            if collector.packets(stream) != expected and self.figures.is_sound:
                self.figures.lost += 1


def main() -> int:
    """Run the chaos test from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cluster", action="store_true", help="rounds on a cluster; needs root")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=4, help="clusters at the same time")
    arguments = parser.parse_args()
    if arguments.cluster:
        from tests.chaos import cluster

        is_sound, lines = cluster.run(arguments.rounds, arguments.seed, arguments.at_once)
        sys.stdout.write("\n".join(lines) + "\n")
        return 0 if is_sound else 1
    with tempfile.TemporaryDirectory() as folder:
        figures = Chaos(Path(folder), arguments.seed).run(arguments.kills)
    sys.stdout.write("\n".join(figures.lines()) + "\n")
    return 0 if figures.is_sound else 1


if __name__ == "__main__":
    raise SystemExit(main())
