"""Clock changes in files -> the zones that they can be of; this computer's own zone."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from swarm.hostzone import host_zone
from swarm.zonefit import COMMON, clock, fitting

ZONES = ("UTC", "Europe/Dublin", "Europe/Berlin", "America/Chicago")


def fits(*times: str, values: str = "") -> list[str]:
    """Return the zones that times fit, which have values of their own unless some are given."""
    moments = [datetime.fromisoformat(time) for time in times]
    return list(fitting(ZONES, [clock(moments, values or range(len(times)))]))


def test_a_repeated_hour() -> None:
    """A time with two values is repeated by the zone's clocks."""
    assert ["Europe/Dublin"] == fits("2023-10-29 01:00", "2023-10-29 01:00")
    assert ["America/Chicago"] == fits("2023-11-05 01:15", "2023-11-05 01:15")


def test_a_skipped_hour() -> None:
    """A time that the zone's clocks skip can't be of the zone."""
    assert ["UTC", "Europe/Berlin", "America/Chicago"] == fits("2023-03-26 01:45")


def test_what_tells_nothing() -> None:
    """Exact repeats, times that stand three times, and files without a clock change."""
    assert [*ZONES] == fits("2023-10-29 01:00", "2023-10-29 01:00", values="xx")
    assert [*ZONES] == fits(*["2023-06-01 01:00"] * 3)
    assert [*ZONES] == fits("2023-06-01 01:00")
    assert [*ZONES] == list(fitting(ZONES, []))


def test_all_files_count() -> None:
    """A zone has to fit every file."""
    clocks = [
        clock([datetime.fromisoformat(text)] * 2, "ab")
        for text in ("2023-10-29 01:00", "2023-10-29 02:00")
    ]
    assert [] == list(fitting(ZONES, clocks))


def test_every_common_zone_has_changed_its_clocks() -> None:
    """A file with each half hour of a year is of none of them: each skips one."""
    first = datetime.fromisoformat("2016-01-01")
    year = [first + n * timedelta(minutes=30) for n in range(366 * 48)]
    assert [] == list(fitting(COMMON, [clock(year, year)]))


@pytest.fixture
def no_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the variable away."""
    monkeypatch.delenv("TZ", raising=False)


@pytest.mark.usefixtures("no_zone")
def test_the_zone_of_this_computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable, the link, the file with the name, in this order; else it is not known."""
    link, name = tmp_path / "localtime", tmp_path / "timezone"
    assert host_zone(link, name) is None
    name.write_text("Europe/Rome\n")
    assert "Europe/Rome" == host_zone(link, name)
    link.symlink_to("../usr/share/zoneinfo/Europe/Dublin")
    assert "Europe/Dublin" == host_zone(link, name)
    for text in (":America/Chicago", "/usr/share/zoneinfo/America/Chicago"):
        monkeypatch.setenv("TZ", text)
        assert "America/Chicago" == host_zone(link, name)
    monkeypatch.setenv("TZ", "nowhere")
    assert "Europe/Dublin" == host_zone(link, name)
