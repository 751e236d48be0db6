"""The caches of days and times of day."""

import pytest

from swarm.csv.days import (
    Clocks,
    Counts,
    Days,
    FixedOffset,
    NoSingleOffset,
    Offsets,
    OffsetsOfCounts,
)
from swarm.localtime import DAY_MS, Zone, naive_of

HOUR = 3_600_000


def test_a_day_is_worked_out_once() -> None:
    """Instant and offset of a day are computed together, and kept."""
    days = Days(Zone("Europe/Dublin"), 0)
    offsets = Offsets(days)
    assert (days["1970-01-02"], offsets["1970-01-02"]) == (DAY_MS - HOUR, HOUR)
    assert list(days) == list(offsets) == ["1970-01-02"]


@pytest.mark.parametrize(
    ("day", "shift"),
    [("2023-10-29", 0), ("0001-01-01", 0), ("9999-12-31", 0), ("9999-12-01", 31 * DAY_MS)],
)
def test_days_without_a_single_offset(day: str, shift: int) -> None:
    """The clocks change, or the calendar ends, if only after the shift."""
    with pytest.raises(NoSingleOffset):
        Days(Zone("Europe/Dublin"), shift)[day]


def test_without_a_zone_no_day_is_cached() -> None:
    """The CSV itself has the offsets."""
    with pytest.raises(NoSingleOffset):
        Days(None, 0)["2023-01-01"]


def test_a_day_that_no_calendar_has() -> None:
    """The caller gets a ValueError, and adds a problem."""
    with pytest.raises(ValueError, match="day"):
        Days(Zone("UTC"), 0)["2023-02-30"]


def test_nonsense_dates_do_not_fill_the_memory() -> None:
    """The cache is bounded, though a file can have every day of ten thousand years."""
    days = Days(Zone("UTC"), 0)
    for day in range(21_000):
        assert days[str(naive_of(day * DAY_MS).date())] == day * DAY_MS
    assert len(days) == 1_000


def test_counts() -> None:
    """A count is an instant, whose offset is that of the zone; nothing is kept."""
    counts = Counts(3)
    offsets = OffsetsOfCounts(counts, Zone("Europe/Berlin"))
    assert (1_675_152_000_123, HOUR) == (counts["1675152000123"], offsets["1675152000123"])
    assert 0 == OffsetsOfCounts(counts, None)["1675152000123"]
    assert (0, 0) == (len(counts), len(offsets))
    with pytest.raises(ValueError, match="finer"):
        Counts(6)["1675152000123456"]


def test_other_forms() -> None:
    """Dates and times of day are read in their formats, and offsets that rows carry are kept."""
    days = Days(FixedOffset(-HOUR), 0, "%d.%m.%Y")
    assert (DAY_MS + HOUR, -HOUR) == (days["02.01.1970"], Offsets(days)["02.01.1970"])
    clocks = Clocks("%I:%M %p", 250)
    assert (250, 47_100_250) == (clocks["12:00 am"], clocks["1:05 PM"])
    assert DAY_MS == Clocks("%H:%M", hour_24=True)["24:00"]
    assert DAY_MS == Clocks(hour_24=True)["24:00:00"]
    assert 0 == Clocks("")[""]
    for form, clock in (("%H:%M", "24:00"), ("%H:%M:%S", "10:60:00"), ("%I:%M %p", "13:00 PM")):
        with pytest.raises(ValueError, match=r"24:00|60|13:00"):
            Clocks(form)[clock]


def test_clock_times() -> None:
    """Times of day are in milliseconds since midnight."""
    clocks = Clocks()
    assert [clocks["00:00:00"], clocks["01:02:03"], clocks["23:59:59"]] == [
        0,
        3_723_000,
        86_399_000,
    ]
