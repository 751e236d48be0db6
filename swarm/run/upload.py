"""A run from end to end, in the parent: lock, check, hand out, gather the results."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from typing import Protocol

from swarm.checkpoint import paths
from swarm.checkpoint.ledger import ACKNOWLEDGED, REJECTED, Ledger, count_records
from swarm.checkpoint.ledger_file import remove
from swarm.checkpoint.locks import StreamLocks
from swarm.collector.transport import available
from swarm.config.settings import Meter, Settings
from swarm.config.urls import ENVIRONMENTS
from swarm.csv import CheckResult, Row
from swarm.delivery.check import CheckTask
from swarm.delivery.context import INTERRUPTED
from swarm.delivery.result import StreamProblem, StreamResult, Tally
from swarm.delivery.task import LOCKED, Task, invalid, make_tasks
from swarm.errors import StateError
from swarm.packet import body, packet, timestamp
from swarm.run.check import check_all, make_check_tasks
from swarm.run.observer import Observer
from swarm.run.pool import LostJob, Pool
from swarm.run.report import MeterReport, Report
from swarm.run.setup import open_pool
from swarm.run.shared import SharedState
from swarm.run.stop import Stop, stoppable
from swarm.text import pluralize

_LOG = logging.getLogger(__name__)


class Sandbox(Protocol):
    """A collector that a run brings."""

    @property
    def url(self) -> str:
        """The URL that packets go to."""

    @property
    def is_running(self) -> bool:
        """Whether it can still answer."""

    def forget(self, streams: Sequence[str]) -> None:
        """Drop the packets of some streams; raises `StateError`."""


OpenSandbox = Callable[[Settings], AbstractContextManager[Sandbox]]


def upload(
    settings: Settings, observer: Observer, open_sandbox: OpenSandbox | None = None
) -> Report:
    """Check every file, then send what is new; ``open_sandbox`` brings a collector of its own."""
    with stoppable(settings.upload.max_duration) as stop:
        return _Run(settings, observer, stop, open_sandbox).report()


def packet_of(survey: CheckResult, row: Row) -> bytes:
    """Return the packet that a row of a survey makes."""
    return packet(survey.meter, row.instant, row.offset, body(survey.registers, row.cells))


class _Run:
    def __init__(
        self,
        settings: Settings,
        observer: Observer,
        stop: Stop,
        open_sandbox: OpenSandbox | None,
    ) -> None:
        self.settings = settings
        self.observer = observer
        self.stop = stop
        self.open_sandbox = open_sandbox
        self.results: dict[str, StreamResult] = {}
        self.cause: StreamProblem | None = None
        self.locks: list[StreamLocks] = []
        self.lost: StreamProblem | None = None

    def report(self) -> Report:
        """Do the run, and say what it did."""
        started, start = time.time(), time.monotonic()
        with ExitStack() as stack:
            surveys = self._go(self._lock(stack))
        pairs = zip(self.settings.meters, surveys, strict=True)
        meters = tuple(self._meter(*pair) for pair in pairs)
        seconds = time.monotonic() - start
        return Report(
            config=str(self.settings.config),
            collector="sandbox" if self.settings.sandbox else self.settings.url,
            started=started,
            # The clock may have been set meanwhile.
            finished=max(time.time(), started + seconds),
            seconds=seconds,
            meters=meters,
            signal=self.stop.signal,
            notes=tuple(self._notes(meters)),
        )

    def _notes(self, meters: Sequence[MeterReport]) -> Iterator[str]:
        stopped = any(result.state == "stopped" for result in self.results.values())
        if self.settings.upload.restart and (stopped or self.stop.why):
            yield "Begun anew by --restart; to go on, run the command without --restart"
        if not self.settings.upload.keep_going and self.stop.why is None:
            yield from _held_back(meters)
        yield from _advice(self.settings, meters)

    def _lock(self, stack: ExitStack) -> set[str]:
        """Lock all streams for this run; return the IDs of those that no other run holds."""
        folder, collector = self.settings.state, self.settings.collector
        warning = paths.open_folder(folder, collector)
        if warning:
            _LOG.warning("warning: %s", warning)
        for path in (paths.runs_lock(folder, collector), paths.senders_lock(folder, collector)):
            self.locks.append(StreamLocks(path))
            stack.callback(self.locks[-1].close)
        runs, senders = self.locks
        return {
            meter.id
            for meter in self.settings.meters
            if runs.take(meter.id) and _is_free(senders, meter.id)
        }

    def _go(self, free: set[str]) -> list[CheckResult]:
        for meter in self.settings.meters:
            if meter.id not in free:
                self._end(StreamResult(meter.id, "locked", problem=LOCKED))
        engine = available(self.settings.upload.transport)
        with open_pool(self.settings, engine) as (pool, board):
            surveys = check_all(self._checks(), pool, self.observer, self.stop)
            sound = {s.meter: s for s in surveys if s.is_sound and s.meter in free}
            may_go = self.settings.upload.keep_going or all(s.is_sound for s in surveys)
            if sound and may_go and self.stop.why is None and self._has_its_locks():
                self._send(pool, board, sound)
        return surveys

    def _checks(self) -> list[CheckTask]:
        return make_check_tasks(self.settings, resumes=not self.settings.upload.restart)

    def _send(self, pool: Pool, board: SharedState, sound: Mapping[str, CheckResult]) -> None:
        opened = self.open_sandbox(self.settings) if self.open_sandbox else nullcontext(None)
        with opened as sandbox:
            tasks = make_tasks(self.settings, sound, sandbox.url if sandbox else None)
            self.observer.sending({meter: s.packets for meter, s in sound.items()})
            if self.settings.upload.restart:
                restart_checkpoints(tasks, sandbox)
            board.restart_clock()
            for number, result in pool.run(
                "swarm.delivery.deliver:deliver", tasks, self._tick(pool, sandbox)
            ):
                ended = _lost(tasks[number], result) if isinstance(result, LostJob) else result
                self._end(ended)
                if ended.stops_run and self.cause is None:
                    self.cause = ended.problem
                    pool.stop()

    def _tick(self, pool: Pool, sandbox: Sandbox | None) -> Callable[[Mapping[str, Tally]], None]:
        def tick(tallies: Mapping[str, Tally]) -> None:
            self.observer.tallies(tallies)
            if self.lost is None and not self._has_its_locks():
                self.observer.stopping("the state folder was removed or replaced")
                pool.stop()
            elif self.cause is None and self.stop.is_due():
                self._stop(pool, self.stop.why or "")
            elif self.cause is None and sandbox and not sandbox.is_running:
                self._stop(pool, "the sandbox has ended")

        return tick

    def _stop(self, pool: Pool, why: str) -> None:
        self.cause = _interruption(why)
        self.observer.stopping(why)
        pool.stop()

    def _has_its_locks(self) -> bool:
        """Tell whether this run's locks keep others off; if not, that ends the run."""
        try:
            for locks in self.locks:
                locks.check()
        except StateError as error:
            self.lost = StreamProblem("state", str(error), error.exit_code)
            self.cause = self.cause or self.lost
            return False
        return True

    def _end(self, result: StreamResult) -> None:
        self.results[result.id] = result
        if result.traceback:
            _LOG.debug("%s", result.traceback)
        for notice in result.notices:
            self.observer.notice(notice)
        self.observer.ended(result)

    def _meter(self, meter: Meter, survey: CheckResult) -> MeterReport:
        """Return what became of a meter."""
        result = self.results.get(meter.id) or self._without_result(survey)
        problem = result.problem
        if problem and problem.kind == INTERRUPTED:
            result = replace(result, problem=self.cause or problem)
        if self.lost and result.state == "done":
            # All was sent, but what records it may be gone.
            result = replace(result, problem=self.lost)
        return meter_report(meter, survey, result)

    def _without_result(self, survey: CheckResult) -> StreamResult:
        problem = invalid(survey)
        if problem:
            return StreamResult(survey.meter, "invalid", problem=problem)
        cause = self.cause or (_interruption(self.stop.why) if self.stop.why else None)
        return StreamResult(survey.meter, "not started", problem=cause)


def meter_report(meter: Meter, survey: CheckResult, result: StreamResult) -> MeterReport:
    """Return what the report says of a meter."""
    times = [timestamp(row.instant, row.offset) for row in survey.ends]
    return MeterReport(
        id=meter.id,
        file=", ".join(map(str, meter.files)),
        state=result.state,
        rows=survey.rows,
        tally=replace(result.tally, filtered=survey.filtered if survey.is_sound else 0),
        first=times[0] if times else None,
        last=times[-1] if times else None,
        verified=result.verified,
        problem=result.problem,
    )


def restart_checkpoints(tasks: Sequence[Task], sandbox: Sandbox | None) -> None:
    """Begin all checkpoints anew: if the run is interrupted, all its meters are to go on."""
    if sandbox:
        # Who is killed before the store has forgotten has no checkpoint: no row seems sent.
        for task in tasks:
            remove(task.ledger)
        sandbox.forget([task.meter.id for task in tasks])
    for task in tasks:
        Ledger.create(task.ledger, task.meter.id, anew=True).close()


def _held_back(meters: Sequence[MeterReport]) -> Iterator[str]:
    """Yield what meters with problems have kept from being sent, if there are any."""
    states = Counter(meter.state for meter in meters)
    bad, others = states["invalid"], states["not started"]
    if bad:
        have = "has" if bad == 1 else "have"
        rest = "the other" if others == 1 else f"the other {others}"
        hint = f"; --keep-going sends {rest}" if others else ""
        yield f"Nothing was sent: {bad} of {pluralize(len(meters), 'meter')} {have} problems{hint}"


def _advice(settings: Settings, meters: Sequence[MeterReport]) -> Iterator[str]:
    """Yield what may help with problems that have nothing to do with a meter."""
    problems = [meter.problem for meter in meters if meter.problem]
    if not settings.ca_bundle and any(problem.kind == "tls" for problem in problems):
        yield "Where a certificate is of an authority of your own: name its file as 'ca_bundle'"
    is_away = any("Connection refused" in problem.message for problem in problems)
    if is_away and settings.url == ENVIRONMENTS["local"]:
        yield "Nothing listens on this machine: 'swarm sandbox' is a collector to rehearse with"


def _lost(task: Task, lost: LostJob) -> StreamResult:
    """Return the result of a stream whose worker was killed, or that met a bug."""
    tally = _recounted(task, lost.tally) if lost.tally else Tally()
    if lost.traceback is None:
        message = f"{lost.message}; run the same command again to go on"
        return StreamResult(task.meter.id, "stopped", tally, StreamProblem("worker", message, 5))
    if isinstance(lost.error, StateError):
        problem = StreamProblem("state", str(lost.error), lost.error.exit_code)
        return StreamResult(task.meter.id, "stopped", tally, problem, traceback=lost.traceback)
    problem = StreamProblem("bug", f"a bug in swarm: {lost.message}; -vv shows where", 1)
    return StreamResult(task.meter.id, "stopped", tally, problem, traceback=lost.traceback)


def _recounted(task: Task, tally: Tally) -> Tally:
    """Count what became of rows since a worker last told: its ledger knows."""
    if tally.base is None:
        return tally
    found = count_records(task.ledger, tally.base + tally.sent)
    return replace(
        tally,
        sent=tally.sent + found[ACKNOWLEDGED],
        rejected=tally.rejected + found[REJECTED],
    )


def _interruption(why: str) -> StreamProblem:
    message = f"stopped: {why}; run the same command again to go on"
    return StreamProblem(INTERRUPTED, message, 5)


def _is_free(senders: StreamLocks, stream: str) -> bool:
    """Tell whether no worker of a run that was killed can still send a stream."""
    if not senders.take(stream):
        return False
    senders.release(stream)
    return True
