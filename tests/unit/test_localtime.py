"""Local times of a zone, their instants and offsets."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from swarm.localtime import DAY_MS, ValidOffsets, Zone, midnight, naive_of, wall_of

HOUR = 3_600_000


def wall(text: str) -> int:
    """Return the wall time of an ISO time."""
    return wall_of(datetime.fromisoformat(text))


def test_a_wall_time_goes_to_milliseconds_and_back() -> None:
    """Only microseconds are cut off."""
    local = datetime.fromisoformat("1969-12-31T23:59:59.123999")
    assert wall_of(local) == -877
    assert naive_of(-877) == local.replace(microsecond=123000)


def test_midnight_knows_the_calendar() -> None:
    """A day that does not exist is a ValueError."""
    assert midnight("1970-01-02") == DAY_MS
    for text in ("2023-02-29", "0000-01-01", "2023-13-01"):
        with pytest.raises(ValueError, match=r"day|month|year"):
            midnight(text)


@pytest.mark.parametrize(
    ("zone", "time", "offsets"),
    [
        ("Europe/Dublin", "2023-07-01T12:00", (HOUR,)),
        ("Europe/Dublin", "2023-03-26T01:30", ()),
        ("Europe/Dublin", "2023-03-26T02:00", (HOUR,)),
        ("Europe/Dublin", "2023-10-29T00:59:59.999", (HOUR,)),
        ("Europe/Dublin", "2023-10-29T01:00", (HOUR, 0)),
        ("Europe/Dublin", "2023-10-29T02:00", (0,)),
        ("Australia/Lord_Howe", "2023-10-01T02:29", ()),
        ("Australia/Lord_Howe", "2023-04-02T01:29", (11 * HOUR,)),
        ("Australia/Lord_Howe", "2023-04-02T01:30", (11 * HOUR, 21 * HOUR // 2)),
        ("Pacific/Apia", "2011-12-30T12:00", ()),
        ("Africa/Monrovia", "1971-06-01T00:00", (-2_670_000,)),
        ("Asia/Kathmandu", "2020-01-01T00:00", (20_700_000,)),
        ("Europe/Paris", "0001-01-01T00:00", (561_000,)),
        ("Europe/Dublin", "9999-12-31T23:59:59.999", (0,)),
    ],
)
def test_a_wall_time_can_mean_none_one_or_two_instants(
    zone: str, time: str, offsets: tuple[int, ...]
) -> None:
    """Clock changes, also by half an hour or a day, and historical seconds are supported."""
    found = Zone(zone).valid_offsets(wall(time))
    assert found.offsets == offsets


def test_a_repeated_time_names_its_clock_change() -> None:
    """All times of a repeated period have the wall time at which it begins."""
    begin = wall("2023-04-02T01:30")
    zone = Zone("Australia/Lord_Howe")
    for minutes in (0, 1, 29):
        found = zone.valid_offsets(begin + minutes * 60_000)
        assert found == ValidOffsets((11 * HOUR, 21 * HOUR // 2), begin)


@pytest.mark.parametrize(
    ("zone", "day", "offset"),
    [
        ("Europe/Dublin", "2023-03-25", 0),
        ("Europe/Dublin", "2023-03-26", None),
        ("Europe/Dublin", "2023-10-29", None),
        ("Europe/Dublin", "9999-12-31", None),
        ("Africa/Cairo", "2023-04-28", None),
        ("America/Havana", "2023-11-05", None),
        ("Pacific/Apia", "2011-12-30", None),
        ("UTC", "2023-03-26", 0),
    ],
)
def test_days_on_which_the_clocks_change_have_no_single_offset(
    zone: str, day: str, offset: int | None
) -> None:
    """None is returned for a day with more than one offset."""
    assert Zone(zone).single_offset(midnight(day)) == offset


@pytest.mark.parametrize("zone", ["Europe/Dublin", "America/Sao_Paulo", "Asia/Amman", "Asia/Gaza"])
def test_a_single_offset_holds_all_day(zone: str) -> None:
    """Each quarter of an hour of the day has the offset of the day."""
    known = ZoneInfo(zone)
    for day in range(midnight("2012-01-01"), midnight("2013-01-01"), DAY_MS):
        single = Zone(zone).single_offset(day)
        times = [naive_of(day) + timedelta(minutes=minute) for minute in range(0, 1440, 15)]
        offsets = {
            time.replace(fold=fold, tzinfo=known).utcoffset() for time in times for fold in (0, 1)
        }
        assert single is None or offsets == {timedelta(milliseconds=single)}


def test_offset_at_an_instant() -> None:
    """The offset changes exactly at the instant of the clock change."""
    change = int(datetime(2023, 10, 29, 1, tzinfo=UTC).timestamp()) * 1000
    zone = Zone("Europe/Dublin")
    assert (zone.offset_at(change - 1), zone.offset_at(change)) == (HOUR, 0)
