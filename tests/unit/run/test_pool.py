"""Hand-out: every task of a run gets its result."""

import multiprocessing
import os
import threading

import pytest

from swarm.config.options import Upload
from swarm.run.pool import Pool
from swarm.run.shared import SharedState
from swarm.run.stop import EndNow


def test_a_place_that_is_told_late_is_waited_for() -> None:
    """Tasks wait for the word that a place is free, also when nothing is in hand."""
    board = SharedState.create(1)
    with Pool(board, Upload(transport="requests"), 1, 1) as pool:
        results = dict(pool.run("tests.support.spawned:answer", [1, 2, 3], lambda _: None))
    board.close()
    assert {0: 2, 1: 4, 2: 6} == results


def test_parent_and_worker_never_wait_for_each_other() -> None:
    """Hundreds of tasks handed out in one go, while the worker has as much to tell: no deadlock."""
    board = SharedState.create(1)
    tasks = ["x" * 3000] * 600
    results: dict[int, int] = {}

    def run() -> None:
        results.update(pool.run("tests.support.spawned:length", tasks, lambda _: None))

    with Pool(board, Upload(transport="requests"), 1, 300) as pool:
        runner = threading.Thread(target=run, daemon=True)
        runner.start()
        runner.join(30)
        assert len(results) == len(tasks)
    board.close()


def test_a_second_signal_leaves_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal while workers are dismissed, and one while they are killed: all are gone."""

    def signalled(*_: object) -> None:
        monkeypatch.undo()
        raise EndNow(2)

    def go(place: str) -> None:
        with Pool(board, Upload(transport="requests"), 1, 1) as pool:
            assert {0: 1} == dict(pool.run("tests.support.spawned:length", ["x"], lambda _: None))
            monkeypatch.setattr(place, signalled)

    board = SharedState.create(1)
    for place in ("swarm.run.pool._WorkerHandle.send", "multiprocessing.process.BaseProcess.join"):
        with pytest.raises(EndNow):
            go(place)
        assert not multiprocessing.active_children()
    board.close()


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system has no affinity")
def test_each_worker_keeps_to_a_core_of_its_own() -> None:
    """The threads of a worker share a core; the parent has all that it had."""
    ours = os.sched_getaffinity(0)
    board = SharedState.create(1)
    with Pool(board, Upload(transport="requests"), 2, 4) as pool:
        found = dict(pool.run("tests.support.spawned:cores", [1, 2, 3, 4], lambda _: None))
    board.close()
    assert {1} == set(map(len, found.values()))
    assert min(len(ours), 2) == len(set(found.values()))
    assert ours == os.sched_getaffinity(0)


def test_a_worker_whose_loop_dies_is_gone(capfd: pytest.CaptureFixture[str]) -> None:
    """A bug in it is told, and nobody waits for ever."""
    board = SharedState.create(1)
    with Pool(board, Upload(transport="curl"), 1, 2) as pool:
        (lost,) = dict(pool.run("tests.support.spawned:break_loop", [1], lambda _: None)).values()
    board.close()
    assert "its worker process was ended with 1" == lost.message
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_slots_of_a_pool_grow_during_a_run() -> None:
    """A worker without slots gets some later, and then has jobs; those with jobs keep one."""
    board = SharedState.create(1)
    with Pool(board, Upload(transport="requests"), 2, 1, 4) as pool:
        steps = iter([4, 1, 2])
        results = dict(
            pool.run(
                "tests.support.spawned:answer",
                list(range(40)),
                lambda _: pool.resize(next(steps, 2)),
            )
        )
    board.close()
    assert {number: 2 * number for number in range(40)} == results
