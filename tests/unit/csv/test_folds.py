"""The fold of each row in a repeated hour: the decision alone, on plain data."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.csv.folds.decide import Misfit, decide
from swarm.csv.folds.direction import Part, Steps
from swarm.csv.folds.evidence import Sent
from swarm.csv.folds.occurrences import NO_VALUES, Hour, Recorder, Replay, Run

MINUTE = 60_000
#: 01:00 to 02:00 of some day, as Dublin's clocks repeat it.
HOUR = Hour(60 * MINUTE, (60 * MINUTE, 0))

#: A row: its wall time, and a number for its values; None is a row without values.
Line = tuple[str, int | None]


def wall(clock: str) -> int:
    """Return the wall time of ``01:15``."""
    hours, minutes = clock.split(":")
    return (int(hours) * 60 + int(minutes)) * MINUTE


def part(*lines: str | Line, apart: bool = False) -> Part:
    """Return a file of rows, as the check records it; rows without a given value all differ.

    With ``apart``, each row is followed by one from another day.
    """
    recorder = Recorder()
    walls = []
    for number, line in enumerate(lines, 1):
        clock, value = (line, 1000 + number) if isinstance(line, str) else line
        walls.append(wall(clock))
        if HOUR.start <= walls[-1] < HOUR.end:
            recorder.fold(number, walls[-1], HOUR)
            if value is not None:
                recorder.note_digest(value + 1)
        else:
            recorder.note_outside(walls[-1], walls[-1])
        if apart:
            recorder.note_outside(HOUR.end + wall("20:00"), HOUR.end + wall("20:00"))
    rest = [each for each in walls if not HOUR.start <= each < HOUR.end]
    steps = Steps() if apart else _steps(rest)
    return Part(recorder.runs, recorder.first, recorder.last, steps)


def _steps(walls: Sequence[int]) -> Steps:
    """Count the steps between rows on the same side of the hour."""
    pairs = [
        (one, other) for one, other in pairwise(walls) if (one < HOUR.start) == (other < HOUR.start)
    ]
    return Steps(sum(one < other for one, other in pairs), sum(one > other for one, other in pairs))


def sent(
    first: Mapping[str, int] | None = None,
    second: Mapping[str, int] | None = None,
    **more: bool,
) -> Sent:
    """Return the rows that the ledger has: values by wall time, for each of the two folds."""
    known = tuple({wall(c): {v + 1} for c, v in (each or {}).items()} for each in (first, second))
    return Sent((known[0], known[1]), is_second=bool(second), **more)


def read(*parts: Part, sent: Sent | None = None) -> list[list[int]]:
    """Return the folds of files without misfits."""
    found = decide(HOUR, parts, sent)
    assert found.misfits == ()
    return [list(each) for each in found.folds]


def passes(*clocks: str, apart: bool = False) -> tuple[list[int], list[int]]:
    """Return the fold of each row of one file, and the lines of the misfits."""
    found = decide(HOUR, [part(*clocks, apart=apart)])
    return list(found.folds[0]), [misfit.line for misfit in found.misfits]


# One file


def test_a_lone_time_is_the_first() -> None:
    """A single row in the hour is of the first pass."""
    assert passes("01:00") == ([0], [])


def test_repeating_a_time_begins_the_second_pass() -> None:
    """An hourly meter has one time twice."""
    assert passes("01:00", "01:00") == ([0, 1], [])


def test_going_back_begins_the_second_pass() -> None:
    """Two passes are each in order of time, even if rows are missing in both."""
    assert passes("01:00", "01:30", "01:00", "01:30") == ([0, 0, 1, 1], [])
    assert passes("01:15", "01:45", "01:00", "01:30") == ([0, 0, 1, 1], [])
    assert passes("01:30", "01:00") == ([0, 1], [])


def test_if_each_time_occurs_twice_the_first_is_first() -> None:
    """In exports that are sorted by local time, or not at all, the passes alternate."""
    assert passes("01:00", "01:00", "01:30", "01:30") == ([0, 1, 0, 1], [])
    assert passes("01:30", "01:00", "01:30", "01:00") == ([0, 0, 1, 1], [])
    assert passes("01:30", "01:00", "01:00", "01:30", apart=True) == ([0, 0, 1, 1], [])


def test_times_out_of_order_that_occur_once_are_the_first() -> None:
    """A step back to a row that does not directly follow only shows that the file is unsorted."""
    assert passes("01:45", "01:15", "01:30", "01:00", apart=True) == ([0, 0, 0, 0], [])
    assert passes("01:30", "01:00", "01:30", apart=True) == ([0, 0, 1], [])
    assert passes("01:45", "01:30", "01:15", "01:00") == ([0, 0, 0, 0], [])


def test_times_that_fit_neither_pass_are_misfits() -> None:
    """There is no third pass, and no step back in the second."""
    assert passes("01:00", "01:00", "01:00")[1] == [3]
    assert passes("01:00", "01:30", "01:00", "01:30", "01:15", "01:45")[1] == [5]


def test_a_growing_file_does_not_change_folds() -> None:
    """The fold of a row depends only on the rows before it."""
    clocks = ("01:00", "01:20", "01:40", "01:00", "01:20", "01:40")
    whole = passes(*clocks)[0]
    for end in range(len(clocks)):
        assert passes(*clocks[:end])[0] == whole[:end]


def test_rows_without_values_count() -> None:
    """They show the order of time, though they are not sent."""
    assert read(part("00:45", ("01:00", None), ("01:00", None), "01:30")) == [[0, 1, 1]]


# Backwards


BACK = ("02:15", "02:00", "01:30", "01:00", "01:30", "01:00", "00:45", "00:30")


def test_in_a_file_that_runs_backwards_the_last_is_first() -> None:
    """The rows are newest first: a whole file, files cut in either pass, and hourly rows."""
    assert read(part(*BACK)) == [[1, 1, 0, 0]]
    assert read(part(*BACK[3:])) == [[1, 0, 0]]
    assert read(part(*BACK[:6])) == [[1, 1, 0, 0]]
    assert read(part("02:00", "01:15", "01:00")) == [[0, 0]]
    assert read(part("02:00", "01:00", "01:00", "00:00")) == [[1, 0]]


def test_counted_twice_backwards_the_last_is_first() -> None:
    """Newest first, sorted by local time: of two equal times, the later row is the first."""
    clocks = ("02:30", "02:15", "02:00", "01:30", "01:30", "01:00", "01:00", "00:30", "00:15")
    assert read(part(*clocks)) == [[1, 0, 1, 0]]


def test_rows_of_the_hour_alone_run_backwards_if_they_do_so_clearly() -> None:
    """A single step back would be the beginning of the second pass."""
    assert read(part("01:00", "01:45", "01:30", "01:15", "01:00")) == [[1, 0, 0, 0, 0]]


def test_other_files_show_the_direction_of_rows() -> None:
    """A file with two rows of the hour, and no others, does not show it."""
    first, second = part(("01:30", 2), ("01:00", 1)), part(("01:30", 4), ("01:00", 3))
    assert read(part("00:30", "00:00"), first, second) == [[], [0, 0], [1, 1]]


def test_files_newest_first_are_reversed() -> None:
    """There is a file for each hour, and the newest comes first."""
    first, second = part(("01:00", 1), ("01:30", 2)), part(("01:00", 3), ("01:30", 4))
    files = [part("02:00", "02:30"), second, first, part("00:00", "00:30")]
    assert read(*files) == [[], [1, 1], [0, 0], []]


# Several files


def test_a_file_an_hour() -> None:
    """If a logger rotates its files hourly, the second pass has a file of its own."""
    first, second = part("01:00", "01:30"), part(("01:00", 1), ("01:30", 2))
    assert read(part("00:30"), first, second) == [[], [0, 0], [1, 1]]
    assert read(first, second) == [[0, 0], [1, 1]]
    assert read(part("00:30"), first, second, part("02:00")) == [[], [0, 0], [1, 1], []]


def test_a_file_an_hour_of_a_meter_with_one_value_all_night() -> None:
    """If values prove nothing, the rows next to the hour do; until then, rows are repeats."""
    hour = part(("01:00", 0), ("01:30", 0))
    assert read(part("00:30"), hour, hour, part("02:00")) == [[], [0, 0], [1, 1], []]
    assert read(part("00:30"), hour, hour) == [[], [0, 0], [0, 0]]


def test_parts_that_end_anywhere() -> None:
    """Each file of a split export continues the previous one."""
    files = [
        *(part(("00:30", 0), ("01:00", 0)), part(("01:15", 0)), part(("01:30", 0), ("01:00", 0))),
        *(part(("01:15", 0)), part(("01:30", 0), ("02:00", 0))),
    ]
    assert read(*files) == [[0], [0], [0, 1], [1], [1]]


def test_an_overlapping_export_that_begins_in_the_second_pass() -> None:
    """Its rows have the values of the second pass, or take the pass that is free."""
    whole = part("00:45", ("01:00", 1), ("01:30", 2), ("01:00", 3), ("01:30", 4), "02:00")
    half = part("00:45", ("01:00", 1), ("01:30", 2))
    later = part(("01:00", 3), ("01:30", 4), "02:00")
    assert read(whole, later) == [[0, 0, 1, 1], [1, 1]]
    assert read(later, whole) == [[1, 1], [0, 0, 1, 1]]
    assert read(half, later) == [[0, 0], [1, 1]]


def test_an_overlapping_export_of_data_with_one_pass() -> None:
    """Two equal values are no coincidence: both files have the first pass."""
    half = part("00:45", ("01:00", 1), ("01:15", 2), ("01:30", 3))
    later = part(("01:15", 2), ("01:30", 3), "02:00")
    assert read(half, later) == [[0, 0, 0], [0, 0]]


def test_a_corrected_value_is_of_the_pass_of_its_neighbours() -> None:
    """Evidence puts both values into one pass: the option ``duplicates`` may choose."""
    one = part("00:45", ("01:00", 1), ("01:15", 2), ("01:30", 3), ("01:45", 4), "02:00")
    other = part("00:45", ("01:00", 1), ("01:15", 2), ("01:30", 9), ("01:45", 4), "02:00")
    assert read(one, other) == [[0, 0, 0, 0], [0, 0, 0, 0]]


def test_a_stray_row_takes_the_free_pass() -> None:
    """The second pass has another value, so the row is of the first."""
    both = part("00:45", ("01:15", 1), ("01:00", 2), ("01:15", 3), "02:00")
    assert read(both, part(("01:00", 9))) == [[0, 1, 1], [0]]


def test_a_third_value_is_a_misfit() -> None:
    """Both passes have other values, so no pass is left for the row."""
    both = part("00:45", ("01:00", 1), ("01:00", 2), "02:00")
    found = decide(HOUR, [both, part(("01:00", 9))])
    assert found.misfits == (Misfit(1, 1, ((0, 2), (0, 3))),)


# The ledger


def test_rows_that_were_sent_keep_their_fold() -> None:
    """An export that now begins in the second pass keeps the folds, in either order of its rows."""
    known = sent({"01:00": 1, "01:30": 2}, {"01:00": 3, "01:30": 4})
    rolled = [("01:30", 4), ("02:00", 5)]
    assert read(part(*rolled), sent=known) == [[1]]
    assert read(part(*reversed(rolled)), sent=known) == [[1]]
    assert read(part(("01:00", 1), ("01:30", 2)), sent=known) == [[0, 0]]


def test_rows_of_the_second_pass_are_new_if_the_first_was_sent() -> None:
    """Values other than those sent for the first pass are of the second.

    Without a row from after the hour, they may as well be corrected values of the first pass.
    """
    known = sent({"01:00": 1, "01:15": 2, "01:30": 3})
    assert read(part(("01:15", 7), ("01:30", 8), "02:00"), sent=known) == [[1, 1]]
    assert decide(HOUR, [part(("01:15", 7), ("01:30", 8))], known).misfits
    assert read(part(("01:15", 2), ("01:30", 8), ("01:45", 9), "02:00"), sent=known) == [[1, 1, 1]]


def test_the_same_value_again_is_the_second_pass_before_a_row_from_after_the_hour() -> None:
    """Nothing was sent after the hour, and the files now begin later than what was sent."""
    same = part(("01:00", 0), ("01:30", 0), "02:00")
    first = {"01:00": 0, "01:30": 0}
    assert read(same, sent=sent(first)) == [[1, 1]]
    assert read(same, sent=sent(first, is_over=True)) == [[0, 0]]
    assert read(same, sent=sent(first, has_grown=True)) == [[0, 0]]
    assert read(part("00:45", ("01:00", 0), ("01:30", 0), "02:00"), sent=sent(first)) == [[0, 0]]
    assert read(part(("01:00", 0), ("01:30", 0)), sent=sent(first)) == [[0, 0]]


def test_rows_that_were_sent_with_another_fold_keep_it() -> None:
    """The order of rows does not change a row that was sent; its twin takes the other pass."""
    times = ("01:00", "01:00", "01:15", "01:15", "01:30", "01:30")
    lines = [(time, number) for number, time in enumerate(times)]
    known = sent({"01:00": 0}, {"01:00": 1, "01:15": 2}, has_grown=True)
    assert read(part(*lines), sent=known) == [[0, 1, 1, 0, 0, 1]]


def test_sent_rows_show_the_direction_of_rows() -> None:
    """A file with rows of the hour only is newest first."""
    lines = [("01:15", 6), ("01:00", 5), ("01:45", 4), ("01:30", 3)]
    known = sent({"01:30": 3}, {"01:00": 5})
    assert read(part(*lines), sent=known) == [[1, 1, 0, 0]]


# Recording, and replay


def test_a_run_has_the_rows_next_to_the_hour() -> None:
    """Consecutive rows of the hour are one run."""
    (run,) = part("00:45", "01:00", "01:00", "02:00").runs
    assert (run.before, run.after) == (wall("00:45"), wall("02:00"))
    assert (list(run.walls), list(run.lines)) == ([wall("01:00")] * 2, [2, 3])
    assert len(part("01:00", "01:30", apart=True).runs) == 2


def test_two_hours_are_recorded_apart() -> None:
    """The hour of one year does not affect that of the next."""
    later = Hour(HOUR.start + 10**9, HOUR.offsets)
    recorder = Recorder()
    assert [recorder.fold(1, HOUR.start, HOUR), recorder.fold(2, HOUR.start, HOUR)] == [0, 1]
    assert recorder.fold(3, later.start, later) == 0
    first, second = recorder.runs
    assert (first.after, second.before, second.after) == (later.start, HOUR.start, None)
    replay = Replay({HOUR.start: b"\1\0", later.start: b"\1"})
    hours = (HOUR, later, HOUR)
    assert [replay.fold(1, each.start, each) for each in hours] == [1, 1, 0]


def test_steps_back_depend_on_the_folds() -> None:
    """Rows are in order as two passes, but not as one."""
    run = Run(HOUR, wall("00:30"), wall("02:00"))
    for clock in ("01:00", "01:30", "01:00"):
        run.walls.append(wall(clock))
    assert (run.steps_back(b"\0\0\1"), run.steps_back(b"\0\0\0"), run.steps) == (0, 1, 4)
    assert (run.steps_back(b"\1\1\0"), run.steps_back(b"\1\0\1")) == (1, 1)


clocks = st.integers(0, 11).map(lambda n: f"{n // 4:02}:{n % 4 * 15:02}")
lines = st.tuples(clocks, st.one_of(st.none(), st.integers(0, 2), st.integers(0, 10**6)))
parts = st.lists(lines, min_size=1, max_size=9).map(lambda found: part(*found))
records = st.dictionaries(clocks.filter(lambda clock: clock[1] == "1"), st.integers(0, 2))


@given(st.lists(parts, max_size=6), records, records, st.booleans(), st.booleans())
def test_every_row_has_a_fold_or_is_a_misfit(
    files: list[Part], first: dict[str, int], second: dict[str, int], is_over: bool, grown: bool
) -> None:
    """Each row of the hour has one fold, for any files, and the decision is repeatable."""
    known = sent(first, second, is_over=is_over, has_grown=grown)
    found = decide(HOUR, files, known)
    assert [len(each) for each in found.folds] == [
        sum(len(run.walls) for run in file.runs) for file in files
    ]
    lines = {(n, line) for n, file in enumerate(files) for run in file.runs for line in run.lines}
    for misfit in found.misfits:
        assert {(misfit.file, misfit.line), *misfit.others} <= lines
    assert decide(HOUR, files, known) == found


@given(parts)
def test_the_same_file_again_changes_nothing(file: Part) -> None:
    """Once the rows were sent, the same file gives the same folds."""
    found = decide(HOUR, [file])
    if found.misfits:
        return
    known: tuple[dict[int, set[int]], dict[int, set[int]]] = ({}, {})
    rows = [
        (time, digest)
        for run in file.runs
        for time, digest in zip(run.walls, run.digests, strict=True)
    ]
    for (time, digest), fold in zip(rows, found.folds[0], strict=True):
        if digest != NO_VALUES:
            known[fold].setdefault(time, set()).add(digest)
    again = decide(HOUR, [file], Sent(known, has_grown=True))
    for (time, digest), fold in zip(rows, again.folds[0], strict=True):
        assert digest == NO_VALUES or digest in known[fold][time]


@pytest.mark.parametrize("count", [500])
def test_many_files_are_decided_quickly(count: int) -> None:
    """There may be many files of one row each, from a logger that rotates with every row."""
    clocks = [f"{hour:02}:{minute:02}" for hour in (0, 1, 1, 2) for minute in range(60)]
    files = [part((clock, 0)) for clock in clocks] + [part("03:00")] * (count - len(clocks))
    assert [each for found in read(*files) for each in found] == [0] * 60 + [1] * 60
