"""Tests of `swarm.timestamp_format`: times that are read with a format."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.timestamp_format import UNIX, TimestampParser, has_hour_24, is_whole, parts_of

RANGE = "%d.%m.%Y %H:%M - *"


@pytest.mark.parametrize(
    ("form", "time", "end"),
    [
        ("%Y-%m-%d", "%Y-%m-%d", ""),
        (RANGE, "%d.%m.%Y %H:%M", " - "),
        ("%Y-%m-%d (%H:%M)*", "%Y-%m-%d (%H:%M", ")"),
        ("unix", "unix", ""),
    ],
)
def test_parts(form: str, time: str, end: str) -> None:
    """The text between the last directive and the star is the end of the time."""
    assert (time, end) == parts_of(form)
    assert is_whole(form)


def test_a_star_without_an_end() -> None:
    """It is not known where the time ends."""
    assert not is_whole("%Y-%m-%d*")
    assert not is_whole("*")


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        (RANGE, "31.01.2023 10:00 - 31.01.2023 11:00", datetime(2023, 1, 31, 10)),
        (RANGE, "31.01.2023 10:00 - ", datetime(2023, 1, 31, 10)),
        (RANGE, "31.01.2023 24:00 - 01.02.2023 01:00", datetime(2023, 2, 1)),
        ("%d - %m - %Y - *", "31 - 01 - 2023 - 5 - 6", datetime(2023, 1, 31)),
        ("%Y-%m-%d %H:%M", "2024-02-28 24:00", datetime(2024, 2, 29)),
        ("%Y-%m-%dT%H:%M:%S.%f%z", "2023-12-31T24:00:00.000Z", datetime(2024, 1, 1, tzinfo=UTC)),
        ("%Y%m%d%H%M", "202301312400", datetime(2023, 2, 1)),
        ("%Y%m%d%H%M%S", "20230131240000", datetime(2023, 2, 1)),
        ("%H:%M %d.%m.%Y", "24:00 24.12.2023", datetime(2023, 12, 25)),
        ("%d.%m.%y %H:%M", "24.01.24 24:00", datetime(2024, 1, 25)),
        ("unix", "0", datetime(1970, 1, 1, tzinfo=UTC)),
        ("unix", "-1.5", datetime(1969, 12, 31, 23, 59, 58, 500_000, tzinfo=UTC)),
        ("unix", "1675152000,25", datetime(2023, 1, 31, 8, 0, 0, 250_000, tzinfo=UTC)),
        ("unix_ms", "1675152000250", datetime(2023, 1, 31, 8, 0, 0, 250_000, tzinfo=UTC)),
        ("unix_us", "1675152000250000", datetime(2023, 1, 31, 8, 0, 0, 250_000, tzinfo=UTC)),
        ("unix_ns", "1675152000250000000", datetime(2023, 1, 31, 8, 0, 0, 250_000, tzinfo=UTC)),
    ],
)
def test_times(form: str, text: str, expected: datetime) -> None:
    """A text is read up to the end of its time; 24:00 is the next day, a count is in UTC."""
    read = TimestampParser(form, hour_24=True).parse(text)
    assert (expected, expected.tzinfo) == (read, read.tzinfo)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (RANGE, "31.01.2023 10:00"),
        (RANGE, "x - 31.01.2023 10:00"),
        ("%Y-%m-%d %H:%M", "2023-01-31 24:01"),
        ("%Y-%m-%d %H:%M", "2023-01-31 24:00:00"),
        ("%Y-%m-%d %I:%M %p", "2023-01-31 24:00 PM"),
        ("%Y-%m-%d %H:%M", "24:00"),
        *((each, text) for each in UNIX for text in ("", "x", "1e9", "1_0", " 1", "1.", "٣", "+1")),
        ("unix", "9" * 19),
    ],
)
def test_texts_that_do_not_fit(form: str, text: str) -> None:
    """Other texts are errors, as strptime's are."""
    with pytest.raises((ValueError, OverflowError)):
        TimestampParser(form, hour_24=True).parse(text)


def test_hour_24_has_to_be_allowed() -> None:
    """Without it, 24:00 is an error."""
    assert has_hour_24("2023-01-31 24:00")
    assert not has_hour_24("2024-02-24 00:24")
    with pytest.raises(ValueError, match="does not match"):
        TimestampParser("%Y-%m-%d %H:%M").parse("2023-01-31 24:00")


@given(st.integers(min_value=0, max_value=10**19 - 1), st.sampled_from(sorted(UNIX)))
def test_counts_are_exact(count: int, form: str) -> None:
    """A whole number of milliseconds is read exactly; any other does not look like one."""
    milliseconds, rest = divmod(count * 1000, 10 ** UNIX[form])
    try:
        read = TimestampParser(form).parse(str(count))
    except OverflowError:
        assert milliseconds > 10**13
        return
    exact = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    assert (read == exact) == (not rest)
    assert bool(read.microsecond % 1000) == bool(rest)


@given(st.datetimes(min_value=datetime(1000, 1, 1)), st.sampled_from(["%Y-%m-%d %H:%M:%S", "%c"]))
def test_every_other_time_is_that_of_strptime(time: datetime, form: str) -> None:
    """To allow 24:00 changes no other time."""
    text = time.strftime(form)
    assert datetime.strptime(text, form) == TimestampParser(form, hour_24=True).parse(text)
