"""Baselines of swarm: bare loops in separate processes, the library, and single requests."""

import json
import os
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile

from benchmarks.harness import agent_program, bare, commands
from benchmarks.harness.bare import LoopOptions, LoopResult
from benchmarks.harness.nginx import Nginx
from benchmarks.harness.session import Throughput
from benchmarks.harness.versions import Version
from benchmarks.results import NotMeasured

_START_SECONDS = 1.0
_REQUESTS_ALONE = 200


def bare_loops(  # noqa: PLR0913 - all of them are options
    nginx: Nginx,
    url: str,
    *,
    seconds: float,
    library: str = "curl",
    processes: int = 1,
    connections: int = 1,
) -> Throughput:
    """Run bare loops for a number of seconds; the processes share the connections evenly."""
    start = time.monotonic() + _START_SECONDS
    handshakes = nginx.count_handshakes()
    cores = sorted(os.sched_getaffinity(0))
    with ExitStack() as stack:
        outs, started = [], []
        for number in range(processes):
            options = LoopOptions(
                library,
                url,
                connections // processes,
                start,
                start + seconds,
                str(nginx.ca),
                cores[number % len(cores)],
            )
            command = [sys.executable, "-m", "benchmarks.harness.bare", json.dumps(asdict(options))]
            outs.append(stack.enter_context(TemporaryFile()))
            process = commands.start(command, nginx.folder, outs[-1].fileno(), sys.stderr.fileno())
            stack.callback(commands.end, process)
            started.append(process)
        codes = [process.wait() for process in started]
        if any(codes):
            raise NotMeasured(f"a bare loop of {library} failed")
        for out in outs:
            out.seek(0)
        results = [LoopResult(**json.loads(out.read())) for out in outs]
    packets = sum(each.packets for each in results)
    took = max(each.last for each in results) - min(each.first for each in results)
    return Throughput(
        packets / took,
        sum(each.cpu for each in results) / packets,
        handshakes=nginx.count_handshakes() - handshakes,
    )


def agent(version: Version, url: str, streams: int, rows: int, folder: Path) -> Throughput:
    """Send ``rows`` measurements of each stream with the library."""
    options = agent_program.AgentOptions(url, bare.USER, bare.PASSWORD, streams, rows)
    command = [version.python, str(Path(agent_program.__file__)), json.dumps(asdict(options))]
    report = commands.run(command, folder, root=version.root).report
    packets = streams * rows
    return Throughput(packets / report["seconds"], report["cpu"] / packets)


def request_seconds(nginx: Nginx, url: str) -> float:
    """Return the median time of a request on a kept connection, with nothing else running."""
    send = bare.sender(url, str(nginx.ca))
    send()
    times = []
    for _ in range(_REQUESTS_ALONE):
        started = time.perf_counter()
        if send() != 200:
            raise NotMeasured(f"{url} does not answer 200")
        times.append(time.perf_counter() - started)
    return statistics.median(times)
