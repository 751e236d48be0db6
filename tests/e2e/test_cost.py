"""The cost of a packet, as far as it can be measured without a clock; and the rate limit."""

import os
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

from swarm.collector.transport.base import Access
from swarm.config.options import Upload
from swarm.config.settings import CsvRules, Meter
from swarm.csv import Window, check_files
from swarm.delivery.result import StreamResult
from swarm.delivery.task import Task
from tests.support.collector import Behaviour, Collector, Request, ResetAfterStoring
from tests.support.spawned import deliver_counted, spawned
from tests.support.workspace import Workspace, packets, rows

FEW, MANY = 2200, 4800


class Cost(NamedTuple):
    """The costs of one delivery."""

    result: StreamResult
    calls: int
    peak: int
    words: int
    events: int


def cost(folder: Path, url: str, lines: list[str]) -> Cost:
    """Deliver rows in a separate process."""
    path = folder / f"{len(lines)}.csv"
    path.write_text("".join(f"{line}\n" for line in lines))
    os.utime(path, (1, 1))
    meter = Meter(f"m{len(lines)}", (path,), CsvRules("UTC"))
    found = check_files(meter, Window())
    task = Task(meter, found, Upload(), url, "c", str(folder / "state"), Access("u", "p"), 0)
    with spawned(deliver_counted, task) as process:
        return Cost(*process.hear())


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cost, Cost]]:
    """Deliver a few rows, and many."""
    with Collector() as collector:
        folder = tmp_path_factory.mktemp("economy")
        yield cost(folder, collector.url, rows(FEW)), cost(folder, collector.url, rows(MANY))


def test_memory_does_not_grow_with_the_rows(costs: tuple[Cost, Cost]) -> None:
    """More rows need no more memory, apart from a block of the file and a batch of noted rows."""
    few, many = costs
    assert [FEW, MANY] == [each.result.tally.sent for each in costs]
    assert many.peak - few.peak < 600_000


def test_a_packet_takes_so_many_calls(costs: tuple[Cost, Cost]) -> None:
    """A packet costs a bounded number of function calls: slower code shows here first.

    Calls of the event loop count as well. For a single stream it runs once a packet, and more often
    on a busy machine, where an answer arrives in parts.
    """
    few, many = costs
    assert (many.calls - few.calls) / (MANY - FEW) < 180


def test_no_row_is_logged_or_told_to_the_parent(costs: tuple[Cost, Cost]) -> None:
    """The numbers of log lines and events do not grow with the rows."""
    few, many = costs
    assert (few.words, few.events) == (many.words, many.events)


def test_connections_are_slots_and_faults(workspace: Workspace) -> None:
    """Streams reuse connections of others; only a fault opens a new one."""
    numbers = count(1)
    faults = 3

    def script(request: Request, _: Collector) -> Behaviour | None:
        is_fault = request.method == "POST" and next(numbers) in {40, 80, 120}
        return ResetAfterStoring() if is_fault else None

    with Collector(script) as collector:
        meters = {f"m{n}": workspace.csv(f"{n}.csv", rows(20)) for n in range(12)}
        config = workspace.ini(collector.url, meters, upload={"connections": "4"})
        assert workspace.run(config, "--json").balanced().code == 0
        assert collector.connections <= 4 + faults
        for name in meters:
            assert packets(name, rows(20)) == collector.packets(name)


def test_the_rate_limit_holds_over_all_processes(workspace: Workspace) -> None:
    """All requests, of short streams and of a long one that remains, keep to one rate.

    They take about nine seconds: if a busy machine delays the first request, the error stays
    smaller than the bound.
    """
    rate, moments = 50, []

    def script(_request: Request, _: Collector) -> None:
        moments.append(time.monotonic())

    with Collector(script) as collector:
        lengths = {"long": 420, "a": 10, "b": 10, "c": 10}
        meters = {name: workspace.csv(f"{name}.csv", rows(n)) for name, n in lengths.items()}
        upload = {"rate_limit": str(rate), "processes": "2"}
        config = workspace.ini(collector.url, meters, upload=upload)
        assert workspace.run(config, "--json").balanced().code == 0
    assert sum(lengths.values()) + 2 * len(lengths) == len(moments)
    assert (len(moments) - 1) / (moments[-1] - moments[0]) <= 1.05 * rate
    busiest = max(sum(start <= each < start + 1 for each in moments) for start in moments)
    assert busiest <= 1.2 * rate


_WATCHED_CONNECT = """
import socket
connect = socket.socket.connect
def watched(self, address):
    with open({log!r}, "a") as log:
        log.write("x")
    return connect(self, address)
socket.socket.connect = watched
"""


def test_a_collector_that_is_down_is_probed_once_for_all(workspace: Workspace) -> None:
    """After a stream found the collector down, all share one attempt per step of the backoff.

    Sixteen streams that retried independently for 6 s would make some 16 x 6 attempts.
    """
    with Collector() as collector:
        collector.stop_listening()
        log = workspace.folder / "connects"
        env = workspace.first(_WATCHED_CONNECT.format(log=str(log)))
        meters = {f"m{n}": workspace.csv(f"{n}.csv", rows(2)) for n in range(16)}
        upload = {"retry_for": "6s", "transport": "requests", "processes": "2"}
        done = workspace.run(workspace.ini(collector.url, meters, upload=upload), "--json", env=env)
        assert 5 == done.balanced().code
        assert 3 <= len(log.read_text()) <= len(meters) + 24
