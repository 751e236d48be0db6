"""What swarm is held against: the bare loops in processes of their own, and the collector alone."""

import json
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile

from benchmarks import agent as agents
from benchmarks import bare, commands
from benchmarks.bare import Done, Order
from benchmarks.bench import Pace
from benchmarks.errors import NotMeasured

_START_SECONDS = 1.0
_REQUESTS_ALONE = 200


def loops(  # noqa: PLR0913 - what there is to choose
    library: str, url: str, folder: Path, *, seconds: float, processes: int = 1, threads: int = 1
) -> Pace:
    """Run bare loops for so many seconds."""
    start = time.monotonic() + _START_SECONDS
    order = Order(library, url, threads, start, start + seconds)
    command = [sys.executable, "-m", "benchmarks.bare", json.dumps(asdict(order))]
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
        return _pace([Done(**json.loads(out.read())) for out in outs])


def agent(url: str, streams: int, rows: int, folder: Path) -> Pace:
    """Send so many measurements of each stream with the library."""
    order = agents.Order(url, streams, rows)
    command = [sys.executable, "-m", "benchmarks.agent", json.dumps(asdict(order))]
    took = commands.run(command, folder).report
    packets = streams * rows
    return Pace(packets / took["seconds"], took["cpu"] / packets)


def _pace(done: list[Done]) -> Pace:
    packets = sum(each.packets for each in done)
    seconds = max(each.last for each in done) - min(each.first for each in done)
    return Pace(packets / seconds, sum(each.cpu for each in done) / packets)


def seconds_alone(url: str) -> float:
    """Return the median time of a request on a kept connection, while nothing else goes on."""
    send = bare.curl(url)
    send()
    times = []
    for _ in range(_REQUESTS_ALONE):
        started = time.perf_counter()
        if send() != 200:
            raise NotMeasured(f"{url} does not answer 200")
        times.append(time.perf_counter() - started)
    return statistics.median(times)
