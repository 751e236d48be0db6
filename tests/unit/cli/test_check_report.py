"""The report of ``swarm check``, as a table and as JSON, on real files."""

import json
from pathlib import Path
from typing import Any

import pytest

from swarm.cli import check_report
from swarm.config.options import Upload
from swarm.config.settings import CsvRules, Meter, Settings
from swarm.config.timetable import parse_rate_limit
from swarm.csv import CheckResult, Window, check_files


def settings(*meters: Meter) -> Settings:
    """Return the settings of a check."""
    return Settings(Path("c.ini"), "c", "https://c", meters, Upload(), Path("state"))


def meter(folder: Path, name: str, content: str) -> Meter:
    """Return a meter with one file."""
    path = folder / f"{len(name)}.csv"
    path.write_text(content)
    return Meter(name, (path,), CsvRules("Europe/Dublin"))


@pytest.fixture
def checked(tmp_path: Path) -> tuple[Settings, list[CheckResult]]:
    """Return the settings and results of a sound meter and one with problems."""
    sound = meter(tmp_path, "東京", "2023-07-01 00:00:00,1\n2023-07-01 00:15:00,2\n")
    bad = meter(tmp_path, "bad", "2023-07-01 00:00:00,1\n2023-07-01 00:15:00,x\n")
    meters = (sound, bad)
    return settings(*meters), [check_files(each, Window(), with_quality=True) for each in meters]


def facts(checked: tuple[Settings, list[CheckResult]]) -> list[dict[str, Any]]:
    """Return the meters of the JSON."""
    meters: list[dict[str, Any]] = json.loads(check_report.as_json(*checked))["meters"]
    return meters


def test_the_table_has_a_line_for_each_meter(checked: tuple[Settings, list[CheckResult]]) -> None:
    """The columns are rows, period, interval and gaps of each meter, and the verdict, aligned."""
    lines = check_report.as_table(checked[1]).splitlines()
    head, rule, sound, bad = lines
    assert ["meter", "rows", "first", "last", "interval", "gaps", "check"] == head.split()
    assert set(rule) == {"-", " "}
    assert [
        *["東京", "2", "2023-07-01", "00:00", "2023-07-01", "00:15", "15m", "0", "sound"],
    ] == sound.split()
    assert bad.startswith("bad")
    assert bad.endswith("  1 problem")


def test_the_json_is_as_promised(checked: tuple[Settings, list[CheckResult]]) -> None:
    """Sound meters and others have the keys that the reference promises."""
    sound, bad = facts(checked)
    promised = {"id", "files", "rows", "first", "last", "interval_seconds", "gaps", "notices"}
    assert promised | {"problems"} <= set(sound)
    assert list(sound) == list(bad)
    assert (900, [], None) == (sound["interval_seconds"], sound["gaps"], bad["interval_seconds"])
    assert ("東京", 2, "2023-07-01T00:15:00.000+01:00") == (
        sound["id"],
        sound["rows"],
        sound["last"],
    )
    assert [] == sound["problems"]
    assert bad["problems"] == [
        {
            "file": bad["files"][0],
            "line": 2,
            "column": 2,
            "kind": bad["problems"][0]["kind"],
            "message": bad["problems"][0]["message"],
        }
    ]


def test_each_result_has_its_own_files(tmp_path: Path) -> None:
    """With many meters, each result is listed with the files of its own meter."""
    meters = [meter(tmp_path, "m" * (n + 1), "2023-07-01 00:00:00,1\n") for n in range(20)]
    results = [check_files(each, Window()) for each in meters]
    listed = facts((settings(*meters), results))
    assert [(each.id, [str(each.files[0])]) for each in meters] == [
        (each["id"], each["files"]) for each in listed
    ]


@pytest.fixture
def gappy(tmp_path: Path) -> tuple[Settings, list[CheckResult]]:
    """Return a meter with seven gaps, of a day each, in hourly rows."""
    hours = [
        f"2023-07-{day:02} {hour:02}:00:00,1\n" for day in range(1, 16, 2) for hour in range(24)
    ]
    one = meter(tmp_path, "gas", "".join(hours))
    return settings(one), [check_files(one, Window(), with_quality=True)]


def test_gaps_are_listed_below_the_table(gappy: tuple[Settings, list[CheckResult]]) -> None:
    """The first five gaps of a meter are listed, and the number of others; in 100 columns."""
    lines = check_report.as_table(gappy[1]).splitlines()
    assert "gas: 7 gaps, 168 rows missing" == lines[4]
    assert "  2023-07-01T23:00:00.000+01:00 .. 2023-07-03T00:00:00.000+01:00  24 rows" == lines[5]
    assert "  ... and 2 more" == lines[-1]
    assert max(map(len, lines)) <= 100


def test_the_json_has_all_gaps(gappy: tuple[Settings, list[CheckResult]]) -> None:
    """A gap is from the last row before it to the first row after it, in times of packets."""
    (result,) = facts(gappy)
    assert (7, 7, 168) == (len(result["gaps"]), result["gap_count"], result["missing"])
    assert {
        "from": "2023-07-01T23:00:00.000+01:00",
        "to": "2023-07-03T00:00:00.000+01:00",
        "missing": 24,
    } == result["gaps"][0]


def test_gaps_of_many_meters_are_cut(tmp_path: Path) -> None:
    """The gaps of 20 meters are listed, and the others are counted."""
    content = "".join(f"2023-07-01 {hour:02}:00:00,1\n" for hour in (0, 1, 2, 5))
    meters = [meter(tmp_path, "m" * n, content) for n in range(1, 23)]
    results = [check_files(each, Window(), with_quality=True) for each in meters]
    lines = check_report.as_table(results).splitlines()
    assert 20 == sum(line.endswith(": 1 gap, 2 rows missing") for line in lines)
    assert "... and gaps of 2 more meters; --json lists them" == lines[-1]


def test_a_rate_tells_how_long_sending_takes(checked: tuple[Settings, list[CheckResult]]) -> None:
    """Only rows that can be sent count: a file with problems can't."""
    rate = parse_rate_limit("0.5")
    assert (
        "2 packets take 4.0 s at 0.5 per second"
        == check_report.as_table(checked[1], rate).splitlines()[-1]
    )
    document = json.loads(check_report.as_json(*checked, rate))
    assert (2, 0.5, 4.0) == (document["packets"], document["rate"], document["upload_seconds"])
    assert json.loads(check_report.as_json(*checked))["upload_seconds"] is None
