"""The check in the parent: what its workers meet."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from swarm.cli.progress import SilentProgress
from swarm.config.options import Upload
from swarm.run.jobs import WorkerLostError, run_read_only
from swarm.run.pool import Pool
from swarm.run.shared import SharedState
from swarm.run.stop import Stop

_SPAWNED = "tests.support.spawned"


def test_a_look_whose_worker_was_killed_is_taken_again(tmp_path: Path) -> None:
    """Looking changes nothing: another worker takes it, once; whoever kills both is told so."""
    tasks = [
        SimpleNamespace(meter=SimpleNamespace(id=name), mark=str(tmp_path / name)) for name in "ab"
    ]
    board = SharedState.create(1)
    with Pool(board, Upload(transport="requests"), 2, 2) as pool:
        found = list(run_read_only(pool, f"{_SPAWNED}:die_once", tasks, SilentProgress(), Stop()))
        with pytest.raises(WorkerLostError, match=r"a: not finished: .*SIGKILL") as caught:
            list(
                run_read_only(
                    pool, "tests.support.spawned:die", tasks[:1], SilentProgress(), Stop()
                )
            )
    board.close()
    assert (["looked"] * 2, 5) == (found, caught.value.exit_code)
