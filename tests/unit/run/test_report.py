"""The report of a run: accounting, exit code and rate."""

from itertools import permutations

import pytest

from swarm.delivery.result import State, Tally
from swarm.errors import PRECEDENCE
from tests.support.reports import PARTS, meter, problem, report


def test_the_counts_always_add_up() -> None:
    """Rows are the sum of what became of them, for each meter and in total."""
    tally = Tally(sent=3, resumed=2, rejected=1, late=1, filtered=1, retries=4)
    found = report(meter(tally=tally, state="stopped"), meter("b", 7), meter("c", 0, Tally()))
    for counts in (found.totals, *(each.counts for each in found.meters)):
        assert counts["rows"] == sum(counts[part] for part in PARTS)
    assert (2, 4) == (found.meters[0].counts["unsent"], found.totals["retries"])


def test_of_a_file_with_problems_all_rows_are_unsent() -> None:
    """Rows outside the period are not counted apart where a file is not sent at all."""
    counts = meter(tally=Tally(filtered=4), state="invalid").counts
    assert (0, 10) == (counts["filtered"], counts["unsent"])


def test_no_problem_is_exit_code_0() -> None:
    """Every row acknowledged, now or earlier, is 0; so is a run with nothing to do."""
    assert [0, 0] == [report(meter()).exit_code, report().exit_code]


def test_unsent_rows_without_a_reason_are_no_success() -> None:
    """Exit code 0 says that every row was acknowledged; a row that nobody explains is a bug."""
    assert 1 == report(meter(), meter("b", tally=Tally(), state="not started")).exit_code


def test_the_precedence_of_exit_codes() -> None:
    """A bug goes first, then signals, 7, 4, 3, 5 and 6, in whatever order they came."""
    order = (1, 143, 7, 4, 3, 5, 6)
    for earlier, later in permutations(range(len(order)), 2):
        first, *codes = sorted((order[earlier], order[later]), key=order.index)
        meters = [meter(problem=problem(code)) for code in (*codes, first) if code != 143]
        signal = 15 if 143 in (first, *codes) else None
        assert first == report(*meters, signal=signal).exit_code
    assert set(order) | {130, 2} == set(PRECEDENCE)


@pytest.mark.parametrize("tally", [Tally(sent=1, rejected=1), Tally(sent=1, late=1)])
def test_rows_that_need_a_hand_count_beside_what_stopped_their_meter(tally: Tally) -> None:
    """Rejected and late rows are exit code 3, which goes before 5, also where a meter stopped."""
    stopped = meter(tally=tally, problem=problem(5), state="stopped")
    assert [3, 4] == [
        report(stopped).exit_code,
        report(stopped, meter(problem=problem(4))).exit_code,
    ]


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
def test_a_signal_is_in_the_exit_code(number: int, code: int) -> None:
    """SIGINT is 130, SIGTERM is 143, also where streams stopped for it."""
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


@pytest.mark.parametrize(
    ("state", "code"),
    [("done", 0), ("stopped", 1), ("not started", 1), ("invalid", 1), ("locked", 1)],
)
def test_a_meter_without_a_problem_is_done_or_a_bug(state: State, code: int) -> None:
    """Rows that are left are a bug if nothing says why, whatever the state."""
    tally = Tally(sent=10 if state == "done" else 3)
    assert code == report(meter(tally=tally, state=state)).exit_code


def test_a_run_that_a_signal_ended_explains_what_is_unsent() -> None:
    """The signal is the reason; without rows it is the exit code all the same."""
    stopped = meter(tally=Tally(sent=3), state="not started")
    assert [143, 130] == [report(stopped, signal=15).exit_code, report(signal=2).exit_code]


def test_one_code_of_many_meters_is_told() -> None:
    """That of the problem which needs a hand first."""
    meters = [meter(problem=problem(code)) for code in (5, 5, 6, 3, 5)]
    assert [3, 5] == [report(*meters).exit_code, report(*meters[:3]).exit_code]


def test_the_totals_of_a_run() -> None:
    """Every count is summed; a run without meters has none."""
    tally = Tally(sent=3, resumed=2, rejected=1, late=1, filtered=1, retries=4)
    tally.possible_duplicates, tally.first, tally.last = 2, 100.0, 102.0
    other = Tally(sent=7, resumed=1, retries=1, possible_duplicates=1, first=101.0, last=105.0)
    assert {
        "rows": 18,
        "filtered": 1,
        "sent": 10,
        "resumed": 3,
        "rejected": 1,
        "late": 1,
        "unsent": 2,
        "retries": 5,
        "possible_duplicates": 3,
        "packets_per_second": 2.0,
    } == report(meter(tally=tally, state="stopped"), meter("b", 8, other)).totals
    assert {0} == set(report().totals.values())


def test_the_time_of_sending_is_from_the_first_packet_to_the_last() -> None:
    """Of all meters; a packet that was not answered has no end."""
    early, late = Tally(first=1000.0, last=1004.0), Tally(first=1002.0, last=1010.5)
    assert [10.5, 0.0, 0.0] == [
        report(*(meter(tally=each) for each in tallies)).sending_seconds
        for tallies in ((early, late, Tally()), (Tally(),), (Tally(first=1.0),))
    ]
