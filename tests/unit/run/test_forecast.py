"""The forecast of a run's end, and what is told of it."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.config.timetable import parse_rate_limit
from swarm.run.forecast import forecast

#: Wednesday.
NOW = datetime(2026, 11, 25, 12, 0)
DAY = parse_rate_limit("08:00 50; 18:30 off; sat-08:00 off")


def test_the_example_of_the_reference() -> None:
    """A slow afternoon, then a night without a limit."""
    left = round(50 * 6.5 * 3600 + 1900 * 9 * 3600 + 1900 * 40 * 60)
    found = forecast(left, 50.0, 1900.0, DAY, NOW)
    assert "50 rows/s until 18:30, then about 1,900; done about Thu 04:10" == str(found)


@pytest.mark.parametrize(
    ("left", "pace", "free_pace", "limit", "text"),
    [
        (19_000, 1900.0, None, None, "1,900 rows/s, about 10.0 s left"),
        (190_000, 1900.0, None, None, "1,900 rows/s, about 2 min left"),
        (1900 * 7200, 1900.0, None, None, "1,900 rows/s; done about 14:00"),
        (1900 * 86_400 * 8, 1900.0, None, None, "1,900 rows/s; done about 2026-12-03 12:00"),
        (10, 0.0, None, None, "0.0 rows/s"),
        (7200, 2.0, None, "2", "2.0 rows/s; done about 13:00"),
        (100, 50.0, 1900.0, str(DAY), "50 rows/s, about 2.0 s left"),
        (
            50 * 6.5 * 3600 + 1900,
            50.0,
            None,
            str(DAY),
            "50 rows/s until 18:30, then as fast as the line allows",
        ),
        (
            50 * 6.5 * 3600 + 20,
            50.0,
            None,
            "08:00 50; 18:30 20",
            "50 rows/s until 18:30, then about 20; done about 18:30",
        ),
        (
            5,
            None,
            None,
            "11:00 off; 13:00 1",
            "as fast as the line allows until 13:00, then about 1.0",
        ),
    ],
)
def test_text(
    left: float, pace: float | None, free_pace: float | None, limit: str | None, text: str
) -> None:
    """Unknown figures are not told."""
    timetable = None if limit is None else parse_rate_limit(limit)
    assert text == str(forecast(round(left), pace, free_pace, timetable, NOW))


@given(
    st.integers(1, 10_000_000),
    st.floats(1, 2000),
    st.sampled_from(["08:00 50; 18:30 off", "13:00 7; 14:00 300", "mon-00:00 1; tue-12:00 off"]),
    st.integers(0, 7 * 24 * 60),
)
def test_as_second_by_second(left: int, free: float, text: str, minute: int) -> None:
    """The end is where the paces of all minutes add up to the rows."""
    limit, now = parse_rate_limit(text), NOW + timedelta(minutes=minute)
    rate = limit.rate_at(now)
    found = forecast(left, min(rate or free, free), free, limit, now)
    time, rest = now, float(left)
    while rest > 0:
        rest -= 60 * min(limit.rate_at(time) or free, free)
        time += timedelta(minutes=1)
    assert found.seconds is not None
    assert abs((time - now).total_seconds() - found.seconds) <= 61
