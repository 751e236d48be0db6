"""The jobs of a seat: their messages name the host."""

from pathlib import Path
from typing import cast

import pytest

from swarm.cluster.jobs import SeatContext, deliver
from tests.simulation.collector import Clock
from tests.support.streams import ScriptedCollector, StreamContext, task_of
from tests.support.workspace import rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("2023-01-01 00:00:00,9\n" * 10, "its content is not the one that was checked"),
        ("", "its content is not the one that was checked"),
        (None, "no such file; every worker needs the files under the same paths"),
    ],
)
def test_files_that_are_not_those_that_were_checked_are_not_sent(
    tmp_path: Path, content: str | None, message: str
) -> None:
    """Not one row: the file is compared as a whole before the first."""
    task = task_of(tmp_path, rows(10))
    (path,) = task.meter.files
    path.unlink()
    if content is not None:
        path.write_text(content)
    clock = Clock(0.0)
    collector = ScriptedCollector(clock)
    context = StreamContext(clock, collector)
    context.host = "host-7"  # type: ignore[attr-defined]
    result = deliver(task, cast("SeatContext", context))
    assert result.problem is not None
    assert ("stopped", "file changed") == (result.state, result.problem.kind)
    assert f"on host-7: {path}: {message}" in result.problem.message
    assert [] == collector.calls


def test_the_same_content_elsewhere_is_sent(tmp_path: Path) -> None:
    """Another file, with another time of modification, as every worker's is."""
    task = task_of(tmp_path, rows(10))
    (path,) = task.meter.files
    content = path.read_bytes()
    path.rename(tmp_path / "old")
    path.write_bytes(content)
    clock = Clock(0.0)
    context = StreamContext(clock, ScriptedCollector(clock))
    context.host = "host-7"  # type: ignore[attr-defined]
    result = deliver(task, cast("SeatContext", context))
    assert ("done", 10) == (result.state, result.tally.sent)
