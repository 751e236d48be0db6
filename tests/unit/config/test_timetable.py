"""The timetable of ``--rate-limit``."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.config.timetable import Timetable, parse_rate_limit

#: That of the reference. 2026-11-26 is a Thursday.
EXAMPLE = parse_rate_limit("08:00 50; 18:30 off; sat-08:00 off")
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def at(day: int, time: str) -> datetime:
    """Return a time of November 2026."""
    return datetime.fromisoformat(f"2026-11-{day:02} {time}")


@pytest.mark.parametrize(
    ("now", "rate"),
    [
        (at(26, "08:00"), 50),
        (at(26, "18:29:59.9"), 50),
        (at(26, "18:30"), None),
        (at(27, "07:59"), None),
        (at(28, "07:59"), None),
        (at(28, "12:00"), None),
        (at(29, "08:00"), 50),
        (at(30, "00:00"), None),
    ],
)
def test_each_entry_holds_from_its_time_on(now: datetime, rate: float | None) -> None:
    """The last entry of a day holds until the first of the next; Saturday has its own."""
    assert rate == EXAMPLE.rate_at(now)


@pytest.mark.parametrize(
    ("now", "time", "rate"),
    [
        (at(26, "08:00"), at(26, "18:30"), None),
        (at(27, "20:00"), at(29, "08:00"), 50.0),
        (at(29, "19:00"), at(30, "08:00"), 50.0),
    ],
)
def test_the_next_change(now: datetime, time: datetime, rate: float | None) -> None:
    """Entries that change nothing are passed over: on Saturday there is no limit all day."""
    assert (time, rate) == EXAMPLE.next_change(now)


def test_one_limit_never_changes() -> None:
    """A number, and a timetable of one entry, hold at any time."""
    for text in ("50", "08:00 50", "mon-08:00 50; 12:00 50"):
        limit = parse_rate_limit(text)
        assert limit.is_constant
        assert limit.rate_at(at(29, "03:00")) == 50
        assert limit.next_change(at(29, "03:00")) is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [("50", "50"), ("0.5", "0.5"), (" SAT-08:00 OFF ;8:00  2; ", "SAT-08:00 OFF; 8:00  2")],
)
def test_text(text: str, shown: str) -> None:
    """It is shown as it was given."""
    assert shown == str(parse_rate_limit(text))


@pytest.mark.parametrize(
    "text",
    [
        *("", ";", "08:00", "08:00 0", "8 50", "08:60 50", "24:00 50", "08:00 50, 09:00 off", "on"),
        *("day-08:00 50", "sat 08:00 50", "08:00 50 60", "08:00-sat 50", "٠٨:00 50"),
    ],
)
def test_refused(text: str) -> None:
    """Anything else is told with an example."""
    with pytest.raises(ValueError, match="sat-08:00 off"):
        parse_rate_limit(text)


def test_a_time_that_is_given_twice_is_refused() -> None:
    """One of the two would be ignored."""
    with pytest.raises(ValueError, match=r"'8:00 60' repeats one"):
        parse_rate_limit("08:00 50; 8:00 60")


_ENTRIES = st.dictionaries(
    st.tuples(st.sampled_from([None, *range(7)]), st.integers(0, 23), st.sampled_from([0, 30])),
    st.sampled_from([None, 1.0, 50.0]),
    min_size=1,
    max_size=6,
)


@given(_ENTRIES, st.integers(0, 7 * 24 * 60 - 1))
def test_as_minute_by_minute(
    entries: dict[tuple[int | None, int, int], float | None], minute: int
) -> None:
    """The limit is that of the last entry before, and nothing changes before the next change."""
    parts = [
        f"{'' if day is None else DAYS[day] + '-'}{hour:02}:{low:02} {rate or 'off'}"
        for (day, hour, low), rate in entries.items()
    ]
    limit = parse_rate_limit("; ".join(parts))
    now = at(23, "00:00") + timedelta(minutes=minute)
    assert _slowly(entries, now) == limit.rate_at(now)
    change = limit.next_change(now)
    assert (change is None) == limit.is_constant
    if change is not None:
        time, rate = change
        assert rate == _slowly(entries, time) != limit.rate_at(now)
        while (time := time - timedelta(minutes=30)) > now:
            assert limit.rate_at(time) == limit.rate_at(now)


def _slowly(
    entries: dict[tuple[int | None, int, int], float | None], now: datetime
) -> float | None:
    """Go back from a time, a minute at a time, to an entry."""
    while True:
        for day in (now.weekday(), None):
            if (day, now.hour, now.minute) in entries:
                return entries[day, now.hour, now.minute]
        now -= timedelta(minutes=30 if now.minute % 30 == 0 else 1)


def test_constant() -> None:
    """A number is a timetable with one entry."""
    assert Timetable(((0, 7.0),), "7") == Timetable.constant(7)
