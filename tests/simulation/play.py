"""Plays a history with the real code, and holds what the collector has to the truth."""

import os
import random
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from unittest import mock
from zoneinfo import ZoneInfo

import swarm.collector
import swarm.csvfile
import swarm.delivery
import swarm.ledger
import swarm.ledgerfile
import swarm.resume
import swarm.settlement
import swarm.stream
from swarm import ledgerformat
from swarm.checking import CheckTask, check
from swarm.collector import Link, Outcome
from swarm.delivery import deliver
from swarm.errors import StateError
from swarm.events import StreamResult, Tally
from swarm.ledger import ACKNOWLEDGED, Ledger
from swarm.localtime import wall_of
from swarm.meterfile import Survey, Window
from swarm.options import Upload
from swarm.report import MeterReport, Report
from swarm.retry import Verdict
from swarm.scheduler import THREADS
from swarm.settings import CsvRules, Meter
from swarm.standing import look_offline
from swarm.stream import Down, Halted, Task, invalid
from swarm.transport import Access
from swarm.upload import begin_anew, meter_report
from tests.simulation.collector import Clock, Collector, Fault, Session, Stored
from tests.simulation.disk import Disk
from tests.simulation.history import History, Run

_STREAM = "m"
_URL = "https://collector.example.com/measurements/v2/unifiedjson/"
_RETRY_FOR = 120.0
_CALM_RUNS = 8
_CLOCKED: tuple[ModuleType, ...] = (
    *(swarm.collector, swarm.csvfile, swarm.delivery, swarm.ledger, swarm.ledgerfile),
    *(swarm.resume, swarm.settlement, swarm.stream),
)
_SHM = Path("/dev/shm")


class Killed(BaseException):
    """The end of the simulated process."""


class Wrong(AssertionError):  # noqa: N818 - a broken promise
    """What the collector holds, or what a run said of it, is not true."""


@dataclass
class Reading:
    """One true reading: its instant (ms), its local time, all values that it had, newest last."""

    instant: int
    local: datetime
    values: list[str]

    @property
    def line(self) -> str:
        """The reading as a line of a CSV."""
        return f"{self.local:%Y-%m-%d %H:%M:%S},{self.values[-1]}\n"


@dataclass
class Figures:
    """What happened in histories."""

    histories: int = 0
    runs: int = 0
    kills: int = 0
    power_cuts: int = 0
    interruptions: int = 0
    faults: int = 0
    packets: int = 0
    told_twice: int = 0
    refused: int = 0
    begun_anew: int = 0
    adopted: int = 0

    def add(self, other: "Figures") -> None:
        """Add those of other histories."""
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def __str__(self) -> str:
        pairs = [(name, getattr(self, name)) for name in self.__dataclass_fields__]
        return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in pairs)


def play(history: History) -> Figures:
    """Play a history; raises `Wrong`."""
    with TemporaryDirectory(dir=_SHM if _SHM.is_dir() else None) as folder:
        return World(history, Path(folder)).play()


class Context:
    """A `swarm.stream.Context` on the simulated clock."""

    def __init__(self, world: "World") -> None:
        self.scheduler = THREADS
        self.is_halted = False
        self.tally: Tally | None = None
        self._world = world
        self._down_since: float | None = None
        self._failures = 0

    def enter(self, access: Access) -> Link:
        """Return a session to the simulated collector."""
        self.check()
        link = Link.__new__(Link)
        link.access = access
        link._session = Session(self._world.collector, self._world.step)
        return link

    def leave(self, link: Link) -> None:
        """Close the session."""
        link.close()

    def may_send(self, credential: int) -> None:
        """Wait for a collector that is out of reach."""
        self.check()
        if self._down_since is not None:
            if self._world.clock.now - self._down_since >= _RETRY_FOR:
                raise Down(_RETRY_FOR, "connection refused")
            self.sleep(2.0**self._failures, credential)

    def sleep(self, seconds: float, _credential: int) -> None:
        """Let the clock go on."""
        self._world.clock.sleep(seconds)
        self._world.step()
        self.check()

    def heard(self, outcome: Outcome, _credential: int) -> None:
        """Note whether the collector is out of reach."""
        if outcome.verdict is Verdict.UNREACHABLE:
            self._failures += 1
            self._down_since = self._down_since or self._world.clock.now
        else:
            self._failures, self._down_since = 0, None

    def gives_up(self, _retry_for: float) -> bool:
        """Tell that each packet is given up by itself."""
        return False

    def is_accepted(self, _credential: int) -> bool:
        """Tell that the credential is good."""
        return True

    def condemn(self, _credential: int) -> None:
        """Do nothing: no credential is refused."""

    def is_condemned(self, _credential: int) -> bool:
        """Tell that no credential is refused."""
        return False

    def check(self, _credential: int | None = None) -> None:
        """Raise `Halted` once the run was interrupted."""
        if self.is_halted:
            raise Halted("the run is told to stop")

    def lock(self, _task: Task) -> bool:
        """Lock the stream: one run follows the other here."""
        return True

    def unlock(self, _task: Task) -> None:
        """Let go of the stream."""

    def follow(self, _task: Task, tally: Tally) -> None:
        """Keep the tally in view."""
        self.tally = tally


@dataclass
class _Seen:
    """What is held against what the collector stored: who sent what, and what was told."""

    #: Where the user has had all sent again: the number of packets that were stored before.
    begun_anew: list[int] = field(default_factory=lambda: [0])
    late_runs: set[int] = field(default_factory=set)
    told: int = 0


class World:
    """One stream: the truth, its exports, the state folder, the collector, and its user."""

    def __init__(self, history: History, folder: Path) -> None:
        self.history = history
        self.clock = Clock(1_700_000_000.0)
        self.figures = Figures(histories=1)
        self.readings: list[Reading] = []
        self.rejected: set[int] = set()
        self.collector = Collector(
            self.clock, tells=history.tells, quotes=history.quotes, rejects=self.rejected
        )
        self.seen = _Seen()
        self._state, self._backup = folder / "state", folder / "backup"
        self._state.mkdir(mode=0o700)
        self._exports = folder
        self._disk = Disk(self._state, self.step)
        self._zone = ZoneInfo(history.zone)
        change = datetime.fromisoformat(history.change).replace(tzinfo=UTC)
        self._start = change - timedelta(minutes=history.minutes * history.start)
        self._boots = 1
        self._run = Run()
        self._steps = 0
        self._requests = 0
        self._is_dead = False
        self._context: Context | None = None
        self._is_stuck = False
        self._resends = not history.stops_on_ambiguity

    # What the code under test calls

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
        """Return the name of this boot."""
        return self._boots.to_bytes(16, "big")

    def _fault(self, _method: str) -> Fault | None:
        number, self._requests = self._requests, self._requests + 1
        fault = next((fault for at, fault in self._run.faults if at == number), None)
        self.figures.faults += fault is not None
        return fault

    @contextmanager
    def _patched(self) -> Iterator[None]:
        with ExitStack() as stack:
            for module in _CLOCKED:
                if hasattr(module, "time"):
                    stack.enter_context(mock.patch.object(module, "time", self.clock))
            stack.enter_context(mock.patch.object(ledgerformat, "boot_id", self.boot_id))
            stack.enter_context(
                mock.patch.object(swarm.stream, "backoff", lambda attempt: min(2.0**attempt, 60.0))
            )
            stack.enter_context(self._disk.installed())
            yield

    # The play

    def play(self) -> Figures:
        """Play the history, then let all become calm: every true reading is there."""
        for run in self.history.runs:
            self._prepare(run)
            self._send(run)
            self._after(run)
        if not self.readings:
            return self.figures
        for _ in range(_CALM_RUNS):
            report = self._send(Run(sends_late=True, skips=True))
            if report is None:
                raise Wrong("a run without an end was killed")
            problem = report.meters[0].problem
            if problem is None or (problem.kind == "rejected" and self.rejected):
                break
        else:
            raise Wrong(f"after {_CALM_RUNS} calm runs there is still: {problem}")
        self._judge_order()
        self._judge_end()
        self.figures.packets = len(self.collector.stored)
        return self.figures

    def _prepare(self, run: Run) -> None:
        for _ in range(run.grow):
            self._read()
        for back in run.corrected:
            if back <= len(self.readings):
                values = self.readings[-back].values
                # Back and forth: the new value may be one that was sent before.
                values.append(values[-2] if len(values) > 1 and back % 2 else f"{values[0]}9")
        if run.live and not any(each.after == "restore" for each in self.history.runs):
            # With live data the last packet does not tell that a checkpoint has fallen behind.
            moment = self._start + timedelta(days=3000, minutes=len(self.collector.stored))
            packet = {"id": _STREAM, "tsISO8601": moment.isoformat(), "value": 1}
            self.collector.get_elsewhere(packet)

    def _read(self) -> None:
        number = len(self.readings)
        moment = self._start + timedelta(minutes=number * self.history.minutes)
        instant = round(moment.timestamp() * 1000)
        value = "7" if self.history.constant else f"{number}.5"
        self.readings.append(Reading(instant, moment.astimezone(self._zone), [value]))
        if self.history.rejects and number % 7 == 5:
            self.rejected.add(instant)

    def _after(self, run: Run) -> None:
        if self.history.tells == "latest" and run.after != "backup":
            # Its last packet may be an old one: it does not tell what a lost checkpoint knew.
            return
        if run.after == "backup":
            self._disk.copy_to(self._backup)
        elif run.after == "lose":
            shutil.rmtree(self._state)
            self._state.mkdir(mode=0o700)
            self._disk.found()
        elif run.after == "restore" and self._backup.exists():
            self._disk.restore(self._backup)

    # One run

    def _send(self, run: Run) -> Report | None:
        """Run once; return the report, None where the run was killed."""
        if not self.readings:
            return None
        flag, self._is_stuck = self._way_on() if self._is_stuck else "", False
        if flag:
            # Who follows the advice does so with the whole export.
            run = replace(run, form="growing", since=0, until=0)
        self._run, self._steps, self._requests, self._is_dead = run, 0, 0, False
        self._context = None
        self.collector.faults = self._fault
        self.collector.run += 1
        self.figures.runs += 1
        if run.sends_late:
            self.seen.late_runs.add(self.collector.run)
        shown = self._shown(run)
        try:
            report = self._attempt(run, flag, self._written(run, shown))
        except Killed:
            self._bury(run)
            report = None
        self._run = Run()
        self.clock.sleep(3.0)
        self.collector.arrive()
        self._judge_packets()
        if report is not None:
            self._judge_report(run, report, shown)
            self._react(report)
        return report

    def _attempt(self, run: Run, flag: str, files: tuple[Path, ...]) -> Report:
        meter = Meter(_STREAM, files, CsvRules(self.history.zone), _URL, None)
        upload = Upload(
            since=self._wall(run.since) if run.since else None,
            until=self._wall(len(self.readings) - run.until) if run.until else None,
            late="send" if run.sends_late else "report",
            restart=flag == "--restart",
            adopt=flag == "--adopt",
            on_reject="skip" if run.skips else "stop",
            on_ambiguous="resend" if self._resends else "stop",
            retry_for=_RETRY_FOR,
        )
        access = Access("u", "p")
        task = Task(meter, Survey(_STREAM), upload, "c", str(self._state), access, 0)
        window = Window(upload.since, upload.until)
        with self._patched():
            ledger = None if upload.restart else task.ledger
            survey = check(CheckTask(meter, window, ledger=ledger), None)
            problem = invalid(survey)
            if problem is not None:
                result = StreamResult(_STREAM, "invalid", problem=problem)
            else:
                self._context = Context(self)
                task = replace(task, survey=survey)
                if upload.restart:
                    self.seen.begun_anew.append(len(self.collector.stored))
                    begin_anew([task], None)
                result = deliver(task, self._context)
            meters = (meter_report(meter, survey, result),)
            report = Report("", "", 0.0, 0.0, meters)
            self._judge_status(report, task)
            return report

    def _bury(self, run: Run) -> None:
        self._disk.abandon()
        if self._context and self._context.tally:
            # A run that was killed tells nobody what it had counted.
            self.seen.told += self._context.tally.possible_duplicates
        self.figures.kills += 1
        if run.end == "power cut":
            self.figures.power_cuts += 1
            self._boots += 1
            self._disk.cut(random.Random(run.chance))

    def _react(self, report: Report) -> None:
        """Do what a user does who reads the report."""
        problem = report.meters[0].problem
        if problem is None:
            return
        self.figures.interruptions += problem.kind == "interrupted"
        if problem.kind == "ambiguous":
            self._resends = True
        elif problem.kind == "ambiguous time":
            self.figures.refused += 1
        elif problem.kind == "no checkpoint" and problem.exit_code == 3:
            self._is_stuck = True
        elif problem.kind not in _EXPECTED:
            raise Wrong(f"a problem that nothing explains: {problem}")

    def _way_on(self) -> str:
        """Return the flag by which a user goes on without a checkpoint."""
        last = self.collector.last
        is_all_there = last is not None and all(
            self._newest_stored(reading) == float(reading.values[-1])
            for reading in self.readings
            if reading.instant <= last.instant
        )
        self.figures.adopted += is_all_there
        self.figures.begun_anew += not is_all_there
        return "--adopt" if is_all_there else "--restart"

    # The exports

    def _wall(self, number: int) -> int:
        """Return the local time of a reading, as an option has it."""
        at = min(max(number, 0), len(self.readings) - 1)
        return wall_of(self.readings[at].local.replace(tzinfo=None))

    def _shown(self, run: Run) -> list[Reading]:
        """Return the readings that the run's export has."""
        if run.form == "rolling":
            known = self._recorded()
            heads = [at for at, each in enumerate(self.readings) if each.instant in known]
            # What rolls away before it was sent is lost by the export.
            return self.readings[heads[max(-run.place, -len(heads))] :] if heads else self.readings
        if run.form == "gap filled" and run.place < len(self.readings):
            gap = self.readings[run.place]
            if not self._is_repeated(gap):
                return [each for each in self.readings if each is not gap]
        return list(self.readings)

    def _written(self, run: Run, shown: Sequence[Reading]) -> tuple[Path, ...]:
        """Write the export; return its files."""
        lines = [each.line for each in shown]
        at = min(run.place, len(lines) - 1)
        parts = [lines]
        if run.form == "newest first":
            parts = [lines[::-1]]
        elif run.form == "parted" and at:
            parts = [lines[:at], lines[at:]]
        elif run.form == "overlapping" and at:
            parts = [lines[: at + 2], lines[at:]]
        paths = tuple(self._exports / f"export-{number}.csv" for number in range(len(parts)))
        for path, part in zip(paths, parts, strict=True):
            path.write_text("".join(part))
            os.utime(path, (1, 1))
        return paths

    def _is_repeated(self, reading: Reading) -> bool:
        naive = reading.local.replace(tzinfo=self._zone, fold=0)
        return naive.utcoffset() != naive.replace(fold=1).utcoffset()

    def _recorded(self) -> set[int]:
        """Return the instants that the ledger has acknowledged."""
        path = Task(
            Meter(_STREAM, (), CsvRules("UTC"), _URL, None),
            *(Survey(_STREAM), Upload(), "c", str(self._state), Access("u", "p"), 0),
        ).ledger
        with suppress(StateError):
            ledger = Ledger.view(path, _STREAM)
            if ledger is not None:
                with closing(ledger):
                    return {each.instant for each in ledger.entries() if each.kind == ACKNOWLEDGED}
        return set()

    # The judgement

    @property
    def _ours(self) -> list[Stored]:
        return [packet for packet in self.collector.stored if packet.run is not None]

    def _newest_stored(self, reading: Reading) -> float | None:
        """Return the value that was stored last at a reading's instant."""
        values = [each.value for each in self._ours if each.instant == reading.instant]
        return values[-1] if values else None

    def _judge_packets(self) -> None:
        """See that each packet is true, and there once, but for what was told."""
        truth = {each.instant: {float(value) for value in each.values} for each in self.readings}
        for packet in self._ours:
            if packet.value not in truth.get(packet.instant, set()):
                raise Wrong(f"a packet that is not true: {packet}")
            if packet.instant in self.rejected:
                raise Wrong(f"a packet that was rejected is stored: {packet}")
        twice = 0
        for packets in self._generations():
            values: dict[int, float] = {}
            for packet in packets:
                twice += values.get(packet.instant) == packet.value
                values[packet.instant] = packet.value
        if twice > self.seen.told + self._telling():
            raise Wrong(f"{twice} packets are stored twice, {self.seen.told} told")
        self.figures.told_twice = twice

    def _generations(self) -> Iterator[list[Stored]]:
        """Yield what was sent, parted where the user has had all sent again."""
        bounds = [*self.seen.begun_anew, len(self.collector.stored)]
        for start, end in pairwise(bounds):
            yield [each for each in self.collector.stored[start:end] if each.run is not None]

    def _judge_order(self) -> None:
        """See that packets are in order, but for late ones; of those stored twice the last counts.

        What was in doubt, and was told to be, may have been stored before older ones.
        """
        for packets in self._generations():
            last = {(packet.instant, packet.value): place for place, packet in enumerate(packets)}
            newest: int | None = None
            for place, packet in enumerate(packets):
                if last[packet.instant, packet.value] != place:
                    continue
                is_late = newest is not None and packet.instant <= newest
                if is_late and packet.run not in self.seen.late_runs:
                    raise Wrong(f"a packet that is out of order: {packet}")
                newest = packet.instant if newest is None else max(newest, packet.instant)

    def _telling(self) -> int:
        """Return what the run that has just ended tells."""
        if self._is_dead or self._context is None or self._context.tally is None:
            return 0
        return self._context.tally.possible_duplicates

    def _judge_report(self, run: Run, report: Report, shown: Sequence[Reading]) -> None:
        """Hold a run's report to what the collector has."""
        meter = report.meters[0]
        counts = meter.counts
        self.seen.told += counts["possible_duplicates"]
        parts = ("filtered", "sent", "resumed", "rejected", "late", "unsent")
        if counts["rows"] != sum(counts[part] for part in parts) or min(counts.values()) < 0:
            raise Wrong(f"counts that do not add up: {counts}")
        now = [each for each in self.collector.stored if each.run == self.collector.run]
        most = counts["sent"] + counts["possible_duplicates"] + 1
        if not counts["sent"] <= len(now) <= most:
            raise Wrong(f"{len(now)} packets stored by a run that says {counts}")
        there = sum(self._newest_stored(each) == float(each.values[-1]) for each in shown)
        if counts["sent"] + counts["resumed"] > there + counts["filtered"]:
            raise Wrong(f"only {there} rows of the export are there, the run says {counts}")
        if report.exit_code == 0:
            since = self._wall(run.since) if run.since else None
            until = self._wall(len(self.readings) - run.until) if run.until else None
            window = Window(since, until)
            for each in shown:
                is_there = self._newest_stored(each) == float(each.values[-1])
                if not is_there and window.holds(wall_of(each.local.replace(tzinfo=None))):
                    raise Wrong(f"exit code 0, but this reading is not there: {each}")

    def _judge_status(self, report: Report, task: Task) -> None:
        """Hold what `swarm status` says to the report."""
        meter: MeterReport = report.meters[0]
        standing = look_offline(task, None)  # type: ignore[arg-type]
        if meter.state == "invalid":
            return
        found = {
            "acknowledged": standing.acknowledged,
            "waiting": standing.waiting,
            "rejected": standing.rejected,
            "filtered": standing.filtered,
        }
        counts = meter.counts
        if meter.state == "done":
            expected = {
                "acknowledged": counts["sent"] + counts["resumed"],
                "waiting": 0,
                "rejected": counts["rejected"],
                "filtered": counts["filtered"],
            }
            if found != expected:
                raise Wrong(f"status says {found}, the report {counts}")

    def _judge_end(self) -> None:
        """See that each reading is there, as it was read last."""
        for reading in self.readings:
            stored = self._newest_stored(reading)
            if reading.instant in self.rejected:
                continue
            if stored != float(reading.values[-1]):
                raise Wrong(f"lost: {reading}; the collector has {stored}")


_EXPECTED = frozenset(
    {
        *("interrupted", "temporary", "rejected", "late", "not verified", "no checkpoint"),
        *("ambiguous", "ambiguous time", "conflict"),
    }
)
