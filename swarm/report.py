"""Results -> the report: plain data, a table, JSON ("What is printed" in docs/reference.md)."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from swarm.events import State, StreamProblem, Tally, Verified
from swarm.table import counted, printable, span, table
from swarm.version import VERSION

#: Where several exit codes apply, the first of these wins.
PRECEDENCE = (1, 130, 143, 7, 4, 3, 5, 6, 2)
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
    """The outcome of one meter; times as they stand in its packets."""

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
    def exit_code(self) -> int:
        """The exit code of the run."""
        codes = {meter.problem.exit_code for meter in self.meters if meter.problem}
        if any(meter.tally.rejected or meter.tally.late for meter in self.meters):
            # Whatever else stopped the meter: time does not mend that.
            codes.add(3)
        if self.signal:
            codes.add(128 + self.signal)
        if not codes and any(meter.counts["unsent"] for meter in self.meters):
            # Zero says that all was acknowledged: without a reason, a row that was not is a bug.
            codes.add(1)
        return min(codes, key=PRECEDENCE.index, default=0)

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


def as_json(report: Report) -> str:
    """Return the report as one JSON object."""
    return json.dumps(
        {
            "swarm": VERSION,
            "config": report.config,
            "collector": report.collector,
            "started": _iso(report.started),
            "finished": _iso(report.finished),
            "seconds": round(report.seconds, 3),
            "exit_code": report.exit_code,
            "totals": report.totals,
            "meters": [_meter_as_dict(meter) for meter in report.meters],
        },
        ensure_ascii=False,
        indent=1,
    )


def _meter_as_dict(meter: MeterReport) -> dict[str, Any]:
    problem = None
    if meter.problem:
        facts = asdict(meter.problem)
        problem = {name: facts[name] for name in ("kind", "message", "line", "status")}
    return {
        "id": meter.id,
        "file": meter.file,
        "state": meter.state,
        **meter.counts,
        "first": meter.first,
        "last": meter.last,
        "verified": meter.verified,
        "problem": problem,
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def as_table(report: Report) -> str:
    """Return the report for people; columns that are zero throughout are left out."""
    totals = report.totals
    optional = ("filtered", "resumed", "rejected", "late", "unsent")
    names = ["rows", "sent", *(name for name in optional if totals[name])]
    rows = [_row(meter, names) for meter in report.meters]
    if len(rows) > 1:
        rows.append(["total", "", *(f"{totals[name]:,}" for name in names), ""])
    lines = table(["meter", "state", *names, "verified"], rows, left=(0, 1))
    return "\n".join([*lines, "", *closing(report)])


def _row(meter: MeterReport, names: Sequence[str]) -> list[str]:
    counts = meter.counts
    verified = meter.verified if meter.state == "done" else "-"
    return [meter.id, meter.state, *(f"{counts[name]:,}" for name in names), verified]


def closing(report: Report) -> Iterable[str]:
    """Yield what a run comes to, in a few lines."""
    totals = report.totals
    if totals["sent"] == 1:
        yield f"1 packet sent; {span(report.seconds)} in all"
    elif totals["sent"]:
        rate = totals["packets_per_second"]
        yield (
            f"{counted(totals['sent'], 'packet')} sent in {span(report.sending_seconds)}, "
            f"{rate:,.{0 if rate >= 10 else 1}f} a second; {span(report.seconds)} in all"
        )
    elif report.exit_code == 0 and totals["resumed"]:
        yield f"Nothing new: {counted(totals['resumed'], 'row')} acknowledged before"
    elif report.exit_code == 0:
        yield "Nothing to send"
    unverified = [each for each in report.meters if _is_unverified(each)]
    if unverified:
        meters = counted(len(unverified), "meter")
        yield f"{meters} not verified: the collector did not tell its last packet"
    if totals["retries"] or totals["possible_duplicates"]:
        yield (
            f"{counted(totals['retries'], 'retry')}, "
            f"{counted(totals['possible_duplicates'], 'possible duplicate')}"
        )
    yield from report.notes


def _is_unverified(meter: MeterReport) -> bool:
    """Tell whether the collector was asked about a meter's rows, and gave no answer."""
    has_rows = meter.tally.sent + meter.tally.resumed > 0
    return meter.state == "done" and meter.verified == "unknown" and has_rows


def problem_lines(meters: Iterable[MeterReport]) -> list[str]:
    """Return the problems of meters that did not end well, one line each; same ones together."""
    return lines_of(
        (meter.id, meter.problem) for meter in meters if meter.problem and meter.state != "invalid"
    )


def lines_of(problems: Iterable[tuple[str, StreamProblem]]) -> list[str]:
    """Return problems of meters as lines, the meters that have the same one together."""
    grouped: dict[str, list[str]] = {}
    for meter, problem in problems:
        place = f"{problem.file}:{problem.line}: " if problem.file and problem.line else ""
        grouped.setdefault(place + problem.message, []).append(meter)
    return [printable(f"{_names(ids)}: {message}") for message, ids in grouped.items()]


def _names(ids: Sequence[str]) -> str:
    return ", ".join(ids) if len(ids) <= 3 else f"{', '.join(ids[:2])} and {len(ids) - 2} more"
