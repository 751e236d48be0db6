"""The state of a run in the page's process."""

import asyncio
import json
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from swarm.monitor.app import Feed
from swarm.monitor.metrics import exposition, values_of
from swarm.monitor.state import RunState

TIME = "2026-01-31T12:00:00.000+00:00"


def progress(rate: float = 1.0, trouble: str = "", **streams: tuple[int, int]) -> dict[str, Any]:
    """Return an event with the rows and the settled rows of streams."""
    positions = {name: (rows, done, 0, "") for name, (rows, done) in streams.items()}
    return {"event": "progress", "rows": 9, "rate": rate, "trouble": trouble, "streams": positions}


def test_a_reader_gets_all_and_then_what_changed() -> None:
    """Streams that did not change are not sent again."""
    state = RunState()
    state.apply({"event": "start", "meters": 2})
    state.apply(progress(a=(5, 1), b=(4, 0)))
    assert {"a", "b"} == state.since(0)["streams"].keys()
    known = state.change
    state.apply(progress(b=(4, 3)))
    state.apply({"event": "notice", "message": "m", "time": TIME})
    news = state.since(known)
    assert {"b": {"rows": 4, "done": 3, "retries": 0, "trouble": ""}} == news["streams"]
    assert ["m"] == [each["message"] for each in news["messages"]]
    assert {"meters": 2} == {"meters": news["start"]["meters"]}


def test_messages_are_few() -> None:
    """A run with very many problems keeps the last ones."""
    state = RunState()
    for number in range(500):
        state.apply({"event": "problem", "meter": "m", "message": str(number)})
    assert ["450", "499"] == [state.since(0)["messages"][at]["message"] for at in (0, -1)]


def test_points_of_a_long_run_are_thinned_out() -> None:
    """They cover the whole run, and a short outage stays."""
    state = RunState()
    for second in range(5000):
        state.apply(progress(rate=second, trouble="refused" if second == 3001 else ""))
    assert 250 < len(state.points) <= 600
    assert 0 == state.points[0][0]
    assert state.points[-1][0] > 4900
    assert any(point[2] for point in state.points)
    assert sorted(state.points) == state.points


def test_metrics_can_be_parsed() -> None:
    """Names, labels and values are those of the contract; any text is a label."""
    state = RunState()
    state.apply({"event": "start", "time": TIME, "config": '/x/a "b".ini'})
    counts = dict.fromkeys(("sent", "resumed", "filtered", "rejected", "late", "unsent"), 2)
    stream = {"event": "stream", "time": TIME, "id": 'm\n"1"', "rows": 12, "retries": 7}
    state.apply({**stream, **counts, "last_acknowledged": TIME})
    found = {
        (sample.name, sample.labels.get("meter"), sample.labels.get("outcome")): sample
        for family in text_string_to_metric_families(exposition(values_of(state)).decode())
        for sample in family.samples
    }
    assert all('a "b".ini' == sample.labels["config"] for sample in found.values())
    assert 2 == found["swarm_meter_rows", 'm\n"1"', "late"].value
    assert 7 == found["swarm_meter_retries", 'm\n"1"', None].value
    newest = found["swarm_meter_last_acknowledged_timestamp_seconds", 'm\n"1"', None]
    assert 1769860800 == newest.value
    assert ("swarm_exit_code", None, None) not in found
    end = {"event": "end", "time": TIME, "exit_code": 0, "seconds": 4.5, "packets_per_second": 6.0}
    state.apply(end)
    text = exposition(values_of(state)).decode()
    assert "swarm_last_success_timestamp_seconds{" in text
    state.apply({**end, "exit_code": 3})
    text = exposition(values_of(state)).decode()
    assert "swarm_last_success_timestamp_seconds{" not in text
    assert "swarm_exit_code{" in text


def test_a_reader_that_comes_late_or_is_slow_misses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All changes are in its messages, however many events one message covers."""
    monkeypatch.setattr("swarm.monitor.app._PAUSE", 0.01)

    async def read() -> list[dict[str, Any]]:
        feed = Feed()
        feed.take({"event": "start", "time": TIME})
        found = []
        messages = feed.messages()
        found.append(await anext(messages))
        for number in range(100):
            feed.take({"event": "notice", "time": TIME, "message": str(number)})
        feed.close()
        found += [message async for message in messages]
        return [json.loads(each.removeprefix("data: ")) for each in found if each[0] != ":"]

    first, *others = asyncio.run(read())
    assert TIME == first["start"]["time"]
    said = [each["message"] for message in others for each in message["messages"]]
    assert "99" == said[-1]
