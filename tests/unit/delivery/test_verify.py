"""The first and the last question to the collector: before the first packet, and after the last."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swarm.checkpoint.cursor import LedgerCursor
from swarm.checkpoint.ledger import ACKNOWLEDGED, REJECTED, Ledger
from swarm.checkpoint.ledger_format import Baseline, Origin
from swarm.collector.client import LastPacket, LastPacketReply
from swarm.collector.transport.base import Access
from swarm.config.options import RetryPolicy
from swarm.delivery.context import CollectorDown, StopRequested, StreamEnded
from swarm.delivery.exchange import Exchange
from swarm.delivery.result import StreamProblem
from swarm.delivery.task import ItemBatch, RowItem, Target, Task, notes_of
from swarm.delivery.verify import (
    CollectorState,
    Expected,
    baseline,
    check_before_first,
    fallen_behind,
    missing_last_packet,
    rows_until,
    verify,
)
from swarm.errors import ExitCode
from swarm.packet import marked
from tests.simulation.collector import Clock
from tests.support.streams import (
    MINUTE,
    STREAM,
    Items,
    ScriptedCollector,
    StreamContext,
    batches,
    holds,
    item,
    items_of,
    kill,
    last_packet,
    record,
    reopened,
    stored_at,
    task_of,
    tells_nothing,
)
from tests.support.workspace import rows

LINES = rows(6)


class Setting:
    """An exchange with a collector that gives these answers."""

    def __init__(
        self,
        clock: Clock,
        answers: Iterable[LastPacketReply | None] = (),
        turns: Iterable[Exception | None] = (),
    ) -> None:
        self.collector = ScriptedCollector(clock, answers=answers)
        self.context = StreamContext(clock, self.collector, turns)
        self.exchange = Exchange(
            Target(STREAM, "", Access("u", "p"), 0), RetryPolicy(retry_for=30.0), self.context
        )


class Rows:
    """The rows of a task's files; ``read`` is how many were read."""

    def __init__(self, items: Iterable[RowItem]) -> None:
        self.items = list(items)
        self.read = 0

    def __call__(self) -> Iterator[ItemBatch]:
        """Begin a pass over all rows, each in a batch of its own."""
        for each in self.items:
            self.read += 1
            yield Items([each])


def ended(function: Callable[..., object], *arguments: object) -> StreamProblem:
    """Return the problem that ends a stream."""
    with pytest.raises(StreamEnded) as caught:
        function(*arguments)
    return caught.value.problem


# Before the first packet, without a checkpoint


def task(folder: Path, **upload: Any) -> tuple[Task, Rows]:
    """Return the task of a stream, and its rows."""
    found = task_of(folder, LINES, **upload)
    return found, Rows(items_of(found))


def test_a_collector_that_holds_nothing_gets_all_rows(clock: Clock, tmp_path: Path) -> None:
    """No row has to be read for that."""
    found, items = task(tmp_path)
    setting = Setting(clock, [holds(None)])
    assert CollectorState(None) == check_before_first(found, setting.exchange, items)
    assert 0 == items.read


def test_rows_after_the_collectors_last_packet_are_sent(clock: Clock, tmp_path: Path) -> None:
    """The files begin after what it holds: there is nothing to mix up."""
    found, items = task(tmp_path)
    last = stored_at(items.items[0].instant - 1, value=1)
    setting = Setting(clock, [holds(last)])
    assert CollectorState(last) == check_before_first(found, setting.exchange, items)
    assert 1 == items.read


@pytest.mark.parametrize("later", [0, 3, 99])
def test_a_stream_that_the_collector_holds_already_ends(
    clock: Clock, tmp_path: Path, later: int
) -> None:
    """Only its user knows whether these rows were sent: both ways on are named."""
    found, items = task(tmp_path)
    last = stored_at(items.items[0].instant + later * 15 * MINUTE, value=1)
    setting = Setting(clock, [holds(last)])
    problem = ended(check_before_first, found, setting.exchange, items)
    assert ("no checkpoint", 3, 1) == (problem.kind, problem.exit_code, problem.line)
    assert str(tmp_path / "m.csv") == problem.file
    for part in (str(tmp_path / "state"), str(last.fields["tsISO8601"]), "--adopt", "--restart"):
        assert part in problem.message
    assert 1 == items.read


def test_what_the_collector_holds_is_adopted_if_that_was_asked_for(
    clock: Clock, tmp_path: Path
) -> None:
    """The stream goes on behind it."""
    found, items = task(tmp_path, adopt=True)
    last = last_packet(items.items[2])
    setting = Setting(clock, [holds(last)])
    assert CollectorState(last) == check_before_first(found, setting.exchange, items)


def test_without_rows_nothing_is_in_the_way(clock: Clock, tmp_path: Path) -> None:
    """There is no row that the collector could hold."""
    found, _ = task(tmp_path)
    last = stored_at(MINUTE, value=1)
    setting = Setting(clock, [holds(last)])
    assert CollectorState(last) == check_before_first(found, setting.exchange, Rows([]))


@pytest.mark.parametrize("status", [405, 501])
def test_a_collector_that_does_not_offer_the_question_gets_all_rows(
    clock: Clock, tmp_path: Path, status: int
) -> None:
    """With a notice; but nothing can be adopted from it."""
    found, items = task(tmp_path)
    setting = Setting(clock, [tells_nothing(status)])
    state = check_before_first(found, setting.exchange, items)
    assert state.last is None
    assert (state.notice or "").startswith(f"{STREAM}: the collector does not return a stream's")
    assert f"HTTP {status}" in (state.notice or "")
    found, items = task(tmp_path, adopt=True)
    setting = Setting(clock, [tells_nothing(status)])
    problem = ended(check_before_first, found, setting.exchange, items)
    assert ("no checkpoint", 5, status) == (problem.kind, problem.exit_code, problem.status)
    assert "so --adopt can't find out which rows were sent" in problem.message


@pytest.mark.parametrize("adopt", [False, True])
@pytest.mark.parametrize("status", [200, 400, 422])
def test_an_answer_that_can_not_be_read_ends_the_stream(
    clock: Clock, tmp_path: Path, status: int, *, adopt: bool
) -> None:
    """It does not say that nothing is stored."""
    found, items = task(tmp_path, adopt=adopt)
    setting = Setting(clock, [tells_nothing(status)])
    problem = ended(check_before_first, found, setting.exchange, items)
    assert ("no checkpoint", 5, status) == (problem.kind, problem.exit_code, problem.status)
    assert "can't be read" in problem.message
    assert 1 == len(setting.collector.calls)


@pytest.mark.parametrize("adopt", [False, True])
@pytest.mark.parametrize("status", [403, 406, 451])
def test_a_question_that_is_refused_ends_the_stream(
    clock: Clock, tmp_path: Path, status: int, *, adopt: bool
) -> None:
    """As a packet that is refused does."""
    found, items = task(tmp_path, adopt=adopt)
    setting = Setting(clock, [tells_nothing(status)])
    problem = ended(check_before_first, found, setting.exchange, items)
    assert ("refused", 4, status) == (problem.kind, problem.exit_code, problem.status)


def test_a_fault_that_passes_is_asked_over(clock: Clock, tmp_path: Path) -> None:
    """For as long as a packet may be tried."""
    found, items = task(tmp_path, retry_for=30.0)
    setting = Setting(clock, [tells_nothing(503), tells_nothing(429), holds(None)])
    assert CollectorState(None) == check_before_first(found, setting.exchange, items)
    setting = Setting(clock, [tells_nothing(503)] * 1000)
    began = clock.now
    problem = ended(check_before_first, found, setting.exchange, items)
    assert ("temporary", 5) == (problem.kind, problem.exit_code)
    assert began + 30 == clock.now


# What was held when a stream was restarted


def test_the_baseline_of_a_collector_that_holds_nothing() -> None:
    """It is that of a stream that began with its ledger: every packet is since then."""
    assert Baseline() == baseline(None)


def test_the_baseline_is_the_collectors_last_packet() -> None:
    """With its instant and measurements."""
    last = last_packet(item(3))
    assert Baseline(Origin.HELD, 3 * MINUTE, *marked(last.fields)) == baseline(last)
    held = baseline(last).held
    assert held is not None
    assert held[2:] == notes_of([item(3)])[0][2:]


# A checkpoint that has fallen behind


class Checkpoint:
    """A task with a ledger in which some of its rows are recorded."""

    def __init__(self, folder: Path, *numbers: int, rejected: tuple[int, ...] = ()) -> None:
        self.task, self.rows = task(folder)
        self.items = self.rows.items
        self.path = folder / "m.ledger"
        self.ledger = Ledger.create(self.path, STREAM)
        self.record(*(self.items[number] for number in numbers))
        self.record(*(self.items[number] for number in rejected), kind=REJECTED)

    def record(self, *items: RowItem, kind: int = ACKNOWLEDGED) -> None:
        """Record rows, and open the ledger anew."""
        record(self.ledger, *items, kind=kind)
        self.ledger.close()
        self.ledger = reopened(self.path)

    def doubt(self, row: RowItem) -> None:
        """Note that an earlier run may have sent a row, and no question could settle it."""
        kill(self.ledger, row)
        self.ledger = reopened(self.path)
        self.ledger.settle(0, notes_of([row]))

    def changed(self, number: int, value: str = "77") -> RowItem:
        """Return a row with other values."""
        return item(self.items[number].instant // MINUTE, value)

    def unrecorded(self, last: LastPacket | None, head: int) -> int | None:
        """Return the number of the row that the collector's last packet is, None for no row."""
        self.rows.read = 0
        found = missing_last_packet(self.task, self.ledger, last, self.items[head], self.rows)
        return None if found is None else self.items.index(found)


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Callable[..., Checkpoint]]:
    """Return a function that makes a checkpoint."""
    made: list[Checkpoint] = []

    def make(*numbers: int, **more: Any) -> Checkpoint:
        made.append(Checkpoint(tmp_path, *numbers, **more))
        return made[-1]

    yield make
    for each in made:
        each.ledger.close()


def test_a_checkpoint_that_is_up_to_date(behind: Callable[..., Checkpoint]) -> None:
    """The collector's last packet is the newest acknowledged; no row is read to find that."""
    found = behind(0, 1, 2)
    assert found.unrecorded(last_packet(found.items[2]), 3) is None
    assert 0 == found.rows.read


@pytest.mark.parametrize("number", [3, 4, 5])
def test_a_row_that_the_ledger_does_not_know(
    behind: Callable[..., Checkpoint], number: int
) -> None:
    """Somebody has sent it: the checkpoint has fallen behind."""
    found = behind(0, 1, 2)
    assert number == found.unrecorded(last_packet(found.items[number]), 3)
    assert number + 1 == found.rows.read


def test_a_row_is_known_by_its_instant_alone(behind: Callable[..., Checkpoint]) -> None:
    """Its values may have been corrected since it was sent."""
    found = behind(0, 1, 2)
    assert 4 == found.unrecorded(last_packet(found.items[4], value=77), 3)


def test_a_collector_that_holds_nothing_is_behind_nothing(
    behind: Callable[..., Checkpoint],
) -> None:
    """It may have been emptied."""
    assert behind(0, 1).unrecorded(None, 2) is None


def test_a_packet_of_no_row_proves_nothing(behind: Callable[..., Checkpoint]) -> None:
    """It is between rows, or newer than all of them: another source has sent it."""
    found = behind(0, 1, 2)
    between = stored_at(found.items[4].instant - 1, value=1)
    assert found.unrecorded(between, 3) is None
    newer = stored_at(found.items[5].instant + 1, value=1)
    assert found.unrecorded(newer, 3) is None
    assert 0 == found.rows.read


def test_a_row_that_was_acknowledged_earlier_is_known(behind: Callable[..., Checkpoint]) -> None:
    """The collector's last packet may be that which came last: a late one."""
    found = behind(0, 2, 3, 1)
    assert found.unrecorded(last_packet(found.items[1]), 4) is None


def test_a_rejected_row_is_not_known(behind: Callable[..., Checkpoint]) -> None:
    """The collector did not take it from this checkpoint's runs."""
    found = behind(0, 1, rejected=(2,))
    assert 2 == found.unrecorded(last_packet(found.items[2]), 3)


def test_a_row_in_doubt_is_known(behind: Callable[..., Checkpoint]) -> None:
    """A run of this checkpoint may have sent it."""
    found = behind(0, 1)
    found.doubt(found.items[2])
    assert found.unrecorded(last_packet(found.items[2]), 3) is None
    assert found.unrecorded(last_packet(found.items[2]), 2) is None
    assert 3 == found.unrecorded(last_packet(found.items[3]), 2)


def test_what_was_held_before_a_restart_is_known(behind: Callable[..., Checkpoint]) -> None:
    """It was there before the first row of this checkpoint; another packet since is not known."""
    found = behind(0, 1)
    held = last_packet(found.items[4])
    found.ledger.set_baseline(baseline(held))
    assert [None, None] == [found.unrecorded(held, head) for head in (2, 5)]
    assert 4 == found.unrecorded(last_packet(found.items[4], value=77), 2)


def test_a_row_whose_old_values_are_recorded(behind: Callable[..., Checkpoint]) -> None:
    """The collector has the file's values: another run has sent them since."""
    found = behind(0)
    found.record(found.changed(1))
    assert 1 == found.unrecorded(last_packet(found.items[1]), 1)


def test_a_row_whose_old_values_the_collector_has(behind: Callable[..., Checkpoint]) -> None:
    """The file was changed since, and the checkpoint knows what was sent."""
    found = behind(0)
    found.record(found.changed(1))
    assert found.unrecorded(last_packet(found.changed(1)), 1) is None


def test_a_row_is_recorded_behind_one_that_is_not(behind: Callable[..., Checkpoint]) -> None:
    """The first row that needs a packet is older than the collector's last: it is late."""
    found = behind(0, 2)
    assert found.unrecorded(last_packet(found.items[2]), 1) is None


def test_a_row_that_was_sent_with_both_values_is_recorded(
    behind: Callable[..., Checkpoint],
) -> None:
    """First as it is now, then with others: the ledger knows both, and the last ones count."""
    found = behind(0, 1)
    found.record(found.changed(1))
    assert found.unrecorded(last_packet(found.items[1]), 1) is None


def test_new_values_that_may_have_been_sent_prove_nothing(
    behind: Callable[..., Checkpoint],
) -> None:
    """They are in doubt, or were held before the stream was restarted."""
    found = behind(0)
    found.record(found.changed(1))
    found.ledger.set_baseline(baseline(last_packet(found.items[1])))
    assert found.unrecorded(last_packet(found.items[1]), 1) is None
    found.ledger.set_baseline(Baseline())
    assert 1 == found.unrecorded(last_packet(found.items[1]), 1)
    found.doubt(found.items[1])
    assert found.unrecorded(last_packet(found.items[1]), 1) is None


def test_a_stream_whose_checkpoint_has_fallen_behind_ends(tmp_path: Path) -> None:
    """At the row that the checkpoint does not know; both ways on are named."""
    found, items = task(tmp_path)
    problem = fallen_behind(found, items.items[3]).problem
    assert ("no checkpoint", 3, 4) == (problem.kind, problem.exit_code, problem.line)
    for part in (str(tmp_path / "state"), "out of date", "--adopt", "--restart"):
        assert part in problem.message


# Rows that are adopted


def adopted(
    items: Iterable[ItemBatch], last: LastPacket, ledger: Ledger | None = None
) -> list[tuple[int, int]]:
    """Return the rows that are taken as acknowledged."""
    return list(rows_until(last, items, LedgerCursor(ledger.runs() if ledger else ())))


def test_all_rows_up_to_the_collectors_last_packet_are_adopted() -> None:
    """That one as well; the first row behind it is the last that is read."""
    items = Rows(map(item, range(6)))
    expected = [(item(minute).instant, item(minute).digest) for minute in range(3)]
    assert expected == adopted(items(), last_packet(item(2)))
    assert 4 == items.read
    assert expected == adopted(items(), stored_at(3 * MINUTE - 1))
    assert [] == adopted(items(), stored_at(-1))
    assert 6 == len(adopted(items(), stored_at(99 * MINUTE)))


def test_recorded_rows_are_not_adopted_once_more(ledger: Ledger) -> None:
    """Acknowledged or rejected; one with other values than those is adopted."""
    record(ledger, item(0), item(1, "77"))
    record(ledger, item(2), kind=REJECTED)
    ledger.freeze()
    taken = adopted(batches(map(item, range(6))), last_packet(item(3)), ledger)
    assert [(item(minute).instant, item(minute).digest) for minute in (1, 3)] == taken


# After the last packet

_OLD, _NEW = item(1), item(2)
_EXPECTED: Expected = {_NEW.instant: _NEW}


def test_the_last_packet_is_the_last_row(clock: Clock) -> None:
    """One question is enough."""
    setting = Setting(clock, [holds(last_packet(_NEW, value="1.50"))])
    assert "yes" == verify(setting.exchange, _EXPECTED)
    assert ["GET"] == setting.collector.methods


def test_without_anything_acknowledged_nothing_is_asked(clock: Clock) -> None:
    """There is nothing to compare with."""
    setting = Setting(clock)
    assert "unknown" == verify(setting.exchange, {})
    assert [] == setting.collector.calls


@pytest.mark.parametrize("last", [_OLD, _NEW])
def test_the_last_packet_may_be_one_of_two(clock: Clock, last: RowItem) -> None:
    """The newest, or that sent last; nothing older than the newest besides."""
    expected: Expected = {_OLD.instant: _OLD, _NEW.instant: _NEW}
    assert "yes" == verify(Setting(clock, [holds(last_packet(last))]).exchange, expected)
    for minute in (0.0, 1.5):
        other = holds(stored_at(round(minute * MINUTE), value=1.5))
        assert "no" == verify(Setting(clock, [other] * 3).exchange, expected)


def test_a_row_that_is_not_at_hand_is_known_by_its_instant(clock: Clock) -> None:
    """Its values can't be compared."""
    setting = Setting(clock, [holds(last_packet(_NEW, value=77))])
    assert "yes" == verify(setting.exchange, {_NEW.instant: None})


def test_a_newer_packet_is_of_another_source(clock: Clock) -> None:
    """It is no sign that something is missing: one question is enough."""
    setting = Setting(clock, [holds(last_packet(item(3)))])
    assert "newer" == verify(setting.exchange, {_OLD.instant: _OLD, _NEW.instant: _NEW})
    assert 1 == len(setting.collector.calls)


@pytest.mark.parametrize("last", [None, last_packet(_OLD), last_packet(_NEW, value=77)])
def test_another_last_packet_is_asked_for_three_times(
    clock: Clock, last: LastPacket | None
) -> None:
    """A collector may need a moment; the slot is free meanwhile."""
    setting = Setting(clock, [holds(last)] * 9)
    began = clock.now
    assert "no" == verify(setting.exchange, _EXPECTED)
    assert [began, began + 0.5, began + 1.5] == setting.collector.asked
    assert [0.5, 1.0] == setting.context.sleeps


def test_a_collector_that_needs_a_moment(clock: Clock) -> None:
    """The first answer that fits counts."""
    setting = Setting(clock, [holds(last_packet(_OLD)), holds(last_packet(_NEW)), holds(None)])
    assert "yes" == verify(setting.exchange, _EXPECTED)
    assert 2 == len(setting.collector.calls)


@pytest.mark.parametrize("status", [405, 503, 403, 401, 200])
def test_an_answer_that_tells_nothing_leaves_it_unknown(clock: Clock, status: int) -> None:
    """It is not asked again: nothing depends on it."""
    setting = Setting(clock, [tells_nothing(status)])
    assert "unknown" == verify(setting.exchange, _EXPECTED)
    assert 1 == len(setting.collector.calls)


@pytest.mark.parametrize(
    "end",
    [
        StopRequested(),
        CollectorDown(9.0, "down"),
        StreamEnded(StreamProblem("temporary", "given up", ExitCode.TEMPORARY)),
    ],
)
def test_the_end_of_a_run_leaves_what_is_known_by_then(clock: Clock, end: Exception) -> None:
    """The rows are acknowledged in any case: it is no error of the stream's."""
    setting = Setting(clock, turns=[end])
    assert "unknown" == verify(setting.exchange, _EXPECTED)
    setting = Setting(clock, [holds(None)], turns=[None, end])
    assert "no" == verify(setting.exchange, _EXPECTED)
