"""The hour that a clock change repeats, sent by the command: each row once, at its own instant."""

from collections.abc import Iterable

import pytest

from tests.support.collector import Collector
from tests.support.workspace import Finished, Workspace

DAY = "2023-10-29"


def lines(first: str, last: str, day: str = DAY, minutes: int = 15) -> list[str]:
    """Return the rows between two times, both included; the local time is the value.

    A time is ``01:15`` before the clocks go back at two, and ``01:15'`` or ``02:00`` after it.
    """
    return [
        f"{day} {clock % 1440 // 60:02}:{clock % 60:02}:00,{_value(clock, is_after=after)}"
        for clock, after in _clocks(_minutes_of(first), _minutes_of(last), minutes)
    ]


def _minutes_of(time: str) -> int:
    """Return the minutes since midnight, as counted by a clock that is not put back."""
    hour, minute = time.rstrip("'").split(":")
    return int(hour) * 60 + int(minute) + 60 * (time.endswith("'") or hour >= "02")


def _clocks(first: int, last: int, minutes: int) -> Iterable[tuple[int, bool]]:
    return ((p - 60 * (p >= 120), p >= 120) for p in range(first, last + 1, minutes))


def _value(clock: int, *, is_after: bool) -> str:
    return f"{clock // 60 + (clock // 60 == 1 and is_after)}.{clock % 60:02}{int(is_after)}"


def expected(first: str, last: str, minutes: int = 15) -> list[tuple[str, float]]:
    """Return what the collector must hold for such rows: time with offset, and value."""
    return [
        (
            f"{clock // 60:02}:{clock % 60:02}{'+00:00' if after else '+01:00'}",
            float(_value(clock, is_after=after)),
        )
        for clock, after in _clocks(_minutes_of(first), _minutes_of(last), minutes)
    ]


def held(collector: Collector) -> list[tuple[str, float]]:
    """Return what the collector holds, in order of arrival."""
    return [
        (each["tsISO8601"][11:16] + each["tsISO8601"][23:], each["value"])
        for each in collector.packets("m")
    ]


class Meter:
    """A meter in Dublin, its files, and runs that send them."""

    def __init__(self, workspace: Workspace, collector: Collector) -> None:
        self._workspace = workspace
        self._url = collector.url

    def send(
        self, *files: Iterable[str], options: str = "", late: str = "report", known: int = 0
    ) -> Finished:
        """Send some files; all rows but ``known`` of them must be new."""
        for old in self._workspace.folder.glob("h*.csv"):
            old.unlink()
        for number, rows in enumerate(files):
            self._workspace.csv(f"h{number}.csv", rows)
        rest = f"[meter:m]\n{options}\n" if options else ""
        swarm = {"timezone": "Europe/Dublin"}
        config = self._workspace.ini(self._url, {"m": "h*.csv"}, swarm=swarm, rest=rest)
        done = self._workspace.run(config, "--json", "--late", late).balanced()
        counts = done.meters["m"]
        if done.code == 0:
            assert (known, 0) == (counts["resumed"], counts["late"]), done.out
        return done


@pytest.fixture
def meter(workspace: Workspace, collector: Collector) -> Meter:
    """Return a meter without rows."""
    return Meter(workspace, collector)


def test_a_newest_first_export_that_grows(meter: Meter, collector: Collector) -> None:
    """Rows of the first pass are resumed; those of the second are sent."""
    assert meter.send(lines("00:00", "01:45")[::-1]).code == 0
    assert expected("00:00", "01:45") == held(collector)
    assert meter.send(lines("00:00", "02:45")[::-1], known=8).code == 0
    assert expected("00:00", "02:45") == held(collector)
    assert meter.send(lines("00:00", "02:45")[::-1], known=16).code == 0


@pytest.mark.parametrize("first", ["00:00", "01:00", "00:45"])
def test_a_newest_first_export_on_its_first_run(
    meter: Meter, collector: Collector, first: str
) -> None:
    """In a file whose rows run backwards, the last row is sent first."""
    assert meter.send(lines(first, "03:00")[::-1]).code == 0
    assert expected(first, "03:00") == held(collector)


def test_a_newest_first_export_that_ends_in_the_hour(meter: Meter, collector: Collector) -> None:
    """A step back, as between any two rows of such a file, does not start a second pass."""
    rows = [f"{DAY} 02:00:00,3", f"{DAY} 01:15:00,2", f"{DAY} 01:00:00,1"]
    assert meter.send(rows).code == 0
    assert [("01:00+01:00", 1), ("01:15+01:00", 2), ("02:00+00:00", 3)] == held(collector)


@pytest.mark.parametrize("late", ["report", "send"])
@pytest.mark.parametrize("way", [1, -1])
def test_an_export_that_has_rolled_into_the_second_pass(
    meter: Meter, collector: Collector, late: str, way: int
) -> None:
    """Its rows are recognized as sent, even if late rows would be sent."""
    meter.send(lines("00:00", "02:15"))
    rolled = lines("01:15'", "02:30")
    assert meter.send(rolled[::way], late=late, known=5).code == 0
    assert expected("00:00", "02:30") == held(collector)


def test_an_export_that_rolls_with_every_quarter(meter: Meter, collector: Collector) -> None:
    """A cron job that runs every quarter of an hour sees every state of the repeated hour."""
    whole = lines("00:00", "03:00")
    for end in range(4, len(whole) + 1):
        rows = whole[end - 4 : end]
        assert meter.send(rows, known=0 if end == 4 else 3).code == 0
    assert expected("00:00", "03:00") == held(collector)


def test_a_file_an_hour(meter: Meter, collector: Collector) -> None:
    """Loggers that rotate their files put the second pass into a file of its own."""
    ends = ("00:00", "00:45"), ("01:00", "01:45"), ("01:00'", "01:45'"), ("02:00", "02:45")
    hours = [lines(*each) for each in ends]
    assert meter.send(*hours[1:3]).code == 0
    assert expected("01:00", "01:45'") == held(collector)
    assert meter.send(*hours[1:], known=8).code == 0
    assert expected("01:00", "02:45") == held(collector)


def test_a_file_an_hour_as_they_come(meter: Meter, collector: Collector) -> None:
    """Each run has the two newest files."""
    ends = ("00:00", "00:45"), ("01:00", "01:45"), ("01:00'", "01:45'"), ("02:00", "02:45")
    hours = [lines(*each) for each in ends]
    meter.send(hours[0])
    for number in range(1, len(hours)):
        assert meter.send(*hours[number - 1 : number + 1], known=4).code == 0
    assert expected("00:00", "02:45") == held(collector)


@pytest.mark.parametrize("duplicates", ["error", "first", "last"])
def test_overlapping_exports(meter: Meter, collector: Collector, duplicates: str) -> None:
    """The second export begins in the second pass; none of its rows is read as of the first."""
    exports = lines("00:00", "01:45"), lines("01:15'", "02:30")
    done = meter.send(*exports, options=f"duplicates = {duplicates}")
    assert (0, 0) == (done.code, done.meters["m"]["filtered"])
    rows = [*expected("00:00", "01:45"), *expected("01:15'", "02:30")]
    assert rows == held(collector)
    whole = lines("00:00", "02:15"), lines("01:15'", "02:30")
    done = meter.send(*whole, options=f"duplicates = {duplicates}", late="send", known=14)
    assert (0, 5) == (done.code, done.meters["m"]["filtered"])
    assert [*rows, *expected("01:00'", "01:00'")] == held(collector)


def test_a_row_of_neither_pass_is_refused(meter: Meter, collector: Collector) -> None:
    """A third value for one time is a problem, whatever the option ``duplicates`` says."""
    stray = [f"{DAY} 01:15:00,9"]
    done = meter.send(lines("00:00", "02:00"), stray, options="duplicates = last")
    assert (3, "invalid") == (done.code, done.meters["m"]["state"])
    (problem,) = [line for line in done.err.splitlines() if "h1.csv:1:1: " in line]
    assert "h0.csv:6 and " in problem
    assert problem.endswith("remove the wrong row, or set ambiguous_time = first or second")
    assert [] == held(collector)


def test_a_corrected_value_in_the_hour(meter: Meter, collector: Collector) -> None:
    """The message names ambiguous_time before duplicates; set, the latter chooses the value."""
    rows = lines("00:00", "02:00")
    corrected = [row.replace(",1.150", ",9") for row in rows]
    done = meter.send(rows, corrected)
    assert (3, "conflict") == (done.code, done.meters["m"]["problem"]["kind"])
    assert 0 < done.err.find("ambiguous_time = first or second") < done.err.find("duplicates = ")
    assert meter.send(rows, corrected, options="duplicates = last").code == 0
    wanted = [(time, 9.0 if value == 1.15 else value) for time, value in expected("00:00", "02:00")]
    assert wanted == held(collector)


@pytest.mark.parametrize("rule", ["first", "second"])
def test_two_values_of_a_time_that_is_read_one_way(meter: Meter, rule: str) -> None:
    """Two values may be the two passes: neither is left out, and ``infer`` is suggested."""
    options = f"ambiguous_time = {rule}\nduplicates = last"
    done = meter.send(lines("01:00", "01:45'"), options=options)
    assert 3 == done.code
    assert 4 == done.err.count("set ambiguous_time = infer")


def test_status_reads_the_hour_as_an_upload_does(
    workspace: Workspace, meter: Meter, collector: Collector
) -> None:
    """The status counts acknowledged rows of the hour neither as waiting nor as late."""
    meter.send(lines("00:00", "02:15"))
    meter.send(lines("01:15'", "02:15"), known=5)
    done = workspace.run("status", workspace.folder / "config.ini", "--json")
    (found,) = done.report["meters"]
    assert (5, 5, 0) == (found["rows"], found["acknowledged"], found["waiting"])
    assert len(held(collector)) == 14
