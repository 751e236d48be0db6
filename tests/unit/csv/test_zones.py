"""The zones that rows around clock changes follow."""

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from swarm.csv.zones.clock_changes import COMMON, alike, changes, makes, repeated_at
from swarm.csv.zones.fit import Trace, ZoneEvidence, names
from swarm.csv.zones.steps import even_step, odd_steps, whole_step
from swarm.localtime import Zone, naive_of, wall_of

YEAR = 365


def logged(zone: str, start: str, days: int, minutes: int = 15) -> list[int]:
    """Return the wall times (ms) that a logger in a zone writes; ``start`` is in UTC."""
    first = datetime.fromisoformat(start).replace(tzinfo=UTC)
    hours = (first + timedelta(hours=number) for number in range(24 * days))
    place = ZoneInfo(zone)
    walls = (
        wall_of((hour + timedelta(minutes=half)).astimezone(place).replace(tzinfo=None))
        for hour in hours
        for half in (0, 30)
    )
    step = 60_000 * minutes
    if minutes == 60:
        return list(islice(walls, 0, None, 2))
    return [wall + more for wall in walls for more in range(0, 1_800_000, step)]


def traced(walls: list[int], zone: str = "UTC", block: int = 2500) -> Trace:
    """Return the trace of wall times that are read in a zone; times that it skips are left out."""
    trace = Trace(zone)
    instants = walls if zone == "UTC" else list(instants_of(walls, Zone(zone)))
    for start in range(0, len(instants), block):
        trace.follow(instants[start : start + block])
    return trace


def instants_of(walls: list[int], zone: Zone) -> Iterator[int]:
    """Yield the instants of wall times in a zone: the second of two equal times has fold 1."""
    seen: set[int] = set()
    for wall in walls:
        offsets = zone.valid_offsets(wall).offsets
        if offsets:
            yield wall - offsets[-1 if wall in seen else 0]
            seen.add(wall)


def found(walls: list[int], zone: str = "UTC") -> list[tuple[str, int]]:
    """Return the likely zones, and the number of clock changes that each follows."""
    return [(each.zone, len(each.followed)) for each in traced(walls, zone).likely()]


@pytest.mark.parametrize("minutes", [15, 60])
@pytest.mark.parametrize(
    ("zone", "read_in", "expected", "count"),
    [
        ("Europe/Rome", "UTC", "Europe/Paris", 4),
        ("Europe/Rome", "America/Chicago", "Europe/Paris", 4),
        ("America/Chicago", "UTC", "America/New_York", 4),
        ("America/Chicago", "Europe/Rome", "America/New_York", 4),
        ("Africa/Casablanca", "UTC", "Africa/Casablanca", 4),
        ("America/Sao_Paulo", "UTC", "America/Sao_Paulo", 4),
    ],
)
def test_a_wrong_zone(zone: str, read_in: str, expected: str, count: int, minutes: int) -> None:
    """Two years of rows, read in another zone, show which zone they follow."""
    start = "2016-01-01" if "Sao" in zone else "2021-01-01"
    assert [(expected, count)] == found(logged(zone, start, 2 * YEAR, minutes), read_in)


def test_a_neighbouring_zone() -> None:
    """If both zones change their clocks in the same night, only the hours differ."""
    assert [("Europe/Paris", 4)] == found(logged("Europe/Rome", "2021-01-01", 730), "Europe/London")
    assert [("Europe/London", 4)] == found(
        logged("Europe/Dublin", "2021-01-01", 730), "Europe/Rome"
    )
    half = logged("Australia/Lord_Howe", "2021-01-01", 730)
    assert [("Australia/Lord_Howe", 4)] == found(half)


@pytest.mark.parametrize("zone", ["Europe/Rome", "America/Chicago", "Australia/Lord_Howe", "UTC"])
def test_the_right_zone(zone: str) -> None:
    """No zone is likelier than the one that the rows are in."""
    trace = traced(logged(zone, "2021-01-01", 2 * YEAR), zone)
    assert () == trace.likely()
    assert (zone == "UTC") == trace.is_even or zone != "UTC"


def test_one_change_is_enough_if_all_else_is_even() -> None:
    """A file of some weeks has one gap, or one repeated hour."""
    for start in ("2023-03-20", "2023-10-20"):
        for minutes in (15, 30, 60):
            walls = logged("Europe/Rome", start, 20, minutes)
            assert [("Europe/Paris", 1)] == found(walls), (start, minutes)


def test_the_order_does_not_count() -> None:
    """The result is the same for rows newest first, shuffled, or in blocks of any size."""
    walls = logged("Europe/Rome", "2021-01-01", 2 * YEAR)
    assert [("Europe/Paris", 4)] == found(walls[::-1])
    mixed = walls.copy()
    random.Random(1).shuffle(mixed)
    assert [("Europe/Paris", 4)] == found(mixed)
    for block in (1, 7, 96, 10**6):
        (likely,) = traced(walls, block=block).likely()
        assert 4 == len(likely.followed), block


def test_a_logger_in_utc() -> None:
    """It has rows in the hour that is skipped, and only once those in the repeated hour.

    Its rows are no evidence for a zone without clock changes.
    """
    walls = logged("UTC", "2021-01-01", 2 * YEAR)
    assert traced(walls).is_even
    trace = Trace("UTC", ["Europe/Dublin"])
    trace.follow(walls)
    evidence = trace.evidence("Europe/Dublin")
    assert (2, 2, 0) == (len(evidence.against), len(evidence.missed), len(evidence.followed))
    assert () == trace.likely()
    assert 1 == len(
        traced(logged("UTC", "2021-07-01", 200), "Europe/Rome").evidence("Europe/Rome").missed
    )


def gaps_by_the_hour(rate: float) -> Callable[[random.Random, int], bool]:
    """Return a predicate that drops whole hours at random."""
    return lambda chance, hour: chance.random() < rate


def nightly(rate: float) -> Callable[[random.Random, int], bool]:
    """Return a predicate that drops the third hour of most nights."""
    return lambda chance, hour: hour % 24 == 2 and chance.random() < rate


@pytest.mark.parametrize("minutes", [15, 60])
@pytest.mark.parametrize(
    "is_dropped",
    [gaps_by_the_hour(0.001), gaps_by_the_hour(0.01), gaps_by_the_hour(0.2), nightly(0.9)],
)
def test_gaps_at_any_time_prove_nothing(
    is_dropped: Callable[[random.Random, int], bool], minutes: int
) -> None:
    """Gaps at random, some of them at a clock change, or in most nights are no evidence."""
    for seed in range(6):
        chance = random.Random(seed)
        walls = logged("UTC", f"2019-{2 * seed + 1:02}-01", 800, minutes)
        gone = {hour for hour in range(60_000) if is_dropped(chance, hour)}
        first = walls[0] // 3_600_000
        assert [] == found([w for w in walls if w // 3_600_000 - first not in gone]), seed


@pytest.mark.parametrize("minutes", [15, 60])
def test_repeats_at_any_time_prove_nothing(minutes: int) -> None:
    """Some rows are repeated at random, or all rows of an hour of each night, or all rows."""
    walls = logged("UTC", "2019-01-01", 1500, minutes)
    for seed in range(6):
        chance = random.Random(seed)
        assert [] == found([w for w in walls for _ in range(1 + (chance.random() < 0.02))])
    assert [] == found([w for w in walls for _ in range(1 + (naive_of(w).hour == 2))])
    assert [] == found([w for w in walls for _ in range(2)])


def test_signs_beside_many_gaps() -> None:
    """The clock changes of several years are evidence despite gaps, even one of months."""
    chance = random.Random(3)
    walls = logged("Europe/Rome", "2019-01-01", 4 * YEAR)
    walls = [w for w in walls if chance.random() > 0.01 and 2020 != naive_of(w).year]
    ((zone, count),) = found(walls)
    assert ("Europe/Paris", True) == (zone, count >= 4)


def test_a_sign_against() -> None:
    """A row in the hour that a zone skips rules the zone out, against any other evidence."""
    walls = logged("Europe/Rome", "2021-01-01", 2 * YEAR)
    stray = wall_of(datetime(2022, 3, 27, 2, 30))
    assert [] == found(sorted([*walls, stray]))


def test_seconds_that_vary() -> None:
    """If rows are late by some seconds, no time is repeated, but the hour still is."""
    chance = random.Random(5)
    walls = logged("Europe/Rome", "2022-01-01", 2 * YEAR)
    assert [("Europe/Paris", 4)] == found([w + 1000 * chance.randrange(50) for w in walls])


def test_rows_far_apart_are_no_evidence() -> None:
    """There is one row a day, or none at night."""
    walls = logged("Europe/Rome", "2021-01-01", 2 * YEAR)
    assert [] == found([wall for wall in walls if wall % 86_400_000 == 2 * 3_600_000])
    assert [] == found([wall for wall in walls if 6 < naive_of(wall).hour < 20])


def test_the_ends_of_the_calendar() -> None:
    """Years without known clock changes are skipped."""
    for text in ("0001-01-01", "1900-01-01", "9999-12-30"):
        wall = wall_of(datetime.fromisoformat(text))
        assert () == traced([wall, wall, wall + 3_600_000]).likely()
        assert () == repeated_at(wall)


def test_even_steps() -> None:
    """Steps may be forwards or backwards; an odd step is found at any place."""
    assert (5, -5) == (even_step(range(0, 5000, 5)), even_step(range(5000, 0, -5)))
    for place in range(1, 999):
        gap = [*range(place), *range(place + 1, 1001)]
        assert even_step(gap) is None, place
    there_and_back = [*range(0, 410, 10), *range(430, 500, 10), *range(480, 10_000, 10)]
    assert (10, None) == (even_step(there_and_back), whole_step(there_and_back, 50))
    far_apart = [*range(0, 410, 10), *range(430, 900, 10), *range(880, 10_000, 10)]
    for probe in (10, 50, 300):
        assert probe == 300 or whole_step(there_and_back, probe) is None
        assert whole_step(far_apart, probe) is None
        even: list[Sequence[int]] = [[*range(0, 1000, 10)], range(0, 1000, 10)]
        for times in even:
            assert (10, -10) == (whole_step(times, probe), whole_step(times[::-1], probe))


@pytest.mark.parametrize("usual", [10, 20, None])
def test_odd_steps(usual: int | None) -> None:
    """Gaps, repeats and both in one piece are found with any step as the usual one."""
    times = [*range(0, 4000, 10)]
    assert (10, []) == odd_steps(times, usual)[:2] if usual != 20 else True
    for place in (0, 1, 127, 128, 300, 397):
        doubled = sorted([*times, times[place]])
        assert (10, [place]) == odd_steps(doubled, usual)
        gone = times[: place + 1] + times[place + 2 :]
        assert (10, [place]) == odd_steps(gone, usual)
        both = sorted([*gone, times[200]])
        assert {times.index(t) for t in (times[place], times[200])} >= {
            times.index(both[odd]) for odd in odd_steps(both, usual)[1]
        }
    assert (None, [0, 1]) == odd_steps([5, 5, 5], None)


def test_common_zones_differ() -> None:
    """Each of the common zones has a clock change that no other of them makes."""
    for zone in COMMON:
        own = changes(zone, range(1990, 2026))
        assert all(makes(zone, change) for change in own)
        assert any([zone] == [z for z in COMMON if makes(z, each)] for each in own), zone


def test_zones_with_the_same_clock_changes() -> None:
    """All zones with the same clock changes are named, the best known first."""
    rome = changes("Europe/Rome", [2023])
    assert ("Europe/Paris", "Europe/Berlin", "Europe/Rome") == alike(rome)[:3]
    assert {"Europe/Vienna", "Europe/Skopje"} < set(alike(rome))
    assert not {"Europe/London", "Europe/Athens"} & set(alike(rome))
    named = names(
        [ZoneEvidence("Europe/Paris", followed=rome), ZoneEvidence("x", followed=rome[:1])]
    )
    assert alike(rome) == named
