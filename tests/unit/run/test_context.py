"""A worker's context: when a request may go out, and what the parent is told meanwhile."""

import threading
import time
from collections.abc import Iterator

import pytest

from swarm.checkpoint.ledger import REJECTED, Ledger, count_records
from swarm.collector.transport.base import Access
from swarm.config.options import Upload
from swarm.config.settings import CsvRules, Meter
from swarm.csv import Window, check_files
from swarm.delivery.context import StopRequested
from swarm.delivery.deliver import deliver
from swarm.delivery.result import Tally
from swarm.delivery.task import Task
from swarm.run.context import WorkerConfig, WorkerContext
from swarm.run.shared import SharedState
from swarm.scheduler import Threads
from tests.support.collector import Collector, Reply
from tests.support.streams import items_of
from tests.support.workspace import Workspace, rows


@pytest.fixture
def board() -> Iterator[SharedState]:
    """Return the board of a run with one set of credentials, its next moment a while ahead."""
    board = SharedState.create(1)
    board.set_rate_limit(20)
    for _ in range(6):
        board.reserve_request(20)
    yield board
    board.close()


def context(board: SharedState) -> WorkerContext:
    """Return the context of a worker that keeps to 20 requests a second."""
    return WorkerContext(
        WorkerConfig(board, 1, Upload(transport="requests")),
        lambda _: None,
        lambda _: None,
    )


def test_who_waits_for_the_rate_sends_nothing_to_a_collector_that_went_down(
    board: SharedState,
) -> None:
    """Of all that wait for their moment when the collector goes down, none goes out unprobed."""
    sent = threading.Event()

    def send() -> None:
        context(board).wait_for_turn(0)
        sent.set()

    threading.Thread(target=send, daemon=True).start()
    time.sleep(0.1)
    board.record_unreachable(60.0, "refused")
    assert not sent.wait(0.5)
    board.record_answer()
    assert sent.wait(5)


def test_who_waits_for_the_rate_sends_nothing_with_refused_credentials(board: SharedState) -> None:
    """Nor does one go out whose credentials were found wrong meanwhile."""
    threading.Timer(0.1, board.refuse_credential, (0,)).start()
    with pytest.raises(StopRequested):
        context(board).wait_for_turn(0)


@pytest.mark.flaky(reruns=2)
def test_who_waits_long_hears_that_its_credentials_are_refused(board: SharedState) -> None:
    """A Retry-After of minutes holds up no run that has nothing more to send."""
    threading.Timer(0.1, board.refuse_credential, (0,)).start()
    start = time.monotonic()
    with pytest.raises(StopRequested):
        context(board).sleep(60, 0)
    assert time.monotonic() - start < 5


def test_a_rejected_row_is_never_counted_twice(
    workspace: Workspace, board: SharedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever a worker is killed, what it told and what its ledger holds are no more than rows."""
    worker = context(board)
    record, told = Ledger.record, []

    def looked_at(ledger: Ledger, *row: int) -> None:
        told.append(worker.tallies["m"].copy())
        record(ledger, *row)

    monkeypatch.setattr(Ledger, "record", looked_at)
    with Collector(lambda request, _: Reply(422) if request.body else None) as collector:
        meter = Meter("m", (workspace.csv("m.csv", rows(1)),), CsvRules("UTC"))
        options, state = Upload(on_reject="skip"), str(workspace.state)
        found = check_files(meter, Window())
        task = Task(meter, found, options, collector.url, "c", state, Access("u", "p"), 0)
        worker.slots.expect()
        result = deliver(task, worker)
    assert (0, 1) == (result.tally.sent, result.tally.rejected)
    assert [Tally(base=0)] == told
    assert {REJECTED: 1} == count_records(task.ledger, 0)


class Interrupted(Threads):
    """Tells the run to stop when somebody gives way for the second time."""

    def __init__(self, board: SharedState) -> None:
        self.board = board
        self.breaths = 0

    def yield_control(self) -> None:
        """Count."""
        self.breaths += 1
        if self.breaths == 2:
            self.board.stop()


def test_a_stream_that_skips_what_was_sent_hears_that_it_is_to_stop(
    workspace: Workspace, board: SharedState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it read a long file to its end when there is nothing to send."""
    worker, stop = context(board), Interrupted(board)
    monkeypatch.setattr(worker, "scheduler", stop)
    meter = Meter("m", (workspace.csv("m.csv", rows(20_000)),), CsvRules("UTC"))
    state = str(workspace.state)
    task = Task(
        meter,
        check_files(meter, Window()),
        Upload(),
        "http://[::1]:1",
        "c",
        state,
        Access("u", "p"),
        0,
    )
    sent = [(item.instant, item.digest) for item in items_of(task)]
    Ledger.create(task.ledger, "m", acknowledged=sent).close()
    worker.slots.expect()
    result = deliver(task, worker)
    assert ("stopped", "interrupted", 2) == (
        result.state,
        result.problem and result.problem.kind,
        stop.breaths,
    )


def test_a_stream_with_nothing_new_reports_nothing_itself(
    board: SharedState, collector: Collector, workspace: Workspace
) -> None:
    """Its result is enough; a stream that sends reports first how many records there are."""
    told: list[int | None] = []
    for count, expected in ((2, [0]), (2, []), (3, [2])):
        told.clear()
        meter = Meter("m", (workspace.csv("m.csv", rows(count)),), CsvRules("UTC"))
        found, state = check_files(meter, Window()), str(workspace.state)
        task = Task(meter, found, Upload(), collector.url, "c", state, Access("u", "p"), 0)
        worker = WorkerContext(
            WorkerConfig(board, 1, Upload(transport="requests")),
            lambda _: None,
            lambda tallies: told.append(tallies["m"].base),
        )
        worker.slots.expect()
        result = deliver(task, worker)
        assert ("done", expected, {}) == (result.state, told, worker.tallies)
