"""Runs of commands, each in its own process session: their time, CPU time and output."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results import NotMeasured

ROOT = Path(__file__).parents[2]
_TICK_SECONDS = 0.1


@dataclass(frozen=True)
class Finished:
    """The result of a command: ``seconds`` by the clock, ``cpu`` seconds of all its processes."""

    seconds: float
    cpu: float
    out: str

    def __str__(self) -> str:
        """Return the times as short text."""
        return f"{self.seconds:.2f} s, {self.cpu:.2f} s of CPU"

    @property
    def report(self) -> dict[str, Any]:
        """The JSON that the command printed."""
        report: dict[str, Any] = json.loads(self.out)
        return report


@dataclass(frozen=True)
class Setting:
    """The surroundings of a command.

    ``stderr`` is a descriptor to use instead of a file; ``watch`` is called ten times a second with
    the ID of the command's process session; ``within`` is a command that runs it, for example in a
    network namespace; ``expected`` are the exit codes that are no failure.
    """

    stderr: int | None = None
    watch: Callable[[int], None] | None = None
    within: Sequence[str] = ()
    expected: Sequence[int] = (0,)


PLAIN = Setting()


def run(
    command: Sequence[str], folder: Path, *, setting: Setting = PLAIN, root: Path = ROOT
) -> Finished:
    """Run a command in ``folder`` until it ends; raise `NotMeasured` if it fails.

    ``root`` is the checkout whose swarm it imports.
    """
    out, err = folder / "stdout.txt", folder / "stderr.txt"
    with out.open("wb") as out_file, err.open("wb") as err_file:
        started = time.monotonic()
        process = start(
            [*setting.within, *command],
            folder,
            out_file.fileno(),
            setting.stderr or err_file.fileno(),
            root=root,
        )
        try:
            status, cpu = _wait(process.pid, setting.watch)
            seconds = time.monotonic() - started
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            end(process)
    if process.returncode not in setting.expected:
        raise NotMeasured(_failure(command, process.returncode, err))
    return Finished(seconds, cpu, out.read_text("utf-8"))


def start(
    command: Sequence[str], folder: Path, out: int, err: int, *, root: Path = ROOT
) -> "subprocess.Popen[bytes]":
    """Start a command as the leader of a new process session, which `end` kills as a whole."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        cwd=folder,
        env=environment(root),
        start_new_session=True,
    )


def environment(root: Path) -> dict[str, str]:
    """Return the environment for the swarm of a checkout, without its variables and proxies."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SWARM_") and not name.lower().endswith("_proxy")
    }
    return kept | {"PYTHONPATH": str(root), "TERM": "xterm-256color"}


def end(process: "subprocess.Popen[bytes]") -> None:
    """Kill the remaining processes of a command, if there are any."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(pid: int, watch: Callable[[int], None] | None) -> tuple[int, float]:
    """Wait for a process; return its status, and its CPU seconds with those of its children."""
    ended = 0
    while not ended:
        ended, status, usage = os.wait4(pid, os.WNOHANG if watch else 0)
        if watch and not ended:
            watch(pid)
            time.sleep(_TICK_SECONDS)
    return status, usage.ru_utime + usage.ru_stime


def _failure(command: Sequence[str], code: int, err: Path) -> str:
    lines = err.read_text("utf-8", "replace").splitlines() or ["it said nothing"]
    words = " ".join(command[1:4])
    return f"'{words} ...' ended with {code}: {lines[-1]}"
