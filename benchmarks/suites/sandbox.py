"""Uploads to the sandbox: packets a second, and what one costs the sandbox."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.commands import Setting
from benchmarks.harness.session import Session, Throughput, compare
from benchmarks.harness.uploads import SANDBOX, Job
from benchmarks.harness.versions import Version
from benchmarks.results import MICROSECONDS, RATE, Result, at_least
from benchmarks.suites.rates import sized_job

_STREAMS = 64
_FEWEST = 5000
_MODULE = b"swarm.sandbox"


@dataclass(frozen=True)
class Run:
    """An upload, and the CPU time (s) of the sandbox for one packet of it."""

    sent: Throughput
    cost: float

    def __str__(self) -> str:
        """Return the figures as short text."""
        return f"{self.sent}, {self.cost * 1e6:.0f} µs of it in the sandbox"


class SandboxTime:
    """The CPU time (s) of the sandbox that a command has started, when it was last looked at."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def watch(self, command: int) -> None:
        """Look at the sandbox of a command."""
        with suppress(OSError, ValueError):  # a process may end meanwhile
            children = Path(f"/proc/{command}/task/{command}/children").read_text("ascii")
            for process in children.split():
                if _MODULE in Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0"):
                    self.seconds = _cpu_seconds(process)


def sandbox(session: Session) -> list[Result]:
    """Measure uploads with ``environment = sandbox``."""
    job = sized_job(session, session.make_folder("sandbox"), SANDBOX, _STREAMS)
    runs = compare(session, lambda version: _send(job, version))
    name = f"{_STREAMS} streams, to the sandbox"
    return [
        Result(name, _rates(runs.this), RATE, at_least(_FEWEST), _rates(runs.other)),
        Result(
            f"{name}: CPU a packet, sandbox",
            _costs(runs.this),
            MICROSECONDS,
            other=_costs(runs.other),
        ),
    ]


def _send(job: Job, version: Version) -> Run:
    used = SandboxTime()
    setting = Setting(watch=used.watch)
    sent = job.send("--progress", "none", "--transport", "curl", version=version, setting=setting)
    return Run(sent, used.seconds / job.rows)


def _rates(runs: Sequence[Run]) -> list[float]:
    return [run.sent.rate for run in runs]


def _costs(runs: Sequence[Run]) -> list[float]:
    return [run.cost * 1e6 for run in runs]


def _cpu_seconds(process: str) -> float:
    # The second field, the name, is in parentheses and may contain blanks.
    fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
