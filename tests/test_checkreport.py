"""What ``swarm check`` tells, as a table and as JSON, of real files."""

import json
from pathlib import Path
from typing import Any

import pytest

from swarm import checkreport
from swarm.meterfile import Survey, Window, survey
from swarm.options import Upload
from swarm.settings import CsvRules, Meter, Settings


def settings(*meters: Meter) -> Settings:
    """Return the settings of a check."""
    return Settings(Path("c.ini"), "c", "https://c", meters, Upload(), Path("state"))


def meter(folder: Path, name: str, content: str) -> Meter:
    """Return a meter with one file."""
    path = folder / f"{len(name)}.csv"
    path.write_text(content)
    return Meter(name, (path,), CsvRules("Europe/Dublin"), "https://c", None)


@pytest.fixture
def checked(tmp_path: Path) -> tuple[Settings, list[Survey]]:
    """Return a sound meter and one with problems, and their surveys."""
    sound = meter(tmp_path, "東京", "2023-07-01 00:00:00,1\n2023-07-01 00:15:00,2\n")
    bad = meter(tmp_path, "bad", "2023-07-01 00:00:00,1\n2023-07-01 00:15:00,x\n")
    meters = (sound, bad)
    return settings(*meters), [survey(each, Window()) for each in meters]


def facts(checked: tuple[Settings, list[Survey]]) -> list[dict[str, Any]]:
    """Return the meters of the JSON."""
    meters: list[dict[str, Any]] = json.loads(checkreport.as_json(*checked))["meters"]
    return meters


def test_the_table_has_a_line_for_each_meter(checked: tuple[Settings, list[Survey]]) -> None:
    """Rows and period of each meter, and whether it is sound, aligned."""
    lines = checkreport.as_table(checked[1]).splitlines()
    head, rule, sound, bad = lines
    assert ["meter", "rows", "first", "last", "check"] == head.split()
    assert set(rule) == {"-", " "}
    assert [
        *["東京", "2"],
        *["2023-07-01T00:00:00.000+01:00", "2023-07-01T00:15:00.000+01:00", "sound"],
    ] == sound.split()
    assert bad.startswith("bad")
    assert bad.endswith("  1 problem")


def test_the_json_is_as_promised(checked: tuple[Settings, list[Survey]]) -> None:
    """The keys of section 6 of the contract, for sound meters and others."""
    sound, bad = facts(checked)
    keys = ["id", "files", "rows", "first", "last", "notices"]
    assert [*keys, "problems"] == list(sound) == list(bad)
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


def test_each_survey_is_told_with_its_own_files(tmp_path: Path) -> None:
    """With many meters each has its own files beside what was found in them."""
    meters = [meter(tmp_path, "m" * (n + 1), "2023-07-01 00:00:00,1\n") for n in range(20)]
    surveys = [survey(each, Window()) for each in meters]
    told = facts((settings(*meters), surveys))
    assert [(each.id, [str(each.files[0])]) for each in meters] == [
        (each["id"], each["files"]) for each in told
    ]
