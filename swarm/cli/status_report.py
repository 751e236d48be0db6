"""The results of ``swarm status``: a table for people, JSON for programs."""

import json
from collections.abc import Sequence
from typing import Any

from swarm.cli.table import table
from swarm.cli.upload_report import group_problems
from swarm.delivery.result import StreamProblem
from swarm.delivery.status import StreamStatus
from swarm.errors import PRECEDENCE, ExitCode
from swarm.text import format_time

_COUNTS = ("acknowledged", "waiting", "rejected", "late", "filtered")
#: The columns of the table that are shown even if all their counts are zero.
_ALWAYS = _COUNTS[:2]


def exit_code(statuses: Sequence[StreamStatus]) -> ExitCode:
    """Return the exit code of the gravest problem."""
    problems = filter(None, map(_gravest, statuses))
    codes = {problem.exit_code for problem in problems}
    return min(codes, key=PRECEDENCE.index, default=ExitCode.OK)


def problem_lines(statuses: Sequence[StreamStatus]) -> list[str]:
    """Return a line for each problem; those of the files were shown by the check."""
    return group_problems(
        (status.id, problem) for status in statuses for problem in status.problems
    )


def as_json(statuses: Sequence[StreamStatus]) -> str:
    """Return the statuses as one JSON object, with the gravest problem of each stream."""
    facts = ("kind", "message", "line", "status")
    meters: list[dict[str, Any]] = []
    for status in statuses:
        problem = _gravest(status)
        meters.append(
            {
                "id": status.id,
                "rows": status.rows,
                **{name: getattr(status, name) for name in _COUNTS},
                "last_acknowledged": status.last_acknowledged,
                "collector_last": status.collector_last,
                "problem": problem and {name: getattr(problem, name) for name in facts},
            }
        )
    return json.dumps({"meters": meters}, ensure_ascii=False, indent=1)


def as_table(statuses: Sequence[StreamStatus]) -> str:
    """Return the statuses for people; most columns are left out if all their counts are zero."""
    names = [
        name
        for name in _COUNTS
        if name in _ALWAYS or any(getattr(status, name) for status in statuses)
    ]
    head = ["meter", "rows", *names, "last acknowledged", "collector's last"]
    rows = []
    for status in statuses:
        counts = [getattr(status, name) for name in names]
        times = (status.last_acknowledged, status.collector_last)
        rows.append(
            [
                status.id,
                f"{status.rows:,}",
                *("-" if count is None else f"{count:,}" for count in counts),
                *("-" if time is None else format_time(time) for time in times),
            ]
        )
    return "\n".join(table(head, rows, left=(0, len(head) - 2)))


def _gravest(status: StreamStatus) -> StreamProblem | None:
    """Return the problem whose exit code takes precedence; a problem of the files comes first."""
    problems = [status.invalid, *status.problems] if status.invalid else status.problems
    return min(problems, key=lambda each: PRECEDENCE.index(each.exit_code), default=None)
