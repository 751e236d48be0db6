"""The report of a run, as plain data: "What is printed" in docs/reference.md."""

from dataclasses import dataclass, field
from typing import Any

from swarm.delivery.result import State, StreamProblem, Tally, Verified
from swarm.errors import PRECEDENCE, ExitCode

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
    """The outcome of one meter; times as in its packets."""

    id: str
    file: str
    state: State
    rows: int
    tally: Tally
    first: str | None = None
    last: str | None = None
    verified: Verified = "unknown"
    problem: StreamProblem | None = None

    @property
    def counts(self) -> dict[str, int]:
        """The meter's counts; ``rows`` is always the sum of what became of them."""
        tally = self.tally
        settled = tally.sent + tally.resumed + tally.rejected + tally.late
        filtered = 0 if self.state == "invalid" else tally.filtered
        return {
            "rows": self.rows,
            "filtered": filtered,
            "sent": tally.sent,
            "resumed": tally.resumed,
            "rejected": tally.rejected,
            "late": tally.late,
            "unsent": self.rows - filtered - settled,
            "retries": tally.retries,
            "possible_duplicates": tally.possible_duplicates,
        }


@dataclass(frozen=True)
class Report:
    """Outcome of a run; ``started``, ``finished`` in Unix seconds, ``seconds`` is its length."""

    config: str
    collector: str
    started: float
    finished: float
    seconds: float
    meters: tuple[MeterReport, ...]
    signal: int | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the run."""
        codes = {meter.problem.exit_code for meter in self.meters if meter.problem}
        if any(meter.tally.rejected or meter.tally.late for meter in self.meters):
            # Rejected and late rows need action by the user, whatever else stopped the meter.
            codes.add(ExitCode.DATA)
        if self.signal:
            codes.add(ExitCode(128 + self.signal))
        if not codes and any(meter.counts["unsent"] for meter in self.meters):
            # Zero means that all rows are acknowledged: an unsent row without a reason is a bug.
            codes.add(ExitCode.BUG)
        return min(codes, key=PRECEDENCE.index, default=ExitCode.OK)

    @property
    def totals(self) -> dict[str, Any]:
        """The sums over all meters, and the rate from the first packet to the last."""
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
        """Packets acknowledged in this run, a second from the first packet to the last."""
        sent, seconds = sum(meter.tally.sent for meter in self.meters), self.sending_seconds
        return round(sent / seconds, 1) if seconds > 0 else 0.0
