"""The jobs of a seat: those of a local worker, with the files of this host, which messages name."""

from dataclasses import replace
from typing import Protocol

from swarm.csv import CheckResult, verified_here
from swarm.delivery import check as checking
from swarm.delivery import deliver as delivery
from swarm.delivery.check import CheckContext, CheckTask
from swarm.delivery.context import Context
from swarm.delivery.result import StreamProblem, StreamResult
from swarm.delivery.task import Task
from swarm.errors import FileChangedError

#: Problems that have to do with the host on which they were found.
_OF_THE_HOST = frozenset({"file changed", "temporary", "refused", "redirect", "tls"})


class Host(Protocol):
    """The part that a seat adds to the context of its jobs."""

    host: str


class SeatContext(Host, Context, Protocol):
    """The context of a stream in a seat."""


class SeatCheckContext(Host, CheckContext, Protocol):
    """The context of a check in a seat."""


def deliver(task: Task, context: SeatContext) -> StreamResult:
    """Send one stream, if its files are here what they were where they were checked."""
    checked = task.checked
    try:
        files = context.scheduler.run_in_thread(verified_here, task.meter, checked.checked_files)
    except FileChangedError as error:
        changed = StreamProblem.of("file changed", error)
        result = StreamResult(task.meter.id, "stopped", problem=changed)
    else:
        here = replace(task, checked=replace(checked, checked_files=files))
        result = delivery.deliver(here, context)
    problem = result.problem
    if problem is not None and problem.kind in _OF_THE_HOST:
        named = replace(problem, message=f"on {context.host}: {problem.message}")
        return replace(result, problem=named)
    return result


def check(task: CheckTask, context: SeatCheckContext) -> CheckResult:
    """Check one meter's files."""
    result = checking.check(task, context)
    problems = tuple(
        replace(each, message=f"{each.message} (on {context.host})")
        if each.kind == "file"
        else each
        for each in result.problems
    )
    return replace(result, problems=problems)
