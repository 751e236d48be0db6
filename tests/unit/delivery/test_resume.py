"""The rows that need a packet: file and ledger in step, late and changed rows, notes."""

from collections.abc import Callable, Iterable, Iterator
from itertools import starmap
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.checkpoint.cursor import ALTERED
from swarm.checkpoint.ledger import ACKNOWLEDGED, MOST_NOTES, REJECTED, Ledger
from swarm.config.options import Upload
from swarm.delivery.result import Tally
from swarm.delivery.resume import Resume, changed_series, noted_before_sending
from swarm.delivery.task import RowItem, notes_of
from swarm.errors import FileChangedError
from tests.simulation.collector import Clock
from tests.support.streams import STREAM, batches, item, kill, record, reopened
from tests.unit.checkpoint.test_cursor import RowCursor

Action = Literal["report", "send"]


def resume_of(
    ledger: Ledger, late: Action = "report", rejected: Action = "report"
) -> tuple[Resume, Tally]:
    """Return what reads a ledger in step with rows, and its tally."""
    tally = Tally()
    return Resume(ledger, tally, Upload(late=late, rejected=rejected)), tally


def recorded(path: Path, *items: RowItem, rejected: tuple[RowItem, ...] = ()) -> Ledger:
    """Return the ledger of a stream of which an earlier run has recorded rows."""
    ledger = Ledger.create(path, STREAM)
    record(ledger, *items)
    record(ledger, *rejected, kind=REJECTED)
    ledger.close()
    return reopened(path)


def minutes(items: Iterator[RowItem]) -> list[int]:
    """Return the minutes of rows."""
    return [each.instant // 60_000 for each in items]


def counts(tally: Tally) -> tuple[int, int, int]:
    """Return how many rows need no packet: resumed, rejected and late ones."""
    return tally.resumed, tally.rejected, tally.late


# Which rows are sent


def test_all_rows_of_a_new_stream_are_sent(ledger: Ledger) -> None:
    """Nothing is recorded, so nothing is late."""
    resume, tally = resume_of(ledger)
    assert [3, 4, 5] == minutes(resume.to_send(batches(map(item, (3, 4, 5)))))
    assert ((0, 0, 0), []) == (counts(tally), resume.late)


def test_acknowledged_and_rejected_rows_are_not_sent_again(path: Path) -> None:
    """Each is counted as what it is; the rows after them are sent."""
    ledger = recorded(path, item(0), item(1), rejected=(item(2),))
    resume, tally = resume_of(ledger)
    assert [3, 4] == minutes(resume.to_send(batches(map(item, range(5)))))
    assert (2, 1, 0) == counts(tally)
    ledger.close()


def test_a_row_in_another_spelling_is_the_same_row(path: Path) -> None:
    """An export that pads its decimals changes nothing."""
    ledger = recorded(path, item(0, "1.50"))
    resume, tally = resume_of(ledger)
    assert [] == minutes(resume.to_send(batches([item(0, "1.5")])))
    assert (1, 0, 0) == counts(tally)
    ledger.close()


@pytest.mark.parametrize(("late", "expected"), [("report", [4]), ("send", [1, 4])])
def test_a_row_that_is_older_than_the_last_acknowledged_is_late(
    path: Path, late: Action, expected: list[int]
) -> None:
    """It was never sent: it is reported, or sent if that was asked for."""
    ledger = recorded(path, item(0), item(2), item(3))
    resume, tally = resume_of(ledger, late)
    assert expected == minutes(resume.to_send(batches(map(item, range(5)))))
    was_reported = late == "report"
    assert (3, 0, int(was_reported)) == counts(tally)
    assert [60_000] * was_reported == [each.instant for each in resume.late]
    assert resume.altered == 0
    ledger.close()


def test_the_row_of_the_last_acknowledged_instant_is_late_with_other_values(path: Path) -> None:
    """It is not newer than itself; it counts as altered."""
    ledger = recorded(path, item(0), item(1))
    resume, tally = resume_of(ledger)
    changed = item(1, "2.5")
    assert [2] == minutes(resume.to_send(batches([item(0), changed, item(2)])))
    assert ((1, 0, 1), [changed], 1) == (counts(tally), resume.late, resume.altered)
    ledger.close()


def test_a_changed_row_is_sent_where_late_rows_are(path: Path) -> None:
    """It is sent with its new values; then neither late nor altered is counted."""
    ledger = recorded(path, item(0), item(1))
    resume, tally = resume_of(ledger, "send")
    (found,) = resume.to_send(batches([item(0, "2.5"), item(1)]))
    assert '"value":2.5' == found.body
    assert ((1, 0, 0), 0) == (counts(tally), resume.altered)
    ledger.close()


def test_a_rejected_row_makes_no_other_late(path: Path) -> None:
    """Only acknowledged rows do: what is between the two is sent."""
    ledger = recorded(path, item(0), rejected=(item(5),))
    resume, tally = resume_of(ledger)
    assert [3, 6] == minutes(resume.to_send(batches(map(item, (0, 3, 5, 6)))))
    assert (1, 1, 0) == counts(tally)
    ledger.close()


def test_a_rejected_row_with_other_values_is_sent(path: Path) -> None:
    """It was corrected; it is not late, since nothing newer was acknowledged."""
    ledger = recorded(path, item(0), rejected=(item(1),))
    resume, tally = resume_of(ledger)
    assert [1] == minutes(resume.to_send(batches([item(0), item(1, "9")])))
    assert ((1, 0, 0), 0) == (counts(tally), resume.altered)
    ledger.close()


def test_of_the_values_of_an_instant_those_sent_last_count(path: Path) -> None:
    """A value that was sent and replaced since is not acknowledged any more."""
    ledger = recorded(path, item(0, "1"), item(1), item(0, "2"))
    for value, expected in (("1", (1, 0, 1)), ("2", (2, 0, 0))):
        resume, tally = resume_of(ledger)
        assert [] == minutes(resume.to_send(batches([item(0, value), item(1)])))
        assert expected == counts(tally)
        assert expected[2] == resume.altered
    ledger.close()


def test_of_many_late_rows_the_first_are_listed(path: Path) -> None:
    """All are counted; only those that were sent before count as altered."""
    ledger = recorded(path, *map(item, range(0, 60, 2)))
    resume, tally = resume_of(ledger)
    rows = (item(minute, "1.5" if minute % 2 else "7", line=minute + 1) for minute in range(60))
    assert [59] == minutes(resume.to_send(batches(rows)))
    assert ((0, 0, 59), 30) == (counts(tally), resume.altered)
    places = [each.place for each in resume.late]
    assert [("m.csv", line) for line in range(1, 21)] == places
    ledger.close()


def test_rows_are_read_a_batch_at_a_time(ledger: Ledger) -> None:
    """No batch is read before a row of it is asked for: files may be larger than memory."""
    read: list[int] = []

    def rows() -> Iterator[RowItem]:
        for minute in range(5):
            read.append(minute)
            yield item(minute)

    resume, _ = resume_of(ledger)
    unsent = resume.to_send(batches(rows()))
    next(unsent)
    assert [0, 1] == read


def test_an_acknowledged_row_is_recorded(path: Path) -> None:
    """The next run resumes it."""
    ledger = Ledger.create(path, STREAM)
    resume, _ = resume_of(ledger)
    for each in noted_before_sending(ledger, resume.to_send(batches([item(0), item(1)]))):
        ledger.mark_in_flight()
        resume.acknowledged(each)
    ledger.close()
    ledger = reopened(path)
    assert [(item(n).instant, item(n).digest, ACKNOWLEDGED) for n in (0, 1)] == list(
        ledger.entries()
    )
    resume, tally = resume_of(ledger)
    assert [] == minutes(resume.to_send(batches([item(0), item(1)])))
    assert (2, 0, 0) == counts(tally)
    ledger.close()


# Rows in doubt


def doubted(path: Path, *items: RowItem) -> Ledger:
    """Return a ledger with rows that an earlier run may have sent, and no question could settle."""
    ledger = recorded(path)
    kill(ledger, items[0])
    ledger = reopened(path)
    ledger.settle(0, notes_of(items))
    return ledger


def test_a_row_that_may_have_been_sent_is_in_doubt_until_it_is_acknowledged(path: Path) -> None:
    """The same instant with other values is another row."""
    ledger = doubted(path, item(0), item(1))
    resume, _ = resume_of(ledger)
    assert [True, True, False, False] == [
        resume.may_be_stored(each) for each in (item(0), item(1), item(2), item(0, "7"))
    ]
    ledger.note(notes_of([item(0)]))
    ledger.mark_in_flight()
    resume.acknowledged(item(0))
    assert [False, True] == [resume.may_be_stored(item(0)), resume.may_be_stored(item(1))]
    ledger.close()
    again, _ = resume_of(reopened(path))
    assert [False, True] == [again.may_be_stored(item(0)), again.may_be_stored(item(1))]
    again.ledger.close()


def test_a_row_that_is_recorded_is_not_in_doubt(path: Path) -> None:
    """The record settles it, although it was noted as doubtful before."""
    ledger = doubted(path, item(0), item(1))
    record(ledger, item(0))
    ledger.close()
    ledger = reopened(path)
    resume, tally = resume_of(ledger)
    assert resume.may_be_stored(item(0))
    assert [1] == minutes(resume.to_send(batches([item(0), item(1)])))
    assert [False, True] == [resume.may_be_stored(item(0)), resume.may_be_stored(item(1))]
    assert (1, 0, 0) == counts(tally)
    ledger.close()


# What the collector's last packet can be


def test_an_empty_ledger_expects_nothing(ledger: Ledger) -> None:
    """There is nothing to compare with."""
    resume, _ = resume_of(ledger)
    assert [0] == minutes(resume.to_send(batches([item(0)])))
    assert {} == resume.expected()


def test_the_newest_resumed_row_is_expected(path: Path) -> None:
    """With the row of the file, so that its values can be compared."""
    ledger = recorded(path, item(0), item(1))
    resume, _ = resume_of(ledger)
    rows = [item(0), item(1), item(2)]
    assert [2] == minutes(resume.to_send(batches(rows)))
    assert {rows[1].instant: rows[1]} == resume.expected()
    ledger.close()


def test_the_row_sent_last_is_expected(path: Path) -> None:
    """Once a new row is acknowledged, it is both the newest and the last."""
    ledger = recorded(path, item(0))
    resume, _ = resume_of(ledger)
    (new,) = noted_before_sending(ledger, resume.to_send(batches([item(0), item(1)])))
    ledger.mark_in_flight()
    resume.acknowledged(new)
    assert {new.instant: new} == resume.expected()
    ledger.close()


@pytest.mark.parametrize("is_resumed", [False, True])
def test_after_a_late_row_two_packets_are_expected(path: Path, is_resumed: bool) -> None:
    """Some collectors tell the newest packet, others the last that came, in this run or before."""
    ledger = recorded(path, item(0), item(2), *[item(1)] * is_resumed)
    resume, _ = resume_of(ledger, "send")
    rows = [item(0), item(1), item(2)]
    for late in noted_before_sending(ledger, resume.to_send(batches(rows))):
        ledger.mark_in_flight()
        resume.acknowledged(late)
    assert {rows[1].instant: rows[1], rows[2].instant: rows[2]} == resume.expected()
    ledger.close()


@pytest.mark.parametrize("rows", [[item(0)], [item(0), item(1, "9")]])
def test_a_row_that_the_files_have_no_more_is_expected_by_its_instant(
    path: Path, rows: list[RowItem]
) -> None:
    """It was cut off, or has other values now: only its instant is known."""
    ledger = recorded(path, item(0), item(1))
    resume, _ = resume_of(ledger)
    assert [] == minutes(resume.to_send(batches(rows)))
    assert {item(1).instant: None} == resume.expected()
    ledger.close()


def test_of_two_packets_the_newest_may_be_missing_from_the_files(path: Path) -> None:
    """It is known by its instant alone, that sent last by its row."""
    ledger = recorded(path, item(0), item(2), item(1))
    resume, _ = resume_of(ledger)
    rows = [item(0), item(1)]
    assert [] == minutes(resume.to_send(batches(rows)))
    assert {item(2).instant: None, rows[1].instant: rows[1]} == resume.expected()
    ledger.close()


def test_the_newest_row_of_this_run_is_expected_with_its_values(ledger: Ledger) -> None:
    """Also where another was acknowledged after it."""
    resume, _ = resume_of(ledger)
    newest, last = item(2), item(1)
    ledger.note(notes_of([newest, last]))
    for each in (newest, last):
        ledger.mark_in_flight()
        resume.acknowledged(each)
    assert {newest.instant: newest, last.instant: last} == resume.expected()


# Against one row after the other


class RowByRow:
    """The rules of `Resume`, for one row after the other."""

    def __init__(self, ledger: Ledger, tally: Tally, case: "Case") -> None:
        self.ledger = ledger
        self.late: list[RowItem] = []
        self.altered = 0
        self._newest: RowItem | None = None
        self._last: RowItem | None = None
        self._tally = tally
        self._sends_late = case.late == "send"
        self._sends_rejected = case.rejected == "send"

    def to_send(self, items: Iterable[RowItem]) -> Iterator[RowItem]:
        """Yield the rows that need a packet."""
        cursor = RowCursor([list(self.ledger.entries())])
        newest = None if self._sends_late else self.ledger.newest_at_open
        for each in items:
            kind = cursor.lookup(each.instant, each.digest)
            if kind == ACKNOWLEDGED:
                self._tally.resumed += 1
                self._remember(each)
                if (each.instant, each.digest, ACKNOWLEDGED) == self.ledger.last_acknowledged:
                    self._last = each
            elif kind == REJECTED and self._sends_rejected:
                yield each
            elif kind == REJECTED:
                self._tally.rejected += 1
            elif newest is None or each.instant > newest:
                yield each
            else:
                self._tally.late += 1
                self.altered += kind == ALTERED
                if len(self.late) < 20:
                    self.late.append(each)

    def acknowledged(self, each: RowItem) -> None:
        """Record a row."""
        self.ledger.record(each.instant, each.digest, ACKNOWLEDGED)
        self._remember(each)
        self._last = each

    def _remember(self, each: RowItem) -> None:
        self.ledger.unresolved.discard((each.instant, each.digest))
        if self._newest is None or each.instant >= self._newest.instant:
            self._newest = each


class Case(NamedTuple):
    """A ledger's rows (minute, value, kind) and those in doubt, and the rows of a file.

    With ``is_again`` the file has all of the ledger's rows.
    """

    settled: list[tuple[int, str, int]]
    doubtful: list[tuple[int, str]]
    rows: dict[int, str]
    is_again: bool
    is_sending: bool
    late: Action
    rejected: Action

    @property
    def items(self) -> list[RowItem]:
        """The rows of the file in order of time."""
        again = {minute: value for minute, value, _ in self.settled} if self.is_again else {}
        return [item(*row) for row in sorted({**self.rows, **again}.items())]


_MINUTES = st.integers(0, 9)
_VALUES = st.sampled_from("12")
_CASES = st.builds(
    Case,
    settled=st.lists(
        st.tuples(_MINUTES, _VALUES, st.sampled_from([ACKNOWLEDGED] * 3 + [REJECTED])), max_size=8
    ),
    doubtful=st.lists(st.tuples(_MINUTES, _VALUES), max_size=3),
    rows=st.dictionaries(_MINUTES, _VALUES),
    is_again=st.booleans(),
    is_sending=st.booleans(),
    late=st.sampled_from(["report", "send"]),
    rejected=st.sampled_from(["report", "send"]),
)


@given(_CASES, st.integers(1, 7))
def test_batches_are_resumed_as_row_by_row(case: Case, size: int) -> None:
    """The same rows are sent, and at each of them everything that is counted is the same."""
    assert history(case, 0) == history(case, size)


def history(case: Case, size: int) -> list[object]:
    """Return what a run has counted at each row that it sends, and at the end.

    It reads batches of this size, or row by row.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "c" / "m.ledger"
        ledger = Ledger.create(path, STREAM)
        for minute, value, kind in case.settled:
            record(ledger, item(minute, value), kind=kind)
        ledger.close()
        ledger = reopened(path)
        ledger.unresolved = {(each.instant, each.digest) for each in starmap(item, case.doubtful)}
        tally = Tally()
        resume: Resume | RowByRow
        if size:
            resume = Resume(ledger, tally, Upload(late=case.late, rejected=case.rejected))
            unsent = resume.to_send(batches(case.items, size))
        else:
            resume = RowByRow(ledger, tally, case)
            unsent = resume.to_send(case.items)
        seen: list[object] = []
        for each in unsent:
            seen.append((notes_of([each]), tally.copy(), resume.altered, len(resume.late)))
            if case.is_sending:
                ledger.note(notes_of([each]))
                ledger.mark_in_flight()
                resume.acknowledged(each)
        ends = resume._newest, resume._last
        seen += [each and notes_of([each]) for each in (*resume.late, *ends)]
        seen += [tally, resume.altered, ledger.unresolved]
        kill(ledger)
    return seen


# Changed series


@pytest.mark.parametrize(
    ("altered", "resumed", "is_changed"),
    [
        (0, 0, False),
        (9, 0, False),
        (10, 0, True),
        (10, 1, True),
        (10, 2, False),
        (19, 2, False),
        (20, 2, True),
        (1000, 101, False),
    ],
)
def test_a_series_has_changed_where_nearly_all_rows_have(
    altered: int, resumed: int, is_changed: bool
) -> None:
    """Ten rows at least, and ten times as many as are resumed."""
    assert is_changed == (changed_series(altered, resumed, "nothing was sent") is not None)


def test_the_message_of_a_changed_series_has_the_counts_and_the_outcome() -> None:
    """With thousands separated, and the option that sends all of it."""
    message = changed_series(12_345, 1_000, "nothing was sent") or ""
    assert message.startswith("12,345 rows sent before with other values, and 1,000 as they are")
    assert ": nothing was sent. " in message
    assert "--late send" in message


# Notes


class Notes:
    """A source of rows, and the sizes of the batches in which they are noted."""

    def __init__(self, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self.read = 0
        note = ledger.note

        def counted(rows: list[object]) -> None:
            self.sizes.append(len(rows))
            note(rows)  # type: ignore[arg-type]

        monkeypatch.setattr(ledger, "note", counted)

    def rows(self, count: int, error: Exception | None = None) -> Iterator[RowItem]:
        """Yield so many rows, then raise an error, if there is one."""
        for minute in range(count):
            self.read += 1
            yield item(minute)
        if error is not None:
            raise error


def send_all(ledger: Ledger, items: Iterator[RowItem], seconds: float, clock: Clock) -> int:
    """Record rows, each after so many seconds; return how many are recorded."""
    for each in items:
        ledger.mark_in_flight()
        clock.sleep(seconds)
        ledger.record(each.instant, each.digest, ACKNOWLEDGED)
    return ledger.count


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, [32, 128, 512, 512, 512, 304]),
        (5 / 64, [32, *[64] * 30, 48]),
        (1.0, [*[32] * 62, 16]),
        (60.0, [*[32] * 62, 16]),
    ],
)
def test_batches_of_notes_grow_to_what_is_sent_between_two_syncs(
    ledger: Ledger,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    expected: list[int],
) -> None:
    """From 32 to `MOST_NOTES`, at most four times as many as before; slow senders stay at 32."""
    notes = Notes(ledger, monkeypatch)
    items = noted_before_sending(ledger, notes.rows(2000))
    assert 2000 == send_all(ledger, items, seconds, clock)
    assert expected == notes.sizes
    assert max(notes.sizes) <= MOST_NOTES


@pytest.mark.parametrize(("count", "expected"), [(0, []), (31, [31]), (32, [32]), (33, [32, 1])])
def test_no_empty_batch_is_noted(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch, count: int, expected: list[int]
) -> None:
    """A note costs a sync."""
    notes = Notes(ledger, monkeypatch)
    assert count == send_all(ledger, noted_before_sending(ledger, notes.rows(count)), 0, clock)
    assert expected == notes.sizes


def test_no_more_rows_are_read_than_are_noted(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch is in memory, nothing else."""
    notes = Notes(ledger, monkeypatch)
    next(noted_before_sending(ledger, notes.rows(100)))
    assert ([32], 32) == (notes.sizes, notes.read)


def test_rows_are_noted_durably_before_the_first_is_sent(
    path: Path, clock: Clock, power_cut: Callable[[], None]
) -> None:
    """After a power cut the whole batch is in doubt, although none of it is marked as sent."""
    ledger = Ledger.create(path, STREAM)
    rows = [item(minute) for minute in range(40)]
    next(noted_before_sending(ledger, iter(rows)))
    kill(ledger)
    power_cut()
    ledger = reopened(path)
    assert tuple(notes_of(rows[:32])) == ledger.in_doubt
    kill(ledger)


@pytest.mark.parametrize(("count", "expected"), [(0, []), (5, [5]), (32, [32]), (40, [32, 8])])
def test_the_rows_before_a_change_of_the_file_are_sent(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch, count: int, expected: list[int]
) -> None:
    """They are as they were checked; then the error comes out."""
    notes = Notes(ledger, monkeypatch)
    items = noted_before_sending(ledger, notes.rows(count, FileChangedError("changed")))
    with pytest.raises(FileChangedError, match="changed"):
        send_all(ledger, items, 0, clock)
    assert (expected, count) == (notes.sizes, ledger.count)
