"""``--connections auto``: the number of streams that are sent at the same time."""

import time
from typing import Any

import pytest

from tests.support.collector import Collector, Reply, Request
from tests.support.workspace import Workspace, rows

_STREAMS = 40


def _upload(
    workspace: Workspace, collector: Collector, count: int, *options: str
) -> dict[str, Any]:
    meters = {f"m{n:02}": workspace.csv(f"{n}.csv", rows(count)) for n in range(_STREAMS)}
    config = workspace.ini(collector.url, meters, upload={"settle": "0s"})
    done = workspace.run(config, "--json", "--processes", "2", *options).balanced()
    assert done.code in (0, 5), done.err
    for stream in meters:
        sent = collector.packets(stream)
        assert [packet["tsISO8601"] for packet in sent] == sorted(
            {packet["tsISO8601"] for packet in sent}
        )
        assert collector.max_in_flight(stream) <= 1
    found: dict[str, Any] = done.report["connections"]
    return found


def test_a_slow_collector_gets_more_than_the_first_few(workspace: Workspace) -> None:
    """While more connections raise the rate, auto opens them, until each stream has one."""
    with Collector(delay=0.1) as collector:
        found = _upload(workspace, collector, 1000, "--max-duration", "12s")
        assert {"mode": "auto", "most": _STREAMS, "why": "one for each stream"} == found
        assert collector.connections == _STREAMS


def test_a_collector_that_asks_for_fewer_gets_fewer(workspace: Workspace) -> None:
    """429 to whatever is more than a few requests at a time: auto gives way, and says so."""

    def script(request: Request, collector: Collector) -> Reply | None:
        if request.method == "POST" and collector.in_flight > 6:
            return Reply(429)
        return Reply(delay=0.05) if request.method == "POST" else None

    with Collector(script) as collector:
        found = _upload(workspace, collector, 1000, "--max-duration", "15s")
    assert found["mode"] == "auto"
    assert found["most"] <= 8, found
    # What it tries above that, later, brings nothing or is refused.
    assert any(why in str(found["why"]) for why in ("asked for fewer", "more brought nothing"))


@pytest.mark.parametrize("transport", ["curl", "requests"])
def test_streams_give_their_slots_up_and_go_on(workspace: Workspace, transport: str) -> None:
    """A stream that releases its slot for good reasons is sent to its end all the same."""
    start = time.monotonic()

    def script(request: Request, _: Collector) -> Reply | None:
        is_busy = time.monotonic() - start < 5 and request.number % 3 == 0
        return Reply(429) if is_busy and request.method == "POST" else None

    with Collector(script, delay=0.01) as collector:
        found = _upload(workspace, collector, 60, "--transport", transport)
        assert sum(len(collector.bodies(f"m{n:02}")) for n in range(_STREAMS)) == 60 * _STREAMS
    assert found["mode"] == "auto"
