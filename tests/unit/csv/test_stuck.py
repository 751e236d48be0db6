"""Values that stay the same for days."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from swarm.config.settings import CsvRules, Meter
from swarm.csv import Window, check_files

START = datetime(2023, 1, 1, tzinfo=UTC)


def notices(folder: Path, values: list[str], minutes: int = 15, **rules: object) -> list[str]:
    """Return the notices of the check of a file with these values."""
    path = folder / "m.csv"
    times = (START + timedelta(minutes=minutes * number) for number in range(len(values)))
    lines = [
        f"{time:%Y-%m-%d %H:%M:%S},{value}\n" for time, value in zip(times, values, strict=True)
    ]
    if rules.pop("is_shuffled", False):
        lines[0], lines[1] = lines[1], lines[0]
    path.write_text("".join(lines))
    meter = Meter("m", (path,), CsvRules("UTC", **rules))  # type: ignore[arg-type]
    return [
        each for each in check_files(meter, Window(), with_quality=True).notices if "stays" in each
    ]


def varying(count: int) -> list[str]:
    """Return values of which no two in a row are equal."""
    return [f"{number % 89}.5" for number in range(count)]


@pytest.mark.parametrize("minutes", [1, 15, 60])
@pytest.mark.parametrize("begin", [0, 777, 5000, 9000])
@pytest.mark.parametrize("is_shuffled", [False, True])
def test_days_of_one_value(tmp_path: Path, minutes: int, begin: int, is_shuffled: bool) -> None:
    """The longest time is told, wherever blocks end, and also of rows that were sorted."""
    rows = 4 * 24 * 60 // minutes + 1
    values = varying(begin) + ["13.75"] * rows + varying(4000)
    values += ["2"] * (rows * 9 // 10) + varying(10)
    (notice,) = notices(tmp_path, values, minutes, is_shuffled=is_shuffled)
    start = START + timedelta(minutes=begin * minutes)
    assert notice.startswith("m: the value stays 13.75 for ")
    # The first rows of the time may be missed.
    assert "for 4 days, from" in notice or "for 3 days, from" in notice
    end = start + timedelta(days=4)
    assert f"to {end:%Y-%m-%d %H:%M}: is the sensor dead?" in notice


@pytest.mark.parametrize(
    ("values", "rules"),
    [
        (["0"] * 2000, {}),
        (["0.00"] * 2000, {}),
        (["5"] * 200 + ["6"] * 200, {}),
        (["5"] * 2000, {"falling": "notice"}),
        (["5"] * 2000, {"columns": ("pC_1",)}),
        (["5", "5", "5"], {}),
    ],
    ids=["zero", "zeros", "two days", "a counter", "energy", "a few rows"],
)
def test_no_dead_sensor(tmp_path: Path, values: list[str], rules: dict[str, object]) -> None:
    """Nothing is used, a shorter time, or a counter."""
    minutes = 1440 if len(values) == 3 else 15
    assert [] == notices(tmp_path, values, minutes, **rules)


def test_each_register_by_itself(tmp_path: Path) -> None:
    """One of three phases is dead; another one is empty for days."""
    values = [f"{n % 89},7.0,{'' if n < 900 else n % 97}" for n in range(2000)]
    (notice,) = notices(tmp_path, values, columns=("v_1", "v_2", "v_3"))
    assert notice.startswith("m: v_2 stays 7.0 for 20 days, from 2023-01-01 00:00 to 2023-01-21")
