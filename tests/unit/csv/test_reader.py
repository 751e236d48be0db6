"""A meter's files -> rows in order of time, and the result of their check."""

import gzip
import os
import pickle
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from swarm.config.settings import CsvRules
from swarm.csv import MeterReader, Row, Window, check_files
from swarm.csv import scan as csv_scan
from swarm.csv.file import BLOCK_BYTES, CsvFile
from swarm.csv.gaps import IntervalTracker
from swarm.errors import FileChangedError
from swarm.localtime import wall_of
from tests.support.jobs import Polite
from tests.support.meters import kinds, looked_at, meter_of, sent, told, written
from tests.unit.csv.test_file import peak_of

SAMPLES = Path(__file__).parents[3] / "sample_data"
START = datetime(2023, 1, 1)
DUBLIN = "Europe/Dublin"


def lines(count: int, first: int = 0, minutes: int = 15) -> list[str]:
    """Return rows at a fixed interval; the value is the row's number."""
    return [f"{START + timedelta(minutes=minutes * n)},{n}\n" for n in range(first, first + count)]


def values(rows: list[Row]) -> list[str]:
    """Return the values of rows, as text."""
    return [row.cells for row in rows]


def window(since: str | None = None, until: str | None = None) -> Window:
    """Return a window between two ISO times."""
    return Window(*(wall_of(datetime.fromisoformat(t)) if t else None for t in (since, until)))


# The two real files


@pytest.mark.parametrize("name", ["il-electricity-kwh-hourly", "il-gas-therm-hourly"])
def test_the_real_files_are_sound(name: str) -> None:
    """Two years of hours: no problem, no notice, each hour once."""
    path = SAMPLES / f"{name}.csv"
    assert looked_at(path, timezone="America/Chicago").notices == ()
    rows = sent(path, timezone="America/Chicago")
    assert len(rows) == 19_417
    assert {later.instant - earlier.instant for earlier, later in pairwise(rows)} == {3_600_000}


def test_the_real_files_have_both_offsets_in_november() -> None:
    """The hour from 01:00 occurs twice, with two offsets."""
    rows = sent(SAMPLES / "il-gas-therm-hourly.csv", timezone="America/Chicago")
    times = [time for time, _ in told(rows)]
    for day in ("2016-11-06", "2017-11-05"):
        index = times.index(f"{day}T01:00:00.000-05:00")
        assert times[index + 1] == f"{day}T01:00:00.000-06:00"
    assert "2017-03-12T02:00:00.000-06:00" not in times


def test_a_real_file_is_not_sound_in_another_zone() -> None:
    """The clocks of Dublin skip and repeat other hours."""
    found = looked_at(SAMPLES / "il-gas-therm-hourly.csv", timezone=DUBLIN)
    assert {problem.kind for problem in found.problems} == {"nonexistent time", "conflict"}
    assert all("timezone" in problem.message for problem in found.problems)


# The order of time


def test_rows_out_of_order_are_sorted(tmp_path: Path) -> None:
    """A notice has their number."""
    shuffled = lines(1000)
    random.Random(3).shuffle(shuffled)
    path = written(tmp_path / "m.csv", "".join(shuffled))
    assert values(sent(path)) == [str(n) for n in range(1000)]
    (notice,) = looked_at(path).notices
    assert notice.startswith(f"{path}: ")
    assert notice.endswith(" rows out of order: sorted before sending")


def test_rows_keep_the_line_of_their_file(tmp_path: Path) -> None:
    """The line of a rejected row can be found, also after sorting."""
    path = written(tmp_path / "m.csv", "".join(reversed(lines(3))))
    assert [(row.line, row.text) for row in sent(path)] == [
        (3 - n, line.strip()) for n, line in enumerate(lines(3))
    ]


def test_exact_repeats_are_dropped_with_a_notice(tmp_path: Path) -> None:
    """Also if the value is written in another way, or if the repeat is far down in the file."""
    path = written(
        tmp_path / "m.csv", "".join(lines(3)) + lines(1)[0] + lines(1, 2)[0][:-1] + ".0\n"
    )
    assert values(sent(path)) == ["0", "1", "2"]
    found = looked_at(path)
    assert (found.rows, found.filtered) == (5, 2)
    assert found.notices[1].startswith("m: 2 rows with the same time as another row: one of each")
    assert found.notices[1].endswith(f"the first repeat is {path}:4")


@pytest.mark.parametrize(("choice", "value"), [("first", "1"), ("last", "3")])
def test_one_of_conflicting_rows_can_be_chosen(choice: str, value: str, tmp_path: Path) -> None:
    """First and last are by the order of the file, also with other rows between them."""
    path = written(tmp_path / "m.csv", f"{START},1\n{START},2\n{lines(1, 1)[0]}{START},3\n")
    assert values(sent(path, duplicates=choice)) == [value, "1"]
    assert looked_at(path, duplicates=choice).filtered == 2


def test_conflicting_rows_are_all_reported(tmp_path: Path) -> None:
    """The problem is at the later row; the message names the earlier one."""
    path = written(tmp_path / "m.csv", "".join(lines(3)) + f"{START},7\n{START},8\n")
    found = looked_at(path)
    assert kinds(found) == [(4, 1, "conflict"), (5, 1, "conflict")]
    assert "same time as line 1, but other values" in str(found.problems[0])
    assert (found.rows, found.filtered, found.ends) == (5, 0, ())


def test_conflicts_are_reported_with_the_other_problems(tmp_path: Path) -> None:
    """One check reports all problems of a file, in its order."""
    first, second, third = lines(3)
    text = f"{first}{first[:-2]}x\n{START},7\n{second}{third[:-1]},9\n{second[:-2]}8\n"
    path = written(tmp_path / "m.csv", text)
    assert kinds(looked_at(path)) == [
        (2, 2, "number"),
        (3, 1, "conflict"),
        (5, 3, "cells"),
        (6, 1, "conflict"),
    ]


def test_conflicts_between_files_are_reported_with_the_other_problems(tmp_path: Path) -> None:
    """Also if other problems are in the other file, and more than twenty."""
    bad = [f"{line[:-2]}x\n" for line in lines(30, 5)]
    one = written(tmp_path / "1.csv", "".join(lines(2) + bad))
    two = written(tmp_path / "2.csv", f"{START},7\n")
    found = looked_at(one, two)
    assert [kind for *_, kind in kinds(found)] == ["number"] * 20 + ["conflict"]
    assert found.problem_count == 31


def test_a_row_that_can_not_be_read_is_reported_once(tmp_path: Path) -> None:
    """A local time that fits neither pass is not reported as a conflict, too."""
    hour = "2023-10-29 02:30:00"
    text = f"2023-10-29 01:30:00,0\n{hour},1\n{hour},2\n{hour},3\n2023-10-29 03:30:00,x\n"
    found = looked_at(written(tmp_path / "m.csv", text), timezone="Europe/Rome")
    assert kinds(found) == [(4, 1, "ambiguous time"), (5, 2, "number")]


def test_many_conflicts_are_counted(tmp_path: Path) -> None:
    """Two different exports of one year have a conflict in each row."""
    other = [line.replace(",", ",9") for line in lines(100)]
    found = looked_at(written(tmp_path / "m.csv", "".join(lines(100) + other)))
    assert (len(found.problems), found.problem_count) == (20, 100)


def test_a_row_without_some_values_conflicts_with_a_full_one(tmp_path: Path) -> None:
    """An empty cell does not equal any number."""
    path = written(tmp_path / "m.csv", f"{START},1,\n{START},1,2\n")
    assert kinds(looked_at(path, columns=("aP_1", "aP_2"))) == [(2, 1, "conflict")]


# Several files


def test_files_that_follow_one_another_are_one_stream(tmp_path: Path) -> None:
    """In order of time, in whichever order they are named; there is no notice."""
    second = written(tmp_path / "a.csv", "".join(lines(50, 50)))
    first = written(tmp_path / "b.csv", "".join(lines(50)))
    rows = sent(second, first)
    assert values(rows) == [str(n) for n in range(100)]
    assert [(rows[0].file, rows[0].line), (rows[99].file, rows[99].line)] == [(1, 1), (0, 50)]
    assert looked_at(second, first).notices == ()


def test_files_that_overlap_are_merged(tmp_path: Path) -> None:
    """Row by row; each file may also be out of order."""
    odd = written(tmp_path / "odd.csv", "".join(lines(100)[1::2][::-1]))
    even = written(tmp_path / "even.csv", "".join(lines(100)[::2]))
    assert values(sent(odd, even)) == [str(n) for n in range(100)]


def test_common_rows_of_files_are_sent_once(tmp_path: Path) -> None:
    """Exports of two days often both have the row at midnight."""
    files = [written(tmp_path / f"{day}.csv", "".join(lines(97, day * 96))) for day in range(30)]
    assert values(sent(*files)) == [str(n) for n in range(30 * 96 + 1)]
    assert looked_at(*files).filtered == 29


def test_a_conflict_between_files_names_both(tmp_path: Path) -> None:
    """The problem is in the later file, in the order in which they are named."""
    one = written(tmp_path / "one.csv", "".join(lines(3)))
    two = written(tmp_path / "two.csv", f"{START},7\n")
    found = looked_at(one, two)
    assert str(found.problems[0]).startswith(f"{two}:1:1: same time as {one}:1, but other")
    assert values(sent(one, two, duplicates="last"))[0] == "7"
    assert values(sent(two, one, duplicates="last"))[0] == "0"


def test_files_of_one_meter_have_the_same_columns(tmp_path: Path) -> None:
    """Otherwise it would not be known which column belongs to which register."""
    one = written(tmp_path / "one.csv", "".join(lines(3)))
    two = written(tmp_path / "two.csv", f"2024-01-01 00:00:00,1{',' * 20}\n")
    found = looked_at(one, two)
    assert kinds(found) == [(1, 1, "cells")]
    assert found.problems[0].file == str(two)


def test_a_missing_file_is_a_problem_of_its_meter(tmp_path: Path) -> None:
    """The meter's other files are not sent either."""
    found = looked_at(written(tmp_path / "one.csv", "".join(lines(3))), tmp_path / "two.csv")
    assert (kinds(found), found.is_sound) == ([(1, 1, "file")], False)


def test_gzip_files_are_read_together_with_plain_ones(tmp_path: Path) -> None:
    """Old months are often compressed."""
    old = written(tmp_path / "old.csv.gz", gzip.compress("".join(lines(10)).encode()))
    new = written(tmp_path / "new.csv", "".join(lines(10, 10)))
    assert values(sent(new, old)) == [str(n) for n in range(20)]


# The window


def test_since_and_until_are_local_times(tmp_path: Path) -> None:
    """Since <= time < until, in the meter's local time."""
    path = written(tmp_path / "m.csv", "".join(lines(96)))
    rows = sent(path, window=window("2023-01-01T06:00", "2023-01-01T12:00"), timezone="Asia/Tokyo")
    assert (values(rows)[0], values(rows)[-1]) == ("24", "47")
    found = looked_at(path, window=window("2023-01-01T06:00"), timezone="Asia/Tokyo")
    assert (found.rows, found.filtered) == (96, 24)
    assert looked_at(path, window=window(until="2023-01-01")).ends == ()


def test_repeats_outside_the_window_count_once(tmp_path: Path) -> None:
    """Each row is filtered for one reason only."""
    path = written(tmp_path / "m.csv", "".join(lines(4) * 2))
    found = looked_at(path, window=window("2023-01-01T00:30"))
    assert (found.rows, found.filtered) == (8, 6)
    assert values(sent(path, window=window("2023-01-01T00:30"))) == ["2", "3"]


# Clock changes


def clocks(day: str, *times: str) -> str:
    """Return rows at local times of a day; the value is the row's number."""
    return "".join(f"{day} {time}:00,{n}\n" for n, time in enumerate(times))


OCTOBER = "2023-10-29"


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (("00:30", "01:30", "02:30"), ["00:30+01:00", "01:30+01:00", "02:30+00:00"]),
        (("01:30", "01:30"), ["01:30+01:00", "01:30+00:00"]),
        (
            ("01:00", "01:30", "01:00", "01:30"),
            ["01:00+01:00", "01:30+01:00", "01:00+00:00", "01:30+00:00"],
        ),
        (("01:30", "01:00", "02:00"), ["01:30+01:00", "01:00+00:00", "02:00+00:00"]),
        (
            ("01:00", "01:00", "01:30", "01:30"),
            ["01:00+01:00", "01:00+00:00", "01:30+01:00", "01:30+00:00"],
        ),
        (
            ("01:30", "01:00", "01:30", "01:00"),
            ["01:30+01:00", "01:00+01:00", "01:30+00:00", "01:00+00:00"],
        ),
    ],
)
def test_the_repeated_hour_is_inferred(
    times: tuple[str, ...], expected: list[str], tmp_path: Path
) -> None:
    """A step back or a repeated time begins the second pass."""
    rows = sent(written(tmp_path / "m.csv", clocks(OCTOBER, *times)), timezone=DUBLIN)
    found = [time[11:16] + time[-6:] for time, _ in told(sorted(rows, key=lambda row: row.line))]
    assert found == expected
    assert [row.instant for row in rows] == sorted(row.instant for row in rows)


def test_rows_that_fit_neither_pass_are_reported(tmp_path: Path) -> None:
    """Here, a third pass, and a step back in the second pass."""
    path = written(tmp_path / "m.csv", clocks(OCTOBER, "01:00", "01:30", "01:30", "01:00", "01:30"))
    found = looked_at(path, timezone=DUBLIN)
    assert kinds(found) == [(4, 1, "ambiguous time")]
    path = written(tmp_path / "m.csv", clocks(OCTOBER, "01:30", "01:30", "01:30"))
    assert kinds(looked_at(path, timezone=DUBLIN)) == [(3, 1, "ambiguous time")]


@pytest.mark.parametrize(("rule", "offset"), [("first", "+01:00"), ("second", "+00:00")])
def test_the_pass_of_the_repeated_hour_can_be_set(rule: str, offset: str, tmp_path: Path) -> None:
    """All rows of the hour have the offset of the chosen pass."""
    path = written(tmp_path / "m.csv", clocks(OCTOBER, "01:00", "01:30"))
    rows = sent(path, timezone=DUBLIN, ambiguous_time=rule)
    assert [time[-6:] for time, _ in told(rows)] == [offset] * 2


def test_the_repeated_hour_read_one_way_makes_conflicts(tmp_path: Path) -> None:
    """Two rows of one instant are reported; none is dropped."""
    path = written(tmp_path / "m.csv", clocks(OCTOBER, "01:00", "01:00"))
    assert kinds(looked_at(path, timezone=DUBLIN, ambiguous_time="first")) == [(2, 1, "conflict")]


def test_a_row_keeps_its_reading_when_the_file_grows(tmp_path: Path) -> None:
    """Rows that were there before have the same instants afterwards."""
    times = ("00:45", "01:00", "01:20", "01:40", "01:00", "01:20", "01:40", "02:00")
    whole = sent(written(tmp_path / "m.csv", clocks(OCTOBER, *times)), timezone=DUBLIN)
    for end in range(1, len(times)):
        path = written(tmp_path / "m.csv", clocks(OCTOBER, *times[:end]))
        assert sent(path, timezone=DUBLIN) == whole[:end]


def test_each_file_has_its_own_passes(tmp_path: Path) -> None:
    """The same rows in a second export are not the second pass of the first export's rows."""
    files = [
        written(tmp_path / name, clocks(OCTOBER, "00:00", "01:00", "01:00"))
        for name in ("a.csv", "b.csv")
    ]
    assert values(sent(*files, timezone=DUBLIN)) == ["0", "1", "2"]


def test_files_meet_in_a_repeated_hour_that_only_the_count_can_read(tmp_path: Path) -> None:
    """The period of such a file is known only when the whole file has been read."""
    one = written(tmp_path / "one.csv", clocks(OCTOBER, "00:10", "01:10"))
    two = written(tmp_path / "two.csv", clocks(OCTOBER, "01:30", "01:00", "01:30", "01:00"))
    assert values(sent(one, two, timezone=DUBLIN)) == ["0", "1", "1", "0", "3", "2"]


def test_shuffled_days_without_the_second_pass_are_the_same_days(tmp_path: Path) -> None:
    """If a logger leaves out the second pass, each time of the hour is of the first pass."""
    day = datetime(2023, 10, 28)
    rows = [f"{day + timedelta(minutes=15 * n)},{n}\n" for n in range(300)]
    plain = sent(written(tmp_path / "a.csv", "".join(rows)), timezone=DUBLIN)
    random.Random(11).shuffle(rows)
    mixed = sent(written(tmp_path / "b.csv", "".join(rows)), timezone=DUBLIN)
    assert told(mixed) == told(plain)


def test_half_hour_changes(tmp_path: Path) -> None:
    """Lord Howe Island moves its clocks by 30 minutes."""
    path = written(tmp_path / "m.csv", clocks("2023-04-02", "01:15", "01:45", "01:45", "02:15"))
    rows = told(sent(path, timezone="Australia/Lord_Howe"))
    assert [time[11:16] + time[-6:] for time, _ in rows] == [
        *("01:15+11:00", "01:45+11:00", "01:45+10:30", "02:15+10:30")
    ]
    path = written(tmp_path / "m.csv", clocks("2023-10-01", "02:15"))
    assert kinds(looked_at(path, timezone="Australia/Lord_Howe")) == [(1, 1, "nonexistent time")]


def test_historical_offsets_with_seconds_keep_the_instant(tmp_path: Path) -> None:
    """Packets have offsets in whole minutes: the local time moves by the seconds cut off."""
    path = written(tmp_path / "m.csv", "1950-06-01 12:00:00,1\n")
    (row,) = sent(path, timezone="Africa/Monrovia")
    ((time, _),) = told([row])
    assert time == "1950-06-01T12:00:30.000-00:44"
    assert datetime.fromisoformat(time).timestamp() * 1000 == row.instant


def test_the_ends_of_the_calendar(tmp_path: Path) -> None:
    """Times in the years 1 and 9999 are sent unchanged."""
    path = written(tmp_path / "m.csv", "0001-01-01 00:00:00,1\n9999-12-31 23:59:59,2\n")
    assert [time for time, _ in told(sent(path))] == [
        "0001-01-01T00:00:00.000+00:00",
        "9999-12-31T23:59:59.000+00:00",
    ]


# Shift, UTC, padding and power


def test_route_utc_sends_utc(tmp_path: Path) -> None:
    """The instants are the same, the offset is zero."""
    path = written(tmp_path / "m.csv", "2023-07-01 12:00:00,1\n")
    assert told(sent(path, timezone=DUBLIN, utc=True)) == [("2023-07-01T11:00:00.000+00:00", "1")]
    both: dict[str, Any] = {"timezone": DUBLIN, "utc": True, "shift": 60.0}
    assert told(sent(path, **both))[0][0] == "2023-07-01T11:01:00.000+00:00"


def test_a_shift_moves_the_instant_over_a_clock_change(tmp_path: Path) -> None:
    """The offset is that of the shifted time."""
    path = written(tmp_path / "m.csv", "2023-10-29 00:45:00,1\n2023-10-29 02:45:00,2\n")
    assert [time for time, _ in told(sent(path, timezone=DUBLIN, shift=5400.0))] == [
        "2023-10-29T01:15:00.000+00:00",
        "2023-10-29T04:15:00.000+00:00",
    ]


def test_a_shift_keeps_the_offsets_of_the_csv(tmp_path: Path) -> None:
    """Rows with an offset of their own keep it."""
    path = written(tmp_path / "m.csv", "2023-07-01T12:00:00+0500,1\n")
    rules: dict[str, Any] = {"timezone": DUBLIN, "timestamp_format": "%Y-%m-%dT%H:%M:%S%z"}
    assert told(sent(path, shift=60.0, **rules)) == [("2023-07-01T12:01:00.000+05:00", "1")]


def test_a_padding_packet_is_sent_first(tmp_path: Path) -> None:
    """It has the first time, not shifted, and the second value; it counts as a row."""
    path = written(tmp_path / "m.csv", "".join(lines(3)))
    assert told(sent(path, shift=900.0, pad_first=True)) == [
        ("2023-01-01T00:00:00.000+00:00", "1"),
        ("2023-01-01T00:15:00.000+00:00", "0"),
        ("2023-01-01T00:30:00.000+00:00", "1"),
        ("2023-01-01T00:45:00.000+00:00", "2"),
    ]
    assert looked_at(path, shift=900.0, pad_first=True).rows == 4


def test_the_padding_packet_is_the_same_in_any_order_and_window(tmp_path: Path) -> None:
    """It belongs to the file's first row, and is outside the window if that is outside."""
    rules: dict[str, Any] = {"shift": 900.0, "pad_first": True}
    path = written(tmp_path / "m.csv", "".join(lines(3)))
    mixed = written(tmp_path / "mixed.csv", "".join(lines(3)[::-1]))
    assert told(sent(mixed, **rules)) == told(sent(path, **rules))
    early = window(until="2023-01-01T00:15")
    assert told(sent(path, window=early, **rules)) == told(sent(path, **rules))[:2]
    late = window("2023-01-01T00:15")
    assert told(sent(path, window=late, **rules)) == told(sent(path, **rules))[2:]
    found = looked_at(path, window=late, **rules)
    assert (found.rows, found.filtered) == (4, 2)


def test_one_row_or_no_shift_leaves_nothing_to_pad(tmp_path: Path) -> None:
    """The packet would have no value, or the time of the first row; there is a notice."""
    one, two = (written(tmp_path / f"{n}.csv", "".join(lines(n))) for n in (1, 2))
    assert len(sent(one, shift=900.0, pad_first=True)) == 1
    assert "no second row" in looked_at(one, shift=900.0, pad_first=True).notices[0]
    assert len(sent(two, pad_first=True)) == 2
    assert "without shift" in looked_at(two, pad_first=True).notices[0]


def test_power_comes_from_energy_after_the_shift(tmp_path: Path) -> None:
    """pC_1 = v, aP_1 = v * 60 / minutes; the padding packet has both registers, too."""
    path = written(tmp_path / "m.csv", "".join(lines(2, 1)))
    rules: dict[str, Any] = {"power_from_energy": 15.0, "shift": 900.0, "pad_first": True}
    assert values(sent(path, **rules)) == ["8,2", "4,1", "8,2"]
    assert looked_at(path, **rules).registers == ("aP_1", "pC_1")


# Files that change


def test_a_result_can_be_pickled(tmp_path: Path) -> None:
    """One worker process makes it, and another one uses it."""
    path = written(tmp_path / "m.csv", "".join(lines(10)[::-1]))
    found = looked_at(path)
    assert pickle.loads(pickle.dumps(found)) == found


def _replaced(path: Path) -> None:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


def _altered(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-2, os.SEEK_END)
        file.write(b"X")
    os.utime(path, (1, 1))


@pytest.mark.parametrize("change", [_replaced, _altered, Path.unlink])
@pytest.mark.parametrize("backward", [False, True])
def test_a_file_that_changes_while_it_is_sent_stops_its_meter(
    change: Callable[[Path], None], backward: bool, tmp_path: Path
) -> None:
    """In order or not, `watch` detects it, or else the end of the file."""
    content = lines(5000)[:: -1 if backward else 1]
    path = written(tmp_path / "m.csv", "".join(content))
    meter = meter_of(path)
    reader = MeterReader(meter, check_files(meter, Window()).checked_files, Window())
    rows = reader.rows()
    next(rows)
    reader.watch()
    change(path)
    if backward or change is not _altered:
        with pytest.raises(FileChangedError):
            reader.watch()
    else:
        with pytest.raises(FileChangedError):
            list(rows)


def test_control_is_yielded_with_every_block(tmp_path: Path) -> None:
    """Also while a file is sorted; the sort itself runs in a thread."""
    for step in (1, -1):
        path = written(tmp_path / f"m{step}.csv", "".join(lines(8000)[::step]))
        meter, polite = meter_of(path), Polite()
        reader = MeterReader(meter, check_files(meter, Window()).checked_files, Window(), polite)
        next(reader.rows())
        blocks = path.stat().st_size / BLOCK_BYTES
        assert (1 if step > 0 else blocks) <= polite.breaths <= blocks + 1
        assert polite.asides == (step < 0)


@pytest.mark.parametrize("backward", [False, True])
def test_all_rows_before_a_change_of_a_file_are_in_batches(backward: bool, tmp_path: Path) -> None:
    """Also if they are sorted, and no batch is full."""
    first = written(tmp_path / "a.csv", "".join(lines(700)[:: -1 if backward else 1]))
    second = written(tmp_path / "b.csv", "".join(lines(5, 700)))
    meter = meter_of(first, second)
    reader = MeterReader(meter, check_files(meter, Window()).checked_files, Window())
    _altered(second)
    expected = until_changed(reader.rows())
    assert len(expected) >= 699
    assert expected == until_changed(row for batch in reader.batches() for row in batch.rows())


def until_changed(rows: Iterator[Row]) -> list[Row]:
    """Return the rows that come before the error of a changed file."""
    found: list[Row] = []
    with pytest.raises(FileChangedError):
        found.extend(rows)
    return found


def test_rows_that_are_appended_wait(tmp_path: Path) -> None:
    """A file that only grows has not changed."""
    path = written(tmp_path / "m.csv", "".join(lines(5)))
    meter = meter_of(path)
    reader = MeterReader(meter, check_files(meter, Window()).checked_files, Window())
    with path.open("a") as file:
        file.writelines(lines(5, 5))
    rows = reader.rows()
    first = next(rows)
    reader.watch()
    assert values([first, *rows]) == [str(n) for n in range(5)]
    reader.watch()


def test_a_file_that_changes_during_the_check_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second reading, in order of time, detects another file."""

    def scan(
        file: CsvFile, rules: CsvRules, index: int, pace: IntervalTracker | None, _: object
    ) -> csv_scan.FileScan:
        found = csv_scan.scan_file(file, rules, index, pace)
        _replaced(file.path)
        return found

    monkeypatch.setattr("swarm.csv.check.scan_file", scan)
    found = looked_at(written(tmp_path / "m.csv", "".join(lines(5)[::-1])))
    assert kinds(found) == [(1, 1, "file changed")]


def test_a_held_back_line_does_not_count(tmp_path: Path) -> None:
    """It is left to the next run; there is a notice."""
    path = written(tmp_path / "m.csv", "".join(lines(5))[:-1], age=1)
    assert values(sent(path)) == ["0", "1", "2", "3"]
    found = looked_at(path)
    assert found.rows == 4
    assert "is left for the next run" in found.notices[0]
    alone = looked_at(written(tmp_path / "n.csv", lines(1)[0].strip(), age=1))
    assert (alone.is_sound, alone.rows, alone.ends) == (True, 0, ())


# Memory


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of many blocks."""
    path = tmp_path_factory.mktemp("long") / "m.csv"
    return written(path, "".join(lines(50_000, minutes=5)))


def test_a_long_file_takes_constant_memory(long_file: Path) -> None:
    """All its rows would take 15 MB."""
    assert peak_of(lambda: _all_of(long_file)) < 4_000_000


def test_a_long_file_out_of_order_takes_constant_memory(long_file: Path, tmp_path: Path) -> None:
    """The rows are sorted on disk."""
    shuffled = long_file.read_text().splitlines(keepends=True)
    random.Random(5).shuffle(shuffled)
    path = written(tmp_path / "m.csv", "".join(shuffled[:30_000]))
    del shuffled
    assert peak_of(lambda: _all_of(path)) < 4_000_000


def test_many_files_take_constant_memory(tmp_path: Path) -> None:
    """Only the first and last rows of a checked file are kept in memory."""
    files = [written(tmp_path / f"{n}.csv", "".join(lines(301, 300 * n))) for n in range(50)]
    assert peak_of(lambda: _all_of(*files)) < 2_500_000


def _all_of(*files: Path) -> None:
    meter = meter_of(*files)
    found = check_files(meter, Window())
    assert found.is_sound
    assert (
        sum(1 for _ in MeterReader(meter, found.checked_files, Window()).rows()) >= found.rows * 0.9
    )
