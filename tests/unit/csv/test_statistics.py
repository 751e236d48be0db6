"""Statistics of a meter's rows, against the plain sums of the packets that it sends."""

import math
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as search
from hypothesis import strategies as st

from swarm.csv import CheckResult, Row, Window, check_files
from swarm.csv.statistics import QUANTILES, Statistics, drawn_registers
from swarm.errors import SettingsError
from swarm.localtime import DAY_MS, naive_of, wall_of
from tests.support.meters import meter_of, sent, written

HOUR_MS = 3_600_000
START = wall_of(naive_of(0).replace(year=2023, month=3, day=20))


def inspected(*files: Path, window: Window | None = None, **rules: Any) -> CheckResult:
    """Return the result of a check with the statistics of the values."""
    return check_files(
        meter_of(*files, **rules), window or Window(), with_quality=True, with_values=True
    )


def statistics(result: CheckResult) -> Statistics:
    """Return the statistics of a meter that has values."""
    assert result.statistics is not None
    return result.statistics


def csv(walls: list[int], cells: list[str]) -> str:
    """Return rows at local times (ms)."""
    pairs = zip(walls, cells, strict=True)
    return "".join(f"{naive_of(wall):%Y-%m-%d %H:%M:%S},{cell}\n" for wall, cell in pairs)


def agree(result: CheckResult, rows: list[Row], drawn: list[int]) -> None:
    """Compare the statistics with sums over the rows; ``drawn`` are the columns that are drawn."""
    days: defaultdict[int, list[float]] = defaultdict(list)
    hours: defaultdict[int, list[float]] = defaultdict(list)
    counts: defaultdict[int, int] = defaultdict(int)
    for row in rows:
        wall = row.instant + row.offset
        counts[wall // DAY_MS] += 1
        cells = [row.cells.split(",")[index] for index in drawn]
        if "" not in cells:
            days[wall // DAY_MS].append(sum(map(float, cells)))
            naive = naive_of(wall)
            hours[naive.weekday() * 24 + naive.hour].append(days[wall // DAY_MS][-1])
    assert result.coverage is not None
    assert dict(counts) == dict(zip(result.coverage.days, result.coverage.rows, strict=True))
    if not days:
        return
    found = statistics(result)
    daily = found.daily
    assert sorted(days) == list(daily.days)
    assert list(daily.lasts) in ([], [days[day][-1] for day in daily.days])
    for day, count, total in zip(daily.days, daily.counts, daily.sums, strict=True):
        assert len(days[day]) == count
        assert math.isclose(sum(days[day]), total, rel_tol=1e-6, abs_tol=1e-3)
    for hour in range(168):
        assert len(hours[hour]) == found.profile_counts[hour], hour
        assert math.isclose(sum(hours[hour]), found.profile_sums[hour], abs_tol=1e-6)


@search(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    minutes=st.sampled_from([1, 7, 15, 60, 90, 1440, 10080]),
    first=st.integers(0, 1439),
    runs=st.lists(st.tuples(st.integers(1, 150), st.integers(1, 40)), min_size=1, max_size=3),
    zone=st.sampled_from(["UTC", "Europe/Dublin", "Asia/Kathmandu"]),
)
@example(minutes=15, first=0, runs=[(3000, 1)], zone="Europe/Dublin")
@example(minutes=60, first=30, runs=[(300, 5), (300, 1)], zone="UTC")
@example(minutes=10080, first=0, runs=[(100, 1)], zone="Europe/Dublin")
def test_regular_rows_with_gaps(
    tmp_path: Path, minutes: int, first: int, runs: list[tuple[int, int]], zone: str
) -> None:
    """Rows on a grid, with gaps, in zones with and without clock changes."""
    walls, at = [], START + first * 60_000
    for count, gap in runs:
        for _ in range(count):
            if not _is_skipped_or_repeated(at, zone):
                walls.append(at)
            at += minutes * 60_000
        at += gap * minutes * 60_000
    path = written(
        tmp_path / "m.csv", csv(walls, [f"{n % 97}.{n % 10}" for n in range(len(walls))])
    )
    result = inspected(path, timezone=zone)
    assert result.is_sound
    agree(result, sent(path, timezone=zone), [0])


def _is_skipped_or_repeated(wall: int, zone: str) -> bool:
    """Return True in the hours of Dublin's clock changes, which the rows leave out."""
    naive = naive_of(wall)
    return zone == "Europe/Dublin" and naive.hour == 1 and naive.weekday() == 6


@search(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(st.integers(1, 90_000), min_size=1, max_size=80), seed=st.randoms())
def test_irregular_rows_in_any_order(tmp_path: Path, steps: list[int], seed: Any) -> None:
    """Rows at any times, whatever their order in the file."""
    walls, at = [], START
    for step in steps:
        at += step * 1000
        walls.append(at)
    shuffled = list(walls)
    seed.shuffle(shuffled)
    path = written(
        tmp_path / "m.csv", csv(shuffled, [str(at % 1013 / 10) for at in range(len(walls))])
    )
    agree(inspected(path), sent(path), [0])


@search(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    cells=st.lists(
        st.tuples(*[st.sampled_from(["", "1", "2.5", "-3", "7e2"])] * 3).filter(any),
        min_size=1,
        max_size=60,
    )
)
def test_columns_with_empty_cells(tmp_path: Path, cells: list[tuple[str, str, str]]) -> None:
    """The drawn quantity is the sum of the power of both phases, where both are there."""
    walls = [START + at * 900_000 for at in range(len(cells))]
    path = written(tmp_path / "m.csv", csv(walls, [",".join(each) for each in cells]))
    rules: dict[str, Any] = {"columns": ("v_1", "aP_2", "aP_1")}
    result = inspected(path, **rules)
    agree(result, sent(path, **rules), [0, 1])
    found = statistics(result)
    assert ("aP_1", "aP_2") == found.drawn
    for register in found.registers:
        index = rules["columns"].index(register.name)
        values = [float(each[index]) for each in cells if each[index]]
        assert (len(values), min(values), max(values)) == (
            register.count,
            register.low,
            register.high,
        )


def test_a_window_is_kept(tmp_path: Path) -> None:
    """Rows outside of the window are not in the pictures."""
    walls = [START + at * 900_000 for at in range(500)]
    path = written(tmp_path / "m.csv", csv(walls, ["1"] * 500))
    window = Window(START + 100 * 900_000, START + 300 * 900_000)
    result = inspected(path, window=window)
    assert [200] == [sum(statistics(result).daily.counts)]
    agree(result, sent(path, window=window), [0])


def test_shifted_rows_are_at_the_times_of_their_packets(tmp_path: Path) -> None:
    """The days are those of the packets, not those of the CSV."""
    walls = [START + at * 900_000 for at in range(500)]
    path = written(tmp_path / "m.csv", csv(walls, ["1"] * 500))
    rules: dict[str, Any] = {"shift": 5.5 * 3600}
    agree(inspected(path, **rules), sent(path, **rules), [0])


def test_power_from_energy_is_drawn_as_power(tmp_path: Path) -> None:
    """The registers are those of the packets."""
    walls = [START + at * 900_000 for at in range(200)]
    path = written(tmp_path / "m.csv", csv(walls, ["2"] * 200))
    found = statistics(inspected(path, power_from_energy=15.0))
    assert ("aP_1",) == found.drawn
    assert [8.0] == [found.daily.sums[0] / found.daily.counts[0]]


def test_quantiles_of_many_values(tmp_path: Path) -> None:
    """A sample of the values gives their quantiles; the range is that of all."""
    values = [(at * 7919) % 30_011 for at in range(30_011)]
    walls = [START + at * 60_000 for at in range(len(values))]
    path = written(tmp_path / "m.csv", csv(walls, list(map(str, values))))
    (register,) = statistics(inspected(path)).registers
    assert (30_011, 0, 30_010) == (register.count, register.low, register.high)
    for share, value in zip(QUANTILES, register.quantiles, strict=True):
        assert abs(value / 30_010 - share) < 0.01


def test_few_values_have_exact_quantiles(tmp_path: Path) -> None:
    """The median of a few rows is one of them, or between two."""
    walls = [START + at * 60_000 for at in range(101)]
    path = written(tmp_path / "m.csv", csv(walls, [str(at) for at in range(101)]))
    (register,) = statistics(inspected(path)).registers
    assert abs(register.quantiles[3] - 50) <= 1


def test_files_with_problems_have_statistics_of_their_good_rows(tmp_path: Path) -> None:
    """A later file with other columns adds nothing, and is no bug."""
    walls = [START + at * 900_000 for at in range(10)]
    one = written(tmp_path / "1.csv", csv(walls, ["1"] * 10) + "2023-05-01 00:00:00,x\n")
    other = written(tmp_path / "2.csv", csv([START + DAY_MS * 50], [",".join("1" * 21)]))
    result = inspected(one, other)
    assert not result.is_sound
    assert 10 == sum(statistics(result).daily.counts)


def test_rows_of_nonsense_dates_take_little_memory(tmp_path: Path) -> None:
    """Of more days than any meter has, some are left out."""
    walls = [START + at * DAY_MS for at in range(25_000)]
    path = written(tmp_path / "m.csv", csv(walls, ["1"] * len(walls)))
    result = inspected(path)
    assert result.coverage is not None
    assert len(result.coverage.days) <= 20_000
    assert len(statistics(result).daily.days) <= 20_000


def test_without_values_there_is_coverage_alone(tmp_path: Path) -> None:
    """A check draws its blocks without the packages of the report."""
    path = written(tmp_path / "m.csv", csv([START, START + 900_000], ["1", "2"]))
    result = check_files(meter_of(path), Window(), with_quality=True)
    assert result.statistics is None
    assert result.coverage is not None
    assert [2] == list(result.coverage.rows)


@pytest.mark.parametrize(
    ("registers", "drawn"),
    [
        (("value",), ("value",)),
        (("v_1", "pC_1", "pC_3"), ("pC_1", "pC_3")),
        (("v_12", "v_13"), ("v_12", "v_13")),
        ((), ()),
    ],
)
def test_the_drawn_quantity(registers: tuple[str, ...], drawn: tuple[str, ...]) -> None:
    """Power comes before energy, and all phases are added up."""
    assert drawn == drawn_registers(registers)


def test_a_block_without_good_rows(tmp_path: Path) -> None:
    """A file of which no row can be read has no statistics."""
    result = inspected(written(tmp_path / "m.csv", "2023-01-01 00:00:00,x\n"))
    assert not result.is_sound
    assert result.statistics is None


def test_the_last_values_of_a_counter(tmp_path: Path) -> None:
    """Energy since the beginning keeps its last value of each day, to the last digit."""
    walls = [START + at * 3_600_000 for at in range(24 * 3)]
    text = csv(walls, [f"{123456789012 + at}" for at in range(72)])
    path = written(tmp_path / "m.csv", text)
    daily = statistics(inspected(path, columns=("pC_1",))).daily
    assert [123456789035, 123456789059, 123456789083] == list(daily.lasts)
    assert [] == list(statistics(inspected(path, columns=("aP_1",))).daily.lasts)


def test_a_host_without_the_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is one line with the command that installs them."""
    monkeypatch.setitem(sys.modules, "orjson", None)
    path = written(tmp_path / "m.csv", csv([START], ["1"]))
    with pytest.raises(
        SettingsError, match=r"^--report: a package is missing .*pip install .*orjson"
    ):
        inspected(path)
