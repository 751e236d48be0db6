"""Baselines of swarm: bare loops in separate processes, the library, and single requests."""

import json
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile

from benchmarks.harness import agent_program, bare, commands
from benchmarks.harness.bare import LoopOptions, LoopResult
from benchmarks.harness.session import Throughput
from benchmarks.results import NotMeasured

_START_SECONDS = 1.0
_REQUESTS_ALONE = 200


def bare_loops(  # noqa: PLR0913 - all of them are options
    library: str, url: str, folder: Path, *, seconds: float, processes: int = 1, threads: int = 1
) -> Throughput:
    """Run bare loops for a number of seconds."""
    start = time.monotonic() + _START_SECONDS
    options = LoopOptions(library, url, threads, start, start + seconds)
    command = [sys.executable, "-m", "benchmarks.harness.bare", json.dumps(asdict(options))]
    with ExitStack() as stack:
        outs = [stack.enter_context(TemporaryFile()) for _ in range(processes)]
        started = []
        for out in outs:
            process = commands.start(command, folder, out.fileno(), sys.stderr.fileno())
            stack.callback(commands.end, process)
            started.append(process)
        if any(process.wait() for process in started):
            raise NotMeasured(f"a bare loop of {library} failed")
        for out in outs:
            out.seek(0)
        return _throughput([LoopResult(**json.loads(out.read())) for out in outs])


def agent(url: str, streams: int, rows: int, folder: Path) -> Throughput:
    """Send ``rows`` measurements of each stream with the library."""
    options = agent_program.AgentOptions(url, streams, rows)
    command = [
        sys.executable,
        "-m",
        "benchmarks.harness.agent_program",
        json.dumps(asdict(options)),
    ]
    report = commands.run(command, folder).report
    packets = streams * rows
    return Throughput(packets / report["seconds"], report["cpu"] / packets)


def _throughput(results: list[LoopResult]) -> Throughput:
    packets = sum(each.packets for each in results)
    seconds = max(each.last for each in results) - min(each.first for each in results)
    return Throughput(packets / seconds, sum(each.cpu for each in results) / packets)


def request_seconds(url: str) -> float:
    """Return the median time of a request on a kept connection, with nothing else running."""
    send = bare.curl(url)
    send()
    times = []
    for _ in range(_REQUESTS_ALONE):
        started = time.perf_counter()
        if send() != 200:
            raise NotMeasured(f"{url} does not answer 200")
        times.append(time.perf_counter() - started)
    return statistics.median(times)
