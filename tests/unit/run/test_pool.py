"""Hand-out: every task of a run gets its result."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing import Pipe
from typing import TYPE_CHECKING

import pytest

from swarm.config.options import Upload
from swarm.run.pool import Ended, Link, Pool
from swarm.run.shared import SharedState
from swarm.run.stop import EndNow
from tests.support.pools import local_pool

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


def test_a_place_that_is_told_late_is_waited_for() -> None:
    """Tasks wait for the word that a place is free, also when nothing is in hand."""
    board = SharedState.create(1)
    with local_pool(board, Upload(transport="requests"), 1, 1) as pool:
        results = dict(pool.run("tests.support.spawned:answer", [1, 2, 3], lambda _: None))
    board.close()
    assert {0: 2, 1: 4, 2: 6} == results


def test_small_jobs_are_handed_out_together() -> None:
    """A part of the small ones in a row, and each large one alone: every one has its result."""
    board = SharedState.create(1)
    large = 2 * 1024 * 1024
    sizes = [10] * 16 + [large] + [10] * 15
    with local_pool(board, Upload(transport="requests"), 1, 1) as pool:
        found = dict(
            pool.run(
                "tests.support.spawned:batch",
                list(range(32)),
                lambda _: None,
                need_slots=False,
                sizes=sizes,
            )
        )
    board.close()
    together = [list(found.values()).count(thread) for thread in dict.fromkeys(found.values())]
    assert [8, 8, 1, 8, 7] == together


def test_one_of_several_jobs_that_fails_costs_no_other() -> None:
    """The jobs that were handed out with it have their results."""
    board = SharedState.create(1)
    with local_pool(board, Upload(transport="requests"), 1, 1) as pool:
        found = dict(
            pool.run(
                "tests.support.spawned:inverse",
                [1, 2, 0, 4, *[1] * 12],
                lambda _: None,
                need_slots=False,
                sizes=[10] * 16,
            )
        )
    board.close()
    assert "ZeroDivisionError: division by zero" == found[2].message
    assert [1, 0.5, 0.25] == [found[number] for number in (0, 1, 3)]


def test_the_tick_comes_ten_times_a_second_and_at_the_end() -> None:
    """However many results there are, and never without the last tallies."""
    board = SharedState.create(1)
    ticks: list[float] = []
    with local_pool(board, Upload(transport="requests"), 1, 1) as pool:
        start = time.monotonic()
        for _ in pool.run(
            "tests.support.spawned:length",
            ["x"] * 300,
            lambda _: ticks.append(time.monotonic()),
            need_slots=False,
        ):
            pass
        seconds = time.monotonic() - start
    board.close()
    assert 2 <= len(ticks) <= seconds / 0.1 + 2


def test_parent_and_worker_never_wait_for_each_other() -> None:
    """Hundreds of tasks handed out in one go, while the worker has as much to tell: no deadlock."""
    board = SharedState.create(1)
    tasks = ["x" * 3000] * 600
    results: dict[int, int] = {}

    def run() -> None:
        results.update(pool.run("tests.support.spawned:length", tasks, lambda _: None))

    with local_pool(board, Upload(transport="requests"), 1, 300) as pool:
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
        with local_pool(board, Upload(transport="requests"), 1, 1) as pool:
            assert {0: 1} == dict(pool.run("tests.support.spawned:length", ["x"], lambda _: None))
            monkeypatch.setattr(place, signalled)

    board = SharedState.create(1)
    for place in ("swarm.run.pool._Worker.send", "multiprocessing.process.BaseProcess.join"):
        with pytest.raises(EndNow):
            go(place)
        assert not multiprocessing.active_children()
    board.close()


_PROGRAM = """
import threading, sys
import tests.support.spawned as jobs
from swarm.config.options import Upload
from tests.support.pools import local_pool
from swarm.run.shared import SharedState
jobs.MARK = "the parent's"
if sys.argv[1] == "threads":
    threading.Thread(target=threading.Event().wait, daemon=True).start()
with local_pool(SharedState.create(1), Upload(transport="requests"), 2, 2) as pool:
    print(set(dict(pool.run("tests.support.spawned:mark", [1, 2], lambda _: None)).values()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="workers are spawned there")
@pytest.mark.parametrize(("process", "found"), [("alone", "the parent's"), ("threads", "")])
def test_a_process_without_threads_forks(process: str, found: str) -> None:
    """A forked worker has the parent's modules; beside threads a fork is not safe."""
    command = [sys.executable, "-c", _PROGRAM, process]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{ {found}!r}\n" == done.stdout


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system has no affinity")
def test_each_worker_keeps_to_a_core_of_its_own() -> None:
    """The threads of a worker share a core; the parent has all that it had."""
    ours = os.sched_getaffinity(0)
    board = SharedState.create(1)
    with local_pool(board, Upload(transport="requests"), 2, 4) as pool:
        found = dict(pool.run("tests.support.spawned:cores", [1, 2, 3, 4], lambda _: None))
    board.close()
    assert {1} == set(map(len, found.values()))
    assert min(len(ours), 2) == len(set(found.values()))
    assert ours == os.sched_getaffinity(0)


def test_a_worker_whose_loop_dies_is_gone(capfd: pytest.CaptureFixture[str]) -> None:
    """A bug in it is told, and nobody waits for ever."""
    board = SharedState.create(1)
    with local_pool(board, Upload(transport="curl"), 1, 2) as pool:
        (lost,) = dict(pool.run("tests.support.spawned:break_loop", [1], lambda _: None)).values()
    board.close()
    assert "its worker process was ended with 1" == lost.message
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_slots_of_a_pool_grow_during_a_run() -> None:
    """A worker without slots gets some later, and then has jobs; those with jobs keep one."""
    board = SharedState.create(1)
    with local_pool(board, Upload(transport="requests"), 2, 1, 4) as pool:
        steps = iter([4, 1, 2])
        results = dict(
            pool.run(
                "tests.support.spawned:answer",
                list(range(14)),
                lambda _: pool.resize(next(steps, 2)),
            )
        )
    board.close()
    assert {number: 2 * number for number in range(14)} == results


class _Link:
    """A worker that the test plays."""

    slots = 8

    def __init__(self) -> None:
        self.pipe, self.theirs = Pipe()
        sentinel, self._end = Pipe(duplex=False)
        self.sentinel: Connection | int = sentinel

    def join(self, seconds: float) -> None:
        """Return at once."""

    def kill(self) -> None:
        """Close the pipe."""
        self.pipe.close()

    def ended(self) -> Ended:
        """Fail: it never ends."""
        raise AssertionError


class _Links:
    """Two workers that the test plays, as a provider."""

    most, is_local, failure = 2, True, None

    def __init__(self) -> None:
        self.links = [_Link(), _Link()]

    def use(self, _moved: int) -> None:
        """Return None."""

    def provide(self, _wanted: int, present: int, _slots: int) -> Iterator[Link]:
        """Yield both, once."""
        yield from self.links[present:]


def test_a_stream_of_a_worker_that_has_just_lost_its_slots_gets_one() -> None:
    """It counts as one with free slots until it has heard that there are fewer."""
    board = SharedState.create(1)
    provider = _Links()
    provider.links[0].slots = 0
    second = provider.links[1].theirs

    def play() -> None:
        heard = [second.recv(), second.recv(), second.recv()]
        (jobs,) = (each for each in heard if isinstance(each, list))
        # After `resize` it has none; then there is a job.
        assert heard.index(jobs) == 1
        second.send([("result", (jobs[0].number, heard[2]))])

    with Pool(board, provider, 16) as pool:
        pool.start(1)
        pool.resize(1)
        player = threading.Thread(target=play)
        player.start()
        assert {0: 1} == dict(pool.run("any:thing", [1], lambda _: None))
        player.join()
    board.close()
