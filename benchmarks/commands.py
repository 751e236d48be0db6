"""Runs of commands, each in a session of its own: their time, CPU time and output."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.errors import NotMeasured

ROOT = Path(__file__).parent.parent
SWARM = (sys.executable, "-m", "swarm")
_TICK_SECONDS = 0.1


@dataclass(frozen=True)
class Finished:
    """A command that has ended: ``seconds`` on the clock, ``cpu`` seconds of all its processes."""

    seconds: float
    cpu: float
    out: str

    @property
    def report(self) -> dict[str, Any]:
        """The JSON that it printed."""
        report: dict[str, Any] = json.loads(self.out)
        return report


def run(
    command: Sequence[str],
    folder: Path,
    *,
    stderr: int | None = None,
    watch: Callable[[int], None] | None = None,
) -> Finished:
    """Run a command in ``folder`` to its end; `NotMeasured` unless it ends well.

    ``stderr`` is a descriptor in place of a file; ``watch`` is called with the number of the
    command's session ten times a second.
    """
    out, err = folder / "stdout.txt", folder / "stderr.txt"
    with out.open("wb") as out_file, err.open("wb") as err_file:
        started = time.monotonic()
        process = start(command, folder, out_file.fileno(), stderr or err_file.fileno())
        try:
            status, cpu = _wait(process.pid, watch)
            seconds = time.monotonic() - started
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            end(process)
    if process.returncode:
        raise NotMeasured(_failure(command, process.returncode, err))
    return Finished(seconds, cpu, out.read_text("utf-8"))


def start(command: Sequence[str], folder: Path, out: int, err: int) -> "subprocess.Popen[bytes]":
    """Start a command as the head of a session, which `end` ends whole."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        cwd=folder,
        env=_environment(os.environ),
        start_new_session=True,
    )


def end(process: "subprocess.Popen[bytes]") -> None:
    """Kill what is left of a command and its processes, if anything is."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(pid: int, watch: Callable[[int], None] | None) -> tuple[int, float]:
    """Wait for a process; return its status and the CPU seconds of it and all it waited for."""
    ended = 0
    while not ended:
        ended, status, usage = os.wait4(pid, os.WNOHANG if watch else 0)
        if watch and not ended:
            watch(pid)
            time.sleep(_TICK_SECONDS)
    return status, usage.ru_utime + usage.ru_stime


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without settings of swarm, and without proxies."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith("SWARM_") and not name.lower().endswith("_proxy")
    }
    return kept | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}


def _failure(command: Sequence[str], code: int, err: Path) -> str:
    lines = err.read_text("utf-8", "replace").splitlines() or ["it said nothing"]
    words = " ".join(command[1:4])
    return f"'{words} ...' ended with {code}: {lines[-1]}"
