"""Of which pass of a repeated hour a row is: the decision by itself, on plain data."""

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

#: A row: the time on the clock, and the values that stand for it; None is a row without values.
Line = tuple[str, int | None]


def wall(clock: str) -> int:
    """Return the wall time of ``01:15``."""
    hours, minutes = clock.split(":")
    return (int(hours) * 60 + int(minutes)) * MINUTE


def part(*lines: str | Line, apart: bool = False) -> Part:
    """Return a file of rows, as a check notes it; values are unlike where none are given.

    With ``apart`` a row from another day stands between two rows each.
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
    """Return what the ledger holds: values by the time on the clock."""
    known = tuple({wall(c): {v + 1} for c, v in (each or {}).items()} for each in (first, second))
    return Sent((known[0], known[1]), is_second=bool(second), **more)


def read(*parts: Part, sent: Sent | None = None) -> list[list[int]]:
    """Return the readings of files in which every row fits."""
    found = decide(HOUR, parts, sent)
    assert found.misfits == ()
    return [list(each) for each in found.folds]


def passes(*clocks: str, apart: bool = False) -> tuple[list[int], list[int]]:
    """Return the reading of each row of one file, and the lines of those that fit neither pass."""
    found = decide(HOUR, [part(*clocks, apart=apart)])
    return list(found.folds[0]), [misfit.line for misfit in found.misfits]


# One file


def test_a_lone_time_is_the_first() -> None:
    """One occurrence in the hour is of the first pass."""
    assert passes("01:00") == ([0], [])


def test_repeating_a_time_begins_the_second_pass() -> None:
    """An hourly meter has the time twice."""
    assert passes("01:00", "01:00") == ([0, 1], [])


def test_going_back_begins_the_second_pass() -> None:
    """Two passes in order of time, also where each lacks rows."""
    assert passes("01:00", "01:30", "01:00", "01:30") == ([0, 0, 1, 1], [])
    assert passes("01:15", "01:45", "01:00", "01:30") == ([0, 0, 1, 1], [])
    assert passes("01:30", "01:00") == ([0, 1], [])


def test_where_each_time_occurs_twice_the_first_is_first() -> None:
    """Exports that are sorted by local time, or not at all, alternate between the passes."""
    assert passes("01:00", "01:00", "01:30", "01:30") == ([0, 1, 0, 1], [])
    assert passes("01:30", "01:00", "01:30", "01:00") == ([0, 0, 1, 1], [])
    assert passes("01:30", "01:00", "01:00", "01:30", apart=True) == ([0, 0, 1, 1], [])


def test_times_out_of_order_that_occur_once_are_the_first() -> None:
    """A row from elsewhere in the file does not go back: the file is not in order."""
    assert passes("01:45", "01:15", "01:30", "01:00", apart=True) == ([0, 0, 0, 0], [])
    assert passes("01:30", "01:00", "01:30", apart=True) == ([0, 0, 1], [])
    assert passes("01:45", "01:30", "01:15", "01:00") == ([0, 0, 0, 0], [])


def test_times_that_fit_neither_pass_are_told() -> None:
    """A third pass, or a step back in the second, can't be read."""
    assert passes("01:00", "01:00", "01:00")[1] == [3]
    assert passes("01:00", "01:30", "01:00", "01:30", "01:15", "01:45")[1] == [5]


def test_a_growing_file_does_not_change_what_was_read() -> None:
    """What a row means depends on the rows before it."""
    clocks = ("01:00", "01:20", "01:40", "01:00", "01:20", "01:40")
    whole = passes(*clocks)[0]
    for end in range(len(clocks)):
        assert passes(*clocks[:end])[0] == whole[:end]


def test_rows_without_values_have_their_place() -> None:
    """They are rows of the logger, though nothing of them is sent."""
    assert read(part("00:45", ("01:00", None), ("01:00", None), "01:30")) == [[0, 1, 1]]


# Backwards


BACK = ("02:15", "02:00", "01:30", "01:00", "01:30", "01:00", "00:45", "00:30")


def test_in_a_file_that_runs_backwards_the_last_is_first() -> None:
    """Newest first, whole, cut in either pass, and by the hour."""
    assert read(part(*BACK)) == [[1, 1, 0, 0]]
    assert read(part(*BACK[3:])) == [[1, 0, 0]]
    assert read(part(*BACK[:6])) == [[1, 1, 0, 0]]
    assert read(part("02:00", "01:15", "01:00")) == [[0, 0]]
    assert read(part("02:00", "01:00", "01:00", "00:00")) == [[1, 0]]


def test_counted_twice_backwards_the_last_is_first() -> None:
    """Sorted by local time, newest first: of the two rows of each time the lower is the first."""
    clocks = ("02:30", "02:15", "02:00", "01:30", "01:30", "01:00", "01:00", "00:30", "00:15")
    assert read(part(*clocks)) == [[1, 0, 1, 0]]


def test_rows_of_the_hour_alone_run_backwards_where_they_do_so_clearly() -> None:
    """Going back once is how the second pass begins."""
    assert read(part("01:00", "01:45", "01:30", "01:15", "01:00")) == [[1, 0, 0, 0, 0]]


def test_other_files_tell_which_way_rows_run() -> None:
    """A file of nothing but two rows can't."""
    first, second = part(("01:30", 2), ("01:00", 1)), part(("01:30", 4), ("01:00", 3))
    assert read(part("00:30", "00:00"), first, second) == [[], [0, 0], [1, 1]]


def test_files_newest_first_are_turned() -> None:
    """A file an hour, the newest ahead."""
    first, second = part(("01:00", 1), ("01:30", 2)), part(("01:00", 3), ("01:30", 4))
    files = [part("02:00", "02:30"), second, first, part("00:00", "00:30")]
    assert read(*files) == [[], [1, 1], [0, 0], []]


# Several files


def test_a_file_an_hour() -> None:
    """Loggers that rotate: the second pass stands in a file of its own."""
    first, second = part("01:00", "01:30"), part(("01:00", 1), ("01:30", 2))
    assert read(part("00:30"), first, second) == [[], [0, 0], [1, 1]]
    assert read(first, second) == [[0, 0], [1, 1]]
    assert read(part("00:30"), first, second, part("02:00")) == [[], [0, 0], [1, 1], []]


def test_a_file_an_hour_of_a_meter_that_shows_the_same_all_night() -> None:
    """What stands next to the rows tells, where values can't; until then they are repeats."""
    hour = part(("01:00", 0), ("01:30", 0))
    assert read(part("00:30"), hour, hour, part("02:00")) == [[], [0, 0], [1, 1], []]
    assert read(part("00:30"), hour, hour) == [[], [0, 0], [0, 0]]


def test_parts_that_end_anywhere() -> None:
    """Parts of one export: each goes on where the one ahead ends."""
    files = [
        *(part(("00:30", 0), ("01:00", 0)), part(("01:15", 0)), part(("01:30", 0), ("01:00", 0))),
        *(part(("01:15", 0)), part(("01:30", 0), ("02:00", 0))),
    ]
    assert read(*files) == [[0], [0], [0, 1], [1], [1]]


def test_an_overlapping_export_that_begins_in_the_second_pass() -> None:
    """It has the values of the second pass, or it is the pass that is free."""
    whole = part("00:45", ("01:00", 1), ("01:30", 2), ("01:00", 3), ("01:30", 4), "02:00")
    half = part("00:45", ("01:00", 1), ("01:30", 2))
    later = part(("01:00", 3), ("01:30", 4), "02:00")
    assert read(whole, later) == [[0, 0, 1, 1], [1, 1]]
    assert read(later, whole) == [[1, 1], [0, 0, 1, 1]]
    assert read(half, later) == [[0, 0], [1, 1]]


def test_an_overlapping_export_of_data_with_one_pass() -> None:
    """Two values that are the same are no chance: the rows are the first, and come once more."""
    half = part("00:45", ("01:00", 1), ("01:15", 2), ("01:30", 3))
    later = part(("01:15", 2), ("01:30", 3), "02:00")
    assert read(half, later) == [[0, 0, 0], [0, 0]]


def test_a_corrected_value_is_of_the_pass_of_its_rows() -> None:
    """The option ``duplicates`` chooses then: evidence has put both into one pass."""
    one = part("00:45", ("01:00", 1), ("01:15", 2), ("01:30", 3), ("01:45", 4), "02:00")
    other = part("00:45", ("01:00", 1), ("01:15", 2), ("01:30", 9), ("01:45", 4), "02:00")
    assert read(one, other) == [[0, 0, 0, 0], [0, 0, 0, 0]]


def test_a_stray_row_is_the_pass_that_is_free() -> None:
    """With the second taken by another value, it is the first."""
    both = part("00:45", ("01:15", 1), ("01:00", 2), ("01:15", 3), "02:00")
    assert read(both, part(("01:00", 9))) == [[0, 1, 1], [0]]


def test_a_third_value_is_told() -> None:
    """Both passes are taken: nothing is left that the row could be."""
    both = part("00:45", ("01:00", 1), ("01:00", 2), "02:00")
    found = decide(HOUR, [both, part(("01:00", 9))])
    assert found.misfits == (Misfit(1, 1, ((0, 2), (0, 3))),)


# The ledger


def test_rows_that_were_sent_keep_their_reading() -> None:
    """In an export that has rolled into the second pass, in either order."""
    known = sent({"01:00": 1, "01:30": 2}, {"01:00": 3, "01:30": 4})
    rolled = [("01:30", 4), ("02:00", 5)]
    assert read(part(*rolled), sent=known) == [[1]]
    assert read(part(*reversed(rolled)), sent=known) == [[1]]
    assert read(part(("01:00", 1), ("01:30", 2)), sent=known) == [[0, 0]]


def test_rows_of_the_second_pass_are_new_where_the_first_was_sent() -> None:
    """The export has rolled on: other values than the first's are the second's.

    Before a row from after the hour has come they may as well be corrected ones of the first.
    """
    known = sent({"01:00": 1, "01:15": 2, "01:30": 3})
    assert read(part(("01:15", 7), ("01:30", 8), "02:00"), sent=known) == [[1, 1]]
    assert decide(HOUR, [part(("01:15", 7), ("01:30", 8))], known).misfits
    assert read(part(("01:15", 2), ("01:30", 8), ("01:45", 9), "02:00"), sent=known) == [[1, 1, 1]]


def test_the_same_value_again_is_the_second_pass_before_a_row_from_after_the_hour() -> None:
    """Nothing was sent after the hour, and the files have rolled on."""
    same = part(("01:00", 0), ("01:30", 0), "02:00")
    first = {"01:00": 0, "01:30": 0}
    assert read(same, sent=sent(first)) == [[1, 1]]
    assert read(same, sent=sent(first, is_over=True)) == [[0, 0]]
    assert read(same, sent=sent(first, has_grown=True)) == [[0, 0]]
    assert read(part("00:45", ("01:00", 0), ("01:30", 0), "02:00"), sent=sent(first)) == [[0, 0]]
    assert read(part(("01:00", 0), ("01:30", 0)), sent=sent(first)) == [[0, 0]]


def test_rows_that_were_read_otherwise_stay_so() -> None:
    """What only the count can tell does not move a row that was sent; its twin takes the rest."""
    times = ("01:00", "01:00", "01:15", "01:15", "01:30", "01:30")
    lines = [(time, number) for number, time in enumerate(times)]
    known = sent({"01:00": 0}, {"01:00": 1, "01:15": 2}, has_grown=True)
    assert read(part(*lines), sent=known) == [[0, 1, 1, 0, 0, 1]]


def test_what_was_sent_tells_which_way_rows_run() -> None:
    """Rows of nothing but the hour, newest first."""
    lines = [("01:15", 6), ("01:00", 5), ("01:45", 4), ("01:30", 3)]
    known = sent({"01:30": 3}, {"01:00": 5})
    assert read(part(*lines), sent=known) == [[1, 1, 0, 0]]


# Notes, and what is made of them


def test_a_note_of_a_file_holds_the_rows_next_to_the_hour() -> None:
    """Rows that follow one another are one run."""
    (run,) = part("00:45", "01:00", "01:00", "02:00").runs
    assert (run.before, run.after) == (wall("00:45"), wall("02:00"))
    assert (list(run.walls), list(run.lines)) == ([wall("01:00")] * 2, [2, 3])
    assert len(part("01:00", "01:30", apart=True).runs) == 2


def test_notes_of_two_hours_stay_apart() -> None:
    """The hour of one year says nothing of the next year's."""
    later = Hour(HOUR.start + 10**9, HOUR.offsets)
    recorder = Recorder()
    assert [recorder.fold(1, HOUR.start, HOUR), recorder.fold(2, HOUR.start, HOUR)] == [0, 1]
    assert recorder.fold(3, later.start, later) == 0
    first, second = recorder.runs
    assert (first.after, second.before, second.after) == (later.start, HOUR.start, None)
    replay = Replay({HOUR.start: b"\1\0", later.start: b"\1"})
    hours = (HOUR, later, HOUR)
    assert [replay.fold(1, each.start, each) for each in hours] == [1, 1, 0]


def test_steps_back_are_counted_as_the_rows_are_read() -> None:
    """Read as two passes, two times a step apart are in order."""
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
def test_whatever_files_hold_every_row_is_read_or_told(
    files: list[Part], first: dict[str, int], second: dict[str, int], is_over: bool, grown: bool
) -> None:
    """Each row of the hour has one reading; no two values share time and pass untold."""
    known = sent(first, second, is_over=is_over, has_grown=grown)
    found = decide(HOUR, files, known)
    assert [len(each) for each in found.folds] == [
        sum(len(run.walls) for run in file.runs) for file in files
    ]
    lines = {(n, line) for n, file in enumerate(files) for run in file.runs for line in run.lines}
    for misfit in found.misfits:
        assert {(misfit.file, misfit.line), *misfit.others} <= lines
    assert decide(HOUR, files, known) == found


@given(parts, st.integers(0, 20))
def test_the_same_file_again_changes_nothing(file: Part, others: int) -> None:
    """Once what is read was sent, it stays as it is; in a copy of the file, and alone."""
    found = decide(HOUR, [file])
    if found.misfits:
        return
    known: tuple[dict[int, set[int]], dict[int, set[int]]] = ({}, {})
    rows = [
        (time, digest)
        for run in file.runs
        for time, digest in zip(run.walls, run.digests, strict=True)
    ]
    for (time, digest), reading in zip(rows, found.folds[0], strict=True):
        if digest != NO_VALUES:
            known[reading].setdefault(time, set()).add(digest)
    again = decide(HOUR, [file], Sent(known, has_grown=True))
    for (time, digest), reading in zip(rows, again.folds[0], strict=True):
        assert digest == NO_VALUES or digest in known[reading][time]


@pytest.mark.parametrize("count", [500])
def test_many_files_are_decided_quickly(count: int) -> None:
    """Files of one row each, as a logger makes them that rotates with every row."""
    clocks = [f"{hour:02}:{minute:02}" for hour in (0, 1, 1, 2) for minute in range(60)]
    files = [part((clock, 0)) for clock in clocks] + [part("03:00")] * (count - len(clocks))
    assert [each for found in read(*files) for each in found] == [0] * 60 + [1] * 60
