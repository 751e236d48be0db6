"""Charts: values by day, counters, the load profile, the course of a run."""

from array import array

import pytest

from swarm.csv.statistics import RegisterRange, Statistics
from swarm.csv.sums import WEEK_HOURS, DailyValues, looks_like_counter
from swarm.report import charts
from swarm.run.timeline import Sample


def statistics(
    values: list[float], *, days: list[int] | None = None, is_counter: bool = False
) -> Statistics:
    """Return statistics with a value a day."""
    numbers = days or list(range(19_000, 19_000 + len(values)))
    daily = DailyValues(numbers, [1] * len(values), values, values if is_counter else [])
    profile = array("d", [0.0] * WEEK_HOURS)
    return Statistics(("value",), daily, profile, [0] * WEEK_HOURS, ())


def points(path: str) -> list[tuple[int, int]]:
    """Return the points of a path."""
    parts = path.replace("h.1", "").replace("M", " M").replace("L", " L").split(" ")
    numbers = [part.lstrip("ML") for part in parts if part]
    return list(zip(map(int, numbers[::2]), map(int, numbers[1::2]), strict=True))


def test_means_of_days() -> None:
    """The highest mean is at the top, and 0 at the bottom if it is near."""
    found = charts.daily(statistics([5.0, 10.0, 0.0]))
    assert found is not None
    assert [(0, 500), (1, 0), (2, 1000)] == points(found.path)
    assert ("0", "10", 2) == (found.low, found.high, found.days)


def test_a_missing_day_breaks_the_line() -> None:
    """The line is not drawn through days without values."""
    found = charts.daily(statistics([1.0, 2.0, 3.0], days=[10, 11, 14]))
    assert found is not None
    assert 2 == found.path.count("M")


def test_growth_of_a_counter() -> None:
    """The first day has no day before it, and neither has one after a gap."""
    lasts, days = [100.0, 110.0, 130.0, 500.0, 505.0], [1, 2, 3, 9, 10]
    found = charts.daily(statistics(lasts, days=days, is_counter=True))
    assert found is not None
    assert [0, 1, 8] == [x for x, _ in points(found.path)]
    assert ("5", "20") == (found.low, found.high)


@pytest.mark.parametrize("values", [[], [1.0]])
def test_one_day_makes_no_chart(values: list[float]) -> None:
    """A line has two points at least."""
    assert charts.daily(statistics(values)) is None


def test_equal_values_are_a_line_in_the_middle() -> None:
    """A scale without height would divide by zero."""
    found = charts.daily(statistics([-3.0, -3.0]))
    assert found is not None
    assert [500, 500] == [y for _, y in points(found.path)]


@pytest.mark.parametrize(
    ("lasts", "is_counter"),
    [
        (list(map(float, range(100))), True),
        ([float(at) for at in range(60)] + [0.0, *(float(at) for at in range(1, 60))], True),
        ([5.0] * 30, False),
        ([float(at % 7) for at in range(100)], False),
        ([1.0, 2.0, 3.0], False),
        ([*([1.0] * 90), 2.0], False),
    ],
)
def test_counters_are_seen(lasts: list[float], *, is_counter: bool) -> None:
    """A counter grows on most days, and falls when the meter is replaced."""
    assert is_counter == looks_like_counter(lasts)


def test_profile() -> None:
    """The lowest mean has the first shade, the highest one the last; hours without values none."""
    found = statistics([1.0, 2.0])
    sums, counts = [0.0] * WEEK_HOURS, [0] * WEEK_HOURS
    for hour, mean in ((0, 1.0), (25, 5.0), (167, 9.0)):
        sums[hour], counts[hour] = mean * 4, 4
    drawn = charts.profile(Statistics(("value",), found.daily, sums, counts, ()))
    assert drawn is not None
    assert [1, 0, 0, 1, 0, 0, 1] == [path.count("M") for path in drawn.paths]
    assert ("1", "9", "Sun 23:00") == (drawn.low, drawn.high, drawn.peak)
    cell = charts.PROFILE_CELL
    assert drawn.paths[3].startswith(f"M{cell} {cell}h")
    assert charts.profile(found) is None


def test_a_range_is_plain_data() -> None:
    """The figures of a register need no package of the report."""
    assert RegisterRange("value", 1, 1.0, 1.0, [1.0]).name == "value"


def test_course_of_a_run() -> None:
    """Packets a second between the samples; retries and outages are marked when they were."""
    samples = [
        Sample(0.0, 0, 0, 0),
        Sample(1.0, 100, 0, 0),
        Sample(2.0, 100, 3, 2),
        Sample(3.0, 300, 3, 0),
    ]
    found = charts.course(samples)
    assert found is not None
    assert "200" == found.peak
    assert (1, 1) == (found.retries.count("M"), found.outages.count("M"))
    assert found.outages.startswith(f"M{charts.WIDTH / 3:g} 0h")
    assert found.rate.startswith(f"M0 {charts.HEIGHT}L{charts.WIDTH / 3:.1f} {charts.HEIGHT / 2:g}")


@pytest.mark.parametrize(
    "samples", [[], [Sample(0, 0, 0, 0)], [Sample(0, 0, 0, 0), Sample(5, 0, 0, 0)]]
)
def test_a_run_without_packets_has_no_course(samples: list[Sample]) -> None:
    """There is nothing to draw."""
    assert charts.course(samples) is None
