"""The report of an upload as a table and as JSON ("What is printed" in docs/reference.md)."""

import json
from collections.abc import Iterable, Iterator
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
    started, finished = (
        datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
        for seconds in (report.started, report.finished)
    )
    document = {
        "swarm": VERSION,
        "config": report.config,
        "collector": report.collector,
        "started": started,
        "finished": finished,
        "seconds": round(report.seconds, 3),
        "exit_code": report.exit_code,
        "connections": asdict(report.connections),
        **({"cluster": report.cluster._asdict()} if report.cluster else {}),
        "totals": report.totals,
        "meters": [_as_dict(meter) for meter in report.meters],
    }
    return json.dumps(document, ensure_ascii=False, indent=1)


def _as_dict(meter: MeterReport) -> dict[str, Any]:
    problem = meter.problem
    facts = ("kind", "message", "line", "status")
    return {
        "id": meter.id,
        "file": meter.file,
        "state": meter.state,
        **meter.counts,
        "first": meter.first,
        "last": meter.last,
        "verified": meter.verified,
        "problem": problem and {name: getattr(problem, name) for name in facts},
    }


def as_table(report: Report) -> str:
    """Return the report for people; most columns are left out if all their counts are zero."""
    totals = report.totals
    optional = ("filtered", "resumed", "rejected", "late", "unsent")
    names = ["rows", "sent", *(name for name in optional if totals[name])]
    rows = []
    for meter in report.meters:
        counts = meter.counts
        verified = meter.verified if meter.state == "done" else "-"
        rows.append([meter.id, meter.state, *(f"{counts[name]:,}" for name in names), verified])
    if len(rows) > 1:
        rows.append(["total", "", *(f"{totals[name]:,}" for name in names), ""])
    lines = table(["meter", "state", *names, "verified"], rows, left=(0, 1))
    return "\n".join([*lines, "", *closing(report)])


def closing(report: Report) -> Iterator[str]:
    """Yield a summary of the run in a few lines, and its notes."""
    totals = report.totals
    if totals["sent"] == 1:
        yield f"1 packet sent; {format_duration(report.seconds)} in all"
    elif totals["sent"]:
        rate = totals["packets_per_second"]
        sending = format_duration(report.sending_seconds)
        yield (
            f"{pluralize(totals['sent'], 'packet')} sent in {sending}, "
            f"{rate:,.{0 if rate >= 10 else 1}f} per second; "
            f"{format_duration(report.seconds)} in all"
        )
        if report.connections.mode == "auto":
            yield str(report.connections)
    elif report.exit_code == 0 and totals["resumed"]:
        yield f"Nothing new: {pluralize(totals['resumed'], 'row')} acknowledged in earlier runs"
    elif report.exit_code == 0:
        yield "Nothing to send"
    if report.cluster:
        yield str(report.cluster)
    # The collector is asked only about meters that have acknowledged rows.
    unverified = sum(
        meter.state == "done"
        and meter.verified == "unknown"
        and meter.tally.sent + meter.tally.resumed > 0
        for meter in report.meters
    )
    if unverified:
        meters = pluralize(unverified, "meter")
        yield f"{meters} not verified: the collector did not return its last packet"
    if totals["retries"] or totals["possible_duplicates"]:
        yield (
            f"{pluralize(totals['retries'], 'retry')}, "
            f"{pluralize(totals['possible_duplicates'], 'possible duplicate')}"
        )
    yield from report.notes


def problem_lines(meters: Iterable[MeterReport]) -> list[str]:
    """Return a line for each problem; those of the files were shown by the check."""
    return group_problems(
        (meter.id, meter.problem) for meter in meters if meter.problem and meter.state != "invalid"
    )


def group_problems(problems: Iterable[tuple[str, StreamProblem]]) -> list[str]:
    """Return a line for each problem, with the IDs of all meters that have it."""
    meters_of: dict[str, list[str]] = {}
    for meter, problem in problems:
        place = f"{problem.file}:{problem.line}: " if problem.file and problem.line else ""
        meters_of.setdefault(place + problem.message, []).append(meter)
    lines = []
    for message, meters in meters_of.items():
        shown = meters if len(meters) <= 3 else meters[:2]
        others = f" and {len(meters) - 2} more" if len(meters) > 3 else ""
        lines.append(printable(f"{', '.join(shown)}{others}: {message}"))
    return lines
