"""The days of a meter: expected rows, kinds, and what an upload made of them."""

from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from swarm.csv import CheckResult, Window, check_files
from swarm.delivery.result import OpenDays, Tally
from swarm.report.days import EPOCH, Days, Kind, days_of
from swarm.run.report import MeterReport
from tests.support.meters import meter_of, written


def checked(
    folder: Path,
    start: str,
    count: int,
    *,
    minutes: int = 15,
    skip: set[int] | None = None,
    **rules: Any,
) -> tuple[Any, CheckResult]:
    """Return a meter with rows from a local time on, and its check."""
    first = datetime.fromisoformat(start)
    rows = [
        f"{first + timedelta(minutes=minutes * at)},{at}\n"
        for at in range(count)
        if at not in (skip or ())
    ]
    meter = meter_of(written(folder / "m.csv", "".join(rows)), **rules)
    return meter, check_files(meter, Window(), with_quality=True)


def found(*arguments: Any, outcome: MeterReport | None = None, **options: Any) -> Days:
    """Return the days of such a meter."""
    days = days_of(*checked(*arguments, **options), outcome)
    assert days is not None
    return days


def kinds(days: Days) -> list[tuple[str, int]]:
    """Return the kinds of the days in order, with how many follow one another."""
    return [(str(run.kind), run.end - run.start) for run in days.runs]


def outcome(
    sent: int, rejected: dict[int, int] | None = None, late: dict[int, int] | None = None
) -> MeterReport:
    """Return the outcome of an upload; days are counted from 2024-01-01."""
    first = date(2024, 1, 1).toordinal() - EPOCH
    days = OpenDays(
        *(Counter({first + day: n for day, n in (each or {}).items()}) for each in (rejected, late))
    )
    return MeterReport("m", "m.csv", "done", 0, Tally(sent=sent), days=days)


def test_whole_days(tmp_path: Path) -> None:
    """Each day has its 96 quarters; the last one begins only."""
    days = found(tmp_path, "2024-01-01", 96 * 3 + 10)
    assert [96, 96, 96, 10] == list(days.rows) == list(days.expected)
    assert [("full", 4)] == kinds(days)
    assert 1.0 == days.share


def test_the_first_day_is_expected_from_its_first_row_on(tmp_path: Path) -> None:
    """A meter that begins at noon lacks nothing of that morning."""
    days = found(tmp_path, "2024-01-01 12:00:00", 48 + 96)
    assert [48, 96] == list(days.expected)
    assert [("full", 2)] == kinds(days)


def test_missing_rows(tmp_path: Path) -> None:
    """A day with a row missing, one with more than half missing, one without any."""
    skip = {5, *range(96, 96 + 60), *range(192, 288)}
    days = found(tmp_path, "2024-01-01", 96 * 4, skip=skip)
    assert [("most", 1), ("some", 1), ("none", 1), ("full", 1)] == kinds(days)
    assert days.share is not None
    assert abs(days.share - (384 - 157) / 384) < 1e-9


def test_days_of_a_clock_change_have_their_own_length(tmp_path: Path) -> None:
    """In Dublin 2024-03-31 has 23 hours, and 2024-10-27 has 25."""
    first = datetime(2024, 3, 30)
    hours = [first + timedelta(hours=at) for at in range(72)]
    rows = [f"{at},1\n" for at in hours if at != datetime(2024, 3, 31, 1)]
    meter = meter_of(written(tmp_path / "m.csv", "".join(rows)), timezone="Europe/Dublin")
    days = days_of(meter, check_files(meter, Window(), with_quality=True))
    assert days is not None
    assert [24, 23, 24] == list(days.expected) == list(days.rows)
    autumn = [f"2024-10-27 0{hour}:00:00,{number}\n" for number, hour in enumerate((0, 1, 1, 2))]
    rest = [f"{datetime(2024, 10, 27, 3) + timedelta(hours=at)},1\n" for at in range(45)]
    meter = meter_of(written(tmp_path / "a.csv", "".join(autumn + rest)), timezone="Europe/Dublin")
    days = days_of(meter, check_files(meter, Window(), with_quality=True))
    assert days is not None
    assert [25, 24] == list(days.expected) == list(days.rows)


def test_a_missing_hour_of_a_long_day_shows(tmp_path: Path) -> None:
    """24 rows are not all of a day of 25 hours."""
    rows = [f"{datetime(2024, 10, 26) + timedelta(hours=at)},{at}\n" for at in range(72)]
    meter = meter_of(written(tmp_path / "m.csv", "".join(rows)), timezone="Europe/Dublin")
    days = days_of(meter, check_files(meter, Window(), with_quality=True))
    assert days is not None
    assert [("full", 1), ("most", 1), ("full", 1)] == kinds(days)


def test_days_between_weekly_rows_lack_nothing(tmp_path: Path) -> None:
    """Only days in a gap do."""
    days = found(tmp_path, "2024-01-01", 8, minutes=7 * 1440, skip={4})
    assert days.share is None
    runs = kinds(days)
    assert [("full", 1), ("outside", 6)] == runs[:2]
    assert ("none", 13) in runs


def test_rows_that_were_not_sent(tmp_path: Path) -> None:
    """Rows are sent in order of time: the rest of the days is unsent."""
    days = found(tmp_path, "2024-01-01", 96 * 4, outcome=outcome(96 + 50))
    assert [("full", 1), ("unsent", 3)] == kinds(days)


def test_rejected_and_late_days(tmp_path: Path) -> None:
    """One such row marks the day; the other rows of it are acknowledged."""
    sent = 96 * 4 - 3
    days = found(tmp_path, "2024-01-01", 96 * 4, outcome=outcome(sent, {1: 2}, {2: 1}))
    assert [("full", 1), ("rejected", 1), ("late", 1), ("full", 1)] == kinds(days)


def test_all_rows_acknowledged(tmp_path: Path) -> None:
    """An upload of all rows shows what a check shows."""
    days = found(tmp_path, "2024-01-01", 96 * 4, skip={100}, outcome=outcome(96 * 4 - 1))
    assert [("full", 1), ("most", 1), ("full", 2)] == kinds(days)


def test_a_meter_without_rows_has_no_days(tmp_path: Path) -> None:
    """Neither has one whose files were not checked."""
    meter = meter_of(written(tmp_path / "m.csv", ""))
    assert days_of(meter, check_files(meter, Window(), with_quality=True)) is None
    assert days_of(meter, CheckResult("m")) is None


def test_kinds_have_their_classes() -> None:
    """The style of the page names each kind."""
    style = Path(__file__).parents[3] / "swarm/report/templates/report.html"
    for kind in Kind:
        assert f".{kind.value} {{" in style.read_text() or kind is Kind.OUTSIDE
