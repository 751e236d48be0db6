"""A worker's context: when a request may go out."""

import threading
import time
from collections.abc import Iterator

import pytest

from swarm.board import Board
from swarm.stream import Halted
from swarm.worker import Brief, WorkerContext


@pytest.fixture
def board() -> Iterator[Board]:
    """Return the board of a run with one set of credentials, its next moment a while ahead."""
    board = Board.create(1)
    for _ in range(6):
        board.reserve_request(20)
    yield board
    board.close()


def context(board: Board) -> WorkerContext:
    """Return the context of a worker that keeps to 20 requests a second."""
    return WorkerContext(Brief(board, 1, rate_limit=20), lambda _: None, lambda _: None)


def test_who_waits_for_the_rate_sends_nothing_to_a_collector_that_went_down(board: Board) -> None:
    """Of all that wait for their moment when the collector goes down, none goes out unprobed."""
    sent = threading.Event()

    def send() -> None:
        context(board).may_send(0)
        sent.set()

    threading.Thread(target=send, daemon=True).start()
    time.sleep(0.1)
    board.unreachable(60.0, "refused")
    assert not sent.wait(0.5)
    board.answered()
    assert sent.wait(5)


def test_who_waits_for_the_rate_sends_nothing_with_refused_credentials(board: Board) -> None:
    """Nor does one go out whose credentials were found wrong meanwhile."""
    threading.Timer(0.1, board.condemn, (0,)).start()
    with pytest.raises(Halted):
        context(board).may_send(0)
