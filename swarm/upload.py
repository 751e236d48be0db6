"""A run from end to end, in the parent: lock, check, hand out, gather the results."""

import os
import resource
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any, Protocol

from swarm import state
from swarm.board import Board
from swarm.checking import CheckTask
from swarm.delivery import LOCKED, Task
from swarm.errors import SwarmError
from swarm.events import StreamProblem, StreamResult, Tally
from swarm.meterfile import Row, Survey, Window
from swarm.packet import body, packet, timestamp
from swarm.pool import Crew, Lost, Pool
from swarm.report import MeterReport, Report
from swarm.settings import Meter, Settings
from swarm.state import StreamLocks
from swarm.transport import Access

_SPARE_DESCRIPTORS = 256


class Observer(Protocol):
    """Who watches a run: bars, lines, or nobody. The run never knows a terminal."""

    def checking(self, meters: int) -> None:
        """So many meters are about to be checked."""

    def checked(self, survey: Survey) -> None:
        """One has been."""

    def sending(self, rows: dict[str, int]) -> None:
        """These meters, with so many rows each, are about to be sent."""

    def tallies(self, tallies: dict[str, Tally]) -> None:
        """The newest facts of the streams in flight."""

    def ended(self, result: StreamResult) -> None:
        """A stream has ended."""

    def notice(self, text: str) -> None:
        """Something that the user should know."""

    def stopping(self, why: str) -> None:
        """The run ends early, in order."""


class EndNow(BaseException):
    """A second signal: end at once."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass
class Stop:
    """Whether the run is to stop, and why."""

    deadline: float | None = None
    signal: int | None = None
    why: str | None = None
    told: bool = False

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal: the first stops the run in order, the second ends it."""
        if self.signal is not None:
            raise EndNow(self.signal)
        self.signal = number
        self.why = f"{signal.Signals(number).name} received"

    def is_due(self) -> bool:
        """Whether the run has to stop now."""
        if self.why is None and self.deadline is not None and time.monotonic() >= self.deadline:
            self.why = "the time of --max-duration is used up"
        return self.why is not None


@contextmanager
def _handling(stop: Stop) -> Iterator[None]:
    before = {
        number: signal.signal(number, stop.handle) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def check(settings: Settings, observer: Observer) -> list[Survey]:
    """Check every meter's files, on all cores; nothing is sent and no state is touched."""
    stop = Stop()
    with _handling(stop), _board(settings) as board:
        crew = Crew(_processes(settings), 1)
        with Pool(crew, board) as pool:
            return _check_all(settings, pool, observer, stop)


def upload(
    settings: Settings,
    observer: Observer,
    open_sandbox: Callable[[Settings], AbstractContextManager[str]] | None = None,
) -> tuple[Report, list[Survey]]:
    """Check every file, then send what is new; ``open_sandbox`` yields the URL of a collector."""
    started = time.time()
    duration = settings.upload.max_duration
    stop = Stop(time.monotonic() + duration if duration else None)
    with _handling(stop):
        run = _Run(settings, observer, stop, started, open_sandbox)
        return run.report(), run.surveys


class _Run:
    def __init__(
        self,
        settings: Settings,
        observer: Observer,
        stop: Stop,
        started: float,
        open_sandbox: Callable[[Settings], AbstractContextManager[str]] | None,
    ) -> None:
        self.settings = settings
        self.observer = observer
        self.stop = stop
        self.started = started
        self.open_sandbox = open_sandbox
        self.surveys: list[Survey] = []
        self.results: dict[str, StreamResult] = {}
        self.is_broken_off = False

    def report(self) -> Report:
        """Do the run, and say what it did."""
        with ExitStack() as stack:
            free = self._lock(stack)
            self._go(free)
        notes = []
        if self.settings.upload.restart and any(
            result.state == "stopped" for result in self.results.values()
        ):
            notes.append("Begun anew with --restart: to go on, run the command without --restart")
        return Report(
            config=str(self.settings.config),
            collector="sandbox" if self.settings.sandbox else self.settings.url,
            started=self.started,
            finished=time.time(),
            meters=tuple(map(self._meter_report, self.settings.meters, self.surveys)),
            signal=self.stop.signal,
            notes=tuple(notes),
        )

    def _lock(self, stack: ExitStack) -> set[str]:
        """Lock all streams for this run; return the IDs of those that no other run holds."""
        folder, collector = self.settings.state, self.settings.collector
        runs = StreamLocks(state.runs_lock(folder, collector))
        stack.callback(runs.close)
        senders = StreamLocks(state.senders_lock(folder, collector))
        try:
            return {
                meter.id
                for meter in self.settings.meters
                if runs.take(meter.id) and _is_free(senders, meter.id)
            }
        finally:
            senders.close()

    def _go(self, free: set[str]) -> None:
        for meter in self.settings.meters:
            if meter.id not in free:
                self._end(StreamResult(meter.id, "locked", problem=LOCKED))
        upload = self.settings.upload
        with _board(self.settings) as board:
            crew = Crew(
                _processes(self.settings),
                upload.connections,
                upload.transport,
                upload.rate_limit,
                upload.retry_for,
            )
            with Pool(crew, board) as pool:
                self.surveys = _check_all(self.settings, pool, self.observer, self.stop)
                sound = [
                    survey for survey in self.surveys if survey.is_sound and survey.meter in free
                ]
                is_all = all(survey.is_sound for survey in self.surveys)
                if self.stop.why is None and sound and (is_all or upload.keep_going):
                    self._send(pool, board, {survey.meter: survey for survey in sound})

    def _send(self, pool: Pool, board: Board, sound: dict[str, Survey]) -> None:
        opened = self.open_sandbox(self.settings) if self.open_sandbox else nullcontext()
        with opened as url:
            tasks = self._tasks(sound, url)
            self.observer.sending({meter: s.rows - s.filtered for meter, s in sound.items()})
            board.restart_clock()
            for number, result in pool.run("swarm.delivery:deliver", tasks, self._tick(pool)):
                if isinstance(result, Lost):
                    result = _lost(tasks[number], result)  # noqa: PLW2901 - its plain form
                self._end(result)
                if result.stops_run and not self.is_broken_off:
                    self.is_broken_off = True
                    pool.stop()

    def _tick(self, pool: Pool) -> Callable[[dict[str, Tally]], None]:
        def tick(tallies: dict[str, Tally]) -> None:
            self.observer.tallies(tallies)
            if self.stop.is_due() and not self.stop.told:
                self.stop.told = True
                self.observer.stopping(self.stop.why or "")
                pool.stop()

        return tick

    def _end(self, result: StreamResult) -> None:
        self.results[result.id] = result
        for notice in result.notices:
            self.observer.notice(notice)
        self.observer.ended(result)

    def _tasks(self, sound: dict[str, Survey], url: str | None) -> list[Task]:
        """Make the streams' tasks, the longest first: it decides when the run ends."""
        settings, upload = self.settings, self.settings.upload
        numbers = _credential_numbers(settings.meters)
        tasks = [
            Task(
                meter=replace(meter, url=url) if url else meter,
                survey=sound[meter.id],
                upload=upload,
                collector=settings.collector,
                state=str(settings.state),
                access=_access(settings, meter),
                credential=numbers[_credential_key(meter)],
            )
            for meter in settings.meters
            if meter.id in sound
        ]
        return sorted(tasks, key=lambda task: task.survey.filtered - task.survey.rows)

    def _meter_report(self, meter: Meter, survey: Survey) -> MeterReport:
        result = self.results.get(meter.id)
        common = {
            "id": meter.id,
            "file": ", ".join(map(str, meter.files)),
            "rows": survey.rows,
            **dict(zip(("first", "last"), _times(survey), strict=False)),
        }
        if result is not None:
            tally = replace(result.tally, filtered=survey.filtered)
            if result.state == "locked" and not survey.is_sound:
                tally = Tally()
            return MeterReport(
                state=result.state,
                tally=tally,
                verified=result.verified,
                problem=result.problem,
                **common,
            )
        if not survey.is_sound:
            return MeterReport(state="invalid", tally=Tally(), problem=_invalid(survey), **common)
        problem = None
        if self.is_broken_off or self.stop.why:
            problem = StreamProblem("not started", "the run ended before its turn", 5)
        return MeterReport(
            state="not started", tally=Tally(filtered=survey.filtered), problem=problem, **common
        )


def _check_all(settings: Settings, pool: Pool, observer: Observer, stop: Stop) -> list[Survey]:
    """Check the meters; a stop leaves the rest unchecked, with no rows."""
    window = Window(settings.upload.since, settings.upload.until)
    tasks = [CheckTask(meter, window) for meter in settings.meters]
    surveys = {meter.id: Survey(meter.id) for meter in settings.meters}
    observer.checking(len(tasks))

    def tick(_: dict[str, Tally]) -> None:
        if stop.is_due():
            raise _CheckStoppedError

    try:
        for number, result in pool.run("swarm.checking:check", tasks, tick, need_places=False):
            if isinstance(result, Lost):
                raise result.error or CheckLostError(
                    f"{tasks[number].meter.id}: the check was lost: {result.message}"
                )
            surveys[result.meter] = result
            observer.checked(result)
    except _CheckStoppedError:
        observer.stopping(stop.why or "")
        pool.kill()
    return list(surveys.values())


class _CheckStoppedError(Exception):
    pass


class CheckLostError(SwarmError):
    """A worker died or failed while it checked a file."""


def packet_of(survey: Survey, row: Row) -> bytes:
    """Return the packet that a row of a survey makes."""
    return packet(survey.meter, row.instant, row.offset, body(survey.registers, row.cells))


def _times(survey: Survey) -> Sequence[str]:
    return [timestamp(row.instant, row.offset) for row in survey.ends]


def _invalid(survey: Survey) -> StreamProblem:
    first = survey.problems[0]
    return StreamProblem(first.kind, str(first), 3, line=first.line, file=first.file)


def _lost(task: Task, lost: Lost) -> StreamResult:
    exit_code = 5 if lost.error is None and lost.traceback is None else 1
    if isinstance(lost.error, SwarmError):
        exit_code = lost.error.exit_code
    kind = "worker" if lost.traceback is None else "bug"
    message = lost.message if exit_code == 5 else f"a bug in swarm: {lost.message}"
    return StreamResult(
        task.meter.id,
        "stopped",
        lost.tally or Tally(),
        StreamProblem(kind, message, exit_code),
        traceback=lost.traceback,
    )


def _is_free(senders: StreamLocks, stream: str) -> bool:
    """Tell whether no worker of a run that was killed can still send a stream."""
    if not senders.take(stream):
        return False
    senders.release(stream)
    return True


@contextmanager
def _board(settings: Settings) -> Iterator[Board]:
    _raise_descriptor_limit(settings.upload.connections)
    board = Board.create(len(_credential_numbers(settings.meters)))
    try:
        yield board
    finally:
        board.close()


def _raise_descriptor_limit(connections: int) -> None:
    """Allow this process and its workers a descriptor for each connection and file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 3 * connections + _SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _processes(settings: Settings) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    wanted = settings.upload.processes or cores or 1
    return max(min(wanted, len(settings.meters), settings.upload.connections), 1)


def _credential_key(meter: Meter) -> str:
    return meter.credentials.name if meter.credentials else ""


def _credential_numbers(meters: Sequence[Meter]) -> dict[str, int]:
    return {key: at for at, key in enumerate(dict.fromkeys(map(_credential_key, meters)))}


def _access(settings: Settings, meter: Meter) -> Access:
    credentials: Any = meter.credentials
    return Access(
        username=credentials.username,
        password=credentials.password,
        timeout=settings.upload.timeout,
        ca_bundle=settings.ca_bundle,
        proxy=settings.proxy,
    )
