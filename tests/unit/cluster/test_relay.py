"""The relay: the command's copy of a ledger is the seat's, byte for byte, however it is cut."""

import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm.checkpoint.ledger import ACKNOWLEDGED, Ledger
from swarm.cluster.keeper import Keeper
from swarm.cluster.messages import Call, Write
from swarm.cluster.relay import Relay, RelayedState, SeatClosedError
from swarm.delivery.task import Task
from swarm.errors import StateError
from swarm.run.worker import Job
from swarm.scheduler import THREADS
from tests.support.streams import STREAM, items_of, record, task_of
from tests.support.workspace import rows

_WRITES = st.lists(st.tuples(st.integers(0, 40), st.binary(min_size=1, max_size=12)), max_size=30)


@given(_WRITES, st.sets(st.integers(0, 30)))
def test_relayed_writes_have_the_same_effect(
    writes: list[tuple[int, bytes]], drains: set[int]
) -> None:
    """Joined or not, and in however many reports they go."""
    direct, relayed = bytearray(80), bytearray(80)
    relay = Relay(lambda: None)

    def apply() -> None:
        for item in relay.drain():
            assert isinstance(item, Write)
            assert item.data is not None
            relayed[item.offset : item.offset + len(item.data)] = item.data

    for number, (offset, data) in enumerate(writes):
        direct[offset : offset + len(data)] = data
        relay.write("m", offset, data)
        if number in drains:
            apply()
    apply()
    assert direct == relayed


def test_records_of_a_stream_go_as_one_write() -> None:
    """Each record overwrites the mark after the one before it."""
    relay = Relay(lambda: None)
    for number in range(100):
        relay.write("m", 24 * number, bytes(32))
    (write,) = relay.drain()
    assert isinstance(write, Write)
    assert 24 * 100 + 8 == len(write.data or b"")


def test_a_call_is_answered_or_the_seat_has_ended() -> None:
    """Calls that wait end with the seat; later ones end at once."""
    relay = Relay(lambda: None)
    errors: list[Exception] = []

    def ask() -> None:
        try:
            relay.call(THREADS, "sync", "m")
        except StateError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while not relay.drain():
        pass
    relay.close()
    thread.join(10)
    ask()
    assert [SeatClosedError, SeatClosedError] == [type(error) for error in errors]


class Pair:
    """A seat's state and the command's keeper, joined without a network."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.relay = Relay(self._serve)
        self.state = RelayedState(self.relay)
        self.keeper = Keeper()
        self.keeper.begin([Job(0, "", task, needs_slot=True)])

    def _serve(self) -> None:
        threading.Thread(target=self.flush, daemon=True).start()

    def flush(self) -> None:
        """Apply what the seat has to report."""
        items = self.relay.drain()
        for stream, part in self.keeper.by_stream(items).items():
            self.relay.answer(self.keeper.apply(stream, part))


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """Return a seat and a keeper for a stream of ten rows."""
    return Pair(task_of(tmp_path, rows(10)))


def opened(pair: Pair) -> Ledger:
    """Open the stream's ledger in the seat; create it if there is none."""
    task = pair.task
    ledger = pair.state.open_ledger(task.meter, task.checked, task.ledger, THREADS)
    return ledger or pair.state.create_ledger(STREAM, task.ledger, (), THREADS)


def test_the_ledger_of_a_seat_is_that_of_the_command(pair: Pair) -> None:
    """After an orderly end, another run continues from it."""
    ledger = opened(pair)
    record(ledger, *items_of(pair.task)[:6])
    ledger.close()
    pair.flush()
    pair.keeper.close()
    found = Ledger.open(pair.task.ledger, STREAM)
    assert found is not None
    assert (6, ()) == (found.count, found.in_doubt)
    found.close()


def test_no_row_may_go_out_before_the_command_has_noted_it(pair: Pair) -> None:
    """When the seat is lost, the noted rows without a record are in doubt, and no others."""
    items = items_of(pair.task)
    ledger = opened(pair)
    from swarm.delivery.task import notes_of

    ledger.note(notes_of(items[:4]))
    for item in items[:3]:
        ledger.mark_in_flight()
        ledger.record(item.instant, item.digest, ACKNOWLEDGED)
    # The last report is lost with the seat: its records never come.
    pair.relay.drain()
    pair.keeper.close()
    found = Ledger.open(pair.task.ledger, STREAM)
    assert found is not None
    assert 0 == found.count
    assert [item.instant for item in items[:4]] == [note.instant for note in found.in_doubt]
    found.close()


def test_a_write_that_fails_is_told_with_the_next_sync(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seat's job ends with the command's own error, which names the file."""
    ledger = opened(pair)

    def full(*_: Any) -> None:
        raise StateError(f"{pair.task.ledger}: can't be written: the disk is full")

    monkeypatch.setattr("swarm.checkpoint.ledger_file.LedgerFile.write", full)
    pair.relay.write(STREAM, 0, b"x")
    with pytest.raises(StateError, match="the disk is full"):
        ledger.sync()


def test_a_seat_reaches_only_the_streams_that_it_was_given(pair: Pair) -> None:
    """Writes and calls for others are ignored."""
    assert [] == pair.keeper.apply("other", [Call(0, "open", "other", ()), Write("other", 0, b"x")])
