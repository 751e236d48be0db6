"""The quality of files without problems: gaps, repeats, disorder, falling energy."""

import random
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from swarm.csv import CheckResult, Quality, Window, check_files
from swarm.packet import timestamp
from tests.support.meters import meter_of, written

START = datetime(2023, 1, 1)
CHICAGO = "America/Chicago"


def lines(*numbers: int, minutes: int = 15) -> list[str]:
    """Return rows at multiples of an interval, each with its multiple as the value."""
    return [f"{START + timedelta(minutes=minutes * n)},{n}\n" for n in numbers]


def inspected(*files: Path, window: Window | None = None, **rules: Any) -> CheckResult:
    """Return the result of a check with quality, of a meter without problems."""
    result = check_files(meter_of(*files, **rules), window or Window(), with_quality=True)
    assert result.problems == ()
    return result


def quality(*files: Path, window: Window | None = None, **rules: Any) -> Quality:
    """Return the quality of a meter without problems."""
    found = inspected(*files, window=window, **rules).quality
    assert found is not None
    return found


def gaps(found: Quality) -> list[tuple[str, str, int]]:
    """Return gaps as text, without the milliseconds and the offset."""
    return [
        (timestamp(*gap.before)[:16], timestamp(*gap.after)[:16], gap.missing) for gap in found.gaps
    ]


GAP = [("2023-01-01T00:30", "2023-01-01T01:30", 3)]
HOLED = lines(0, 1, 2, 6, 7, 8, 9, 10)


def test_a_plain_check_does_not_look(tmp_path: Path) -> None:
    """An upload does not pay for results that it does not report."""
    path = written(tmp_path / "m.csv", "".join(HOLED))
    assert check_files(meter_of(path), Window()).quality is None


def test_a_gap_is_between_the_rows_beside_it(tmp_path: Path) -> None:
    """A gap has the last row before, the first row after, and the number of missing rows."""
    found = quality(written(tmp_path / "m.csv", "".join(HOLED)))
    assert (900.0, 1, 3) == (found.interval, found.gap_count, found.missing)
    assert gaps(found) == GAP


def test_disorder_and_repeats_are_no_gaps(tmp_path: Path) -> None:
    """Both are counted, and the gaps are those between rows in order of time."""
    mixed = [*HOLED, HOLED[3], HOLED[3]]
    random.Random(5).shuffle(mixed)
    path = written(tmp_path / "m.csv", "".join(mixed))
    steps_back = sum(later < earlier for earlier, later in pairwise(mixed))
    found = quality(path)
    assert gaps(found) == GAP
    assert (2, steps_back) == (found.duplicates, found.out_of_order)


def test_files_of_a_meter_are_one(tmp_path: Path) -> None:
    """A gap between files counts like any other, in any order of the files."""
    early = written(tmp_path / "1.csv", "".join(HOLED[:3]))
    late = written(tmp_path / "2.csv", "".join(HOLED[3:]))
    assert GAP == gaps(quality(early, late)) == gaps(quality(late, early))


def test_a_clock_change_is_no_gap(tmp_path: Path) -> None:
    """Hourly and daily rows in Chicago have none, in spring and in autumn."""
    for change in (datetime(2023, 3, 12), datetime(2023, 11, 5)):
        start = change - timedelta(days=20)
        days = [f"{start + timedelta(days=n)},{n}\n" for n in range(40)]
        path = written(tmp_path / "days.csv", "".join(days))
        found = quality(path, timezone=CHICAGO)
        assert (86_400.0, 0) == (found.interval, found.gap_count)
    hours = [f"2023-03-12 {hour:02}:00:00,1\n" for hour in (0, 1, 3, 4, 5)]
    found = quality(written(tmp_path / "hours.csv", "".join(hours)), timezone=CHICAGO)
    assert (3600.0, 0) == (found.interval, found.gap_count)


def test_the_interval_can_be_set(tmp_path: Path) -> None:
    """The interval that was set counts, not the commonest step."""
    path = written(tmp_path / "m.csv", "".join(lines(*range(5), minutes=60)))
    found = quality(path, interval=1800.0)
    assert (1800.0, 4, 4) == (found.interval, found.gap_count, found.missing)


def test_the_interval_is_that_of_most_rows(tmp_path: Path) -> None:
    """The interval of most rows counts, even if the first blocks have another."""
    first = lines(*range(5000))
    start = START + timedelta(minutes=15 * 5000)
    then = [f"{start + timedelta(hours=n)},{n}\n" for n in range(9000) if n not in (7000, 7001)]
    found = quality(written(tmp_path / "m.csv", "".join([*first, *then])))
    assert (3600.0, 1, 2) == (found.interval, found.gap_count, found.missing)


def test_gaps_have_the_times_of_the_packets(tmp_path: Path) -> None:
    """The times are shifted, and in UTC, as those of the packets are."""
    path = written(tmp_path / "m.csv", "".join(HOLED))
    found = quality(path, timezone=CHICAGO, shift=900.0, utc=True)
    assert [("2023-01-01T06:45", "2023-01-01T07:45", 3)] == gaps(found)


def test_only_the_chosen_period_is_inspected(tmp_path: Path) -> None:
    """A gap outside of ``--until`` is ignored."""
    path = written(tmp_path / "m.csv", "".join([*HOLED, *lines(20)]))
    until = (START + timedelta(minutes=15 * 15) - datetime(1970, 1, 1)) // timedelta(milliseconds=1)
    assert GAP == gaps(quality(path, window=Window(until=until)))


def test_energy_that_goes_down_is_a_notice(tmp_path: Path) -> None:
    """The notice names the register and the first lines, in order of time."""
    values = [(10, 1), ("", 2), (9, 3), (9, 2), (8, 5), (7, 6), (6, 7)]
    rows = [f"{START + timedelta(minutes=n)},{one},{two}\n" for n, (one, two) in enumerate(values)]
    path = written(tmp_path / "m.csv", "".join(rows))
    first, second = inspected(path, columns=("pC_1", "pC_2")).notices
    ending = ": expected it to grow; was the meter replaced or reset?"
    falls = "is cumulative energy, but goes down at"
    assert f"m: pC_1 {falls} {path}:3, {path}:5, {path}:6 and 1 more{ending}" == first
    assert f"m: pC_2 {falls} {path}:4{ending}" == second


@pytest.mark.parametrize("rules", [{"columns": ("aP_1",)}, {"power_from_energy": 15.0}])
def test_other_registers_may_fall(rules: dict[str, Any], tmp_path: Path) -> None:
    """Power may fall, and so may the energy of one interval."""
    path = written(tmp_path / "m.csv", f"{START},2\n{START + timedelta(minutes=15)},1\n")
    assert () == inspected(path, **rules).notices


def test_energy_out_of_order_in_the_file_does_not_fall(tmp_path: Path) -> None:
    """Values are compared in order of time."""
    path = written(tmp_path / "m.csv", "".join(reversed(lines(*range(9)))))
    assert not any("pC_1" in notice for notice in inspected(path, columns=("pC_1",)).notices)
