"""The interval between rows, and the gaps, for any size of blocks."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm.csv import gaps
from swarm.csv.gaps import GAP_INTERVALS, Gap, IntervalTracker
from swarm.csv.rows import Batch, Row

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def batch(instants: list[int]) -> Batch:
    """Return rows at some instants, with an offset of one hour."""
    rows = [Row(instant, HOUR, "1", 0, 1, "") for instant in instants]
    return Batch(rows)


def followed(instants: list[int], size: int = 7, interval: float | None = None) -> IntervalTracker:
    """Return a tracker that has followed rows in batches of ``size``."""
    tracker = IntervalTracker(interval)
    for start in range(0, len(instants), size):
        tracker.follow(batch(instants[start : start + size]))
    return tracker


def test_the_interval_is_the_commonest_step() -> None:
    """The interval is 15 minutes; a gap of an hour has three missing rows."""
    tracker = followed([n * 15 * MINUTE for n in range(30) if n not in (10, 11, 12)])
    assert 15 * MINUTE == tracker.interval
    assert [Gap((9 * 15 * MINUTE, HOUR), (13 * 15 * MINUTE, HOUR), 3)] == tracker.gaps
    assert (1, 3) == (tracker.gap_count, tracker.missing)
    assert tracker.is_settled


@pytest.mark.parametrize("instants", [[], [5]])
def test_fewer_than_two_rows_have_no_interval(instants: list[int]) -> None:
    """One row has no step."""
    tracker = followed(instants)
    assert (None, 0, True) == (tracker.interval, tracker.gap_count, tracker.is_settled)


@pytest.mark.parametrize("days", [[23, 25, 24, 24], [31, 28, 31, 30], [59, 61, 60, 61]])
def test_long_days_and_months_are_no_gaps(days: list[int]) -> None:
    """Days at a clock change, months and pairs of months differ in length."""
    steps = [days[n % len(days)] * HOUR for n in range(40)]
    instants = [sum(steps[:n]) for n in range(len(steps))]
    assert 0 == followed(instants).gap_count


def test_a_gap_has_one_and_a_half_intervals_at_least() -> None:
    """A step just below that is a row that came late."""
    regular = [n * HOUR for n in range(5)]
    late, missing = int(1.5 * HOUR) - 1, int(1.5 * HOUR)
    assert 0 == followed([*regular, regular[-1] + late]).gap_count
    assert (1, 1) == (
        (found := followed([*regular, regular[-1] + missing])).gap_count,
        found.missing,
    )


def test_a_given_interval_is_what_counts() -> None:
    """Hourly rows of a meter with an interval of half an hour lack every other row."""
    tracker = followed([n * HOUR for n in range(10)], interval=1800)
    assert (9, 9, True) == (tracker.gap_count, tracker.missing, tracker.is_settled)
    assert 30 * MINUTE == tracker.interval


def test_a_meter_that_changes_its_interval_is_not_settled() -> None:
    """The first rows have a step of 15 minutes, most have one of an hour."""
    instants = [n * 15 * MINUTE for n in range(10)]
    instants += [instants[-1] + n * HOUR for n in range(1, 50)]
    tracker = followed(instants)
    assert not tracker.is_settled
    assert tracker.commonest == HOUR
    assert 0 == followed(instants, interval=3600).gap_count


def test_rows_that_go_back_are_not_followed() -> None:
    """The tracker stops at a step back, and reports it."""
    tracker = followed([0, HOUR, 2 * HOUR, HOUR, 9 * HOUR], size=2)
    assert (False, False) == (tracker.is_forward, tracker.is_settled)
    assert not followed([0, 0]).is_forward


def test_many_gaps_are_counted_and_the_first_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory stays bounded for any file."""
    monkeypatch.setattr(gaps, "MOST_GAPS", 5)
    tracker = followed([n * MINUTE for n in range(300) if n % 10])
    assert (5, 29, 29) == (len(tracker.gaps), tracker.gap_count, tracker.missing)
    assert [9 * MINUTE, 19 * MINUTE] == [gap.before[0] for gap in tracker.gaps[:2]]


def test_meters_that_are_late_by_seconds_have_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interval is found even with more different steps than are counted."""
    monkeypatch.setattr(gaps, "_MOST_STEPS", 8)
    chance = random.Random(7)
    instants = [n * HOUR + chance.randrange(9_000) for n in range(2000) if n != 1000]
    tracker = followed(instants, size=100)
    assert 3_590_000 < (tracker.commonest or 0) < 3_610_000
    found = followed(instants, interval=(tracker.commonest or 0) / 1000)
    assert (1, 1) == (found.gap_count, found.missing)


@settings(deadline=None)
@given(st.lists(st.integers(1, 20), max_size=60), st.integers(1, 9))
def test_blocks_make_no_difference(steps: list[int], size: int) -> None:
    """The gaps are those found by comparing all rows at once."""
    instants = [sum(steps[:n]) * MINUTE for n in range(len(steps) + 1)]
    tracker = followed(instants, size, interval=300)
    least = GAP_INTERVALS * 5 * MINUTE
    expected = [(before, after) for before, after in pairwise(instants) if after - before >= least]
    assert expected == [(gap.before[0], gap.after[0]) for gap in tracker.gaps]
    assert len(expected) == tracker.gap_count
    assert all(gap.missing >= 1 for gap in tracker.gaps)
