"""The machine of a simulated history: the real code over a simulated disk, collector and clock."""

import random
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol
from unittest import mock

import swarm.checkpoint.ledger
import swarm.checkpoint.ledger_file
import swarm.collector.client
import swarm.collector.retry
import swarm.csv.file
import swarm.delivery.deliver
import swarm.delivery.resume
import swarm.delivery.settlement
import swarm.delivery.task
from swarm.checkpoint import ledger_format
from swarm.checkpoint.ledger import ACKNOWLEDGED, Ledger
from swarm.collector.client import CollectorClient, Outcome
from swarm.collector.retry import Verdict
from swarm.collector.transport.base import Access
from swarm.config.options import Upload
from swarm.config.settings import CsvRules, Meter
from swarm.csv import CheckResult, Window
from swarm.delivery.check import CheckTask, check
from swarm.delivery.context import CollectorDown, StopRequested
from swarm.delivery.deliver import deliver
from swarm.delivery.result import StreamResult, Tally
from swarm.delivery.state import LOCAL
from swarm.delivery.status import read_status_offline
from swarm.delivery.task import Task, files_problem
from swarm.errors import StateError
from swarm.run.report import Report
from swarm.run.upload import meter_report, restart_checkpoints
from swarm.scheduler import THREADS
from tests.simulation.collector import Clock, Collector, Session, Stored
from tests.simulation.disk import Disk
from tests.simulation.history import History, Run

STREAM = "m"
_URL = "https://collector.example.com/measurements/v2/unifiedjson/"
_RETRY_FOR = 120.0
_CLOCKED: tuple[ModuleType, ...] = (
    *(swarm.collector.client, swarm.collector.retry, swarm.csv.file, swarm.checkpoint.ledger),
    *(swarm.checkpoint.ledger_file, swarm.delivery.deliver, swarm.delivery.resume),
    *(swarm.delivery.settlement, swarm.delivery.task),
)


class Killed(BaseException):
    """Raised at the end of the simulated process."""


@dataclass(frozen=True)
class Attempt:
    """The input of a run: its export, its window (local times in ms), a flag of the user."""

    run: Run
    files: tuple[Path, ...]
    since: int | None
    until: int | None
    flag: str
    resends: bool


@dataclass(frozen=True)
class RunOutput:
    """The output of a run: exit code, the meter's report, and `swarm status` after it."""

    exit_code: int
    state: str
    counts: dict[str, int]
    kind: str = ""
    problem_code: int = 0
    message: str = ""
    status: dict[str, int | None] | None = None


class Machine(Protocol):
    """The machine on which a history is played."""

    #: Possible duplicates that killed runs had counted, but not reported.
    unreported: int
    #: The number of requests that failed.
    faults: int
    #: The number of checks that went on after a settled part.
    settled: int
    #: The instants (ms) that the collector refuses permanently.
    rejected: set[int]

    @property
    def stored(self) -> list[Stored]:
        """The packets of the collector, in order of arrival."""

    @property
    def last(self) -> Stored | None:
        """The packet that the collector reports as the last."""

    def get_elsewhere(self, packet: dict[str, Any]) -> None:
        """Give the collector a packet from another source."""

    def attempt(self, number: int, attempt: Attempt) -> RunOutput | None:
        """Run once; return the run's output, None if it was killed."""

    def recorded(self) -> set[int]:
        """Return the instants that are acknowledged in the checkpoint."""

    def backup(self) -> None:
        """Make a backup of the state folder."""

    def lose(self) -> None:
        """Delete the state folder."""

    def restore(self) -> None:
        """Replace the state folder by its backup, if there is one."""

    def close(self) -> None:
        """Stop what runs in the background."""


class Context:
    """A `swarm.delivery.context.Context` on the simulated clock."""

    def __init__(self, machine: "Simulated") -> None:
        self.scheduler = THREADS
        self.state = LOCAL
        self.is_halted = False
        self.tally: Tally | None = None
        self._machine = machine
        self._down_since: float | None = None
        self._failures = 0
        self._turns = 0

    def acquire_slot(self, access: Access) -> CollectorClient:
        """Return a client with a session to the simulated collector."""
        self.raise_if_stopped()
        client = CollectorClient.__new__(CollectorClient)
        client.access = access
        client._session = Session(self._machine.collector, self._machine.step)
        return client

    def release_slot(self, client: CollectorClient) -> None:
        """Close the session."""
        client.close()

    def is_slot_recalled(self) -> bool:
        """Return True before every fifth packet: the number of slots may change at any time."""
        self._turns += 1
        return self._turns % 5 == 0

    def wait_for_turn(self, credential: int) -> None:
        """Wait while the collector is down."""
        self.raise_if_stopped()
        if self._down_since is not None:
            if self._machine.clock.now - self._down_since >= _RETRY_FOR:
                raise CollectorDown(_RETRY_FOR, "connection refused")
            self.sleep(2.0**self._failures, credential)

    def sleep(self, seconds: float, _credential: int) -> None:
        """Advance the clock."""
        self._machine.clock.sleep(seconds)
        self._machine.step()
        self.raise_if_stopped()

    def record_outcome(self, outcome: Outcome, _credential: int) -> None:
        """Record whether the collector is down."""
        if outcome.verdict is Verdict.UNREACHABLE:
            self._failures += 1
            self._down_since = self._down_since or self._machine.clock.now
        else:
            self._failures, self._down_since = 0, None

    def is_outage(self, _retry_for: float) -> bool:
        """Return False: each packet has a retry budget of its own."""
        return False

    def refuse_credential(self, _credential: int) -> None:
        """Do nothing: no credential is refused."""

    def raise_if_stopped(self, _credential: int | None = None) -> None:
        """Raise `StopRequested` once the run was interrupted."""
        if self.is_halted:
            raise StopRequested

    def lock_stream(self, _task: Task) -> bool:
        """Return True: runs here are sequential."""
        return True

    def unlock_stream(self, _task: Task) -> None:
        """Do nothing."""

    def follow_tally(self, _task: Task, tally: Tally) -> None:
        """Keep the tally for the end of a killed run."""
        self.tally = tally

    def publish_tally(self, _task: Task, tally: Tally) -> None:
        """Keep the tally for the end of a killed run."""
        self.tally = tally


class Simulated:
    """A `Machine` in memory."""

    #: True if each run has ``--full-check``.
    is_full = False
    #: A part of the paths of files whose changes are not steps of a run.
    uncounted: str | None = None

    def __init__(self, history: History, folder: Path) -> None:
        self.clock = Clock(1_700_000_000.0)
        self.unreported = 0
        self.faults = 0
        self.settled = 0
        self.outputs: list[RunOutput | None] = []
        self.rejected: set[int] = set()
        self.collector = Collector(
            self.clock, tells=history.tells, quotes=history.quotes, rejects=self.rejected
        )
        self._zone = history.zone
        self._block = history.block
        self._state, self._backup = folder / "state", folder / "backup"
        self._state.mkdir(mode=0o700)
        self._disk = Disk(self._state, self.step, self.uncounted)
        self._boots = 1
        self._run = Run()
        self._steps = 0
        self._is_dead = False
        self._context: Context | None = None

    def close(self) -> None:
        """Do nothing: nothing runs in the background."""

    # Called by the code under test

    def step(self) -> None:
        """Count a step; the run may be killed or interrupted at it."""
        self._steps += 1
        if self._is_dead:
            raise Killed
        if self._run.end is None or self._steps <= self._run.at:
            return
        if self._run.end == "interrupt":
            if self._context:
                self._context.is_halted = True
        else:
            self._is_dead = True
            raise Killed

    def boot_id(self) -> bytes:
        """Return the boot ID."""
        return self._boots.to_bytes(16, "big")

    @contextmanager
    def _patched(self) -> Iterator[None]:
        with ExitStack() as stack:
            for module in _CLOCKED:
                if hasattr(module, "time"):
                    stack.enter_context(mock.patch.object(module, "time", self.clock))
            stack.enter_context(mock.patch.object(ledger_format, "boot_id", self.boot_id))
            stack.enter_context(mock.patch.object(swarm.csv.file, "BLOCK_BYTES", self._block))
            stack.enter_context(
                mock.patch.object(
                    swarm.collector.retry, "backoff", lambda attempt: min(2.0**attempt, 60.0)
                )
            )
            stack.enter_context(self._disk.installed())
            yield

    # Implementation of `Machine`

    @property
    def stored(self) -> list[Stored]:
        """The packets of the collector, in order of arrival."""
        return self.collector.stored

    @property
    def last(self) -> Stored | None:
        """The packet that the collector reports as the last."""
        return self.collector.last

    def get_elsewhere(self, packet: dict[str, Any]) -> None:
        """Give the collector a packet from another source."""
        self.collector.get_elsewhere(packet)

    def backup(self) -> None:
        """Make a backup of the state folder."""
        self._disk.copy_to(self._backup)

    def lose(self) -> None:
        """Delete the state folder."""
        shutil.rmtree(self._state)
        self._state.mkdir(mode=0o700)
        self._disk.mark_durable()

    def restore(self) -> None:
        """Replace the state folder by its backup, if there is one."""
        if self._backup.exists():
            self._disk.restore(self._backup)

    def recorded(self) -> set[int]:
        """Return the instants that the checkpoint has acknowledged."""
        path = self._task(Meter(STREAM, (), CsvRules("UTC")), Upload()).ledger
        with suppress(StateError):
            ledger = Ledger.view(path, STREAM)
            if ledger is not None:
                with closing(ledger):
                    return {each.instant for each in ledger.entries() if each.kind == ACKNOWLEDGED}
        return set()

    def attempt(self, number: int, attempt: Attempt) -> RunOutput | None:
        """Run once; return the run's output, None if it was killed."""
        self._run, self._steps, self._is_dead, self._context = attempt.run, 0, False, None
        faults = dict(attempt.run.faults)
        self.collector.begin_run(number, faults)
        try:
            with self._patched():
                self.outputs.append(self._sent(attempt))
        except Killed:
            self._end_killed_run(attempt.run)
            self.outputs.append(None)
        finally:
            self.faults += self.collector.failed
            self.collector.begin_run(number, {})
            self._run = Run()
            # Delayed packets arrive within the time to settle.
            self.clock.sleep(3.0)
            self.collector.arrive()
        return self.outputs[-1]

    def _task(self, meter: Meter, upload: Upload) -> Task:
        return Task(
            meter, CheckResult(STREAM), upload, _URL, "c", str(self._state), Access("u", "p"), 0
        )

    def _sent(self, attempt: Attempt) -> RunOutput:
        meter = Meter(STREAM, attempt.files, CsvRules(self._zone))
        upload = Upload(
            since=attempt.since,
            until=attempt.until,
            late="send" if attempt.run.sends_late else "report",
            rejected="send" if attempt.run.sends_rejected else "report",
            restart=attempt.flag == "--restart",
            adopt=attempt.flag == "--adopt",
            on_reject="skip" if attempt.run.skips else "stop",
            on_ambiguous="resend" if attempt.resends else "stop",
            retry_for=_RETRY_FOR,
        )
        task = self._task(meter, upload)
        ledger = None if upload.restart else task.ledger
        window = Window(upload.since, upload.until)
        check_task = CheckTask(meter, window, ledger=ledger, is_full=self.is_full)
        checked = check(check_task, None)
        whole = check(replace(check_task, is_full=True), None)
        if replace(checked, settled=None, state=None) != replace(whole, state=None):
            raise AssertionError(f"the check after the settled part: {checked}, of all: {whole}")
        self.settled += checked.settled is not None
        task = replace(task, checked=checked)
        problem = files_problem(checked)
        if problem is not None:
            result = StreamResult(STREAM, "invalid", problem=problem)
        else:
            self._context = Context(self)
            if upload.restart:
                restart_checkpoints([task], None)
            result = deliver(task, self._context)
        return self._told(task, result)

    def _told(self, task: Task, result: StreamResult) -> RunOutput:
        meter = meter_report(task.meter, task.checked, result)
        report = Report("", "", 0.0, 0.0, 0.0, (meter,))
        status_read = read_status_offline(task, None)  # type: ignore[arg-type]
        whole = replace(task, checked=replace(task.checked, settled=None))
        if status_read != read_status_offline(whole, None):  # type: ignore[arg-type]
            raise AssertionError(f"the status after the settled part: {status_read}")
        names = ("acknowledged", "waiting", "rejected", "filtered")
        status = {name: getattr(status_read, name) for name in names}
        told = RunOutput(report.exit_code, meter.state, meter.counts, status=status)
        if (problem := meter.problem) is None:
            return told
        message = problem.message.replace(str(self._state.parent), "FOLDER")
        return replace(told, kind=problem.kind, problem_code=problem.exit_code, message=message)

    def _end_killed_run(self, run: Run) -> None:
        self._disk.abandon()
        if self._context and self._context.tally:
            self.unreported += self._context.tally.possible_duplicates
        if run.end == "power cut":
            self._boots += 1
            self._disk.cut(random.Random(run.random_seed))
