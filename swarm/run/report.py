"""The report of a run as plain data; "What is printed" in docs/reference.md describes it."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from swarm.csv import CheckResult
from swarm.delivery.result import OpenDays, State, StreamProblem, Tally, Verified
from swarm.errors import PRECEDENCE, ExitCode
from swarm.run.timeline import Sample
from swarm.text import pluralize

_COUNTS = (
    "rows",
    "filtered",
    "sent",
    "resumed",
    "rejected",
    "late",
    "unsent",
    "retries",
    "possible_duplicates",
)


@dataclass(frozen=True)
class MeterReport:
    """The outcome of one meter; ``first`` and ``last`` are times as in its packets.

    ``days`` are the days of its rejected and late rows.
    """

    id: str
    file: str
    state: State
    rows: int
    tally: Tally
    first: str | None = None
    last: str | None = None
    verified: Verified = "unknown"
    problem: StreamProblem | None = None
    days: OpenDays = field(default_factory=OpenDays)

    @cached_property
    def counts(self) -> dict[str, int]:
        """The counts of the meter; ``rows`` is the sum of all counts from filtered to unsent."""
        tally = self.tally
        filtered = 0 if self.state == "invalid" else tally.filtered
        return {
            "rows": self.rows,
            "filtered": filtered,
            "sent": tally.sent,
            "resumed": tally.resumed,
            "rejected": tally.rejected,
            "late": tally.late,
            "unsent": self.rows - filtered - tally.finished,
            "retries": tally.retries,
            "possible_duplicates": tally.possible_duplicates,
        }


@dataclass(frozen=True)
class ConnectionUse:
    """The number of streams that were sent at the same time, ``most``, and the reason for it."""

    mode: Literal["auto", "fixed"]
    most: int
    why: str

    def __str__(self) -> str:
        return f"{pluralize(self.most, 'connection')}: {self.why}"


class ClusterUse(NamedTuple):
    """The cluster of a run: hosts and workers that were used, workers lost, streams that moved."""

    scheduler: str
    hosts: int
    workers: int
    lost: int
    moved: int

    def __str__(self) -> str:
        text = f"{pluralize(self.workers, 'worker')} on {pluralize(self.hosts, 'host')}"
        if self.lost:
            text += f", {self.lost} of them lost; {pluralize(self.moved, 'stream')} moved"
        return f"{text}, scheduler {self.scheduler}"


NOT_USED = ConnectionUse("fixed", 0, "nothing was sent")


@dataclass(frozen=True)
class Report:
    """The outcome of a run of ``seconds``; ``started`` and ``finished`` are in Unix seconds.

    ``checked`` are the results of the check, in the order of ``meters``.
    """

    config: str
    collector: str
    started: float
    finished: float
    seconds: float
    meters: tuple[MeterReport, ...]
    signal: int | None = None
    notes: tuple[str, ...] = field(default=())
    connections: ConnectionUse = NOT_USED
    cluster: ClusterUse | None = None
    checked: tuple[CheckResult, ...] = ()
    timeline: tuple[Sample, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the run: the first in `PRECEDENCE` of all that apply."""
        codes = {meter.problem.exit_code for meter in self.meters if meter.problem}
        if any(meter.tally.rejected or meter.tally.late for meter in self.meters):
            # Rejected and late rows need action by the user, whatever else stopped the meter.
            codes.add(ExitCode.DATA)
        if self.signal:
            codes.add(ExitCode(128 + self.signal))
        if not codes and any(meter.counts["unsent"] for meter in self.meters):
            # OK means that all rows are acknowledged: an unsent row without a problem is a bug.
            codes.add(ExitCode.BUG)
        return min(codes, key=PRECEDENCE.index, default=ExitCode.OK)

    @cached_property
    def totals(self) -> dict[str, Any]:
        """The sums of the counts over all meters, and ``packets_per_second``."""
        counts = [meter.counts for meter in self.meters]
        sums: dict[str, Any] = {name: sum(each[name] for each in counts) for name in _COUNTS}
        return sums | {"packets_per_second": self.packets_per_second}

    @property
    def sending_seconds(self) -> float:
        """The time (s) from the first packet to the last."""
        starts = [m.tally.first for m in self.meters if m.tally.first is not None]
        ends = [m.tally.last for m in self.meters if m.tally.last is not None]
        return max(ends) - min(starts) if starts and ends else 0.0

    @property
    def packets_per_second(self) -> float:
        """The rate of acknowledged packets, over the time from the first packet to the last."""
        sent, seconds = sum(meter.tally.sent for meter in self.meters), self.sending_seconds
        return round(sent / seconds, 1) if seconds > 0 else 0.0
