"""The position of a run: counts, pace, what holds it up."""

from collections.abc import Callable
from datetime import datetime

import pytest

from swarm.config.timetable import Timetable, parse_rate_limit
from swarm.delivery.result import StreamResult, Tally
from swarm.run import position as module
from swarm.run.position import Position


class Clocks:
    """A monotonic clock and a wall clock that are set by hand."""

    def __init__(self) -> None:
        self.monotonic = 1000.0
        self.wall = datetime(2026, 11, 25, 18, 0)

    def now(self) -> datetime:
        """Return the local time."""
        return self.wall


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    """Return the clocks of the position under test."""
    clocks = Clocks()
    monkeypatch.setattr(module, "datetime", clocks)
    monkeypatch.setattr(module, "rate_now", lambda limit: limit and limit.rate_at(clocks.wall))
    return clocks


def sending(clocks: Clocks, limit: Timetable | None = None) -> tuple[Position, Callable[..., None]]:
    """Return a position of four streams, and what lets some seconds pass at a pace."""
    position = Position(limit, lambda: clocks.monotonic)
    position.begin(dict.fromkeys("abcd", 500_000))
    tally = Tally()

    def go_on(seconds: int, rate: int, exchange: float = 0.0) -> None:
        for _ in range(seconds):
            clocks.monotonic += 1
            tally.sent += rate
            tally.exchange_seconds += rate * exchange
            position.note({"a": tally.copy()})
            position.measure()

    return position, go_on


def test_the_rate_is_that_of_the_last_seconds(clocks: Clocks) -> None:
    """A rate of a minute ago does not count."""
    position, go_on = sending(clocks)
    go_on(60, 100)
    go_on(11, 7)
    assert (7.0, 7.0, 6077) == (position.rate, position.pace, position.sent)
    seconds = position.forecast().seconds
    assert seconds is not None
    assert round(seconds) == round((2_000_000 - 6077) / 7)


def test_streams_that_wait_are_trouble(clocks: Clocks) -> None:
    """The first one is named, with its reason, until it goes on or ends."""
    position, _ = sending(clocks)
    position.note({name: Tally(stall_reason="503") for name in "abc"})
    assert position.trouble == "a and 2 more: 503"
    position.note({"a": Tally()})
    position.end(StreamResult("b", "stopped"))
    assert (position.trouble, position.active) == ("c: 503", 2)
    position.note({"b": Tally(sent=7, stall_reason="too late")})
    assert ("c: 503", 0) == (position.trouble, position.sent)


def test_a_run_under_a_limit_tells_how_it_goes_on(clocks: Clocks) -> None:
    """The pace without a limit is expected from the time of the exchanges, until it is measured."""
    position, go_on = sending(clocks, parse_rate_limit("08:00 50; 18:30 off; 18:40 10; 19:00 off"))
    go_on(20, 50, exchange=0.02)
    # 4 streams, each with an exchange of 20 ms at a time.
    assert "50 rows/s until 18:30, then about 200" in str(position.forecast())
    clocks.wall = datetime(2026, 11, 25, 18, 31)
    go_on(5, 900, exchange=0.02)
    assert position.forecast().change == (datetime(2026, 11, 25, 18, 40), 10)
    # The last ten seconds are not yet all without a limit.
    assert 200 == position._expected_pace()
    go_on(20, 900)
    clocks.wall = datetime(2026, 11, 25, 18, 41)
    go_on(20, 10)
    assert "10 rows/s until 19:00, then about 900" in str(position.forecast())


def test_an_expected_pace_has_a_limit(clocks: Clocks) -> None:
    """Fast exchanges of many streams say nothing about the collector or the cores."""
    position, go_on = sending(clocks, parse_rate_limit("08:00 50; 18:30 off"))
    go_on(20, 50, exchange=0.0001)
    assert 5000 == position._expected_pace()
