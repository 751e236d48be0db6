"""The check of all meters on all cores, in the parent process."""

import os
from collections.abc import Sequence
from pathlib import Path

from swarm.checkpoint.paths import ledger_path
from swarm.config.settings import Settings
from swarm.csv import CheckResult, Window
from swarm.delivery.check import CheckTask
from swarm.run.jobs import run_read_only
from swarm.run.observer import Observer
from swarm.run.pool import Pool
from swarm.run.setup import open_pool
from swarm.run.stop import Stop, stoppable


def check(
    settings: Settings, observer: Observer, *, with_quality: bool = False
) -> tuple[list[CheckResult], int | None]:
    """Check every meter's files, without network and checkpoints.

    Returns the results, and the signal that ended the check early, if one did.
    """
    with stoppable() as stop, open_pool(settings) as (pool, _):
        tasks = make_check_tasks(settings, with_quality=with_quality)
        return check_all(tasks, pool, observer, stop), stop.signal


def make_check_tasks(
    settings: Settings, *, with_quality: bool = False, resumes: bool = False
) -> list[CheckTask]:
    """Return a task for each meter; with ``resumes``, rows that were sent keep their fold."""
    window = Window(settings.upload.since, settings.upload.until)
    tasks = []
    for meter in settings.meters:
        path = ledger_path(settings.state, settings.collector, meter.id)
        ledger = path if resumes else None
        tasks.append(CheckTask(meter, window, with_quality, ledger, settings.upload.full_check))
    return tasks


def check_all(
    tasks: Sequence[CheckTask], pool: Pool, observer: Observer, stop: Stop
) -> list[CheckResult]:
    """Check meters in a pool; after a request to stop, the others have an empty result."""
    results = {task.meter.id: CheckResult(task.meter.id) for task in tasks}
    observer.checking(len(tasks))
    sizes = [sum(map(_size, task.meter.files)) for task in tasks]
    function = "swarm.delivery.check:check"
    for result in run_read_only(pool, function, tasks, observer, stop, sizes=sizes):
        results[result.meter] = result
        observer.checked(result)
    return list(results.values())


def _size(path: Path) -> int:
    """Return the size of a file; that of a file with a problem does not matter."""
    try:
        return os.stat(path).st_size  # noqa: PTH116 - for thousands of files
    except OSError:
        return 0
