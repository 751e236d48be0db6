"""Hand-out: every task of a run gets its result."""

from swarm.board import Board
from swarm.pool import Crew, Pool


def test_a_place_that_is_told_late_is_waited_for() -> None:
    """Tasks wait for the word that a place is free, also when nothing is in hand."""
    board = Board.create(1)
    with Pool(Crew(processes=1, places=1), board) as pool:
        results = dict(pool.run("tests.spawned:answer", [1, 2, 3], lambda _: None))
    board.close()
    assert {0: 2, 1: 4, 2: 6} == results
