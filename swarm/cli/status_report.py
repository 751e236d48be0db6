"""Standings -> what ``swarm status`` tells: a table for people, JSON for programs."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from swarm.cli.table import table
from swarm.cli.upload_report import lines_of
from swarm.delivery.result import StreamProblem
from swarm.delivery.status import StreamStatus
from swarm.errors import PRECEDENCE
from swarm.text import format_time

_COUNTS = ("acknowledged", "waiting", "rejected", "late", "filtered")
_ALWAYS = _COUNTS[:2]


def exit_code(standings: Sequence[StreamStatus]) -> int:
    """Return the exit code: that of the gravest problem."""
    codes = {problem.exit_code for each in standings for problem in _problems(each)}
    return min(codes, key=PRECEDENCE.index, default=0)


def problem_lines(standings: Sequence[StreamStatus]) -> list[str]:
    """Return what stood in the way, a line for each cause; files were told when checked."""
    return lines_of((each.id, problem) for each in standings for problem in each.problems)


def as_json(standings: Sequence[StreamStatus]) -> str:
    """Return the standings as one JSON object."""
    told = {"meters": [_as_dict(each) for each in standings]}
    return json.dumps(told, ensure_ascii=False, indent=1)


def as_table(standings: Sequence[StreamStatus]) -> str:
    """Return the standings for people; counts that are zero throughout are left out."""
    names = [
        name for name in _COUNTS if name in _ALWAYS or any(_count(each, name) for each in standings)
    ]
    head = ["meter", "rows", *names, "last acknowledged", "collector's last"]
    rows = [_row(each, names) for each in standings]
    return "\n".join(table(head, rows, left=(0, len(head) - 2)))


def _row(standing: StreamStatus, names: Sequence[str]) -> list[str]:
    counts = [_count(standing, name) for name in names]
    times = (standing.last_acknowledged, standing.collector_last)
    return [
        standing.id,
        f"{standing.rows:,}",
        *("-" if count is None else f"{count:,}" for count in counts),
        *("-" if time is None else format_time(time) for time in times),
    ]


def _count(standing: StreamStatus, name: str) -> int | None:
    count: int | None = getattr(standing, name)
    return count


def _as_dict(standing: StreamStatus) -> dict[str, Any]:
    problem = min(
        _problems(standing), key=lambda each: PRECEDENCE.index(each.exit_code), default=None
    )
    facts = ("kind", "message", "line", "status")
    return {
        "id": standing.id,
        "rows": standing.rows,
        **{name: _count(standing, name) for name in _COUNTS},
        "last_acknowledged": standing.last_acknowledged,
        "collector_last": standing.collector_last,
        "problem": problem and {name: getattr(problem, name) for name in facts},
    }


def _problems(standing: StreamStatus) -> Iterator[StreamProblem]:
    if standing.invalid:
        yield standing.invalid
    yield from standing.problems
