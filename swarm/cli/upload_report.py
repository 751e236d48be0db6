"""The report of an upload as a table and as JSON ("What is printed" in docs/reference.md)."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from swarm.cli.table import table
from swarm.delivery.result import StreamProblem
from swarm.run.report import MeterReport, Report
from swarm.text import format_duration, pluralize, printable
from swarm.version import VERSION


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
        yield f"1 packet sent; {format_duration(report.seconds)} in all"
    elif totals["sent"]:
        rate = totals["packets_per_second"]
        sending = format_duration(report.sending_seconds)
        yield (
            f"{pluralize(totals['sent'], 'packet')} sent in {sending}, "
            f"{rate:,.{0 if rate >= 10 else 1}f} a second; {format_duration(report.seconds)} in all"
        )
    elif report.exit_code == 0 and totals["resumed"]:
        yield f"Nothing new: {pluralize(totals['resumed'], 'row')} acknowledged before"
    elif report.exit_code == 0:
        yield "Nothing to send"
    unverified = [each for each in report.meters if _is_unverified(each)]
    if unverified:
        meters = pluralize(len(unverified), "meter")
        yield f"{meters} not verified: the collector did not tell its last packet"
    if totals["retries"] or totals["possible_duplicates"]:
        yield (
            f"{pluralize(totals['retries'], 'retry')}, "
            f"{pluralize(totals['possible_duplicates'], 'possible duplicate')}"
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
