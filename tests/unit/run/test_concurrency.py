"""The controller of ``--connections auto``, over modelled lines and collectors."""

from collections.abc import Callable

import pytest

from swarm.run.concurrency import FIRST, Concurrency, Measurement, Reason
from tests.support.lines import History, Line, play

_STREAMS = 256
_LINES: dict[str, tuple[Callable[[], Line], set[Reason]]] = {
    "20 ms": (lambda: Line(0.02), {Reason.STREAMS}),
    "80 ms": (lambda: Line(0.08), {Reason.STREAMS}),
    "a slow collector": (lambda: Line(0.02, servers=4, service=0.005), {Reason.NO_GAIN}),
    "a slow collector far away": (lambda: Line(0.08, servers=8, service=0.02), {Reason.NO_GAIN}),
    "1 Mbit/s": (lambda: Line(0.08, jitter=0.5, bandwidth=280), {Reason.NO_GAIN}),
    "timeouts": (
        lambda: Line(0.08, jitter=0.5, bandwidth=100, timeout=1.0),
        {Reason.NO_GAIN, Reason.CONGESTED},
    ),
    "429 beyond 200": (lambda: Line(0.02, allowed=200), {Reason.CONGESTED}),
    "429 beyond 1000": (lambda: Line(0.08, allowed=1000), {Reason.CONGESTED}),
    "429 beyond 20": (lambda: Line(0.02, allowed=20), {Reason.CONGESTED}),
    "--rate-limit 50": (lambda: Line(0.02, rate_limit=50), {Reason.RATE}),
    "--rate-limit 1000": (lambda: Line(0.08, rate_limit=1000), {Reason.RATE}),
}


def _auto(line: Line, seconds: float, seed: int = 1) -> tuple[Concurrency, History]:
    controller = Concurrency(_STREAMS, _STREAMS, line.rate_limit)
    return controller, play(line, _STREAMS, seconds, controller, seed=seed)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", _LINES)
def test_nine_tenths_of_the_best_fixed_number_within_half_a_minute(name: str, seed: int) -> None:
    """Whatever limits the rate, auto comes near to the best number, stays there and says why."""
    make, reasons = _LINES[name]
    fixed = (4, 8, 16, 32, 64, 128, 256)
    best = max(play(make(), _STREAMS, 15, number).rate(5, 15) for number in fixed)
    controller, history = _auto(make(), 100, seed)
    assert history.rate(30, 40) >= 0.9 * best
    assert history.rate(40, 100) >= 0.9 * best
    assert controller.reason in reasons
    # More is tried once in this time: up, back, and to the middle if a half of it was useful.
    assert history.changes(40) <= 6
    assert max(history.limits) <= _STREAMS


def test_a_low_rate_limit_opens_few() -> None:
    """A rate limit is known from the start: no connection is opened in vain."""
    _, history = _auto(Line(0.02, rate_limit=50), 60)
    assert max(history.limits) <= 5


def test_connections_are_opened_gently() -> None:
    """A new connection takes several acknowledged packets: handshakes do not fill a slow line."""
    _, history = _auto(Line(0.08, bandwidth=280), 30)
    assert history.limits[0] == FIRST
    for tick in range(11, len(history.limits)):
        opened = history.limits[tick] - history.limits[tick - 10]
        assert opened <= (history.settled[tick] - history.settled[tick - 11]) / 4 + 1


def test_an_outage_changes_nothing() -> None:
    """The number is kept during an outage, and afterwards it grows on."""
    line = Line(0.02, down=(4.0, 20.0))
    controller, history = _auto(line, 40)
    before = history.limits[41]
    assert {before} == set(history.limits[42:200])
    assert before < controller.number == _STREAMS


def test_a_collector_that_recovers_gets_more_again() -> None:
    """After answers that ask for less, more is tried again when they have ceased."""

    def change(now: float, line: Line) -> None:
        line.allowed = 300 if now < 40 else 1e9

    line = Line(0.02, allowed=300)
    controller = Concurrency(_STREAMS, _STREAMS)
    history = play(line, _STREAMS, 160, controller, at=change)
    assert history.limits[380] <= 8
    assert controller.number == _STREAMS


def test_a_new_rate_limit_is_noticed_at_once() -> None:
    """If the rate limit ends, for example by a timetable, the number grows without a wait."""

    def change(now: float, line: Line) -> None:
        line.rate_limit = 50 if now < 60 else None

    line = Line(0.02, rate_limit=50)
    controller = Concurrency(_STREAMS, _STREAMS, 50)
    history = play(line, _STREAMS, 75, controller, at=change)
    assert max(history.limits[:590]) <= 5
    assert controller.number >= 128


def test_never_more_than_the_streams_nor_than_the_files() -> None:
    """There are never more connections than streams, or than open files allow."""
    few = Concurrency(_STREAMS, 3)
    assert (3, Reason.STREAMS) == (few.number, few.reason)
    assert max(play(Line(0.02), 3, 10, few).limits) == 3
    files = Concurrency(40, _STREAMS)
    assert max(play(Line(0.02), _STREAMS, 20, files).limits) == 40
    assert (40, Reason.FILES) == (files.number, files.reason)


def test_one_lost_request_is_no_congestion() -> None:
    """A single reset, as of a kept connection, does not lower the number."""
    controller = Concurrency(_STREAMS, _STREAMS)
    for tick in range(200):
        now = tick / 10
        controller.update(Measurement(now, 100 * tick, 1 + (tick > 100), _STREAMS))
    assert controller.number >= FIRST
    assert controller.reason is not Reason.CONGESTED
