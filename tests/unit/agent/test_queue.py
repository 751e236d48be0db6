"""What waits of a stream: the earliest first, however it came."""

import threading
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from swarm import Config, SimpleMeasurement
from swarm.agent.queue import MeasurementQueue

_CONFIG = Config("http://127.0.0.1/", "u", "p")
_START = datetime(2023, 1, 1, tzinfo=UTC)


def measured(instant: int, number: int) -> SimpleMeasurement:
    """Return what came as this number."""
    return SimpleMeasurement("m", _START + timedelta(minutes=instant), number)


@given(st.lists(st.none() | st.integers(0, 9)))
def test_the_earliest_comes_first_and_of_one_instant_the_first(steps: list[int | None]) -> None:
    """Whatever is added and taken in between (None takes)."""
    backlog = MeasurementQueue(1000, lambda: True, threading.RLock())
    stream = backlog.put(measured(9, 0), _CONFIG)
    assert stream is not None
    model = [(9, 0)]
    for number, step in enumerate([*steps, *[None] * len(steps), None], 1):
        if step is not None:
            stream = backlog.put(measured(step, number), _CONFIG) or stream
            model.append((step, number))
            continue
        entry = backlog.take(stream)
        assert (entry and entry.measurement) == (measured(*min(model)) if model else None)
        if model:
            model.remove(min(model))
        backlog.answered(stream, is_sent=True)
    assert (backlog.waiting, bool(stream)) == (0, False)


def test_what_is_given_back_comes_first() -> None:
    """It was the earliest when it was taken."""
    backlog = MeasurementQueue(10, lambda: True, threading.RLock())
    stream = backlog.put(measured(0, 0), _CONFIG)
    assert stream is not None
    for number in (1, 2):
        backlog.put(measured(number, number), _CONFIG)
    backlog.take(stream)
    backlog.count_rest()
    assert backlog.rest == (2, 1)
    backlog.give_back(stream)
    backlog.count_rest()
    assert backlog.rest == (3, 0)
    taken = [backlog.take(stream) for _ in range(4)]
    assert [entry and entry.measurement.value for entry in taken] == [0, 1, 2, None]  # type: ignore[attr-defined]
