"""Plays a history, and compares the collector's packets and the reports with the truth."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from swarm.csv import Window
from swarm.localtime import wall_of
from tests.simulation.collector import Stored
from tests.simulation.history import History, Run
from tests.simulation.machine import STREAM, Attempt, Machine, RunOutput, Simulated

_CALM_RUNS = 8
_SHM = Path("/dev/shm")
#: Problems that a run of a history may end with.
_EXPECTED = frozenset(
    {
        *("interrupted", "temporary", "rejected", "late", "not verified", "no checkpoint"),
        *("ambiguous", "ambiguous time"),
    }
)


class Wrong(AssertionError):  # noqa: N818 - a broken promise
    """The collector's packets, or the report of a run, are wrong."""


@dataclass
class Reading:
    """One true reading: its instant (ms), its local time, all its values, the newest last."""

    instant: int
    local: datetime
    values: list[str]

    @property
    def line(self) -> str:
        """The reading as a line of a CSV."""
        return f"{self.local:%Y-%m-%d %H:%M:%S},{self.values[-1]}\n"


@dataclass
class Figures:
    """Counts of what happened in histories."""

    histories: int = 0
    runs: int = 0
    kills: int = 0
    power_cuts: int = 0
    interruptions: int = 0
    faults: int = 0
    settled: int = 0
    packets: int = 0
    reported_twice: int = 0
    refused: int = 0
    restarted: int = 0
    adopted: int = 0

    def add(self, other: "Figures") -> None:
        """Add the counts of other histories."""
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def __str__(self) -> str:
        pairs = [(name, getattr(self, name)) for name in self.__dataclass_fields__]
        return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in pairs)


def play(history: History, machine: Callable[[History, Path], Machine] = Simulated) -> Figures:
    """Play a history on a machine; raise `Wrong` if a promise is broken."""
    with TemporaryDirectory(dir=_SHM if _SHM.is_dir() else None) as name:
        folder = Path(name)
        with closing(machine(history, folder)) as place:
            return World(history, place, folder).play()


class _Compared(Simulated):
    uncounted = ".settled"


class _Full(_Compared):
    is_full = True


def compare(history: History) -> Figures:
    """Play a history with and without ``--full-check``; raise `Wrong` if anything differs."""
    machines: list[Simulated] = []

    def machine(kind: type[Simulated], history: History, folder: Path) -> Simulated:
        machines.append(kind(history, folder))
        return machines[-1]

    figures = [play(history, partial(machine, kind)) for kind in (_Compared, _Full)]
    for what in ("outputs", "stored"):
        quick, full = (getattr(each, what) for each in machines)
        if quick != full:
            raise Wrong(f"{what}: {quick}, with --full-check: {full}")
    return figures[0]


def _are_equal(one: Stored, other: Stored) -> bool:
    return (one.instant, one.value) == (other.instant, other.value)


class World:
    """One stream: the truth, its exports, its user."""

    def __init__(self, history: History, machine: Machine, folder: Path) -> None:
        self.history = history
        self.machine = machine
        self.figures = Figures(histories=1)
        self.readings: list[Reading] = []
        self._folder = folder
        self._zone = ZoneInfo(history.zone)
        change = datetime.fromisoformat(history.change).replace(tzinfo=UTC)
        self._start = change - timedelta(minutes=history.minutes * history.start)
        #: The number of stored packets each time the user restarted the stream.
        self._restarts = [0]
        self._late_runs: set[int] = set()
        #: The number of stored packets when the backup was made.
        self._backed_up = 0
        self._told = 0
        self._runs = 0
        self._is_stuck = False
        self._has_rejected = False
        self._resends = not history.stops_on_ambiguity

    def play(self) -> Figures:
        """Play the history, then runs without faults; in the end every true reading is stored."""
        told: RunOutput | None = None
        for run in self.history.runs:
            self._prepare(run)
            told = self._send(run)
            self._after(run, is_settled=told is not None)
        if not self.readings:
            return self.figures
        for _ in range(_CALM_RUNS):
            told = self._send(Run(sends_late=True, sends_rejected=True, skips=True))
            if told is None:
                raise Wrong("a run without an end was killed")
            if not told.kind or (told.kind == "rejected" and self.machine.rejected):
                break
            if told.kind == "ambiguous time":
                # An hour that a few rows leave ambiguous becomes clear with later rows.
                self._prepare(Run(grow=12))
        else:
            raise Wrong(f"after {_CALM_RUNS} calm runs there is still: {told}")
        self._judge_order()
        self._judge_end()
        self.figures.packets = len(self.machine.stored)
        self.figures.faults = self.machine.faults
        self.figures.settled = self.machine.settled
        return self.figures

    def _prepare(self, run: Run) -> None:
        if run.accepts:
            self.machine.rejected.clear()
        for _ in range(run.grow):
            self._read()
        for back in run.corrected:
            if back <= len(self.readings) and not self._may_swap(self.readings[-back]):
                values = self.readings[-back].values
                # Alternate, as the new value may be one that was sent before.
                values.append(values[-2] if len(values) > 1 and back % 2 else f"{values[0]}9")
        if run.live and not any(each.after == "restore" for each in self.history.runs):
            # With live data the last packet does not show that a checkpoint is out of date.
            moment = self._start + timedelta(days=3000, minutes=len(self.machine.stored))
            packet = {"id": STREAM, "tsISO8601": moment.isoformat(), "value": 1}
            self.machine.get_elsewhere(packet)

    def _read(self) -> None:
        number = len(self.readings)
        moment = self._start + timedelta(minutes=number * self.history.minutes)
        instant = round(moment.timestamp() * 1000)
        value = "7" if self.history.constant else f"{number}.5"
        self.readings.append(Reading(instant, moment.astimezone(self._zone), [value]))
        if self.history.rejects and number % 7 == 5:
            self.machine.rejected.add(instant)
            self._has_rejected = True

    def _after(self, run: Run, *, is_settled: bool) -> None:
        if run.after == "backup":
            if not is_settled:
                # Once restored, it would count the unsettled rows as sent by the killed run.
                return
            self.machine.backup()
            self._backed_up = len(self.machine.stored)
        elif self.history.tells == "latest":
            # The last packet may be an old one, which does not show what a lost checkpoint knew.
            return
        elif run.after == "lose":
            # Without a checkpoint, nobody knows which rows were rejected: --adopt takes them all.
            if not (self._has_rejected and any(each.accepts for each in self.history.runs)):
                self.machine.lose()
        elif run.after == "restore" and not self._has_rejected and self._shows_late_rows():
            # A checkpoint that is out of date does not know the rows that were rejected since.
            self.machine.restore()

    def _shows_late_rows(self) -> bool:
        """Return True unless a row other than the last packet was sent late since the backup.

        The collector's last packet shows nothing about other rows.
        """
        stored = self.machine.stored
        newest = max((each.instant for each in stored[: self._backed_up]), default=0)
        late = []
        for packet in stored[self._backed_up :]:
            late += [packet] if packet.instant <= newest else []
            newest = max(newest, packet.instant)
        return not late or late == [self.machine.last]

    # One run

    def _send(self, run: Run) -> RunOutput | None:
        """Run once; return the run's output, None if it was killed."""
        if not self.readings:
            return None
        flag, self._is_stuck = self._next_flag() if self._is_stuck else "", False
        if flag:
            # A user who follows the advice uses the whole export.
            run = replace(run, form="growing", since=0, until=0)
        self._runs += 1
        self.figures.runs += 1
        if run.sends_late or run.sends_rejected:
            self._late_runs.add(self._runs)
        if flag == "--restart":
            self._restarts.append(len(self.machine.stored))
        shown = self._shown(run)
        files = self._written(run, shown)
        window = self._window(run)
        attempt = Attempt(run, files, window.since, window.until, flag, self._resends)
        before = len(self.machine.stored)
        told = self.machine.attempt(self._runs, attempt)
        if told is None:
            self.figures.kills += 1
            self.figures.power_cuts += run.end == "power cut"
        else:
            self._told += told.counts["possible_duplicates"]
        self._judge_packets()
        if told is not None:
            self._judge_report(window, told, shown, len(self.machine.stored) - before)
            self._react(told)
        return told

    def _window(self, run: Run) -> Window:
        since = self._local_ms(run.since) if run.since else None
        until = self._local_ms(len(self.readings) - run.until) if run.until else None
        is_empty = since is not None and until is not None and until <= since
        return Window(since, None if is_empty else until)

    def _react(self, told: RunOutput) -> None:
        """Do what a user would do after reading the report."""
        self.figures.interruptions += told.kind == "interrupted"
        if told.kind == "ambiguous":
            self._resends = True
        elif told.kind == "ambiguous time":
            self.figures.refused += 1
        elif told.kind == "no checkpoint" and told.problem_code == 3:
            self._is_stuck = True
        elif told.kind and told.kind not in _EXPECTED:
            raise Wrong(f"a problem that nothing explains: {told.kind}: {told.message}")

    def _next_flag(self) -> str:
        """Return the flag with which a user continues without a checkpoint."""
        last = self.machine.last
        is_all_there = last is not None and all(
            self._newest_stored(reading) == float(reading.values[-1])
            for reading in self.readings
            if reading.instant <= last.instant
        )
        self.figures.adopted += is_all_there
        self.figures.restarted += not is_all_there
        return "--adopt" if is_all_there else "--restart"

    # The exports

    def _local_ms(self, number: int) -> int:
        """Return the local time (ms) of a reading, for an option."""
        at = min(max(number, 0), len(self.readings) - 1)
        return wall_of(self.readings[at].local.replace(tzinfo=None))

    def _shown(self, run: Run) -> list[Reading]:
        """Return the readings in the run's export."""
        if run.form == "rolling" and not self.history.constant:
            known = self.machine.recorded()
            heads = [at for at, each in enumerate(self.readings) if each.instant in known]
            # A row that leaves the export before it was sent would be lost by the export, not by
            # swarm.
            return self.readings[heads[max(-run.place, -len(heads))] :] if heads else self.readings
        if run.form == "gap filled" and run.place < len(self.readings):
            gap, last = self.readings[run.place], self.machine.last
            # An export without the collector's last packet can't show that a restored checkpoint is
            # out of date.
            is_last = last is not None and last.instant == gap.instant
            if not (is_last or self._is_repeated(gap)):
                return [each for each in self.readings if each is not gap]
        return list(self.readings)

    def _written(self, run: Run, shown: Sequence[Reading]) -> tuple[Path, ...]:
        """Write the export; return its files."""
        lines = [each.line for each in shown]
        at = min(run.place, len(lines) - 1)
        parts = [lines]
        if run.form == "newest first":
            parts = [lines[::-1]]
        elif run.form == "parted" and at and not self.history.constant:
            parts = [lines[:at], lines[at:]]
        elif run.form == "overlapping" and at and not self.history.constant:
            # Equal rows may be repeats or the second pass; their file can't show which.
            parts = [lines[: at + 2], lines[at:]]
        paths = tuple(self._folder / f"export-{number}.csv" for number in range(len(parts)))
        for path, part in zip(paths, parts, strict=True):
            path.write_text("".join(part))
            os.utime(path, (1, 1))
        return paths

    def _may_swap(self, reading: Reading) -> bool:
        """Return True if a corrected value may equal that sent for the hour's other pass.

        If both passes got each other's value, the file would look like an export in another order.
        """
        return self.history.constant and self._is_repeated(reading)

    def _is_repeated(self, reading: Reading) -> bool:
        naive = reading.local.replace(tzinfo=self._zone, fold=0)
        return naive.utcoffset() != naive.replace(fold=1).utcoffset()

    # Checks

    @property
    def _ours(self) -> list[Stored]:
        return [packet for packet in self.machine.stored if packet.run is not None]

    def _newest_stored(self, reading: Reading) -> float | None:
        """Return the value that was stored last at a reading's instant."""
        values = [each.value for each in self._ours if each.instant == reading.instant]
        return values[-1] if values else None

    def _judge_packets(self) -> None:
        """Check that each packet is true, and stored once unless a duplicate was reported."""
        truth = {each.instant: {float(value) for value in each.values} for each in self.readings}
        for packet in self._ours:
            if packet.value not in truth.get(packet.instant, set()):
                raise Wrong(f"a packet that is not true: {packet}")
            if packet.instant in self.machine.rejected:
                raise Wrong(f"a packet that was rejected is stored: {packet}")
        twice = 0
        for packets in self._generations():
            values: dict[int, float] = {}
            for packet in packets:
                twice += values.get(packet.instant) == packet.value
                values[packet.instant] = packet.value
        if twice > self._told + self.machine.unreported:
            raise Wrong(f"{twice} packets are stored twice, {self._told} told")
        self.figures.reported_twice = twice

    def _generations(self) -> Iterator[list[Stored]]:
        """Yield the packets, split at the restarts of the user."""
        bounds = [*self._restarts, len(self.machine.stored)]
        for start, end in pairwise(bounds):
            yield [each for each in self.machine.stored[start:end] if each.run is not None]

    def _judge_order(self) -> None:
        """Check the order of the packets, except late ones; at each instant, the last one counts.

        A packet that was reported as a possible duplicate may be stored before older ones and with
        an earlier value of its row; if it is sent again, it follows newer ones.
        """
        for packets in self._generations():
            last = {packet.instant: place for place, packet in enumerate(packets)}
            newest: int | None = None
            for place, packet in enumerate(packets):
                if last[packet.instant] != place:
                    continue
                is_late = newest is not None and packet.instant < newest
                is_again = any(_are_equal(packet, earlier) for earlier in packets[:place])
                if is_late and packet.run not in self._late_runs and not is_again:
                    raise Wrong(f"a packet that is out of order: {packet}")
                newest = packet.instant if newest is None else max(newest, packet.instant)

    def _judge_report(
        self, window: Window, told: RunOutput, shown: Sequence[Reading], stored: int
    ) -> None:
        """Compare the report of a run with the collector's packets."""
        counts = told.counts
        parts = ("filtered", "sent", "resumed", "rejected", "late", "unsent")
        if counts["rows"] != sum(counts[part] for part in parts) or min(counts.values()) < 0:
            raise Wrong(f"counts that do not add up: {counts}")
        if told.state == "done" and counts["unsent"]:
            raise Wrong(f"done, but {counts}")
        if not counts["sent"] <= stored <= counts["sent"] + counts["possible_duplicates"] + 1:
            raise Wrong(f"{stored} packets stored by a run that says {counts}")
        there = sum(self._newest_stored(each) == float(each.values[-1]) for each in shown)
        if counts["sent"] + counts["resumed"] > there + counts["filtered"]:
            raise Wrong(f"only {there} rows of the export are there, the run says {counts}")
        if told.exit_code == 0:
            for each in shown:
                is_there = self._newest_stored(each) == float(each.values[-1])
                if not is_there and window.holds(wall_of(each.local.replace(tzinfo=None))):
                    raise Wrong(f"exit code 0, but this reading is not there: {each}")
        if told.state == "done" and told.status is not None:
            expected = {
                "acknowledged": counts["sent"] + counts["resumed"],
                "waiting": 0,
                "rejected": counts["rejected"],
                "filtered": counts["filtered"],
            }
            if told.status != expected:
                raise Wrong(f"status says {told.status}, the run {counts}")

    def _judge_end(self) -> None:
        """Check that each reading is stored with its newest value."""
        for reading in self.readings:
            stored = self._newest_stored(reading)
            if reading.instant in self.machine.rejected:
                continue
            if stored != float(reading.values[-1]):
                raise Wrong(f"lost: {reading}; the collector has {stored}")
