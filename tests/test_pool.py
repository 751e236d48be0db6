"""Hand-out: every task of a run gets its result."""

import threading

from swarm.board import Board
from swarm.pool import Crew, Pool


def test_a_place_that_is_told_late_is_waited_for() -> None:
    """Tasks wait for the word that a place is free, also when nothing is in hand."""
    board = Board.create(1)
    with Pool(Crew(processes=1, places=1), board) as pool:
        results = dict(pool.run("tests.spawned:answer", [1, 2, 3], lambda _: None))
    board.close()
    assert {0: 2, 1: 4, 2: 6} == results


def test_parent_and_worker_never_wait_for_each_other() -> None:
    """Hundreds of tasks handed out in one go, while the worker has as much to tell: no deadlock."""
    board = Board.create(1)
    tasks = ["x" * 3000] * 600
    results: dict[int, int] = {}

    def run() -> None:
        results.update(pool.run("tests.spawned:length", tasks, lambda _: None))

    with Pool(Crew(processes=1, places=300), board) as pool:
        runner = threading.Thread(target=run, daemon=True)
        runner.start()
        runner.join(30)
        assert len(results) == len(tasks)
    board.close()
