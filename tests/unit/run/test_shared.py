"""The board: what all processes of a run know together, over real processes."""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from swarm.errors import StateError
from swarm.run.shared import SharedState
from tests.support.spawned import accept_all, hammer_board, hold_board, probe, reserve, spawned


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock that the board sees."""
    clock = Clock()
    monkeypatch.setattr("swarm.run.shared.time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture
def board() -> Iterator[SharedState]:
    """Return the board of a run with two sets of credentials."""
    board = SharedState.create(2)
    yield board
    board.close()


def test_the_gate_shuts_at_a_failure_and_opens_at_an_answer(
    clock: Clock, board: SharedState
) -> None:
    """The collector is down from the first failure to the next answer; words are the newest."""
    assert (False, "") == (board.is_down, board.detail)
    board.record_unreachable(0.5, "refused")
    clock.now += 2
    board.record_unreachable(60.0, "no such host")
    assert (True, "no such host", 2.0) == (board.is_down, board.detail, board.down_for())
    assert board.until_probe() == -1.5  # the second failure does not put the probe off
    board.record_answer()
    assert (False, 0) == (board.is_down, board.failures)


def test_whoever_sees_the_gate_shut_knows_since_when(
    monkeypatch: pytest.MonkeyPatch, clock: Clock, board: SharedState
) -> None:
    """The gate shuts after its times were noted: a run must not end over those of an older one."""
    put, seen = board._put, []

    def watched(at: int, value: float) -> None:
        seen.append(board.is_down)
        put(at, value)

    monkeypatch.setattr(board, "_put", watched)
    board.record_unreachable(0.5, "refused")
    assert ([False, False], 0.0) == (seen, board.down_for())


def test_one_probe_a_step(clock: Clock, board: SharedState) -> None:
    """Each step of the backoff has one probe, and counts as one failure."""
    assert board.claim_probe(1.0)  # not down: anyone may send
    assert board.failures == 0
    board.record_unreachable(0.5, "refused")
    assert not board.claim_probe(1.0)
    clock.now += 0.5
    assert [True, False, 1] == [board.claim_probe(1.0), board.claim_probe(1.0), board.failures]
    clock.now += 1.0
    assert [True, False, 2] == [board.claim_probe(4.0), board.claim_probe(4.0), board.failures]
    assert board.until_probe() == 4.0


def test_one_probe_a_step_over_three_processes(board: SharedState) -> None:
    """Three processes that all want the probe never get more than one a step."""
    with (
        spawned(probe, board, 0.1, 0.8) as first,
        spawned(probe, board, 0.1, 0.8) as second,
        spawned(probe, board, 0.1, 0.8) as third,
    ):
        probers = (first, second, third)
        assert ["ready"] * 3 == [prober.hear() for prober in probers]
        start = time.monotonic()
        board.record_unreachable(0.0, "refused")
        for prober in probers:
            prober.tell("go")
        taken = sum(prober.hear() for prober in probers)
        steps = (time.monotonic() - start) / 0.1
    assert board.failures == taken
    assert 2 <= taken <= steps + 1


def test_silence_is_since_the_last_answer(clock: Clock, board: SharedState) -> None:
    """The silence begins with the run, with its first packet, and anew with each answer."""
    clock.now += 5
    assert board.seconds_without_answer() == 5
    board.restart_clock()
    assert board.seconds_without_answer() == 0
    clock.now += 7
    board.record_answer()
    clock.now += 1
    assert board.seconds_without_answer() == 1


def test_no_reader_sees_half_a_time(board: SharedState) -> None:
    """While another process notes answers, silence is never more than a moment."""
    with spawned(hammer_board, board) as busy:
        assert busy.hear() == "ready"
        board.record_answer()
        # Half a time, or a cleared one, would be the machine's uptime, or nonsense.
        assert max(board.seconds_without_answer() for _ in range(300_000)) < 30
        busy.tell("stop")


def test_a_rate_is_kept_to_the_request(clock: Clock, board: SharedState) -> None:
    """Requests are spaced by the rate from the first on; what was missed is made up a little."""
    assert [0.0, 0.25, 0.5] == [board.reserve_request(4) for _ in range(3)]
    clock.now += 0.8  # 50 ms late: made up
    assert [-0.05, 0.2] == pytest.approx([board.reserve_request(4) for _ in range(2)])
    clock.now += 60  # a minute's requests are not sent at once
    assert [-0.1, 0.15] == pytest.approx([board.reserve_request(4) for _ in range(2)])


def test_a_rate_is_kept_over_two_processes(board: SharedState) -> None:
    """Two processes reserve 2,000 moments, and no moment twice."""
    before = time.monotonic()
    assert board.reserve_request(100) == 0
    after = time.monotonic()
    # Ten seconds ahead, so that however slow the machine is nothing is missed, and made up.
    for _ in range(999):
        board.reserve_request(100)
    with spawned(reserve, board, 100, 1000) as first, spawned(reserve, board, 100, 1000) as second:
        assert ["ready"] * 2 == [first.hear(), second.hear()]
        first.tell("go")
        second.tell("go")
        assert ["done"] * 2 == [first.hear(), second.hear()]
    asked = time.monotonic()
    wait = board.reserve_request(100)
    told = time.monotonic()
    assert before + 30 - told - 1e-6 <= wait <= after + 30 - asked + 1e-6


def test_credentials_are_accepted_and_condemned_each_alone(board: SharedState) -> None:
    """An answer to one set of credentials is not said of the other; the first to say so."""
    board.accept_credential(1)
    assert [False, True] == [board.is_credential_accepted(number) for number in (0, 1)]
    assert [True, False] == [board.refuse_credential(1), board.refuse_credential(1)]
    assert [False, True] == [board.is_credential_refused(number) for number in (0, 1)]
    assert board.is_credential_accepted(1)


def test_nothing_said_of_credentials_is_lost() -> None:
    """One process accepts credentials while another condemns them: both stand."""
    count = 100_000
    board = SharedState.create(count)
    with spawned(accept_all, board, count) as other:
        assert other.hear() == "ready"
        other.tell("go")
        for number in range(0, count, 10):
            board.refuse_credential(number)
        assert other.hear() == "done"
    assert all(board.is_credential_accepted(number) for number in range(count))
    assert all(board.is_credential_refused(number) for number in range(0, count, 10))
    board.close()


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("", ""),
        ("connection refused", "connection refused"),
        ("ü" * 500, "ü" * 224),
        ("x" + "ü" * 500, "x" + "ü" * 223),
        ("a file called \udcff", "a file called ?"),
    ],
)
def test_words_are_kept_as_far_as_there_is_room(board: SharedState, words: str, kept: str) -> None:
    """Words of any length and kind are kept, cut between two characters."""
    board.record_unreachable(1.0, "what was said before, which is longer")
    board.record_unreachable(1.0, words)
    assert kept == board.detail


def test_a_stop_reaches_every_process(board: SharedState) -> None:
    """The word to stop is there for all, and for good."""
    assert not board.stopped
    board.stop()
    assert board.stopped


def test_a_killed_process_leaves_no_lock(board: SharedState) -> None:
    """A process that is killed while it holds the board's lock holds up nobody."""
    with spawned(hold_board, board) as holder:
        assert holder.hear() == "held"
        waiter = threading.Thread(target=board.reserve_request, args=(10,), daemon=True)
        waiter.start()
        waiter.join(0.2)
        assert waiter.is_alive()
        os.kill(holder.process.pid or 0, signal.SIGKILL)
        waiter.join(20)
        assert not waiter.is_alive()


def test_no_room_for_the_board_is_a_state_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder for temporary files the run ends with exit 7, and says what to do."""
    monkeypatch.setattr(tempfile, "tempdir", "/no/such/folder")
    with pytest.raises(StateError, match="TMPDIR") as caught:
        SharedState.create(1)
    assert caught.value.exit_code == 7


def test_congestion_is_counted() -> None:
    """Answers that ask for fewer requests are counted for the whole run."""
    board = SharedState.create(1)
    board.count_congested()
    board.count_congested()
    assert board.congested == 2
    board.close()
