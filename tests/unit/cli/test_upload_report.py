"""The report: accounting, exit code, table and JSON."""

import json
from itertools import permutations

import pytest

from swarm.cli.upload_report import as_json, as_table, problem_lines
from swarm.delivery.result import State, StreamProblem, Tally, Verified
from swarm.errors import PRECEDENCE, ExitCode
from swarm.run.report import MeterReport, Report
from swarm.version import VERSION

PARTS = ("filtered", "sent", "resumed", "rejected", "late", "unsent")


def problem(code: int, message: str = "it failed", line: int | None = None) -> StreamProblem:
    """Return a problem with an exit code."""
    return StreamProblem(
        "temporary", message, ExitCode(code), line=line, status=503, file="gas.csv"
    )


def meter(
    name: str = "gas",
    rows: int = 10,
    tally: Tally | None = None,
    *,
    problem: StreamProblem | None = None,
    state: State = "done",
    verified: Verified = "yes",
) -> MeterReport:
    """Return the report of a meter."""
    times = ("2023-01-01T00:00:00.000+00:00", "2023-01-01T02:15:00.000+00:00")
    tally = tally or Tally(sent=rows, first=100.0, last=102.0)
    return MeterReport(name, f"{name}.csv", state, rows, tally, *times, verified, problem)


def report(*meters: MeterReport, signal: int | None = None, notes: tuple[str, ...] = ()) -> Report:
    """Return the report of a run of 2.5 s."""
    return Report(
        "c.ini", "https://c", 1_700_000_000.0, 1_700_000_002.5, 2.5, meters, signal, notes
    )


def test_the_counts_always_add_up() -> None:
    """Rows are the sum of the other counts, for each meter and in total."""
    tally = Tally(sent=3, resumed=2, rejected=1, late=1, filtered=1, retries=4)
    found = report(meter(tally=tally, state="stopped"), meter("b", 7), meter("c", 0, Tally()))
    for counts in (found.totals, *(each.counts for each in found.meters)):
        assert counts["rows"] == sum(counts[part] for part in PARTS)
    assert (2, 4) == (found.meters[0].counts["unsent"], found.totals["retries"])


def test_of_a_file_with_problems_all_rows_are_unsent() -> None:
    """Rows outside the period are not counted as filtered if the file is not sent."""
    counts = meter(tally=Tally(filtered=4), state="invalid").counts
    assert (0, 10) == (counts["filtered"], counts["unsent"])


def test_no_problem_is_exit_code_0() -> None:
    """The exit code is 0 if every row is acknowledged, now or earlier, or there are no rows."""
    assert [0, 0] == [report(meter()).exit_code, report().exit_code]


def test_unsent_rows_without_a_reason_are_no_success() -> None:
    """Exit code 0 means that all rows are acknowledged; an unsent row with no problem is a bug."""
    assert 1 == report(meter(), meter("b", tally=Tally(), state="not started")).exit_code


def test_the_precedence_of_exit_codes() -> None:
    """If several apply: a bug, then signals, 7, 4, 3, 5, 6, in whatever order they came."""
    order = (1, 143, 7, 4, 3, 5, 6)
    for earlier, later in permutations(range(len(order)), 2):
        first, *codes = sorted((order[earlier], order[later]), key=order.index)
        meters = [meter(problem=problem(code)) for code in (*codes, first) if code != 143]
        signal = 15 if 143 in (first, *codes) else None
        assert first == report(*meters, signal=signal).exit_code
    assert set(order) | {130, 2} == set(PRECEDENCE)


@pytest.mark.parametrize("tally", [Tally(sent=1, rejected=1), Tally(sent=1, late=1)])
def test_rows_that_need_a_hand_count_beside_what_stopped_their_meter(tally: Tally) -> None:
    """Rejected and late rows are exit code 3, which precedes the 5 of a stopped meter."""
    stopped = meter(tally=tally, problem=problem(5), state="stopped")
    assert [3, 4] == [
        report(stopped).exit_code,
        report(stopped, meter(problem=problem(4))).exit_code,
    ]


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
def test_a_signal_is_in_the_exit_code(number: int, code: int) -> None:
    """SIGINT is 130 and SIGTERM is 143, also if streams were stopped by the signal."""
    assert code == report(meter(problem=problem(5)), signal=number).exit_code


def test_the_rate_is_from_the_first_packet_to_the_last() -> None:
    """Checking and waiting before the first packet do not count."""
    early = meter(tally=Tally(sent=100, first=1000.0, last=1004.0))
    late = meter("b", tally=Tally(sent=50, first=1002.0, last=1010.0))
    idle = meter("c", tally=Tally(resumed=10))
    assert [15.0, 0.0, 0.0] == [
        report(early, late, idle).packets_per_second,
        report(idle).packets_per_second,
        report(meter(tally=Tally(sent=1, first=5.0, last=5.0))).packets_per_second,
    ]


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
        "10 packets sent in 2.0 s, 5.0 a second; 2.5 s in all",
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
        (Tally(resumed=10), "Nothing new: 10 rows acknowledged before"),
        (Tally(resumed=1, filtered=9), "Nothing new: 1 row acknowledged before"),
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
