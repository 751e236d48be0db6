"""Checks a meter's files in a worker process: the first job of every run."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from swarm.config.settings import Meter
from swarm.csv import CheckResult, Window, check_files
from swarm.delivery.state import LOCAL, StreamState


class CheckContext(Protocol):
    """The services that a check needs of its process."""

    @property
    def state(self) -> StreamState:
        """The state of streams."""


@dataclass(frozen=True)
class CheckTask:
    """One meter to check; ``with_quality`` also measures how regular its rows are.

    ``with_values`` adds statistics of the values to that.
    ``ledger`` is the path of the stream's ledger, None for a check that is not part of an upload.
    With ``is_full``, the part of the files that is settled is read as well.
    """

    meter: Meter
    window: Window
    with_quality: bool = False
    with_values: bool = False
    ledger: Path | None = None
    is_full: bool = False


def check(task: CheckTask, context: CheckContext | None) -> CheckResult:
    """Check one meter's files; without a context, in the process that has the state.

    Problems of the files are in the result; nothing is raised for them.
    """
    state = context.state if context else LOCAL
    sent = has_begun = settled = None
    if task.ledger:
        if not task.is_full and task.window.is_open:
            settled = state.load_settled(task.meter, task.ledger)
        known = settled[1] if settled else None
        sent = partial(state.sent_rows, task.ledger, task.meter.id, known)
        has_begun = partial(state.has_begun, task.ledger, task.meter.id)
    return check_files(
        task.meter,
        task.window,
        sent,
        has_begun,
        settled[0] if settled else None,
        with_quality=task.with_quality,
        with_values=task.with_values,
    )
