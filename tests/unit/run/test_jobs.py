"""The check in the parent: what its workers meet."""

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from swarm.cli.progress import SilentProgress
from swarm.config.options import Upload
from swarm.csv import CheckResult
from swarm.run.check import check
from swarm.run.jobs import WorkerLostError, run_read_only
from swarm.run.shared import SharedState
from swarm.run.stop import Stop
from tests.support.ini import ini_text, loaded
from tests.support.pools import local_pool

_SPAWNED = "tests.support.spawned"


def test_a_look_whose_worker_was_killed_is_taken_again(tmp_path: Path) -> None:
    """Looking changes nothing: another worker takes it, once; whoever kills both is told so."""
    tasks = [
        SimpleNamespace(meter=SimpleNamespace(id=name), mark=str(tmp_path / name)) for name in "ab"
    ]
    board = SharedState.create(1)
    with local_pool(board, Upload(transport="requests"), 2, 2) as pool:
        found = list(run_read_only(pool, f"{_SPAWNED}:die_once", tasks, SilentProgress(), Stop()))
        with pytest.raises(WorkerLostError, match=r"a: not finished: .*SIGKILL") as caught:
            list(
                run_read_only(
                    pool, "tests.support.spawned:die", tasks[:1], SilentProgress(), Stop()
                )
            )
    board.close()
    assert (["looked"] * 2, 5) == (found, caught.value.exit_code)


def test_little_is_checked_without_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few small files take less time than a process; the result is that of the pool."""
    (tmp_path / "a.csv").write_text("2023-01-01 00:00:00,1\n2023-01-01 00:15:00,x\n")
    (tmp_path / "b.csv").write_text("2023-01-01 00:00:00,1\n")
    settings = loaded(tmp_path, ini_text(meters="a = a.csv\nb = b.csv\nc = none.csv"))
    here = check(settings, SilentProgress())
    monkeypatch.setattr("swarm.run.check._FEW_METERS", 2)
    assert here == check(settings, SilentProgress())
    assert [False, True, False] == [each.is_sound for each in here[0]]
    monkeypatch.undo()
    monkeypatch.setattr("swarm.run.setup.open_pool", None)
    assert here == check(settings, SilentProgress())


def test_a_signal_ends_a_check_without_a_worker(tmp_path: Path) -> None:
    """The files after it are not looked at, and the user is told that nothing was sent."""
    (tmp_path / "a.csv").write_text("2023-01-01 00:00:00,1\n")
    settings = loaded(tmp_path, ini_text(meters="a = a.csv\nb = a.csv\nc = a.csv"))

    class Interrupting(SilentProgress):
        def checked(self, result: CheckResult) -> None:
            if result.meter == "b":
                os.kill(os.getpid(), signal.SIGTERM)

    results, number = check(settings, Interrupting())
    assert ([1, 1, 0], signal.SIGTERM) == ([each.rows for each in results], number)
