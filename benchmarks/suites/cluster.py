"""Packets a second from the workers of a cluster on this computer, at 20 ms a request."""

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from benchmarks.harness import commands
from benchmarks.harness.data import Series
from benchmarks.harness.session import Session, Throughput, ratios, side_by_side
from benchmarks.harness.uploads import Job, write_job
from benchmarks.results import MICROSECONDS, RATE, TIMES, Result, at_least

_SLOTS = 64
_WORKERS = (1, 2, 4)
#: The rate of a slot, about: a request takes 20 ms.
_RATE = 48
#: An upload of a cluster takes so many times as long as others: its start takes longer.
_LONGER = 4
_CLUSTER = ("--progress", "none", "--cluster", "local")
_LOCAL = ("--progress", "none", "--processes", "1")


def cluster(session: Session) -> list[Result]:
    """Measure one, two and four workers with 64 slots each, and one local worker process."""
    url = session.nginx.url("http", delay_ms=20)
    rows = round(_RATE * session.plan.seconds * _LONGER)
    folder = session.make_folder("cluster")
    jobs = {count: _job(folder, url, count, rows) for count in _WORKERS}
    kept: dict[int, list[float]] = {count: [] for count in _WORKERS}
    runs = side_by_side(
        session.plan.pairs,
        partial(_send, jobs[1], 1, _LOCAL),
        *(partial(_on_cluster, jobs[count], count, kept[count]) for count in _WORKERS),
    )
    local, *clusters = ([run.rate for run in each] for each in runs)
    rates = dict(zip(_WORKERS, clusters, strict=True))
    name = f"cluster, {_SLOTS} slots a worker, HTTP, 20 ms a request"
    results = [
        Result(f"{name}: one local worker process", local, RATE),
        *(Result(f"{name}: workers: {count}", rates[count], RATE) for count in _WORKERS),
        Result(
            f"{name}: one worker against a local one",
            ratios(rates[1], local),
            TIMES,
            at_least(0.95),
        ),
    ]
    for count in _WORKERS[1:]:
        linear = [rate * count for rate in rates[1]]
        against = f"{name}: {count} workers against {count} times one"
        results.append(Result(against, ratios(rates[count], linear), TIMES, at_least(0.9)))
    for count in _WORKERS:
        cpu = [seconds * 1e6 / jobs[count].rows for seconds in kept[count]]
        what = f"{name}: workers: {count}: CPU a packet, command and scheduler"
        results.append(Result(what, cpu, MICROSECONDS))
    return results


def _job(folder: Path, url: str, workers: int, rows: int) -> Job:
    place = folder / str(workers)
    place.mkdir()
    return write_job(place, url, Series(rows), streams=_SLOTS * workers)


def _send(
    job: Job, workers: int, options: Sequence[str], setting: commands.Setting = commands.PLAIN
) -> Throughput:
    return job.send(*options, "--connections", str(_SLOTS * workers), setting=setting)


def _on_cluster(job: Job, workers: int, kept: list[float]) -> Throughput:
    """Send from a cluster; add the CPU seconds of the command and the scheduler to ``kept``."""
    used = [0.0]

    def watch(command: int) -> None:
        used[0] = max(used[0], _cpu_seconds(command) + sum(map(_cpu_seconds, _children(command))))

    options = (*_CLUSTER, "--processes", str(workers))
    throughput = _send(job, workers, options, commands.Setting(watch=watch))
    kept.append(used[0])
    return throughput


def _children(process: int) -> list[int]:
    with suppress(OSError):
        text = Path(f"/proc/{process}/task/{process}/children").read_text("ascii")
        return list(map(int, text.split()))
    return []


def _cpu_seconds(process: int) -> float:
    """Return the CPU time of a process so far, without its children; 0 if it is gone."""
    with suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0
