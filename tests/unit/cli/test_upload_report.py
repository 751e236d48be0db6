"""The report as it is printed: table, problems and JSON."""

import json

import pytest

from swarm.cli.upload_report import as_json, as_table, problem_lines
from swarm.delivery.result import StreamProblem, Tally
from swarm.errors import ExitCode
from swarm.run.report import Report
from swarm.version import VERSION
from tests.support.reports import PARTS, meter, problem, report


def test_the_json_is_as_promised() -> None:
    """The JSON report holds what the reference shows, and nothing else."""
    tally = Tally(sent=1, first=1.0, last=2.0)
    stopped = meter("Zähler", 3, tally, problem=problem(5, line=7), state="stopped")
    document = json.loads(as_json(report(meter(), stopped)))
    assert {
        "swarm": VERSION,
        "config": "c.ini",
        "collector": "https://c",
        "started": "2023-11-14T22:13:20.000+00:00",
        "finished": "2023-11-14T22:13:22.500+00:00",
        "seconds": 2.5,
        "exit_code": 5,
        "connections": {"mode": "auto", "most": 2, "why": "one for each stream"},
    } == {key: document[key] for key in document if key not in ("totals", "meters")}
    counts = ("rows", *PARTS, "retries", "possible_duplicates")
    assert {
        **dict(zip(counts, (13, 0, 11, 0, 0, 0, 2, 0, 0), strict=True)),
        "packets_per_second": 0.1,
    } == document["totals"]
    assert {
        "id": "Zähler",
        "file": "Zähler.csv",
        "state": "stopped",
        **dict(zip(counts, (3, 0, 1, 0, 0, 0, 2, 0, 0), strict=True)),
        "first": "2023-01-01T00:00:00.000+00:00",
        "last": "2023-01-01T02:15:00.000+00:00",
        "verified": "yes",
        "problem": {"kind": "temporary", "message": "it failed", "line": 7, "status": 503},
    } == document["meters"][1]
    assert document["meters"][0]["problem"] is None


def test_the_table_of_one_meter() -> None:
    """The table of a run without problems has few columns, and one meter has no total."""
    assert [
        "meter  state  rows  sent  verified",
        "-----  -----  ----  ----  --------",
        "gas    done     10    10  yes",
        "",
        "10 packets sent in 2.0 s, 5.0 per second; 2.5 s in all",
        "1 connection: one for each stream",
    ] == as_table(report(meter())).splitlines()


def test_the_table_of_a_run_with_trouble() -> None:
    """The columns are those that have counts; a meter that is not done is not verified."""
    tally = Tally(sent=1, resumed=1, rejected=1, late=1, retries=1, possible_duplicates=2)
    tally.first, tally.last = 0.0, 0.1
    bad = meter("東京", 2000, tally, problem=problem(3), state="stopped")
    assert [
        "meter  state     rows  sent  resumed  rejected  late  unsent  verified",
        "-----  -------  -----  ----  -------  --------  ----  ------  --------",
        "gas    done        10     0       10         0     0       0  yes",
        "東京   stopped  2,000     1        1         1     1   1,996  -",
        "total           2,010     1       11         1     1   1,996",
        "",
        "1 packet sent; 2.5 s in all",
        "1 retry, 2 possible duplicates",
        "A note",
    ] == as_table(report(meter(tally=Tally(resumed=10)), bad, notes=("A note",))).splitlines()


@pytest.mark.parametrize(
    ("tally", "expected"),
    [
        (Tally(resumed=10), "Nothing new: 10 rows acknowledged in earlier runs"),
        (Tally(resumed=1, filtered=9), "Nothing new: 1 row acknowledged in earlier runs"),
        (Tally(filtered=10), "Nothing to send"),
    ],
)
def test_a_run_with_nothing_to_do_says_so(tally: Tally, expected: str) -> None:
    """Filtered rows are not called acknowledged."""
    assert expected == as_table(report(meter(tally=tally))).splitlines()[-1]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.04, "0.0 s"),
        (59.4, "59.4 s"),
        (59.6, "1 min 00 s"),
        (754, "12 min 34 s"),
        (7500, "2 h 05"),
    ],
)
def test_the_time_of_a_run_is_told_as_people_do(seconds: float, expected: str) -> None:
    """A duration is in seconds, in minutes or in hours, by its length."""
    found = Report("c", "u", 0.0, seconds, seconds, (meter(),))
    assert f"; {expected}" in as_table(found)


def test_a_meter_moves_no_cursor() -> None:
    """Control characters in a stream's ID are escaped."""
    lines = as_table(report(meter("a\x1b[2Jb\tc"))).splitlines()
    assert lines[2].startswith("a\\x1b[2Jb\\tc  done")
    assert problem_lines([meter("a\x07", problem=problem(5))]) == ["a\\x07: it failed"]


def test_problems_are_told_once_for_all_who_have_them() -> None:
    """Each problem has one line; those of files are left out, as the check has shown them."""
    meters = [
        meter("a", problem=problem(5, "down")),
        meter("b", problem=problem(3, "no", line=7)),
        meter("c", problem=problem(5, "down")),
        meter("d", problem=problem(5, "down")),
        meter("e", problem=problem(3), state="invalid"),
        meter("f"),
    ]
    assert ["a, c, d: down", "b: gas.csv:7: no"] == problem_lines(meters)
    more = [meter(f"m{n}", problem=problem(5, "down")) for n in range(5)]
    assert ["m0, m1 and 3 more: down"] == problem_lines(more)


def test_a_line_without_its_file_is_not_shown() -> None:
    """A line number is shown only with its file: the message of late rows has both."""
    late = StreamProblem("late", "2 rows are older: gas.csv:7, gas.csv:9", ExitCode.DATA, line=7)
    assert ["gas: 2 rows are older: gas.csv:7, gas.csv:9"] == problem_lines([meter(problem=late)])
