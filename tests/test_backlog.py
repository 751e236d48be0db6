"""What waits of a stream: the earliest first, however it came."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from swarm import Config, SimpleMeasurement
from swarm.backlog import Entry, Stream

_CONFIG = Config("http://127.0.0.1/", "u", "p")
_START = datetime(2023, 1, 1, tzinfo=UTC)


def entry(instant: int, number: int) -> Entry:
    """Return what came as this number."""
    measurement = SimpleMeasurement("m", _START + timedelta(minutes=instant), number)
    return Entry(instant, number, 0, measurement, _CONFIG)


@given(st.lists(st.none() | st.integers(0, 9)))
def test_the_earliest_comes_first_and_of_one_instant_the_first(steps: list[int | None]) -> None:
    """Whatever is added and taken in between (None takes)."""
    stream, model = Stream("c"), list[Entry]()
    for number, step in enumerate(steps):
        if step is not None:
            stream.add(entry(step, number))
            model.append(entry(step, number))
        elif model:
            assert min(model) == stream.pop()
            model.remove(min(model))
        assert bool(model) == bool(stream)
    assert sorted(model) == [stream.pop() for _ in model]


def test_what_is_given_back_comes_first() -> None:
    """It was the earliest when it was taken."""
    stream = Stream("c")
    for number in range(3):
        stream.add(entry(number, number))
    taken = stream.pop()
    stream.add(taken)
    assert [0, 1, 2] == [stream.pop().instant for _ in range(3)]
    assert not stream
