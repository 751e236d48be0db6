"""``swarm check`` and ``swarm upload`` of files whose timestamps do not fit their zone."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from swarm.csv import CheckResult
from swarm.localtime import naive_of
from tests.support.meters import looked_at, written
from tests.support.workspace import Workspace
from tests.unit.csv.test_zones import YEAR, logged

WRONG = "is probably wrong"
ROME = "Europe/Paris, Europe/Berlin, Europe/Rome and "


def lines(local_times: list[int]) -> str:
    """Return a CSV of local times, each with another value."""
    return "".join(f"{naive_of(local)},{number}\n" for number, local in enumerate(local_times))


def signs(found: CheckResult) -> list[str]:
    """Return the notices that a zone is wrong."""
    return [notice for notice in found.notices if WRONG in notice or "occurs only once" in notice]


def test_a_conflict_names_the_zone_first(tmp_path: Path) -> None:
    """In an hour that other zones repeat, the message names the zone before ``duplicates``."""
    path = written(tmp_path / "m.csv", lines(logged("Europe/Rome", "2023-10-28", 2, 30)))
    found = looked_at(path, timezone="Etc/UTC")
    assert 2 == found.problem_count
    message = found.problems[0].message
    assert f"a wrong timezone is likely: the clocks repeat this hour in {ROME}" in message
    assert message.index("timezone") < message.index("duplicates")
    assert message.endswith(
        "not in Etc/UTC; if timezone is right, set duplicates = first or last to choose"
    )
    (sign,) = signs(found)
    assert (
        "m: timezone = Etc/UTC is probably wrong: the files repeat 2023-10-29 02:00 to 03:00"
        in sign
    )


def test_a_conflict_at_another_time(tmp_path: Path) -> None:
    """At other times, and in the hour that the zone itself repeats, the zone is not blamed."""
    hint = "wrong timezone"
    path = written(tmp_path / "m.csv", "2023-10-28 02:00:00,1\n2023-10-28 02:00:00,2\n")
    assert hint not in looked_at(path, timezone="Etc/UTC").problems[0].message
    thrice = "".join(f"2023-10-29 02:00:00,{n}\n2023-10-29 02:30:00,{n}\n" for n in range(3))
    same = looked_at(written(tmp_path / "m.csv", thrice), timezone="Europe/Berlin")
    assert not any(hint in problem.message for problem in same.problems)
    rules: dict[str, Any] = {"timezone": "Europe/Berlin", "ambiguous_time": "first"}
    (first, *_) = looked_at(tmp_path / "m.csv", **rules).problems
    assert ("conflict", False) == (first.kind, hint in first.message)
    there = looked_at(written(tmp_path / "m.csv", thrice), timezone="Europe/London")
    assert hint in there.problems[0].message


@pytest.mark.parametrize("duplicates", ["first", "last"])
def test_a_choice_between_duplicates_hides_nothing(tmp_path: Path, duplicates: str) -> None:
    """A meter that is valid because of ``duplicates`` still gets the notice about the zone."""
    path = written(tmp_path / "m.csv", lines(logged("Europe/Rome", "2023-10-20", 20)))
    found = looked_at(path, timezone="Etc/UTC", duplicates=duplicates)
    assert found.is_sound
    assert 1 == len(signs(found))


def test_exact_repeats_are_a_sign_as_well(tmp_path: Path) -> None:
    """Equal values in both passes, as of a solar plant at night, are a sign as well."""
    text = "".join(f"{naive_of(local)},0\n" for local in logged("Europe/Rome", "2023-10-20", 20))
    found = looked_at(written(tmp_path / "m.csv", text), timezone="Etc/UTC")
    assert (True, 1) == (found.is_sound, len(signs(found)))


def test_gaps_alone(tmp_path: Path) -> None:
    """An export without the second pass has gaps at the hours skipped in spring."""
    local_times = sorted(set(logged("Europe/Rome", "2021-01-01", 2 * YEAR)))
    (sign,) = signs(looked_at(written(tmp_path / "m.csv", lines(local_times)), timezone="Etc/UTC"))
    assert "the files skip 2021-03-28 02:00 to 03:00 (1 more such hour), as clocks do in" in sign
    assert [] == signs(looked_at(tmp_path / "m.csv", timezone="Europe/Rome"))


def test_rows_of_several_files_count_together(tmp_path: Path) -> None:
    """Monthly files, most of them inconspicuous, are judged together."""
    local_times = logged("America/Chicago", "2021-01-01", YEAR, 60)
    months = {f"{naive_of(local):%Y-%m}" for local in local_times}
    paths = [
        written(
            tmp_path / f"{month}.csv",
            lines([w for w in local_times if f"{naive_of(w):%Y-%m}" == month]),
        )
        for month in sorted(months)
    ]
    (sign,) = signs(looked_at(*paths, timezone="Etc/UTC", duplicates="last"))
    assert "skip 2021-03-14 02:00 to 03:00 and repeat 2021-11-07 01:00 to 02:00" in sign
    assert "America/New_York, America/Chicago" in sign


@pytest.mark.parametrize(
    ("zone", "read_in"), [("Europe/Rome", "Europe/Rome"), ("UTC", "Etc/UTC"), ("UTC", "Asia/Tokyo")]
)
def test_nothing_to_say(tmp_path: Path, zone: str, read_in: str) -> None:
    """The right zone, and data and zones without clock changes, get no notice."""
    path = written(tmp_path / "m.csv", lines(logged(zone, "2021-01-01", 2 * YEAR)))
    found = looked_at(path, timezone=read_in)
    assert (True, []) == (found.is_sound, signs(found))


def test_gaps_at_random_are_no_sign(tmp_path: Path) -> None:
    """Random outages, one of them in an hour that clocks skip, are no sign."""
    rng = random.Random(7)
    local_times = logged("UTC", "2022-01-01", 2 * YEAR, 60)
    gone = {w for w in local_times if rng.random() < 0.01}
    gone |= {w for w in local_times if f"{naive_of(w)}" == "2023-03-26 02:00:00"}
    path = written(tmp_path / "m.csv", lines([w for w in local_times if w not in gone]))
    assert [] == signs(looked_at(path, timezone="Etc/UTC"))


def test_times_that_do_not_exist(tmp_path: Path) -> None:
    """The logger keeps one offset: the message names zones that do so."""
    path = written(tmp_path / "m.csv", "2023-03-26 02:00:00,1\n2023-03-26 02:15:00,2\n")
    message = looked_at(path, timezone="Europe/Rome").problems[0].message
    assert message.endswith(
        "correct it or set another timezone; if the logger keeps UTC or standard time all "
        "year, timezone = Etc/UTC, or Etc/GMT-1 (which is UTC+01:00)"
    )
    path = written(tmp_path / "m.csv", "2023-03-12 02:00:00,1\n")
    message = looked_at(path, timezone="America/Chicago").problems[0].message
    assert message.endswith("timezone = Etc/UTC, or Etc/GMT+6 (which is UTC-06:00)")
    path = written(tmp_path / "m.csv", "2023-10-01 02:10:00,1\n")
    message = looked_at(path, timezone="Australia/Lord_Howe").problems[0].message
    assert message.endswith("all year, timezone = Etc/UTC")


def test_times_that_do_not_exist_where_the_files_follow_other_clocks(tmp_path: Path) -> None:
    """If the files follow the clock changes of another zone, a notice names it."""
    path = written(tmp_path / "m.csv", lines(logged("Europe/Rome", "2023-01-01", YEAR, 30)))
    found = looked_at(path, timezone="America/New_York")
    assert {"nonexistent time"} <= {problem.kind for problem in found.problems}
    assert "if the logger keeps UTC or standard time all year, " in found.problems[0].message
    (sign,) = signs(found)
    assert f"as clocks do in {ROME}" in sign


@pytest.mark.parametrize("name", ["Etc/GMT-1", "Etc/GMT+6", "Etc/UTC"])
def test_the_advice_is_good(tmp_path: Path, name: str) -> None:
    """The suggested zones exist, and such data is valid in them."""
    path = written(tmp_path / "m.csv", "2023-03-26 02:00:00,1\n2023-03-26 02:15:00,2\n")
    assert looked_at(path, timezone=name).is_sound


def test_an_hour_that_stands_once(tmp_path: Path) -> None:
    """A logger in UTC from summer to winter has the repeated hour only once: the only sign."""
    path = written(tmp_path / "m.csv", lines(logged("UTC", "2021-07-01", 200)))
    (sign,) = signs(looked_at(path, timezone="Europe/Rome"))
    assert "the hour that clocks in Europe/Rome repeat occurs only once" in sign
    assert "(2021-10-31 02:00 to 03:00)" in sign
    assert "timezone = Etc/UTC, or Etc/GMT-1 (which is UTC+01:00)" in sign


def test_offsets_in_the_timestamps(tmp_path: Path) -> None:
    """Timestamps with offsets do not depend on the zone."""
    first = datetime(2023, 10, 28, tzinfo=UTC)
    text = "".join(f"{first + timedelta(minutes=30 * n):%Y-%m-%dT%H:%M%z},{n}\n" for n in range(96))
    path = written(tmp_path / "m.csv", text)
    found = looked_at(path, timezone="Europe/Rome", timestamp_format="%Y-%m-%dT%H:%M%z")
    assert (True, ()) == (found.is_sound, found.notices)


def test_an_upload_says_it_too(workspace: Workspace) -> None:
    """The upload prints the notice before it sends, and the check has it in its JSON."""
    workspace.csv("m.csv", lines(logged("Europe/Rome", "2023-10-20", 20)))
    workspace.ini("sandbox", {"m": "m.csv"}, swarm={"timezone": "Etc/UTC", "duplicates": "last"})
    checked = workspace.run("check", "config.ini", "--json")
    assert 0 == checked.code
    assert 1 == sum(WRONG in notice for notice in checked.meters["m"]["notices"])
    ran = workspace.run("upload", "config.ini", "--dry-run")
    assert 0 == ran.code
    assert "notice: m: timezone = Etc/UTC is probably wrong" in ran.err
