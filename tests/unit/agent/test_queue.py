"""The queue of an agent: the earliest measurement of a stream comes first."""

import threading
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from swarm import Config, SimpleMeasurement
from swarm.agent.queue import MeasurementQueue

_CONFIG = Config("http://127.0.0.1/", "u", "p")
_START = datetime(2023, 1, 1, tzinfo=UTC)


def measurement(minute: int, number: int) -> SimpleMeasurement:
    """Return a measurement of a minute, with its number of arrival as its value."""
    return SimpleMeasurement("m", _START + timedelta(minutes=minute), number)


@given(st.lists(st.none() | st.integers(0, 9)))
def test_the_earliest_comes_first_and_of_one_instant_the_first(steps: list[int | None]) -> None:
    """Measurements are added and taken in any order; None is a take."""
    queue = MeasurementQueue(1000, lambda: True, threading.RLock())
    stream = queue.put(measurement(9, 0), _CONFIG)
    assert stream is not None
    expected = [(9, 0)]
    for number, step in enumerate([*steps, *[None] * len(steps), None], 1):
        if step is not None:
            stream = queue.put(measurement(step, number), _CONFIG) or stream
            expected.append((step, number))
            continue
        entry = queue.take(stream)
        first = min(expected, default=None)
        assert (entry and entry.measurement) == (first and measurement(*first))
        if first:
            expected.remove(first)
        queue.answered(stream, is_sent=True)
    assert (queue.waiting, bool(stream)) == (0, False)


def test_what_is_given_back_comes_first() -> None:
    """A measurement that is given back is the earliest again."""
    queue = MeasurementQueue(10, lambda: True, threading.RLock())
    stream = queue.put(measurement(0, 0), _CONFIG)
    assert stream is not None
    for number in (1, 2):
        queue.put(measurement(number, number), _CONFIG)
    queue.take(stream)
    queue.count_rest()
    assert queue.rest == (2, 1)
    queue.give_back(stream)
    queue.count_rest()
    assert queue.rest == (3, 0)
    taken = [queue.take(stream) for _ in range(4)]
    assert [entry and entry.measurement.value for entry in taken] == [0, 1, 2, None]  # type: ignore[attr-defined]
