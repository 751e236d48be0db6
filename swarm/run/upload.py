"""A run from end to end, in the parent process: lock, check, send, collect the results."""

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from typing import Protocol

from swarm.checkpoint import grants, paths
from swarm.checkpoint.ledger import ACKNOWLEDGED, REJECTED, Ledger, count_records
from swarm.checkpoint.ledger_file import remove
from swarm.checkpoint.locks import StreamLocks
from swarm.collector.transport import available
from swarm.config.settings import Meter, Settings
from swarm.config.urls import ENVIRONMENTS
from swarm.csv import CheckResult, Row
from swarm.delivery.context import INTERRUPTED
from swarm.delivery.result import State, StreamProblem, StreamResult, Tally
from swarm.delivery.task import LOCKED, Task, files_problem, make_tasks
from swarm.errors import ExitCode, StateError
from swarm.packet import body, packet, timestamp
from swarm.run.check import check_all, make_check_tasks
from swarm.run.connections import Connections
from swarm.run.observer import Observer
from swarm.run.pool import FailedJob, Pool
from swarm.run.report import NOT_USED, ClusterUse, MeterReport, Report
from swarm.run.setup import OpenPool, open_pool
from swarm.run.shared import SharedState
from swarm.run.stop import RunEnd, Stop, interruption
from swarm.run.timeline import Timeline
from swarm.text import format_duration, pluralize

_LOG = logging.getLogger(__name__)
#: The time (s) between two looks at whether the run must end.
_NAP = 0.1


class Sandbox(Protocol):
    """A collector that runs for one upload."""

    @property
    def url(self) -> str:
        """The URL that packets go to."""

    @property
    def is_running(self) -> bool:
        """True if it can still answer."""

    def forget(self, streams: Sequence[str]) -> None:
        """Drop the packets of some streams; raises `StateError`."""


#: Opens a sandbox; at its end, the function that it is given gets a line for the report.
OpenSandbox = Callable[[Settings, Callable[[str], None]], AbstractContextManager[Sandbox]]


def upload(
    settings: Settings,
    observer: Observer,
    stop: Stop,
    open_sandbox: OpenSandbox | None = None,
    open_pool: OpenPool = open_pool,
) -> Report:
    """Check every file, then send what is new, until that is done or ``stop`` asks for the end.

    ``open_sandbox`` brings a collector for the run, ``open_pool`` the workers.
    """
    return _Run(settings, observer, stop, open_sandbox, open_pool).run()


def packet_of(checked: CheckResult, row: Row) -> bytes:
    """Return the packet of a row."""
    return packet(checked.meter, row.instant, row.offset, body(checked.registers, row.cells))


class _Run:
    def __init__(
        self,
        settings: Settings,
        observer: Observer,
        stop: Stop,
        open_sandbox: OpenSandbox | None,
        open_pool: OpenPool,
    ) -> None:
        self.settings = settings
        self.observer = observer
        self.stop = stop
        self.open_sandbox = open_sandbox
        self.open_pool = open_pool
        self.cluster: ClusterUse | None = None
        self.results: dict[str, StreamResult] = {}
        self.notes: list[str] = []
        self.locks: list[StreamLocks] = []
        self.lost_locks: StreamProblem | None = None
        self.connections: Connections | None = None
        self.timeline = Timeline()

    def run(self) -> Report:
        """Do the upload and return its report."""
        started, start = time.time(), time.monotonic()
        with ExitStack() as stack:
            checked = self._check_and_send(self._lock(stack))
        meters = tuple(
            meter_report(meter, each, self._result(each))
            for meter, each in zip(self.settings.meters, checked, strict=True)
        )
        seconds = time.monotonic() - start
        return Report(
            config=str(self.settings.config),
            collector=self.settings.url or "sandbox",
            started=started,
            # The clock may have been set meanwhile.
            finished=max(time.time(), started + seconds),
            seconds=seconds,
            meters=meters,
            signal=self.stop.signal,
            notes=(*self._closing_notes(meters), *self.notes),
            connections=self.connections.use if self.connections else NOT_USED,
            cluster=self.cluster,
            checked=tuple(checked),
            timeline=self.timeline.close(),
        )

    def _lock(self, stack: ExitStack) -> set[str]:
        """Lock all streams for this run; return the IDs of those that no other run holds.

        If another run holds some, wait for it for the time of ``--wait``.
        """
        folder, collector = self.settings.state, self.settings.collector
        warning = paths.open_folder(folder, collector)
        if warning:
            _LOG.warning("warning: %s", warning)
        for path in (paths.runs_lock(folder, collector), paths.senders_lock(folder, collector)):
            self.locks.append(StreamLocks(path))
            stack.callback(self.locks[-1].close)
        ids = [meter.id for meter in self.settings.meters]
        deadline = time.monotonic() + self.settings.upload.wait
        free = self._take_free(ids)
        if len(free) < len(ids) and self.settings.upload.wait:
            streams = pluralize(len(ids) - len(free), "stream")
            limit = format_duration(self.settings.upload.wait)
            self.observer.notice(f"{streams} held by another run: waiting for at most {limit}")
        while len(free) < len(ids) and not self.stop.is_due():
            left = deadline - time.monotonic()
            if left <= 0:
                break
            # Hold nothing meanwhile: two runs would wait for each other.
            self.locks[0].release_all()
            time.sleep(min(left, random.uniform(_NAP, 5 * _NAP)))  # noqa: S311 - no secret
            free = self._take_free(ids)
        return free

    def _take_free(self, ids: Sequence[str]) -> set[str]:
        """Lock all streams that no other run holds, and return their IDs."""
        runs, senders = self.locks
        # A worker of a run that was killed may still send a stream, and lock it.
        free = senders.take_all(runs.take_all(ids))
        senders.release_all()
        return free

    def _check_and_send(self, free: set[str]) -> list[CheckResult]:
        upload = self.settings.upload
        for meter in self.settings.meters:
            if meter.id not in free:
                self._end(StreamResult(meter.id, "locked", problem=LOCKED))
        engine = available(upload.transport)
        opened = self.open_pool(self.settings, engine, self.observer.notice, sends=True)
        with opened as (pool, shared):
            tasks = make_check_tasks(self.settings, resumes=not upload.restart)
            checked = check_all(tasks, pool, self.observer, self.stop)
            sound = {each.meter: each for each in checked if each.is_sound and each.meter in free}
            may_send = upload.keep_going or all(each.is_sound for each in checked)
            if sound and may_send and self._await_leases() and self._has_its_locks():
                self._send(pool, shared, sound)
            self.cluster = pool.cluster_use()
        return checked

    def _await_leases(self) -> bool:
        """Wait until the workers of runs that were killed send no more; return False to stop."""
        folder = paths.locks_folder(self.settings.state, self.settings.collector)
        for path, left in grants.unexpired(folder):
            if left > 0:
                self.observer.notice(
                    f"workers of a run that was killed may still send: waiting for {left:.0f} s"
                )
            end = grants.boottime() + left
            while grants.boottime() < end and not self.stop.is_due():
                time.sleep(_NAP)
            if self.stop.is_due():
                return False
            path.unlink(missing_ok=True)
        return not self.stop.is_due()

    def _send(self, pool: Pool, shared: SharedState, sound: Mapping[str, CheckResult]) -> None:
        opened: AbstractContextManager[Sandbox | None] = nullcontext()
        if self.open_sandbox:
            opened = self.open_sandbox(self.settings, self.notes.append)
        with opened as sandbox:
            tasks = make_tasks(self.settings, sound, sandbox.url if sandbox else None)
            self.observer.sending({meter: each.packets for meter, each in sound.items()})
            if self.settings.upload.restart:
                restart_checkpoints(tasks, sandbox)
            shared.restart_clock()
            self.connections = Connections(
                self.settings.upload, pool, shared, len(tasks), self.observer
            )
            tick = partial(self._tick, pool, sandbox)
            for number, result in pool.run("swarm.delivery.deliver:deliver", tasks, tick):
                ended = _lost(tasks[number], result) if isinstance(result, FailedJob) else result
                ended = _with_earlier(tasks[number], ended, pool.earlier.get(ended.id, ()))
                self._end(ended)
                if ended.stops_run and ended.problem and self.stop.end is None:
                    self.stop.request(RunEnd(ended.problem.message, ended.problem))
                    pool.stop()
            if pool.failure:
                self.stop.request(interruption(pool.failure))

    def _tick(self, pool: Pool, sandbox: Sandbox | None, changed: Mapping[str, Tally]) -> None:
        """Show progress, and end the run early if it has to."""
        self.observer.tallies(changed)
        self.timeline.note(changed)
        if self.connections:
            self.connections.tick(changed)
        if self.lost_locks is None and not self._has_its_locks():
            self.observer.stopping("the state folder was removed or replaced")
            pool.stop()
        if sandbox and not sandbox.is_running:
            self.stop.request(interruption("the sandbox has ended"))
        if self.stop.is_due() and self.stop.end and not pool.is_stopping:
            self.observer.stopping(self.stop.end.why)
            pool.stop()

    def _has_its_locks(self) -> bool:
        """Return True if this run's locks keep other runs out; if not, the run must end."""
        try:
            for locks in self.locks:
                locks.check()
        except StateError as error:
            self.lost_locks = StreamProblem.of("state", error)
            self.stop.request(RunEnd(str(error), self.lost_locks))
            return False
        return True

    def _end(self, result: StreamResult) -> None:
        self.results[result.id] = result
        if result.tally.first is not None:
            self.timeline.end(result.id, result.tally)
        if self.connections:
            self.connections.ended(result)
        for notice in result.notices:
            self.observer.notice(notice)
        self.observer.ended(result)

    def _result(self, checked: CheckResult) -> StreamResult:
        """Return the result of a meter, with the reason of an early end."""
        reason = self.stop.end.problem if self.stop.end else None
        result = self.results.get(checked.meter)
        if result is None:
            problem = files_problem(checked)
            state: State = "invalid" if problem else "not started"
            return StreamResult(checked.meter, state, problem=problem or reason)
        if result.problem and result.problem.kind == INTERRUPTED:
            return replace(result, problem=reason or result.problem)
        if self.lost_locks and result.state == "done":
            # All rows were sent, but their records may be lost.
            return replace(result, problem=self.lost_locks)
        return result

    def _closing_notes(self, meters: Sequence[MeterReport]) -> Iterator[str]:
        stopped = any(result.state == "stopped" for result in self.results.values())
        if self.settings.upload.restart and (stopped or self.stop.end):
            yield (
                "This run started over (--restart). To continue it, run the command without "
                "--restart."
            )
        states = Counter(meter.state for meter in meters)
        bad, others = states["invalid"], states["not started"]
        if bad and not self.settings.upload.keep_going and self.stop.end is None:
            have = "has" if bad == 1 else "have"
            rest = "the other" if others == 1 else f"the other {others}"
            hint = f"; --keep-going sends {rest}" if others else ""
            whole = pluralize(len(meters), "meter")
            yield f"Nothing was sent: {bad} of {whole} {have} problems{hint}"
        yield from advice(self.settings, meters)


def meter_report(meter: Meter, checked: CheckResult, result: StreamResult) -> MeterReport:
    """Return the report of one meter."""
    times = [timestamp(row.instant, row.offset) for row in checked.ends]
    return MeterReport(
        id=meter.id,
        file=", ".join(map(str, meter.files)),
        state=result.state,
        rows=checked.rows,
        tally=replace(result.tally, filtered=checked.filtered if checked.is_sound else 0),
        first=times[0] if times else None,
        last=times[-1] if times else None,
        verified=result.verified,
        problem=result.problem,
        days=result.days,
    )


def advice(settings: Settings, meters: Sequence[MeterReport]) -> Iterator[str]:
    """Yield what the user can do about problems that are not those of a single meter."""
    problems = [meter.problem for meter in meters if meter.problem]
    if not settings.ca_bundle and any(problem.kind == "tls" for problem in problems):
        yield "If the certificate is from your own authority, set 'ca_bundle' to its file"
    is_refused = any("Connection refused" in problem.message for problem in problems)
    if is_refused and settings.url == ENVIRONMENTS["local"]:
        yield (
            "No collector is running at localhost:8080. Start one in another terminal with: "
            "swarm sandbox"
        )


def restart_checkpoints(tasks: Sequence[Task], sandbox: Sandbox | None) -> None:
    """Replace all checkpoints by empty ones before the first packet.

    After an interruption, the command without ``--restart`` continues with all meters.
    """
    if sandbox:
        # Delete the checkpoints first: if the run is killed before the sandbox drops its packets,
        # no row must count as sent.
        for task in tasks:
            remove(task.ledger)
        sandbox.forget([task.meter.id for task in tasks])
    for task in tasks:
        Ledger.create(task.ledger, task.meter.id, is_restart=True).close()


def _with_earlier(task: Task, result: StreamResult, earlier: Sequence[Tally]) -> StreamResult:
    """Return the result of a stream with the counts of ``earlier`` workers of the run, now lost.

    The last worker has found their rows acknowledged, but this run has sent them.
    """
    bases = [tally.base for tally in earlier if tally.base is not None]
    if not bases:
        return result
    tally = result.tally
    sent = count_records(task.ledger, bases[0])[ACKNOWLEDGED]
    starts = [each.first for each in (*earlier, tally) if each.first is not None]
    counted = replace(
        tally,
        sent=sent,
        resumed=tally.resumed + tally.sent - sent,
        retries=tally.retries + sum(each.retries for each in earlier),
        possible_duplicates=tally.possible_duplicates
        + sum(each.possible_duplicates for each in earlier),
        first=min(starts, default=None),
    )
    return replace(result, tally=counted)


def _lost(task: Task, lost: FailedJob) -> StreamResult:
    """Return the result of a stream whose worker was killed, or that raised an exception."""
    tally = lost.tally or Tally()
    if tally.base is not None:
        # The ledger has the rows that the worker sent since its last report.
        found = count_records(task.ledger, tally.base + tally.sent)
        sent, rejected = tally.sent + found[ACKNOWLEDGED], tally.rejected + found[REJECTED]
        tally = replace(tally, sent=sent, rejected=rejected)
    if lost.traceback is None:
        message = f"{lost.message}; run the same command again to continue"
        problem = StreamProblem("worker", message, ExitCode.TEMPORARY)
    elif isinstance(lost.error, StateError):
        problem = StreamProblem.of("state", lost.error)
    else:
        message = f"a bug in swarm: {lost.message}; -vv shows where"
        problem = StreamProblem("bug", message, ExitCode.BUG)
    return StreamResult(task.meter.id, "stopped", tally, problem, traceback=lost.traceback)
