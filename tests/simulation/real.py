"""The machine of a real history: the command itself, its workers, sockets, files and signals.

A power cut is simulated by `tests.support.power_cut` if this machine allows it, else it is a kill.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from swarm.localtime import naive_of
from swarm.packet import instant_of
from tests.simulation.collector import Fault, Stored
from tests.simulation.history import History, Run
from tests.simulation.machine import STREAM, Attempt, RunOutput
from tests.support import power_cut as powercut
from tests.support.collector import (
    Behaviour,
    Collector,
    Garbage,
    Raw,
    Reply,
    Request,
    ResetAfterStoring,
    ResetBeforeStoring,
)
from tests.support.processes import command, group_is_gone
from tests.support.workspace import Workspace, ended

_SETTLE = 0.4
_STORED_LATER = Raw(end="reset", later=0.2)
_BEHAVIOURS: dict[Fault, Behaviour] = {
    "reset before storing": ResetBeforeStoring(),
    "reset after storing": ResetAfterStoring(),
    "reset, stored later": _STORED_LATER,
    "slow handshake, reset, stored later": _STORED_LATER,
    "500 before storing": Reply(500, store=False),
    "500 after storing": Reply(500, store=True),
    "408 after storing": Reply(408, store=True),
    "503": Reply(503, store=False, headers={"Retry-After": "0"}),
    "429": Reply(429, store=False, headers={"Retry-After": "0"}),
    "unreachable": ResetBeforeStoring(),
    "garbage": Garbage(),
    "cut": Reply(500, store=False),
}
#: The number of steps of a simulated run for each request.
_STEPS_A_REQUEST = 8


class Real:
    """A `tests.simulation.machine.Machine` of real processes; close it."""

    def __init__(self, history: History, folder: Path) -> None:
        self.unreported = 0
        self.faults = 0
        self.settled = 0
        self.rejected: set[int] = set()
        self._history = history
        self._workspace = Workspace(folder, is_measured=False)
        self._backup = folder / "backup"
        self._collector = Collector(self._behaviour)
        self._number = 0
        self._run = Run()
        self._first = 0
        self._boots = 1
        #: The number of the run that sent each stored packet, in order.
        self._runs: list[int | None] = []

    def close(self) -> None:
        """Stop the collector."""
        self._collector.close()

    def _behaviour(self, request: Request, collector: Collector) -> Behaviour | None:
        fault = dict(self._run.faults).get(request.number - self._first)
        if fault is not None:
            self.faults += 1
            behaviour = _BEHAVIOURS[fault]
            stores = not isinstance(behaviour, Reply) or behaviour.store is not False
            if request.method == "GET":
                return Reply(200, b"<html>sorry</html>") if fault == "garbage" else Reply(500)
            if not (stores and self._is_refused(request)):
                return behaviour
        if request.method == "POST":
            return Reply(400, b"not plausible") if self._is_refused(request) else None
        last = self.last
        if last is None:
            return Reply(404)
        value = str(last.value) if self._history.quotes else last.value
        return Reply(200, json.dumps({**last.fields, "value": value, "received": "x"}).encode())

    def _is_refused(self, request: Request) -> bool:
        return instant_of(json.loads(request.body)["tsISO8601"]) in self.rejected

    # Implementation of `Machine`

    @property
    def stored(self) -> list[Stored]:
        """The packets of the collector, in order of arrival."""
        packets = self._collector.packets(STREAM)
        self._runs += [self._number] * (len(packets) - len(self._runs))
        return [
            Stored(instant_of(fields["tsISO8601"]), fields, run)
            for fields, run in zip(packets, self._runs, strict=False)
        ]

    @property
    def last(self) -> Stored | None:
        """The packet that the collector reports as the last."""
        stored = self.stored
        if self._history.tells == "latest":
            return stored[-1] if stored else None
        return max(reversed(stored), key=lambda each: each.instant, default=None)

    def get_elsewhere(self, packet: dict[str, Any]) -> None:
        """Give the collector a packet from another source."""
        self._runs = [each.run for each in self.stored] + [None]
        self._collector.take(STREAM, json.dumps(packet).encode())

    def backup(self) -> None:
        """Make a backup of the state folder."""
        shutil.rmtree(self._backup, ignore_errors=True)
        if self._workspace.state.exists():
            shutil.copytree(self._workspace.state, self._backup)

    def lose(self) -> None:
        """Delete the state folder."""
        shutil.rmtree(self._workspace.state, ignore_errors=True)

    def restore(self) -> None:
        """Replace the state folder by its backup, if there is one."""
        if self._backup.exists():
            self.lose()
            shutil.copytree(self._backup, self._workspace.state)

    def recorded(self) -> set[int]:
        """Return the instants of all stored packets, which include the acknowledged ones."""
        return {each.instant for each in self.stored if each.run is not None}

    def attempt(self, number: int, attempt: Attempt) -> RunOutput | None:
        """Run once; return the run's output, None if it was killed."""
        _ = self.stored  # assigns earlier packets to their runs
        self._number, self._run = number, attempt.run
        self._first = len(self._collector.requests)
        before = powercut.contents(self._workspace.state)
        log = self._workspace.folder / "calls"
        is_cut = attempt.run.end == "power cut" and not powercut.missing()
        line = self._line(attempt)
        if is_cut:
            line = powercut.recorded(line, log)
        if not powercut.missing():
            line = powercut.in_boot(self._boots, line, self._workspace.folder)
        process = subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**self._workspace._env(), "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        is_killed = self._interfere(process, attempt.run)
        done = ended(process)
        group_is_gone(process.pid)
        self._run = Run()
        time.sleep(_SETTLE)
        if not is_killed:
            return _told(done.code, done.out, done.err)
        if is_cut:
            self._boots += 1
            powercut.cut(self._workspace.state, before, log, random.Random(attempt.run.random_seed))
        # The counts of a killed run are lost: each of these can cause a possible duplicate.
        self.unreported += sum(fault == "garbage" for _, fault in attempt.run.faults)
        self.unreported += sum(each.run is None for each in self.stored)
        for path in self._workspace.state.glob("checkpoints/*/*.doubts"):
            self.unreported += len(json.loads(path.read_text()))
        return None

    def _line(self, attempt: Attempt) -> list[str]:
        files = "\n   ".join(map(str, attempt.files))
        config = self._workspace.ini(
            self._collector.url,
            {STREAM: files},
            swarm={"timezone": self._history.zone},
            upload={
                "settle": f"{_SETTLE}s",
                "processes": "1",
                "progress": "none",
                "retry_for": "30s",
                "late": "send" if attempt.run.sends_late else "report",
                "rejected": "send" if attempt.run.sends_rejected else "report",
                "on_reject": "skip" if attempt.run.skips else "stop",
                "on_ambiguous": "resend" if attempt.resends else "stop",
            },
        )
        line = [sys.executable, "-m", "swarm", str(config), "--json"]
        for option, wall in (("--since", attempt.since), ("--until", attempt.until)):
            if wall is not None:
                line += [option, f"{naive_of(wall):%Y-%m-%dT%H:%M:%S}"]
        return [*line, *([attempt.flag] if attempt.flag else [])]

    def _interfere(self, process: "subprocess.Popen[str]", run: Run) -> bool:
        """Kill or interrupt a run at one of its requests; return True if it was killed."""
        if run.end is None:
            return False
        target = self._first + 1 + run.at // _STEPS_A_REQUEST
        while process.poll() is None and len(self._collector.requests) < target:
            time.sleep(0.002)
        if process.poll() is not None:
            return False
        if run.end == "interrupt":
            os.kill(self._python(process.pid), signal.SIGINT)
            return False
        # Spare the tracer, which must write its whole log.
        for pid in descendants(process.pid) or [process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return True

    def _python(self, pid: int) -> int:
        """Return the PID of the command itself, which a tracer may have started."""
        below = descendants(pid)
        return next((each for each in [pid, *below] if b"swarm\0" in command(each)[:200]), pid)


def descendants(pid: int) -> list[int]:
    """Return the descendants of a process, the nearest first."""
    found = [pid]
    for each in found:
        with suppress(OSError):
            text = Path(f"/proc/{each}/task/{each}/children").read_text()
            found += map(int, text.split())
    return found[1:]


def _told(code: int, out: str, err: str) -> RunOutput:
    if code not in {0, 3, 5, 130}:
        raise AssertionError(f"exit code {code}: {out}\n{err}")
    meter = json.loads(out)["meters"][0]
    names = ("rows", "filtered", "sent", "resumed", "rejected", "late", "unsent")
    counts = {name: meter[name] for name in (*names, "retries", "possible_duplicates")}
    problem = meter["problem"] or {"kind": "", "message": ""}
    return RunOutput(code, meter["state"], counts, problem["kind"], code, problem["message"])
