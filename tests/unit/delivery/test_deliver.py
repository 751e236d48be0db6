"""One stream from its file to the collector: what is sent, what is recorded, how it ends."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from swarm.checkpoint.ledger import REJECTED, Ledger
from swarm.checkpoint.ledger_format import Baseline, Origin
from swarm.collector.client import LastPacketReply
from swarm.csv import Window
from swarm.delivery import deliver as module
from swarm.delivery.context import CollectorDown, StopRequested
from swarm.delivery.deliver import deliver
from swarm.delivery.task import Task, notes_of
from swarm.delivery.verify import baseline
from tests.simulation.collector import Clock
from tests.support.streams import (
    STREAM,
    Posted,
    ScriptedCollector,
    StreamContext,
    answered,
    holds,
    items_of,
    kill,
    last_packet,
    lost,
    record,
    reopened,
    stored_at,
    task_of,
    tells_nothing,
)
from tests.support.workspace import packet, packets, rows

LINES = rows(6)


class Run:
    """One run of a stream against a collector, and what came of it."""

    def __init__(
        self,
        task: Task,
        clock: Clock,
        *,
        before: Iterable[str] = (),
        posts: Iterable[Posted | None] = (),
        answers: Iterable[LastPacketReply | None] = (),
        turns: Iterable[Exception | None] = (),
    ) -> None:
        self.task = task
        self.collector = ScriptedCollector(clock, posts=posts, answers=answers)
        self.collector.stored = [json.dumps(packet(STREAM, line)).encode() for line in before]
        self.context = StreamContext(clock, self.collector, turns)
        self.result = deliver(task, self.context)

    @property
    def counts(self) -> dict[str, int]:
        """The counts of the rows that are not zero."""
        names = ("sent", "resumed", "rejected", "late", "retries", "possible_duplicates")
        tally = self.result.tally
        return {name: getattr(tally, name) for name in names if getattr(tally, name)}

    @property
    def ending(self) -> tuple[object, ...]:
        """The state, with the kind and exit code of the problem, if there is one."""
        problem = self.result.problem
        state = self.result.state
        return (state, problem.kind, problem.exit_code) if problem else (state,)

    @property
    def stored(self) -> list[dict[str, Any]]:
        """The packets that the collector holds."""
        return [json.loads(body) for body in self.collector.stored]

    @property
    def recorded(self) -> list[int]:
        """The numbers of the rows that are recorded, in the order of the ledger."""
        instants = [each.instant for each in items_of(self.task)]
        ledger = reopened(self.task.ledger)
        numbers = [instants.index(entry.instant) for entry in ledger.entries()]
        ledger.close()
        return numbers


@pytest.fixture
def task(tmp_path: Path) -> Callable[..., Task]:
    """Return a function that makes the task of a stream with these lines and settings."""

    def make(lines: list[str] = LINES, **more: Any) -> Task:
        return task_of(tmp_path, lines, **more)

    return make


def sent_before(task: Task, *numbers: int, kind: int = 1) -> Ledger:
    """Record rows of a stream, and return the open ledger."""
    ledger = Ledger.open(task.ledger, STREAM) or Ledger.create(task.ledger, STREAM)
    items = items_of(task)
    record(ledger, *(items[number] for number in numbers), kind=kind)
    return ledger


# Streams that go through


def test_all_rows_are_sent_in_order(task: Callable[..., Task], clock: Clock) -> None:
    """One question before the first packet and one after the last; everything is recorded."""
    run = Run(task(), clock)
    assert (("done",), "yes", {"sent": 6}) == (run.ending, run.result.verified, run.counts)
    assert packets(STREAM, LINES) == run.stored
    assert ["GET", *["POST"] * 6, "GET"] == run.collector.methods
    assert [0, 1, 2, 3, 4, 5] == run.recorded
    assert ([STREAM], False) == (run.context.unlocked, run.context.has_slot)


def test_a_second_run_sends_what_was_appended(task: Callable[..., Task], clock: Clock) -> None:
    """Without new rows nothing is sent, and the last packet is still held to the file's."""
    first = Run(task(LINES[:4]), clock)
    for lines, expected in ((LINES, {"sent": 2, "resumed": 4}), (LINES, {"resumed": 6})):
        run = Run(task(lines), clock, before=LINES[: 4 + 2 * ("sent" not in expected)])
        assert (("done",), "yes", expected) == (run.ending, run.result.verified, run.counts)
    assert {"sent": 4} == first.counts


def test_a_window_without_rows_leaves_no_ledger(task: Callable[..., Task], clock: Clock) -> None:
    """Nothing is asked either: an empty checkpoint would say that nothing was ever sent."""
    found = task(window=Window(since=items_of(task())[-1].instant + 1))
    run = Run(found, clock)
    assert (("done",), "unknown", {}) == (run.ending, run.result.verified, run.counts)
    assert 6 == run.result.tally.filtered
    assert [] == run.collector.calls
    assert not found.ledger.exists()


def test_a_collector_with_another_last_packet_is_told(
    task: Callable[..., Task], clock: Clock
) -> None:
    """All rows were acknowledged, and are recorded as such."""
    run = Run(task(), clock, answers=[holds(None)] * 4)
    assert (("done", "not verified", 3), "no") == (run.ending, run.result.verified)
    assert 6 == len(run.recorded)


def test_a_stream_that_another_process_sends_is_left_alone(
    task: Callable[..., Task], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is neither asked for nor unlocked."""
    monkeypatch.setattr(StreamContext, "lock_stream", lambda *_: False)
    run = Run(task(), clock)
    assert ("locked", "locked", 6) == run.ending
    assert ([], []) == (run.collector.calls, run.context.unlocked)


# Without a checkpoint


def test_what_is_adopted_is_not_sent(task: Callable[..., Task], clock: Clock) -> None:
    """Rows up to the collector's last packet count as acknowledged, with a notice."""
    run = Run(task(adopt=True), clock, before=LINES[:4])
    assert (("done",), {"sent": 2, "resumed": 4}) == (run.ending, run.counts)
    assert packets(STREAM, LINES) == run.stored
    (notice,) = run.result.notices
    assert notice.endswith("4 rows treated as acknowledged")


def test_nothing_is_sent_while_the_collector_holds_packets_of_the_same_time(
    task: Callable[..., Task], clock: Clock
) -> None:
    """No checkpoint is made either: the next run is to ask the same question."""
    run = Run(task(), clock, before=LINES[:4])
    assert (("stopped", "no checkpoint", 3), {}) == (run.ending, run.counts)
    assert not run.task.ledger.exists()


def test_a_notice_of_the_first_question_is_in_the_result(
    task: Callable[..., Task], clock: Clock
) -> None:
    """A collector that does not offer the question can't verify the last packet either."""
    run = Run(task(), clock, answers=[tells_nothing(405)] * 2)
    assert (("done",), "unknown", {"sent": 6}) == (run.ending, run.result.verified, run.counts)
    assert "does not return a stream's last packet" in run.result.notices[0]


# With a checkpoint


def test_a_checkpoint_that_has_fallen_behind_ends_the_stream(
    task: Callable[..., Task], clock: Clock
) -> None:
    """Nothing is sent; with ``adopt`` the stream catches up."""
    sent_before(task(), 0, 1).close()
    run = Run(task(), clock, before=LINES[:4])
    assert ("stopped", "no checkpoint", 3) == run.ending
    assert [] == run.collector.packets
    run = Run(task(adopt=True), clock, before=LINES[:4])
    assert (("done",), {"sent": 2, "resumed": 4}) == (run.ending, run.counts)
    assert packets(STREAM, LINES) == run.stored
    assert run.result.notices[0].endswith("2 rows treated as acknowledged")
    assert [0, 1, 2, 3, 4, 5] == run.recorded


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (holds(stored_at(0, value=1)), baseline(stored_at(0, value=1))),
        (holds(None), Baseline()),
        (tells_nothing(405), Baseline(Origin.RESTARTED)),
    ],
)
def test_after_a_restart_the_collectors_last_packet_is_noted_first(
    task: Callable[..., Task], clock: Clock, answer: LastPacketReply, expected: Baseline
) -> None:
    """All rows are sent, whatever it holds; where nothing is told, the next run asks again."""
    found = task()
    Ledger.create(found.ledger, STREAM, is_restart=True).close()
    run = Run(found, clock, answers=[answer], posts=[answered(400)])
    assert ("stopped", "rejected", 3) == run.ending
    ledger = reopened(found.ledger)
    assert expected == ledger.baseline
    ledger.close()
    run = Run(found, clock, before=LINES[:4], answers=[answer])
    assert (("done",), {"sent": 6}) == (run.ending, run.counts)


def test_a_series_that_has_changed_is_not_sent(task: Callable[..., Task], clock: Clock) -> None:
    """Nearly all rows were sent before with other values: it is reported at the first of them."""
    lines = rows(12)
    sent_before(task(lines), *range(11)).close()
    run = Run(task([f"{line}9" for line in lines]), clock, before=lines[:11])
    assert (("stopped", "late", 3), {"late": 11}) == (run.ending, run.counts)
    problem = run.result.problem
    assert problem is not None
    assert 1 == problem.line
    assert "11 rows sent before with other values" in problem.message
    assert [] == run.collector.packets


def test_late_rows_are_reported_with_their_places(task: Callable[..., Task], clock: Clock) -> None:
    """Those that were never sent, and those with other values; newer rows are sent."""
    sent_before(task(), 0, 1, 3).close()
    changed = [LINES[0], f"{LINES[1]}9", *LINES[2:]]
    run = Run(task(changed), clock, before=[LINES[0], LINES[1], LINES[3]])
    assert (("done", "late", 3), {"sent": 2, "resumed": 2, "late": 2}) == (run.ending, run.counts)
    path = run.task.meter.files[0]
    problem = run.result.problem
    assert problem is not None
    assert problem.message == (
        "2 late rows (1 never sent, older than the last acknowledged row, 1 sent before with other "
        f"values): {path}:2, {path}:3; --late send sends them"
    )


def test_late_rows_are_sent_if_that_was_asked_for(task: Callable[..., Task], clock: Clock) -> None:
    """The last packet may then be the late one; the next run resumes all."""
    sent_before(task(), 0, 1, 3, 4, 5).close()
    run = Run(task(late="send"), clock, before=[*LINES[:2], *LINES[3:]])
    assert (("done",), "yes", {"sent": 1, "resumed": 5}) == (
        run.ending,
        run.result.verified,
        run.counts,
    )
    again = Run(task(), clock, before=[LINES[2]])
    assert (("done",), "yes", {"resumed": 6}) == (again.ending, again.result.verified, again.counts)


# Packets without an answer


@pytest.mark.parametrize(
    ("is_stored", "counts"), [(True, {"sent": 6}), (False, {"sent": 6, "retries": 1})]
)
def test_a_packet_without_an_answer_is_there_once(
    task: Callable[..., Task], clock: Clock, counts: dict[str, int], *, is_stored: bool
) -> None:
    """It is asked for before anything else is sent."""
    run = Run(task(), clock, posts=[None, None, lost(is_stored=is_stored)])
    assert (("done",), counts) == (run.ending, run.counts)
    assert packets(STREAM, LINES) == run.stored
    assert ["POST", "GET", "POST"] == run.collector.methods[3:6]


def test_a_packet_whose_fate_can_not_be_told_stops_the_stream_if_that_was_asked_for(
    task: Callable[..., Task], clock: Clock
) -> None:
    """The next run asks again, since the packet is still in flight; then all is there once."""
    found = task(on_ambiguous="stop")
    run = Run(
        found, clock, posts=[None, lost(is_stored=True)], answers=[holds(None), tells_nothing(405)]
    )
    assert (("stopped", "ambiguous", 5), {"sent": 1}) == (run.ending, run.counts)
    ledger = reopened(found.ledger)
    assert tuple(notes_of(items_of(found)[1:2])) == ledger.in_doubt
    kill(ledger)
    run = Run(found, clock, before=LINES[:2])
    assert (("done",), {"sent": 4, "resumed": 2}) == (run.ending, run.counts)
    assert packets(STREAM, LINES) == run.stored


@pytest.mark.parametrize(("held", "resumed"), [(1, 1), (2, 2)])
def test_the_packet_of_a_run_that_was_killed_is_asked_for_first(
    task: Callable[..., Task], clock: Clock, held: int, resumed: int
) -> None:
    """The question serves as the first one too."""
    found = task()
    kill(sent_before(found, 0), items_of(found)[1])
    run = Run(found, clock, before=LINES[:held])
    assert (("done",), {"sent": 6 - resumed, "resumed": resumed}) == (run.ending, run.counts)
    assert packets(STREAM, LINES) == run.stored
    assert ["GET", "POST"] == run.collector.methods[:2]


def doubted(found: Task) -> None:
    """Leave a stream whose second row an earlier run may have sent, and nothing tells of it."""
    kill(sent_before(found, 0), items_of(found)[1])
    ledger = reopened(found.ledger)
    ledger.settle(0, ledger.in_doubt)
    ledger.close()


def test_a_row_in_doubt_that_is_sent_again_is_counted(
    task: Callable[..., Task], clock: Clock
) -> None:
    """Once, also where it needs several tries; then it is in doubt no more."""
    found = task()
    doubted(found)
    run = Run(found, clock, before=LINES[:1], posts=[answered(429), answered(429)])
    expected = {"sent": 5, "resumed": 1, "retries": 2, "possible_duplicates": 1}
    assert (("done",), expected) == (run.ending, run.counts)
    ledger = reopened(found.ledger)
    assert set() == ledger.unresolved
    ledger.close()


def test_a_row_in_doubt_that_is_not_taken_is_not_counted(
    task: Callable[..., Task], clock: Clock
) -> None:
    """It was refused: there can't be two of it from this run."""
    found = task()
    doubted(found)
    run = Run(found, clock, before=LINES[:1], posts=[answered(400)])
    assert (("stopped", "rejected", 3), {"resumed": 1, "rejected": 1}) == (run.ending, run.counts)


def test_a_row_in_doubt_whose_answer_is_lost_is_counted_once(
    task: Callable[..., Task], clock: Clock
) -> None:
    """It is sent three times at most: once in an earlier run, and twice in this one."""
    found = task()
    doubted(found)
    run = Run(found, clock, before=LINES[:1], posts=[lost(is_stored=False)])
    expected = {"sent": 5, "resumed": 1, "retries": 1, "possible_duplicates": 1}
    assert (("done",), expected) == (run.ending, run.counts)


def test_a_row_in_doubt_is_counted_also_if_the_run_ends_before_it_is_settled(
    task: Callable[..., Task], clock: Clock
) -> None:
    """It was sent again, and its answer was lost: no later run would count it."""
    found = task()
    doubted(found)
    stops = [None, None, StopRequested()]
    run = Run(found, clock, before=LINES[:1], posts=[lost(is_stored=False)], turns=stops)
    assert {"resumed": 1, "possible_duplicates": 1} == run.counts
    assert ["GET", "POST"] == run.collector.methods


def test_a_row_that_an_earlier_run_may_have_sent_is_sent_and_counted(
    task: Callable[..., Task], clock: Clock
) -> None:
    """The collector does not say what became of it."""
    found = task()
    kill(sent_before(found, 0), items_of(found)[1])
    run = Run(found, clock, before=LINES[:2], answers=[tells_nothing(405)])
    expected = {"sent": 5, "resumed": 1, "possible_duplicates": 1}
    assert (("done",), expected) == (run.ending, run.counts)


def test_after_a_restart_a_packet_from_before_proves_nothing(
    task: Callable[..., Task], clock: Clock
) -> None:
    """The collector's last packet equals the row, but is not the one whose answer was lost."""
    found = task()
    Ledger.create(found.ledger, STREAM, is_restart=True).close()
    run = Run(found, clock, before=LINES[:1], posts=[lost(is_stored=False)])
    expected = {"sent": 6, "retries": 1, "possible_duplicates": 1}
    assert (("done",), expected) == (run.ending, run.counts)
    assert packets(STREAM, [LINES[0], *LINES]) == run.stored


def test_after_a_restart_that_was_killed_a_packet_from_before_proves_nothing(
    task: Callable[..., Task], clock: Clock
) -> None:
    """The row that was in flight is sent again, and counted."""
    found = task()
    first, *_ = items_of(found)
    ledger = Ledger.create(found.ledger, STREAM, is_restart=True)
    ledger.set_baseline(baseline(last_packet(first)))
    kill(ledger, first)
    run = Run(found, clock, before=LINES[:1])
    assert (("done",), {"sent": 6, "possible_duplicates": 1}) == (run.ending, run.counts)


# Packets that are rejected


def test_a_rejected_row_stops_its_stream(task: Callable[..., Task], clock: Clock) -> None:
    """It is not recorded: the next run tries it again."""
    run = Run(task(), clock, posts=[None, answered(400)])
    assert (("stopped", "rejected", 3), {"sent": 1, "rejected": 1}) == (run.ending, run.counts)
    problem = run.result.problem
    assert problem is not None
    assert (2, 400) == (problem.line, problem.status)
    run = Run(task(), clock, before=LINES[:1])
    assert (("done",), {"sent": 5, "resumed": 1}) == (run.ending, run.counts)


def test_a_rejected_row_is_kept_aside_if_that_was_asked_for(
    task: Callable[..., Task], clock: Clock
) -> None:
    """The others are sent; the next run does not try it again, and still says so."""
    posts = [None, answered(400)]
    run = Run(task(on_reject="skip"), clock, posts=posts)
    assert (("done", "rejected", 3), {"sent": 5, "rejected": 1}) == (run.ending, run.counts)
    assert f"{LINES[1]}\n" == run.task.rejects.read_text()
    assert [0, 1, 2, 3, 4, 5] == run.recorded
    assert (5, 1) == (run.result.tally.sent, run.result.tally.base)  # together what is recorded
    run = Run(task(on_reject="skip"), clock, before=LINES)
    assert (("done", "rejected", 3), {"resumed": 5, "rejected": 1}) == (run.ending, run.counts)
    assert f"{LINES[1]}\n" == run.task.rejects.read_text()


@pytest.mark.parametrize(("is_broken", "rejected"), [(False, 3), (True, 4)])
def test_many_rejected_rows_in_a_row_stop_their_stream(
    task: Callable[..., Task],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    rejected: int,
    *,
    is_broken: bool,
) -> None:
    """Something else is wrong then; one that is acknowledged in between begins the count anew."""
    monkeypatch.setattr(module, "REJECTS_IN_A_ROW", 3)
    posts = [answered(400), *[None] * is_broken, *[answered(400)] * 3]
    run = Run(task(on_reject="skip"), clock, posts=posts)
    assert ("stopped", "rejected", 3) == run.ending
    assert (rejected, rejected + is_broken) == (run.counts["rejected"], len(run.recorded))
    ledger = reopened(run.task.ledger)
    kinds = [entry.kind for entry in ledger.entries()]
    assert rejected == kinds.count(REJECTED)
    ledger.close()


# Streams that end before their last row


@pytest.mark.parametrize(
    ("end", "ending", "stops_run"),
    [
        (StopRequested(), ("stopped", "interrupted", 5), False),
        (CollectorDown(9.0, "down"), ("stopped", "temporary", 5), True),
    ],
)
def test_a_run_that_ends_leaves_its_streams_where_they_are(
    task: Callable[..., Task],
    clock: Clock,
    end: Exception,
    ending: tuple[object, ...],
    *,
    stops_run: bool,
) -> None:
    """The rows by then are recorded, nothing is in flight, and the next run goes on."""
    run = Run(task(), clock, turns=[None, None, None, end])
    assert (ending, stops_run) == (run.ending, run.result.stops_run)
    assert ({"sent": 2}, [STREAM]) == (run.counts, run.context.unlocked)
    ledger = reopened(run.task.ledger)
    assert () == ledger.in_doubt
    ledger.close()
    run = Run(task(), clock, before=LINES[:2])
    assert (("done",), {"sent": 4, "resumed": 2}) == (run.ending, run.counts)


def test_credentials_that_are_refused_stop_the_stream(
    task: Callable[..., Task], clock: Clock
) -> None:
    """After one try with a fresh session."""
    run = Run(task(), clock, posts=[answered(401), answered(401)])
    assert ("stopped", "unauthorized", 4) == run.ending
    assert {0} == run.context.refused


def test_a_packet_is_given_up_after_a_while(task: Callable[..., Task], clock: Clock) -> None:
    """It was throttled: it is not in flight, and the next run sends it."""
    run = Run(task(retry_for=30.0), clock, posts=[None, *[answered(429)] * 100])
    assert ("stopped", "temporary", 5) == run.ending
    assert run.counts["sent"] == 1
    ledger = reopened(run.task.ledger)
    assert () == ledger.in_doubt
    ledger.close()


def test_a_file_that_has_changed_stops_its_stream(task: Callable[..., Task], clock: Clock) -> None:
    """Nothing of what it has now is sent."""
    found = task()
    (path,) = found.meter.files
    path.write_text(path.read_text().replace("0.05", "9.05"))
    run = Run(found, clock)
    assert ("stopped", "file changed", 3) == run.ending
    assert [] == run.collector.packets


def test_a_damaged_checkpoint_stops_the_run(task: Callable[..., Task], clock: Clock) -> None:
    """Nothing is sent without one; the file is kept."""
    found = task()
    sent_before(found, 0, 1).close()
    data = bytearray(found.ledger.read_bytes())
    data[-3] ^= 1
    found.ledger.write_bytes(data)
    run = Run(found, clock, before=LINES[:2])
    assert (("stopped", "state", 7), True) == (run.ending, run.result.stops_run)
    assert ([], [STREAM]) == (run.collector.calls, run.context.unlocked)
    assert data == found.ledger.read_bytes()
