"""Power cuts of real runs: data not synced is lost; the next run settles it with one request."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.real import descendants
from tests.support import power_cut as powercut
from tests.support.collector import Behaviour, Collector, Reply, Request
from tests.support.processes import group_is_gone
from tests.support.workspace import Finished, Workspace, ended, packets, rows

pytestmark = pytest.mark.skipif(
    bool(powercut.missing()), reason=f"power cuts of real runs: {powercut.missing()}"
)

LINES = rows(60)
_ROOT = str(Path(__file__).parents[2])


class Machine:
    """Runs the command and simulates power cuts; each cut changes the boot ID."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.boots = 1

    def _start(self, line: list[str]) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            powercut.in_boot(self.boots, line, self.workspace.folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**self.workspace._env(), "PYTHONPATH": _ROOT},
        )

    def run(self, config: Path, *arguments: str) -> Finished:
        """Run the command until it ends."""
        line = [sys.executable, "-m", "swarm", str(config), "--json", *arguments]
        return ended(self._start(line)).balanced()

    def cut(self, config: Path, collector: Collector, posts: int, *arguments: str) -> None:
        """Run the command, and cut the power once it has stored ``posts`` more packets.

        All data that was not synced is lost.
        """
        log = self.workspace.folder / "calls"
        before = powercut.contents(self.workspace.state)
        target = len(collector.bodies("m")) + posts
        line = [sys.executable, "-m", "swarm", str(config), *arguments]
        process = self._start(powercut.recorded(line, log))
        while len(collector.bodies("m")) < target:
            assert process.poll() is None, process.communicate()
            time.sleep(0.002)
        for pid in descendants(process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()
        group_is_gone(process.pid)
        powercut.cut(self.workspace.state, before, log, _Nothing())
        self.boots += 1


class _Nothing(random.Random):
    """A random generator by which all data that was not synced is lost."""

    def random(self) -> float:
        return 1.0

    def randint(self, a: int, _b: int) -> int:
        return a

    def choice(self, seq: Any) -> Any:
        return seq[0]


@pytest.fixture
def machine(workspace: Workspace) -> Machine:
    """Return a machine whose power can be cut."""
    return Machine(workspace)


def ini(workspace: Workspace, collector: Collector, lines: list[str], **upload: str) -> Path:
    """Write an INI for one stream, and its CSV."""
    settings = {"processes": "1", "progress": "none", **upload}
    return workspace.ini(collector.url, {"m": workspace.csv("m.csv", lines)}, upload=settings)


def since(row: int) -> str:
    """Return the local time of a row in the form of an option."""
    return LINES[row].partition(",")[0].replace(" ", "T")


def test_rows_that_the_cut_run_lacked_are_not_taken_for_sent(
    workspace: Workspace, collector: Collector, machine: Machine
) -> None:
    """Older rows that the file did not have before the cut are late afterwards, as after a kill."""
    collector.delay = 0.005
    machine.cut(ini(workspace, collector, LINES[20:]), collector, 15)
    config = ini(workspace, collector, LINES)
    told = machine.run(config)
    meter = told.meters["m"]
    assert (3, 20) == (told.code, meter["late"])
    assert machine.run(config, "--late", "send").code == 0
    times = sorted(packet["tsISO8601"] for packet in collector.packets("m"))
    assert [packet["tsISO8601"] for packet in packets("m", LINES)] == times


def test_rows_outside_of_the_cut_runs_window_are_not_taken_for_sent(
    workspace: Workspace, collector: Collector, machine: Machine
) -> None:
    """Rows that `--since` left out do not count as sent."""
    collector.delay = 0.005
    config = ini(workspace, collector, LINES)
    machine.cut(config, collector, 15, "--since", since(20))
    told = machine.run(config)
    assert (3, 20) == (told.code, told.meters["m"]["late"])


@pytest.mark.parametrize("arguments", [("--until", since(10)), ("--since", since(50)), ()])
def test_the_question_is_put_whatever_the_next_run_sends(
    workspace: Workspace, collector: Collector, machine: Machine, arguments: tuple[str, ...]
) -> None:
    """Rows that were stored are not sent again, by this run or the next."""
    collector.delay = 0.005
    config = ini(workspace, collector, LINES)
    machine.cut(config, collector, 25)
    stored = len(collector.bodies("m"))
    done = machine.run(config, *arguments)
    assert done.meters["m"]["possible_duplicates"] == 0
    # If a row after those that were sent is sent first, the rows between are late.
    assert machine.run(config, "--late", "send").code == 0
    times = [packet["tsISO8601"] for packet in collector.packets("m")]
    assert (len(LINES), stored) == (len(set(times)), len(set(times[:stored])))
    assert len(times) == len(LINES)


def test_the_cut_takes_rows_of_the_file_as_well(
    workspace: Workspace, collector: Collector, machine: Machine
) -> None:
    """The sent rows are known without the file; when it grows again, they are not sent again."""
    collector.delay = 0.005
    machine.cut(ini(workspace, collector, LINES), collector, 25)
    assert machine.run(ini(workspace, collector, LINES[:10])).code == 0
    assert machine.run(ini(workspace, collector, LINES)).code == 0
    assert packets("m", LINES) == collector.packets("m")


def test_each_row_in_doubt_counts(workspace: Workspace, machine: Machine) -> None:
    """If another source sent a newer packet, each row that is sent again is counted."""
    live = Reply(200, b'{"id":"m","tsISO8601":"2030-01-01T00:00:00.000+00:00","value":1}')
    has_live_data = False

    def script(request: Request, _: Collector) -> Behaviour | None:
        return live if request.method == "GET" and has_live_data else None

    with Collector(script, delay=0.005) as collector:
        config = ini(workspace, collector, LINES)
        machine.cut(config, collector, 25)
        has_live_data = True
        done = machine.run(config)
        sent = collector.packets("m")
        twice = len(sent) - len({packet["tsISO8601"] for packet in sent})
        told = done.meters["m"]["possible_duplicates"]
        assert (True, 0) == (twice <= told <= 60, done.code)
        assert twice >= 25


def refusing(number: int) -> Callable[[Request, Collector], Behaviour | None]:
    """Return a script that permanently refuses one row."""
    value = LINES[number].partition(",")[2].encode()

    def script(request: Request, _: Collector) -> Behaviour | None:
        is_it = request.method == "POST" and b'"value":' + value + b"}" in request.body
        return Reply(400) if is_it else None

    return script


def test_a_rejected_row_is_not_taken_for_acknowledged(
    workspace: Workspace, machine: Machine
) -> None:
    """Its record is on the disk before its line is in the rejects file."""
    with Collector(refusing(5), delay=0.005) as collector:
        config = ini(workspace, collector, LINES, on_reject="skip")
        machine.cut(config, collector, 20)
        done = machine.run(config)
        assert (3, 1) == (done.code, done.meters["m"]["rejected"])
        assert packets("m", [*LINES[:5], *LINES[6:]]) == collector.packets("m")
